"""Filters: which interactions they drop, which they keep, and the count of each step."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caser.data.filters import LogFilters, apply_filters
from caser.data.log import InteractionLog
from caser.data.readers import read_log
from caser.errors import ConfigError, DataError
from tests.skips import without_log


def log_of(pairs: list[tuple[str, int]], times: list[int] | None = None) -> InteractionLog:
    users, items = pl.Series([user for user, _ in pairs]), pl.Series([item for _, item in pairs])
    return InteractionLog.from_columns(users, items, None if times is None else np.array(times))


def pairs_of(log: InteractionLog) -> list[tuple[object, object]]:
    return list(zip(log.user_vocabulary.raw(log.users), log.item_vocabulary.raw(log.items), strict=True))


def test_without_filters_the_log_is_unchanged() -> None:
    log = log_of([("a", 1)])
    assert apply_filters(log, LogFilters()) is log


def test_consecutive_repeats_are_dropped_and_other_repeats_stay() -> None:
    log = log_of([("a", 1), ("b", 1), ("a", 1), ("a", 2), ("a", 1)])
    assert pairs_of(apply_filters(log, LogFilters(drop_repeats=True))) == [("a", 1), ("a", 2), ("a", 1), ("b", 1)]


def test_duplicates_are_dropped_even_if_other_interactions_lie_between() -> None:
    log = log_of([("a", 1), ("a", 2), ("a", 1), ("a", 1), ("b", 1)], times=[5, 5, 5, 6, 5])
    kept = apply_filters(log, LogFilters(drop_duplicates=True))
    assert pairs_of(kept) == [("a", 1), ("a", 2), ("a", 1), ("b", 1)]
    assert kept.provenance["filters"] == [{"filter": "drop_duplicates", "dropped": 1}]


def test_a_log_without_times_has_no_duplicates() -> None:
    assert len(apply_filters(log_of([("a", 1), ("a", 1)]), LogFilters(drop_duplicates=True))) == 2


def test_the_minimum_of_items_does_not_filter_users() -> None:
    log = log_of([("a", 1), ("b", 1), ("b", 2)])
    assert pairs_of(apply_filters(log, LogFilters(min_item_count=2))) == [("a", 1), ("b", 1)]


def test_the_core_is_found_by_repeating_until_nothing_changes() -> None:
    square = [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    chain = [("b", 3), ("c", 3), ("c", 4), ("d", 4)]
    assert pairs_of(apply_filters(log_of(square + chain), LogFilters(k_core=2))) == square


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 4)), min_size=1, max_size=30), st.integers(1, 3))
def test_a_core_is_the_largest_log_in_which_every_user_and_item_has_enough(
    pairs: list[tuple[str, int]], least: int
) -> None:
    kept = list(pairs)
    while True:
        enough = [
            pair
            for pair in kept
            if sum(other[0] == pair[0] for other in kept) >= least
            and sum(other[1] == pair[1] for other in kept) >= least
        ]
        if enough == kept:
            break
        kept = enough
    if kept:
        core = apply_filters(log_of(pairs), LogFilters(k_core=least))
        assert sorted(map(str, pairs_of(core))) == sorted(map(str, kept))
    else:
        with pytest.raises(DataError):
            apply_filters(log_of(pairs), LogFilters(k_core=least))


def test_filters_apply_in_the_order_of_their_settings() -> None:
    log = log_of([("a", 1), ("a", 1), ("b", 2), ("c", 2)])
    kept = apply_filters(log, LogFilters(drop_repeats=True, min_item_count=2))
    assert [step["filter"] for step in kept.provenance["filters"]] == ["drop_repeats", "min_item_count=2"]
    assert pairs_of(kept) == [("b", 2), ("c", 2)]


def test_a_filter_that_drops_everything_is_refused() -> None:
    with pytest.raises(DataError, match="at least one interaction"):
        apply_filters(log_of([("a", 1)]), LogFilters(k_core=2))


def test_a_negative_minimum_is_refused() -> None:
    with pytest.raises(ConfigError, match="min_item_count"):
        LogFilters(min_item_count=-1)


@pytest.mark.data
def test_the_minimum_of_five_leaves_the_ml_1m_of_the_protocol_as_it_is() -> None:
    path = Path(os.environ.get("CASER_CACHE", "")) / "ml-1m.parquet"
    if not path.is_file():
        pytest.skip(without_log("ml-1m.parquet"))
    log = read_log(path, filters=LogFilters(min_item_count=5))
    assert (len(log), log.num_users, log.num_items) == (999_611, 6_040, 3_416)
    assert log.digest == read_log(path).digest
