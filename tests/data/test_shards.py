"""A log in shards holds every interaction once, each user in one shard, and one shard is the log itself."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caser.data.log import InteractionLog
from caser.data.shards import ShardedLog
from caser.errors import ConfigError

EVENTS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=40)


def log_of(events: list[tuple[int, int, int]]) -> InteractionLog:
    users, items, times = (pl.Series(column) for column in zip(*events, strict=True))
    return InteractionLog.from_columns(users, items, times.to_numpy().astype(np.int64))


@given(EVENTS, st.integers(1, 9))
def test_the_shards_put_together_are_the_log(events: list[tuple[int, int, int]], num_shards: int) -> None:
    log = log_of(events)
    shards = ShardedLog.of(log, min(num_shards, log.num_users))
    parts = [shards.shard(k) for k in range(shards.num_shards)]
    numbers = [part.users + first - 1 for part, first in zip(parts, shards.first_user, strict=False)]
    assert np.concatenate(numbers).tolist() == log.users.tolist()
    for name in ("items", "times", "rows"):
        assert np.concatenate([getattr(part, name) for part in parts]).tolist() == getattr(log, name).tolist()
    ids = [raw for k in range(shards.num_shards) for raw in shards.user_ids(k).to_list()]
    assert ids == log.user_vocabulary.ids.to_list()
    assert all(part.users.dtype == np.int32 and part.users[0] == 1 for part in parts)
    assert all(np.unique(part.users).tolist() == list(range(1, part.num_users + 1)) for part in parts)
    assert all(part.num_items == log.num_items for part in parts)


@given(EVENTS)
def test_a_shard_has_about_its_share_of_the_interactions(events: list[tuple[int, int, int]]) -> None:
    log = log_of(events)
    longest = int(np.bincount(log.users).max())
    for num_shards in range(1, log.num_users + 1):
        shards = ShardedLog.of(log, num_shards)
        sizes = [len(shards.shard(k)) for k in range(num_shards)]
        assert min(sizes) >= 1
        if longest <= len(log) // num_shards:
            assert max(sizes) <= len(log) / num_shards + 2 * longest


def test_one_shard_is_the_log_itself() -> None:
    log = log_of([(1, 2, 3), (2, 2, 1), (1, 1, 1)])
    shards = ShardedLog.of(log)
    assert shards.shard(0) is log
    assert shards.first_user.tolist() == [1, 3]
    assert (shards.digest, shards.num_interactions, shards.item_ids.to_list()) == (log.digest, 3, [2, 1])


@pytest.mark.parametrize("num_shards", [0, 3])
def test_a_log_has_no_more_shards_than_users(num_shards: int) -> None:
    with pytest.raises(ConfigError, match=r"must lie in 1\.\.2, the number of users; got"):
        ShardedLog.of(log_of([(1, 2, 3), (2, 2, 1)]), num_shards)
