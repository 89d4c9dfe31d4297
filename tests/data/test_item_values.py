"""What the values of a column are, by all of them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caser.data.item_values import ItemValues, read_values

WORDS = ["", "NA", "NULL"]


def values(column: list[Any], *, of_text_file: bool = True, dtype: Any = None) -> ItemValues:
    found = read_values(pl.Series("column", column, dtype=dtype), WORDS if of_text_file else ())
    assert found is not None
    return found


def texts(found: ItemValues) -> list[list[str]]:
    return [sorted(row) for row in found.texts]


@pytest.mark.parametrize(
    ("column", "kind", "expected"),
    [
        (["10", "10.0", "1e1"], "number", [["10"], ["10"], ["10"]]),
        (["10", "XL"], "text", [["10"], ["XL"]]),
        (["01234", "56789"], "text", [["01234"], ["56789"]]),
        (["9007199254740993", "-0.50"], "number", [["9007199254740993"], ["-0.5"]]),
        (["1", "1e999"], "text", [["1"], ["1e999"]]),
        (["1", "nan"], "text", [["1"], ["nan"]]),
        (["12,50", "13,00"], "text", [["12,50"], ["13,00"]]),
        (["1", "NA", ""], "number", [["1"], [], []]),
        (["True", "false"], "boolean", [["true"], ["false"]]),
        (["True", "maybe"], "text", [["True"], ["maybe"]]),
        (["2020-01-01", "2020-01-01 00:00:00"], "date", [["2020-01-01"], ["2020-01-01"]]),
        (["2020-01-01T12:00:00+02:00", "2020-01-02"], "date", [["2020-01-01T10:00:00"], ["2020-01-02"]]),
        (["2020-13-01", "2020-01-02"], "text", [["2020-13-01"], ["2020-01-02"]]),
        ([" Drama ", "Drama"], "text", [["Drama"], ["Drama"]]),
        (["1|2|30", "4"], "number", [["1", "2", "30"], ["4"]]),
        (["A|B", "A | C|", "B"], "text", [["A", "B"], ["A", "C"], ["B"]]),
        (["['a', 'b']", "[]", "['c|d']"], "text", [["a", "b"], [], ["c|d"]]),
        (['["a", "b"]', '["a"]'], "text", [["a", "b"], ["a"]]),
        (["[1, 2]", "[3]"], "number", [["1", "2"], ["3"]]),
        (["[a]", "['b']"], "text", [["[a]"], ["['b']"]]),
        (["Paris, Texas", "Up"], "text", [["Paris, Texas"], ["Up"]]),
        (["", "NULL"], "text", [[], []]),
    ],
)
def test_values_of_a_text_file(column: list[str], kind: str, expected: list[list[str]]) -> None:
    found = values(column)
    assert (found.kind, texts(found)) == (kind, expected)


@pytest.mark.parametrize(
    ("column", "dtype", "kind", "expected"),
    [
        (["10", "2.5"], None, "number", [["10"], ["2.5"]]),  # as JSON with 10 and 2.5 in one field is read
        (["007", "7"], None, "text", [["007"], ["7"]]),
        (["NA", "GB"], None, "text", [["NA"], ["GB"]]),
        ([1.0, 2.5, float("nan"), None], None, "number", [["1"], ["2.5"], [], []]),
        ([Decimal("2.50")], None, "number", [["2.5"]]),
        ([True, None], None, "boolean", [["true"], []]),
        ([date(2020, 1, 2)], None, "date", [["2020-01-02"]]),
        ([datetime(2020, 1, 2, 3)], None, "date", [["2020-01-02T03:00:00"]]),
        ([["a", None, "b"], [], None], None, "text", [["a", "b"], [], []]),
        ([[1, 2], [3]], pl.Array(pl.Int64, 2), "number", None),
        (["x", "y"], pl.Categorical, "text", [["x"], ["y"]]),
        ([None, None], pl.Null, "text", [[], []]),
    ],
)
def test_values_of_a_typed_table(column: list[Any], dtype: Any, kind: str, expected: list[list[str]] | None) -> None:
    column = [[1, 2], [3, 4]] if expected is None else column
    found = values(column, of_text_file=False, dtype=dtype)
    assert (found.kind, texts(found)) == (kind, expected or [["1", "2"], ["3", "4"]])


@pytest.mark.parametrize("column", [[{"a": 1}], [b"x"], [[["a"]]]])
def test_values_that_no_rule_can_name_are_left_out(column: list[Any]) -> None:
    assert read_values(pl.Series("column", column)) is None


def test_a_word_for_missing_among_texts_is_said() -> None:
    assert values(["NA", "GB", "NA"]).notes == (
        "column: 2 values 'NA' count as missing; where the word is meant, write the table as Parquet",
    )
    assert values(["NA", "1"]).notes == ()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_are_the_same_as_text_and_as_floats(numbers: list[float]) -> None:
    typed, written = values(numbers, of_text_file=False), values([repr(number) for number in numbers])
    assert typed.texts == written.texts
    assert typed.numbers == written.numbers == [(number,) for number in numbers]


@given(st.lists(st.text()))
def test_any_text_is_read(column: list[str]) -> None:
    found = values(column, dtype=pl.String)
    assert len(found.texts) == len(found.numbers) == len(column)
