"""Joined items: ids of items that are several items in one cell, such as "tea+milk" or "P1|P7".

What betrays them is that the parts after the first one are items themselves, or stand in other places elsewhere. The
words behind the comma in "shirt, red" are not, and do not.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from caser.data.ids import shortened

SEPARATORS = ("|", ";", ",", "+", "&", "/", "~", "^", "\t", "\n", "->", " > ", " and ")
"""What stands between the items of one cell. A blank does not count: the words of a title begin other titles."""

FEWEST = 5
"""How many ids must have several parts."""

SHARE = 0.1
"""The share of events whose item must have several parts."""

KNOWN = 0.6
"""The share of the parts after the first one that must be items, or stand in other places elsewhere."""

MOST_IDS = 20_000
"""How many ids with a separator are taken apart."""


def doubts_on_joined(ids: pl.Series, counts: NDArray[np.int64]) -> list[str]:
    """Return the doubt on ids of items that hold several items.

    ids  the raw ids, as text        counts  how many events each of them has

    >>> ids = pl.Series(["tea", "milk", "tea+milk", "milk+oats", "oats+tea", "tea+oats", "milk+tea"])
    >>> [doubt] = doubts_on_joined(ids, np.ones(7))
    >>> print(doubt.partition(": write")[0])
    doubt: 5 of 7 items hold several items, such as 'tea+milk', whose parts are items elsewhere
    """
    for separator in SEPARATORS:
        holds = ids.str.contains(separator, literal=True)
        number = int(holds.sum() or 0)
        if number < FEWEST or counts[holds.to_numpy()].sum() < SHARE * counts.sum():
            continue
        parts = _parts(ids.filter(holds)[:MOST_IDS], separator)
        alone = ids.filter(~holds).str.strip_chars()
        rest = parts.filter(pl.col("place") > 0)
        if rest.is_empty() or (_are_items(rest, parts, alone).sum() or 0) < KNOWN * len(rest):
            continue
        written = repr(separator)
        return [
            f"doubt: {number:,} of {len(ids):,} items hold several items, such as {shortened(ids.filter(holds)[0])}, "
            'whose parts are items elsewhere: write one event per row: python -c "import polars as pl; '
            f"pl.read_csv('FILE', infer_schema=False).with_columns(pl.col('ITEM').str.split({written}))"
            ".explode('ITEM').write_csv('log.csv')\""
        ]
    return []


def _parts(ids: pl.Series, separator: str) -> pl.DataFrame:
    """Return the parts of ids, without blanks around them, and the place of each in its id, from 0."""
    frame = ids.to_frame("part").with_columns(pl.col("part").str.split(separator))
    frame = frame.with_columns(place=pl.int_ranges(pl.col("part").list.len())).explode("part", "place")
    # A part that is empty, such as that before the first sign of a path, is no item.
    return frame.with_columns(pl.col("part").str.strip_chars()).filter(pl.col("part") != "")


def _are_items(rest: pl.DataFrame, parts: pl.DataFrame, alone: pl.Series) -> pl.Series:
    """Return whether each part is an item alone, or stands in several places."""
    places = parts.group_by("part").agg(pl.col("place").n_unique())
    moving = places.filter(pl.col("place") > 1)["part"]
    return rest["part"].is_in(pl.concat([alone, moving]).unique().implode())
