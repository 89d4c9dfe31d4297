"""Tables that a Python program holds: read, or refused with the line to write."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from caser.data.readers import read_log
from caser.errors import DataError
from tests.cases.events import EVENTS, RECORDS, ROWS, has_note, raw

PANDAS = pd.DataFrame(RECORDS)
ARROW = pa.Table.from_pandas(PANDAS)

FRAMES = {
    "pandas": PANDAS,
    "pandas nullable": PANDAS.convert_dtypes(),
    "pandas with an index": PANDAS.set_index("user_id"),
    "pandas with two levels": PANDAS.set_index(["user_id", "item_id"]),
    "pandas of a part": PANDAS[::-1],
    "Arrow": ARROW,
    "Arrow batches": pa.RecordBatchReader.from_batches(ARROW.schema, ARROW.to_batches()),
    "polars": pl.DataFrame(RECORDS),
    "lazy": pl.LazyFrame(RECORDS),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_every_frame_gives_the_same_log(frame: Any) -> None:
    assert raw(read_log(frame)) == EVENTS


def test_an_index_that_becomes_columns_is_said() -> None:
    assert has_note(read_log(PANDAS.set_index("user_id")), "the index of the frame holds user_id")


class Dask:
    """A table that is computed by a method, as those of dask are."""

    def compute(self) -> pd.DataFrame:
        return PANDAS


class Spark:
    """A table that becomes one of pandas by a method, as those of Spark do."""

    def toPandas(self) -> pd.DataFrame:
        return PANDAS


OTHERS = {
    "dict": ({"user": [1], "item": [2]}, r"polars\.DataFrame\(\{"),
    "list of tuples": (ROWS, r"orient='row'"),
    "list of dicts": (RECORDS, r"polars\.DataFrame\(rows\)$|polars\.DataFrame\(rows\);"),
    "NumPy": (np.array(ROWS), r"polars\.DataFrame"),
    "sparse matrix": (sparse.csr_matrix(np.eye(3)), r"tocoo\(\)"),
    "Series": (PANDAS["user_id"], "a column for the user and one for the item"),
    "polars Series": (pl.Series([1]), "a column for the user and one for the item"),
    "dask": (Dask(), r"call \.compute\(\) first"),
    "Spark": (Spark(), r"call \.toPandas\(\) first"),
    "bytes": (b"user,item\n1,2\n", "read_csv"),
    "generator": ((row for row in ROWS), r"polars\.DataFrame"),
    "None": (None, r"polars\.DataFrame"),
    "mixed column": (pd.DataFrame({"user": ["a", 1], "item": [1, 2]}), r"frame\['user'\]\.astype\(str\)"),
}


@pytest.mark.parametrize(("source", "words"), OTHERS.values(), ids=OTHERS)
def test_another_object_is_refused_with_the_line_to_write(source: Any, words: str) -> None:
    with pytest.raises(DataError, match=words) as refused:
        read_log(source)
    assert "\n" not in str(refused.value)
