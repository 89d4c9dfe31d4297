"""Old and new events as one log: each counts once, known users and items keep their indices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from caser.data.event_kinds import EventKinds
from caser.data.joined_log import SECOND, is_in_log, joined
from caser.data.log import InteractionLog
from caser.errors import DataError


def log_of(*rows: tuple[Any, Any, float]) -> InteractionLog:
    users, items, times = (list(column) for column in zip(*rows, strict=True))
    moments = (np.array(times) * SECOND).astype(np.int64)
    return InteractionLog.from_columns(pl.Series(users), pl.Series(items), moments)


def events(log: InteractionLog) -> list[tuple[Any, Any, float]]:
    users, items = log.user_vocabulary.raw(log.users), log.item_vocabulary.raw(log.items)
    return list(zip(users, items, (log.times / SECOND).tolist(), strict=True))


OLD = log_of(("a", 7, 1), ("b", 8, 2), ("a", 8, 3))


def test_new_events_alone_and_old_and_new_in_one_file_give_the_same_log() -> None:
    later = [("b", 9, 5), ("c", 7, 4)]
    alone, together = joined(OLD, log_of(*later)), joined(OLD, log_of(*events(OLD), *later))
    assert (alone.num_new, alone.num_repeated, alone.num_late) == (2, 0, 0)
    assert (together.num_new, together.num_repeated, together.num_late) == (2, 3, 0)
    assert alone.log.digest == together.log.digest
    whole = log_of(*events(OLD), *later)
    assert alone.log.digest == whole.digest, "it is the log that one file with all events gives"


def test_known_users_and_items_keep_their_indices_and_new_ones_follow_in_the_order_of_time() -> None:
    log = joined(OLD, log_of(("z", 90, 9), ("y", 91, 8), ("a", 90, 10))).log
    assert log.user_vocabulary.ids.to_list() == ["a", "b", "y", "z"]
    assert log.item_vocabulary.ids.to_list() == [7, 8, 91, 90]
    assert [row for row in events(log) if row[0] == "a"] == [("a", 7, 1.0), ("a", 8, 3.0), ("a", 90, 10.0)]


def test_an_event_of_the_same_second_is_the_same_event() -> None:
    both = joined(OLD, log_of(("a", 8, 3.4), ("a", 8, 4.0)))
    assert (both.num_new, both.num_repeated) == (1, 1)


def test_a_late_event_takes_its_place_in_time_and_is_counted() -> None:
    both = joined(OLD, log_of(("a", 9, 2), ("b", 7, 4)))
    assert both.num_late == 1
    assert events(both.log)[:3] == [("a", 7, 1.0), ("a", 9, 2.0), ("a", 8, 3.0)]


def test_ids_that_are_no_numbers_make_all_of_them_text() -> None:
    log = joined(log_of((1, 7, 1), (2, 8, 2)), log_of(("1", "x", 3), ("b", "8", 4))).log
    assert log.user_vocabulary.ids.to_list() == ["1", "2", "b"]
    assert log.item_vocabulary.ids.to_list() == ["7", "8", "x"]
    numbers = joined(log_of((1, 7, 1)), log_of((1, 7, 1), (3, 7, 2))).log
    assert numbers.user_vocabulary.ids.to_list() == [1, 3]


def test_titles_of_both_logs_are_kept() -> None:
    titled = InteractionLog.from_columns(
        pl.Series(["a"]), pl.Series([7]), np.array([1]), titles={7: "Seven"}, provenance={"source": "old.csv"}
    )
    newer = InteractionLog.from_columns(
        pl.Series(["a", "a"]), pl.Series([9, 7]), np.array([5, 6]) * SECOND, titles={9: "Nine"}
    )
    both = joined(titled, newer).log
    assert both.titles is not None
    assert both.titles.to_list() == ["Seven", "Nine"]
    assert both.provenance == {"source": "old.csv"}


def test_a_log_without_times_is_refused() -> None:
    timeless = InteractionLog.from_columns(pl.Series(["a"]), pl.Series([7]), None)
    with pytest.raises(DataError, match="the new log has none"):
        joined(OLD, timeless)
    with pytest.raises(DataError, match="the old log has none"):
        joined(timeless, OLD)


def test_a_log_that_predicts_some_events_only_is_refused() -> None:
    with pytest.raises(DataError, match="the new log predicts some kinds only"):
        joined(OLD, replace(OLD, kinds=EventKinds(np.array([1, 0, 1], np.uint8), {"buy": 1.0})))


def test_of_equal_interactions_as_many_are_held_as_the_other_log_has() -> None:
    log = log_of(("c", 7, 1), ("a", 7, 1), ("a", 7, 1), ("a", 8, 3))
    held = is_in_log(log, log_of(("a", 7, 1), ("a", 8, 3)), np.array([True, False]))
    assert list(zip(events(log), held.tolist(), strict=True)) == [
        (("c", 7, 1.0), False),
        (("a", 7, 1.0), True),
        (("a", 7, 1.0), False),
        (("a", 8, 3.0), False),
    ]
