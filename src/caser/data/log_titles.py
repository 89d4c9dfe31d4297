"""Titles of items in the log itself: a column that names each item, such as `movie_title` beside `movie_id`.

The column is recognised by its name, also as `movie` beside `movieId`. It holds titles only if each item has one title
throughout: in a log of reviews, `title` is the title of the review, and differs from row to row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from caser.data.log import InteractionLog
from caser.data.names import first_named, noun_beside
from caser.data.tables import RawTable

TITLE_NAMES = (
    *("title", "itemtitle", "itemname", "movietitle", "moviename", "filmtitle", "producttitle", "productname"),
    *("prodname", "booktitle", "bookname", "tracktitle", "trackname", "songtitle", "songname", "articletitle"),
    *("articlename", "newstitle", "videotitle", "businessname", "venuename"),
)
"""Names of the column of titles, most likely first; in lower case, with letters and digits only."""


LONGEST = 1_000
"""How many characters a title may have."""


def with_own_titles(log: InteractionLog, table: RawTable, roles: Mapping[str, str]) -> InteractionLog:
    """Return the log with the titles in a column of its table; the same log if there is no such column.

    log    the log that was made of the table
    table  the rows of the source
    roles  the columns that have a role, by role; one of them is "item"

    A note says which column was read, or why it holds no titles of items.

    >>> rows = pl.DataFrame({"user": [1, 2], "item": [7, 7], "title": ["Up", "Up"]})
    >>> log = InteractionLog.from_columns(rows["user"], rows["item"], None, provenance={"notes": []})
    >>> with_own_titles(log, RawTable.from_frame(rows), {"user": "user", "item": "item"}).titles.to_list()
    ['Up']
    """
    column = column_of_titles(table, roles)
    pairs = None if column is None else title_pairs(table, roles["item"], column)
    if column is None or pairs is None:
        return log
    if (note := why_no_titles(pairs, column, log.num_items)) is not None:
        return _with(log, None, note)
    index_of = dict(zip(log.item_vocabulary.lookup(pairs["item"].to_list()), pairs["title"].to_list(), strict=True))
    found = pl.Series([index_of.get(index) for index in range(1, log.num_items + 1)], dtype=pl.String)
    return log if found.null_count() == len(found) else _with(log, found, note_on_titles(column))


def title_pairs(table: RawTable, item: str, column: str) -> pl.DataFrame | None:
    """Return each item with each of its titles, once, in the order of the rows; None for a column of no titles.

    table  the rows        item, column  the columns of the items and of the titles

    The columns are `item`, as text, and `title`.
    """
    pairs = table.select([item, column], longest=LONGEST + 1)
    if pairs[column].dtype != pl.String or pairs[item].dtype.is_nested():
        return None
    items, titles = pairs.get_columns()
    is_long = titles.str.len_chars() > LONGEST
    pairs = pl.DataFrame({"item": _as_text(items), "title": titles.zip_with(is_long, titles.str.strip_chars())})
    return pairs.filter((pl.col("title") != "") & pl.col("item").is_not_null()).unique(maintain_order=True)


def why_no_titles(pairs: pl.DataFrame, column: str, num_items: int) -> str | None:
    """Return why a column holds no titles of items, as a sentence; None if it holds them.

    pairs  as from `title_pairs`        column  its name        num_items  the number of items of the log
    """
    twice = pairs.filter(pl.col("item").is_duplicated())
    if len(twice):
        item, first = twice.row(0)
        second = twice.filter(pl.col("item") == item)["title"][1]
        return f"{column} holds no titles of items: item {item} has {first[:40]!r} and {second[:40]!r}"
    if (pairs["title"].str.len_chars() > LONGEST).any():
        return f"{column} holds no titles of items: one has more than {LONGEST:,} characters"
    if num_items > 1 and len(pairs) > 1 and pairs["title"].n_unique() == 1:
        return f"{column} holds no titles of items: all have {pairs['title'][0][:40]!r}"
    return None


def note_on_titles(column: str) -> str:
    """Return the sentence that a column was read as titles.

    column  its name
    """
    return f"read {column} as the titles of items"


def column_of_titles(table: RawTable, roles: Mapping[str, str]) -> str | None:
    """Return the column that is called like titles, or like the column of items but without "id" and with letters.

    table  the rows        roles  the columns that have a role, by role; one of them is "item"
    """
    if not table.has_header:
        return None
    unused = [name for name in table.columns if name not in set(roles.values())]
    column = first_named(unused, TITLE_NAMES)
    if column is not None:
        return column
    noun = noun_beside(roles["item"], unused)
    if noun is None:
        return None
    few = table.sample([noun]).to_series()
    if few.dtype != pl.String:
        return None
    return noun if 2 * few.str.contains(r"\p{L}").sum() > few.count() else None


def _as_text(items: pl.Series) -> pl.Series:
    """Return ids as the texts that they are written as; whole floats as integers."""
    if items.dtype.is_float() and bool((items.drop_nulls().drop_nans() % 1 == 0).all()):
        items = items.cast(pl.Int64, strict=False)
    return items.cast(pl.String, strict=False)


def _with(log: InteractionLog, titles: pl.Series | None, note: str) -> InteractionLog:
    return replace(log, titles=titles, provenance={**log.provenance, "notes": [*log.provenance["notes"], note]})
