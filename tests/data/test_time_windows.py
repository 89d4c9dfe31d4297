"""Rolling windows of time: what each trains and tests on, by hand and for any log; and which logs are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caser.data.log import InteractionLog
from caser.data.shards import ShardedLog
from caser.data.split import Split, global_time
from caser.data.synthetic import chain_world
from caser.data.time_windows import time_windows
from caser.errors import DataError
from caser.evaluation.fingerprint import describe
from caser.evaluation.protocols import apply, resolve


def log_of(times: list[int], users: list[int]) -> InteractionLog:
    """Item n is the n-th interaction of the log in time."""
    frame = pl.DataFrame({"user": users, "item": range(len(times)), "time": times}).sort("time", maintain_order=True)
    return InteractionLog.from_columns(frame["user"], frame["item"], frame["time"].to_numpy() * 1_000_000)


def targets(split: Split, part: str) -> list[Any]:
    return sorted(split.log.item_vocabulary.raw(getattr(split, part).targets))


def test_two_windows_by_hand() -> None:
    log = log_of(list(range(20)), [number % 2 for number in range(20)])
    first, last = time_windows(log, 2)  # test parts of a quarter, 5 of 20
    assert first.name == "global-time test=0.25 validation=0.25 end=0.75"
    assert (len(first.fit), targets(first, "validation")) == (5, list(range(5, 10)))
    assert (len(first.final), targets(first, "test")) == (10, list(range(10, 15)))
    assert last.name == "global-time test=0.25 validation=0.25"
    assert (len(last.fit), targets(last, "validation")) == (10, list(range(10, 15)))
    assert (len(last.final), targets(last, "test")) == (15, list(range(15, 20)))
    # A history holds what the user did before the cut, and nothing later.
    query = first.test
    history = log.item_vocabulary.raw(query.items[query.starts[0] : query.ends[0]])
    assert history == [item for item in range(10) if item % 2 == log.user_vocabulary.raw([query.users[0]])[0]]


def test_the_last_of_five_windows_is_the_split_by_global_time() -> None:
    log = chain_world(num_users=30, num_items=9, length=20, seed=0).log
    last, expected = time_windows(log)[-1], global_time(log)
    assert last.name == expected.name == "global-time"
    for part in ("validation", "test"):
        assert np.array_equal(getattr(last, part).targets, getattr(expected, part).targets)


@settings(max_examples=40)
@given(
    times=st.lists(st.integers(0, 60), min_size=60, max_size=120),
    number=st.sampled_from([2, 3, 5, 7]),
    num_users=st.integers(1, 3),
    num_shards=st.integers(1, 3),
)
def test_windows_do_not_overlap_and_train_on_what_is_earlier(
    times: list[int], number: int, num_users: int, num_shards: int
) -> None:
    log = log_of(times, [place % num_users for place in range(len(times))])
    try:
        windows = time_windows(log, number)
    except DataError:
        return  # too many equal times
    moment = np.zeros(len(times) + 1, dtype=np.int64)
    moment[log.items] = log.times
    tested: list[int] = []
    for split in windows:
        earliest = moment[split.test.targets].min()
        assert moment[split.final.items].max() < earliest
        assert moment[split.fit.items].max() < moment[split.validation.targets].min()
        assert not tested or max(moment[tested]) < earliest
        tested += split.test.targets.tolist()
    assert len(tested) == len(set(tested))
    # In shards it is the same.
    for split, other in zip(windows, time_windows(ShardedLog.of(log, min(num_shards, num_users)), number), strict=True):
        assert split.name == other.name
        assert np.array_equal(split.final.items, other.final.whole(log.num_users).items)
        assert np.array_equal(split.test.targets, other.test.targets)


def test_each_window_has_a_fingerprint_of_its_own_and_its_name_makes_it_again() -> None:
    log = chain_world(num_users=30, num_items=9, length=20, seed=0).log
    windows = time_windows(log, 3)
    prints = [describe(split, resolve(split.name, split), "test")["fingerprint"] for split in windows]
    assert len(set(prints)) == 3
    again = [apply(split.name, log) for split in windows]
    assert [describe(split, resolve(split.name, split), "test")["fingerprint"] for split in again] == prints


@pytest.mark.parametrize(
    ("number", "words"), [(1, "from 2 to 50; got 1"), (51, "from 2 to 50; got 51"), (2.0, "whole")]
)
def test_another_number_of_windows_is_refused(number: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        time_windows(chain_world(num_users=5, num_items=6, length=9, seed=0).log, number)


def test_a_log_without_times_or_too_short_is_refused_by_the_name_of_the_window() -> None:
    ids = pl.Series([1, 1, 1, 2, 2, 2])
    with pytest.raises(DataError, match=r"window 1 of 5 cannot be cut: global-time needs timestamps"):
        time_windows(InteractionLog.from_columns(ids, ids, None))
    with pytest.raises(DataError, match=r"window 1 of 9 cannot be cut: global-time needs .+ Ask for fewer windows\."):
        time_windows(log_of([1, 1, 1, 1, 2, 2], [1, 2, 1, 2, 1, 2]), 9)
    with pytest.raises(DataError, match=r"users .+ who were there before .+; window 1 of 2 has 0 and 0"):
        time_windows(log_of(list(range(8)), list(range(8))), 2)


@pytest.mark.parametrize("end", [0.2, 1.1, "late"])
def test_a_share_at_which_a_split_cannot_end_is_refused(end: Any) -> None:
    with pytest.raises(DataError, match="end must be a share"):
        global_time(chain_world(num_users=5, num_items=6, length=9, seed=0).log, end=end)
