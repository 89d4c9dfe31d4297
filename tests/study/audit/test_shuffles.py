"""Shuffled histories: which items may change places, and which may not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from caser.data.log import InteractionLog
from caser.data.split import Split, global_time, leave_one_out, sessions
from caser.data.synthetic import chain_world
from caser.data.user_sessions import Reads, user_sessions
from caser.study.audit.shuffles import Block, shuffled
from tests.data.logs import log_of, with_pauses

LOG = chain_world(num_users=30, num_items=9, length=12).log
BLOCKS: list[Block] = [1, 2, 5, "whole"]


def shuffle_of(split: Split, block: Block, seed: int = 0) -> Split:
    return shuffled(split, block, np.random.default_rng(seed))


def histories(split: Split) -> list[list[int]]:
    queries = split.validation
    return [queries.items[start:end].tolist() for start, end in zip(queries.starts, queries.ends, strict=True)]


def test_blocks_are_counted_from_the_end() -> None:
    log = log_of((1, item, item) for item in range(1, 8))
    seen = np.array([shuffle_of(leave_one_out(log), 2, seed).fit.items.tolist() for seed in range(40)])
    assert [set(column) for column in seen.T] == [{1}, {2, 3}, {2, 3}, {4, 5}, {4, 5}]


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("split_of", [leave_one_out, sessions, global_time])
def test_targets_and_the_items_of_every_history_stay(split_of: Callable[[InteractionLog], Split], block: Block) -> None:
    split = split_of(LOG)
    other = shuffle_of(split, block)
    assert np.array_equal(other.validation.targets, split.validation.targets)
    assert np.array_equal(other.validation.users, split.validation.users)
    assert [sorted(history) for history in histories(other)] == [sorted(history) for history in histories(split)]
    assert all(
        sorted(other.fit.sequence(user)) == sorted(split.fit.sequence(user)) for user in range(1, LOG.num_users + 1)
    )
    assert other.test is split.test


def test_blocks_of_one_are_the_true_order() -> None:
    split = leave_one_out(LOG)
    assert np.array_equal(shuffle_of(split, 1).fit.items, split.fit.items)
    assert histories(shuffle_of(split, 1)) == histories(split)


def test_a_history_in_sessions_is_shuffled_independently_of_the_longer_one_that_contains_it() -> None:
    found = histories(shuffle_of(sessions(LOG), "whole"))
    assert any(longer[: len(shorter)] != shorter for shorter, longer in pairwise(found))


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("reads", ["all", "session"])
def test_seen_items_and_the_users_of_sessions_stay(reads: Reads, block: Block) -> None:
    split = user_sessions(with_pauses(LOG, every=3), reads=reads)
    other = shuffle_of(split, block)
    assert [sorted(history) for history in histories(other)] == [sorted(history) for history in histories(split)]
    assert np.array_equal(other.fit.owners, split.fit.owners)
    for query in range(len(split.validation)):
        one = slice(query, query + 1)
        before, after = split.validation.seen(one)[1], other.validation.seen(one)[1]
        assert sorted(after) == sorted(before)
        earlier = len(before) - len(histories(split)[query])
        assert after[:earlier].tolist() == before[:earlier].tolist()
