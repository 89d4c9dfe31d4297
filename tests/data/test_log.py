"""The log: indices by first appearance, order by (user, time, row), and a digest that differs between logs."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from caser.arrays.types import RawId
from caser.data.log import InteractionLog, Vocabulary
from caser.errors import ConfigError, DataError, UnknownIdError
from tests.data.logs import Row, log_of

ROWS: list[Row] = [("ben", "milk", 5), ("ann", "tea", 1), ("ben", "tea", 2), ("ann", "jam", 9), ("cid", "milk", 7)]


def test_indices_are_assigned_in_order_of_first_appearance_in_time() -> None:
    log = log_of(ROWS)
    assert log.user_vocabulary.ids.to_list() == ["ann", "ben", "cid"]
    assert log.item_vocabulary.ids.to_list() == ["tea", "milk", "jam"]


def test_interactions_are_ordered_by_user_then_time() -> None:
    log = log_of(ROWS)
    assert log.users.tolist() == [1, 1, 2, 2, 3]
    assert log.items.tolist() == [1, 3, 1, 2, 2]
    assert log.times.tolist() == [1, 9, 2, 5, 7]
    assert log.rows.tolist() == [1, 3, 2, 0, 4]


def test_among_equal_times_the_row_decides() -> None:
    assert log_of([("ann", item, 1) for item in "cab"]).item_vocabulary.ids.to_list() == ["c", "a", "b"]


def test_without_times_the_order_of_rows_is_the_order_of_events() -> None:
    log = InteractionLog.from_columns(pl.Series(["b", "a", "b"]), pl.Series([3, 2, 1]), None)
    assert not log.has_times
    assert log.item_vocabulary.raw(log.items) == [3, 1, 2]


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_rows_of_distinct_times_make_the_same_log(seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(len(ROWS))
    assert log_of(ROWS[row] for row in shuffled).digest == log_of(ROWS).digest


def test_columns_in_several_chunks_make_the_same_log() -> None:
    users, items, times = (pl.Series(column) for column in zip(*ROWS, strict=True))
    pieces = [
        pl.concat([column[:2], column[2:3], column[3:]], rechunk=False)
        for column in (users, items, times.cast(pl.Int64))
    ]
    assert InteractionLog.from_columns(pieces[0], pieces[1], pieces[2].to_numpy()).digest == log_of(ROWS).digest


def test_renaming_ids_changes_no_index() -> None:
    log, renamed = log_of(ROWS), log_of((f"user {user}", len(str(item)), time) for user, item, time in ROWS)
    assert np.array_equal(log.users, renamed.users)
    assert log.digest != renamed.digest


@pytest.mark.parametrize("ids", [["1", "01", "x"], [10, -3, 7], [0.5, 1.0, 2.0], ["é", "e\u0301", "🍵"], [True, False]])
def test_raw_ids_are_returned_unchanged(ids: list[Any]) -> None:
    column = pl.Series(ids)
    log = InteractionLog.from_columns(column, column, np.arange(len(ids)))
    returned = log.item_vocabulary.raw(log.items)
    assert returned == ids
    assert [type(one) for one in returned] == [type(one) for one in ids]


@pytest.mark.parametrize(
    "change",
    [("ann", "jam", 10), ("ann", "milk", 9), ("cid", "jam", 9)],
    ids=["another time", "another item", "another user"],
)
def test_logs_that_train_or_split_differently_have_different_digests(change: Row) -> None:
    assert log_of([*ROWS[:3], change, ROWS[4]]).digest != log_of(ROWS).digest


def test_keep_assigns_new_indices_and_counts_what_it_drops() -> None:
    log = log_of(ROWS)
    kept = log.keep(log.times > 1, "later than 1").keep(np.ones(4, dtype=bool), "nothing")
    assert kept.user_vocabulary.ids.to_list() == ["ben", "cid", "ann"]
    assert kept.provenance["filters"] == [
        {"filter": "later than 1", "dropped": 1},
        {"filter": "nothing", "dropped": 0},
    ]


def test_titles_follow_their_items_through_a_filter() -> None:
    users, items, times = zip(*ROWS, strict=True)
    titles: dict[RawId, str] = {"milk": "Fresh milk", "jam": "Plum jam"}
    log = InteractionLog.from_columns(pl.Series(users), pl.Series(items), np.array(times), titles=titles)
    kept = log.keep(log.times > 2, "later than 2")
    assert kept.titles is not None
    assert kept.item_vocabulary.ids.to_list() == ["milk", "jam"]
    assert kept.titles.to_list() == ["Fresh milk", "Plum jam"]


def test_a_filter_that_keeps_nothing_is_refused_in_one_sentence() -> None:
    with pytest.raises(DataError, match="at least one interaction; got none"):
        log_of(ROWS).keep(np.zeros(5, dtype=bool), "all")


def test_text_is_accepted_for_a_number_and_a_number_for_text() -> None:
    assert Vocabulary(pl.Series([10, 20])).indices(["20", "ten", 10]).tolist() == [2, 0, 1]
    assert Vocabulary(pl.Series(["10", "20"])).indices([20, "10", 3]).tolist() == [2, 1, 0]


def test_an_unknown_id_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(UnknownIdError, match=r"user must be .* got 'anne': did you mean ann\?"):
        log_of(ROWS).user_vocabulary.index("anne", "user")


def test_index_0_has_no_raw_id() -> None:
    log = log_of(ROWS)
    assert min(log.users) == min(log.items) == 1
    assert log.item_vocabulary.indices(["soap"]).tolist() == [0]


@pytest.mark.parametrize("indices", [[0], [1, -1], [4], [1.0], [True], [[1]], 1, 0, ["tea"], None])
def test_an_index_without_an_id_is_refused(indices: Any) -> None:
    vocabulary = Vocabulary(pl.Series(["tea", "milk", "jam"]))
    assert vocabulary.raw([]) == []
    assert vocabulary.raw([3, 1]) == ["jam", "tea"]
    with pytest.raises(ConfigError, match="an index must be a whole number from 1 to 3, in a list; got"):
        vocabulary.raw(indices)


@pytest.mark.parametrize(
    ("known", "asked", "meant"),
    [
        (["007"], "7", "007"),
        (["007"], 7, "007"),
        ([7], "007", 7),
        ([7], " 7", 7),
        ([7], "+7", 7),
        ([7], "7.0", 7),
        ([0, 7], "00", 0),
        ([7.0], "7", 7.0),
        (["tea"], "TEA", "tea"),
        (["Tea"], "tea ", "Tea"),
        (["0" * 13 + "9780306"], "9780306", "0" * 13 + "9780306"),
        (["70", "17", "-7"], "7", None),
        (["tea"], "", None),
        ([True], "True", True),
    ],
)
def test_an_id_that_differs_only_in_its_spelling_is_suggested(
    known: list[RawId], asked: RawId, meant: RawId | None
) -> None:
    assert Vocabulary(pl.Series(known)).spelled_alike(asked) == meant
    if meant is not None:
        with pytest.raises(UnknownIdError, match=r"did you mean .*\?"):
            Vocabulary(pl.Series(known)).index(asked)
