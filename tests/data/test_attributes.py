"""Conditions on the columns of a table of items."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caser.data.attributes import Attribute, conditions, items_that_meet, unknown_values
from caser.data.item_table import read_items
from caser.data.log import Vocabulary
from caser.errors import ConfigError

numbers = st.lists(st.integers(-5, 5), max_size=3)


def attribute(rows: list[list[int]], name: str = "price") -> Attribute:
    frame = pl.DataFrame({"id": list(range(len(rows))), name: rows}, schema={"id": pl.Int64, name: pl.List(pl.Int64)})
    return read_items(frame, Vocabulary(frame["id"])).attributes[name]


@given(
    rows=st.lists(numbers, min_size=1, max_size=8).filter(any),
    low=st.integers(-6, 6),
    width=st.integers(0, 6),
    wanted=st.lists(st.integers(-5, 5), min_size=1, max_size=3),
)
def test_the_items_of_a_condition_are_those_for_which_it_holds(
    rows: list[list[int]], low: int, width: int, wanted: list[int]
) -> None:
    column = attribute(rows)
    within = column.condition({"min": low, "max": low + width})
    listed = column.condition(wanted)
    for condition, expected in (
        (within, {item for item, row in enumerate(rows) if any(low <= number <= low + width for number in row)}),
        (listed, {item for item, row in enumerate(rows) if set(row) & set(wanted)}),
    ):
        assert condition.items == expected == {item for item in range(len(rows)) if condition.holds(item)}
        assert len(expected) <= condition.most
    assert items_that_meet([within, listed]) == within.items & listed.items


def test_both_ends_belong_to_a_range_and_one_may_be_missing() -> None:
    column = attribute([[10], [20], [30], []])
    assert column.condition({"min": 10, "max": 20}).items == {0, 1}
    assert column.condition({"min": 10.0001}).items == {1, 2}
    assert column.condition({"max": 29.9999, "min": None}).items == {0, 1}
    assert not column.condition({"min": 0}).holds(3)


def test_values_are_listed_by_how_common_they_are_and_numbers_only_if_they_are_few() -> None:
    column = attribute([[3, 1], [3], [2]])
    assert (column.common_values(3), column.common_values(2), column.range) == (["3", "1", "2"], [], ("1", "3"))


def test_the_range_of_large_numbers_is_that_of_their_values() -> None:
    assert attribute([[2**53 + 1], [9]]).range == ("9", str(2**53 + 1))


def test_at_most_five_unknown_values_are_said() -> None:
    column = attribute([[1], [2]])
    said = unknown_values([column.condition(list(range(100))), column.condition({"min": 50})])
    assert len(said) == 5
    assert said[0] == "no item has '0' in price; it holds numbers from 1 to 2"


def test_similar_values_differ_in_case_or_spelling_or_hold_the_text() -> None:
    frame = pl.DataFrame({"id": [1, 2, 3], "genre": ["Science Fiction", "Drama", "drama "]})
    genre = read_items(frame, Vocabulary(frame["id"])).attributes["genre"]
    assert genre.near("DRAMA") == ["Drama", "drama"]
    assert genre.near("fiction") == ["Science Fiction"]
    assert genre.near("Dramma")[0] == "Drama"
    assert genre.near("zzz") == genre.near(" ") == []


def test_dates_of_python_are_dates() -> None:
    frame = pl.DataFrame({"id": [1, 2], "day": [datetime(2020, 1, 1, 12), datetime(2020, 1, 2)]})
    day = read_items(frame, Vocabulary(frame["id"])).attributes["day"]
    assert day.condition(date(2020, 1, 2)).items == {2}
    assert day.condition({"max": date(2020, 1, 1)}).items == {1}
    assert day.condition({"max": datetime(2020, 1, 1)}).items == set()
    assert day.condition({"min": "2020-01-01T12:00:01"}).items == {2}


def test_numbers_of_numpy_are_numbers() -> None:
    assert attribute([[1], [2]]).condition({"min": np.int64(2)}).items == {1}
    assert attribute([[1], [2]]).condition({"max": np.float32(1)}).items == {0}


@pytest.mark.parametrize("wanted", [[], None, [None], [[1]], {"min": None}, {"low": 1}, {"min": [1]}, float("nan")])
def test_what_is_no_condition_is_refused(wanted: object) -> None:
    with pytest.raises(ConfigError, match=r"^filters\.price: "):
        conditions({"price": attribute([[1]])}, {"price": wanted})  # type: ignore[dict-item]
