"""Numbers of ids: indices from 1 in the order in which ids first appear in time."""

from __future__ import annotations

import numpy as np
import polars as pl

from caser.arrays.types import Int32, Int64


def index_by_appearance(ids: pl.Series, by_time: Int64) -> tuple[Int32, pl.Series]:
    """Number the distinct ids from 1 by first appearance along an order; return indices in that order, and the ids.

    ids  (N,) raw ids        by_time  (N,) the rows in the order of their times

    >>> indices, ids = index_by_appearance(pl.Series(["b", "a", "b"]), np.array([1, 0, 2]))
    >>> indices.tolist(), ids.to_list()
    ([1, 2, 2], ['a', 'b'])
    """
    kind = ids.dtype
    if kind == pl.String:
        ids = ids.cast(pl.Categorical(pl.Categories.random()))  # joining on numbers is faster than joining on text
    frame = pl.DataFrame({"id": ids.rechunk().gather(by_time)})
    distinct = frame.unique("id", keep="first", maintain_order=True).with_row_index("index", offset=1)
    joined = frame.join(distinct, on="id", how="left", maintain_order="left", nulls_equal=True)
    return joined["index"].to_numpy().astype(np.int32), distinct["id"].cast(kind).alias("id")
