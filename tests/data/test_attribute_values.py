"""Which values of a table of items have a vector, and which of them each item has."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from caser.data.attribute_columns import ItemAttributes
from caser.data.attribute_values import AttributeVocabulary
from caser.data.item_table import ItemTable, read_items
from caser.data.log import Vocabulary
from caser.errors import CaserError, ConfigError, DataError

TABLE = pl.DataFrame(
    {
        "item_id": [1, 2, 3, 4, 5, 6],
        "title": ["Star Wars (1977)", "star trek", "Alien", "Wars of stars", None, "New Star"],
        "genre": ["Sci-Fi|War", "Sci-Fi", "Horror", "War", "", "Sci-Fi|Western"],
        "price": [1.0, 2.0, 3.0, 4.0, None, 99.0],
        "code": [7, 7, 8, 8, 7, 9],
        "is_new": [True, False, True, False, True, True],
        "embedding": [[0.0, 4.0], [2.0, 4.0], [0.0, 4.0], [2.0, 4.0], [0.0, 4.0], [4.0, 8.0]],
    }
)
KNOWN = Vocabulary(pl.Series([1, 2, 3, 4]))
IS_TRAINED = np.array([False, True, True, True, True])


def table(frame: pl.DataFrame = TABLE) -> ItemTable:
    return read_items(frame, KNOWN, with_new=True)


def learned(*columns: str, **settings: Any) -> AttributeVocabulary:
    how = ItemAttributes(columns=columns, **{"min_items": 2, "num_buckets": 2, **settings})
    return AttributeVocabulary.learn(table(), how, IS_TRAINED)


def rows(vocabulary: AttributeVocabulary) -> list[dict[int, float]]:
    """The weight of each vector of each item, without padding."""
    found = vocabulary.rows(table())
    assert found.offsets[1] == 0
    pairs = list(zip(found.places.tolist(), np.round(found.weights, 3).tolist(), strict=True))
    return [dict(pairs[begin:end]) for begin, end in zip(found.offsets[1:-1], found.offsets[2:], strict=True)]


def test_items_that_the_log_does_not_hold_follow_its_own_in_the_order_of_the_table() -> None:
    assert table().items.ids.to_list() == [1, 2, 3, 4, 5, 6]
    assert table(TABLE.reverse()).items.ids.to_list() == [1, 2, 3, 4, 6, 5]
    assert read_items(TABLE, KNOWN).items.ids.to_list() == [1, 2, 3, 4]


def test_values_that_enough_items_that_train_share_have_a_vector_each() -> None:
    vocabulary = learned("genre")
    assert vocabulary.columns[0].values == ["Sci-Fi", "War"]  # one item that trains is Horror, none is a Western
    assert vocabulary.left_out == {"genre": 2}
    assert rows(vocabulary) == [{0: 0.5, 1: 0.5}, {0: 1.0}, {}, {1: 1.0}, {}, {0: 1.0}]


def test_a_title_gives_its_words_in_lower_case_whatever_its_column_is_called() -> None:
    assert learned("title").columns[0].values == ["star", "wars"]
    assert rows(learned("title"))[:2] == [{0: 0.5, 1: 0.5}, {0: 1.0}]
    renamed = table(TABLE.rename({"title": "name"}))
    how = ItemAttributes(columns=["name"], min_items=2)
    assert AttributeVocabulary.learn(renamed, how, IS_TRAINED).columns == learned("title").columns


def test_numbers_fall_into_ranges_with_equally_many_items_and_few_numbers_are_values() -> None:
    vocabulary = learned("price")
    assert (vocabulary.columns[0].way, vocabulary.columns[0].edges) == ("buckets", [2.5])
    assert rows(vocabulary) == [{0: 1.0}, {0: 1.0}, {1: 1.0}, {1: 1.0}, {}, {1: 1.0}]
    assert learned("code", num_buckets=3).columns[0].values == ["7", "8"]
    assert learned("code:values").columns[0].values == ["7", "8"]
    assert learned("is_new").columns[0].values == ["false", "true"]


def test_a_given_vector_is_standardised_over_the_items_that_train() -> None:
    vocabulary = learned("embedding")
    assert vocabulary.columns[0].means == [1.0, 4.0]
    first, *_, last = rows(vocabulary)
    assert first == {0: pytest.approx(-1 / np.sqrt(2), abs=1e-3), 1: 0.0}
    assert last == {0: pytest.approx(3 / np.sqrt(2), abs=1e-3), 1: pytest.approx(4 / np.sqrt(2), abs=1e-3)}


def test_columns_are_added_up_and_numbered_one_after_another() -> None:
    both = learned("genre", "price")
    assert rows(both)[0] == {0: 0.5, 1: 0.5, 2: 1.0}
    vectors = np.arange(8, dtype=np.float32).reshape(4, 2)
    found = both.rows(table())
    assert found.sums(vectors)[1].tolist() == [5.0, 7.0]  # (0, 1)/2 + (2, 3)/2 + (4, 5)
    only = found.only(np.array([True, True, False, False, False, True, True]))
    assert only.sums(vectors).tolist() == found.sums(vectors)[[0, 1, 5, 6]].tolist()


def test_a_vocabulary_is_read_back_as_it_was_written_and_gives_equal_rows() -> None:
    one = learned("genre", "price", "title", "embedding")
    again = AttributeVocabulary.of(json.loads(one.to_bytes()))
    assert (again.columns, again.left_out) == (one.columns, one.left_out)
    assert rows(again) == rows(one)


@pytest.mark.parametrize(
    ("columns", "error", "says"),
    [
        (
            ["gnre"],
            ConfigError,
            r"attributes must name columns of the table of items; got 'gnre': did you mean genre\?",
        ),
        (["genre:buckets"], ConfigError, "the attribute genre must hold numbers to be read as buckets; it holds text"),
        (["price:words"], ConfigError, "the attribute price must hold text to be read as words; it holds numbers"),
        (["price:vector", "genre:vector"], ConfigError, "must hold numbers to be read as vector"),
        (["genre:word"], ConfigError, r"the way to read the attribute genre must be known; got 'word': did you mean"),
        (
            ["title:values"],
            DataError,
            "the attribute title must have values that 2 items of the part that trains share",
        ),
        (["genre", "genre"], ConfigError, "attributes must name each column once; got 'genre' again"),
        ("genre", ConfigError, r"attributes must be a list of names of columns"),
        ([], ConfigError, "columns"),
    ],
)
def test_a_column_that_cannot_be_read_is_refused(columns: Any, error: type[CaserError], says: str) -> None:
    with pytest.raises(error, match=says):
        AttributeVocabulary.learn(table(), ItemAttributes(columns=columns, min_items=2, num_buckets=2), IS_TRAINED)


def test_a_table_of_another_shop_is_refused_although_its_items_would_be_new() -> None:
    with pytest.raises(DataError, match="its rows must name items of the model; none of 6 ids does"):
        read_items(TABLE.with_columns(item_id=pl.col("item_id") + 100), KNOWN, with_new=True)


@pytest.mark.parametrize(
    "values",
    [
        [],
        {"columns": []},
        {"columns": {}, "left_out": {}},
        {"columns": [{"name": "a", "way": "guess"}], "left_out": {}},
        {"columns": [{"name": "a", "way": "buckets", "edges": [2.0, 1.0]}], "left_out": {}},
        {"columns": [{"name": "a", "way": "vector", "means": [1.0], "scales": [0.0]}], "left_out": {}},
        {"columns": [{"name": "a", "way": "vector", "means": [1.0], "scales": []}], "left_out": {}},
        {"columns": [{"name": "a", "way": "values", "values": [3]}], "left_out": {}},
        {"columns": [{"name": "a", "way": "values", "values": ["x", "x"]}], "left_out": {}},
        {"columns": [], "left_out": {"a": []}},
    ],
)
def test_a_vocabulary_that_nothing_wrote_is_refused(values: Any) -> None:
    with pytest.raises((ValueError, ConfigError)):
        AttributeVocabulary.of(values)
