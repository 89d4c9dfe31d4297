"""Strays: doubts on single rows that may be no interaction, and on characters in ids that nobody sees.

A total below a table, or its sizes above it, has the form of a row. What betrays it is an id that occurs once, in the
first or the last row, and is written unlike all others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from caser.data.doubts import LogCounts
from caser.data.ids import shortened

SAMPLE_ROWS = 1000

USUAL = 0.95
"""The share of ids that must be written in one way before another way is strange."""

FEWEST = 10
"""The number of rows from which a row can be strange."""

SUMMARY = (
    r"(?i)^(grand )?(sub)?totals?:?$|^(average|avg|mean|median|maximum|max|minimum|min|sum|count)$"
    r"|^(hdr|trl|trailer|eof)$"
)
"""The id of a line that sums up others, or that begins or ends a file."""

MOST_SUMMARIES = 0.2
"""The share of rows that may sum up others: a total for each user, for example."""

UNSEEN = "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
"""Characters without a width, as a pattern; not those that join letters or emoji."""


class Summaries(NamedTuple):
    """The rows whose user or item is called like a total.

    number  how many there are        place, shown  where the first one is, and its ids; 0 and "" without any
    """

    number: int = 0
    place: int = 0
    shown: str = ""


@dataclass(frozen=True, eq=False)
class Edges:
    """The ends of a source, and the rows that sum up others, which mostly are there.

    head        its first rows, at most `SAMPLE_ROWS + 1`, with the columns `user`, `item` and `place`
    last        its last row        num_rows  how many rows it has        place_name  what a place counts
    summaries   the rows of it that sum up others
    """

    head: pl.DataFrame
    last: pl.DataFrame
    num_rows: int
    place_name: str
    summaries: Summaries

    @classmethod
    def of(cls, rows: pl.DataFrame, place_name: str) -> Edges:
        """Return the ends of some rows.

        rows        with the columns `user`, `item` and `place`, in the order of the source
        place_name  what a place counts: "line" or "row"
        """
        rows = rows.select("user", "item", "place")
        return cls(rows.head(SAMPLE_ROWS + 1), rows.tail(1), len(rows), place_name, _summaries(rows))

    def merged(self, later: Edges) -> Edges:
        """Return the ends of these rows together with those of a later piece.

        later  the ends of that piece
        """
        if not self.num_rows or not later.num_rows:
            return self if self.num_rows else later
        head = pl.concat([self.head, later.head.head(SAMPLE_ROWS + 1 - len(self.head))])
        first = self.summaries if self.summaries.number else later.summaries
        summaries = first._replace(number=self.summaries.number + later.summaries.number)
        return Edges(head, later.last, self.num_rows + later.num_rows, self.place_name, summaries)


def doubts_on_strays(edges: Edges, log: LogCounts, count: Callable[[str, str], int]) -> list[str]:
    """Return the doubts on the first and the last row of a source, and on characters in ids that have no width.

    edges  the ends of the source        log  what was counted in it
    count  returns how many rows have a user or an item: it takes "user" or "item", and the id as it is written

    >>> rows = pl.DataFrame({"user": ["u1", "u2"] * 8 + ["Total"], "item": ["7"] * 16 + ["16"], "place": range(17)})
    >>> from caser.data.log import InteractionLog
    >>> log = InteractionLog.from_columns(rows["user"], rows["item"], None)
    >>> doubts_on_strays(Edges.of(rows, "row"), LogCounts.of(log), lambda role, raw: int((rows[role] == raw).sum()))
    ['doubt: row 16 may be no interaction: Total,16: remove it if it is none']
    """
    doubts = []
    if edges.num_rows > FEWEST:
        for row, others, is_stray in (
            (edges.head.head(1), edges.head[1:], _is_of_sizes(edges, log, count)),
            (edges.last, edges.head.head(min(SAMPLE_ROWS, edges.num_rows - 1)), False),
        ):
            if is_stray or any(_is_unlike(row[role], others[role], count) for role in ("user", "item")):
                place, number, shown = edges.place_name, row["place"][0], _shown(row, 0)
                command = f": sed {number}d FILE > log.csv" if place == "line" else ""
                doubts.append(
                    f"doubt: {place} {number:,} may be no interaction: {shown}: remove it if it is none{command}"
                )
    doubts += _on_summaries(edges, doubts)
    for ids, plural in ((log.user_ids, "users"), (log.item_ids, "items")):
        doubts += _on_unseen(ids, plural)
    return doubts


def _summaries(rows: pl.DataFrame) -> Summaries:
    """Return the rows whose user or item is called like a total."""
    texts = [rows[role] for role in ("user", "item") if rows[role].dtype == pl.String]
    if not texts:
        return Summaries()
    found = pl.select(pl.any_horizontal([pl.lit(ids).str.contains(SUMMARY) for ids in texts])).to_series()
    number, row = int(found.sum() or 0), found.arg_max() or 0
    return Summaries(number, int(rows["place"][row]), _shown(rows, row)) if number else Summaries()


def _on_summaries(edges: Edges, others: list[str]) -> list[str]:
    """Return the doubt on rows that sum up others, unless the first of them is doubted already."""
    number, row, shown = edges.summaries
    place = f"{edges.place_name} {row:,}"
    if not 0 < number <= MOST_SUMMARIES * edges.num_rows or any(f"doubt: {place} may be" in one for one in others):
        return []
    return [f"doubt: {number:,} rows sum up others or begin or end a file, as {place}: {shown}: remove them"]


def _shown(rows: pl.DataFrame, row: int) -> str:
    return f"{rows['user'][row]},{rows['item'][row]}"[:60]


def _is_unlike(one: pl.Series, others: pl.Series, count: Callable[[str, str], int]) -> bool:
    """Return whether the id of a row is written unlike all others, which are alike, and occurs once."""
    if others.dtype != pl.String:
        return False
    shapes = Counter(map(_shape, others.to_list()))
    shape, (_, most) = _shape(one[0]), shapes.most_common(1)[0]
    return shape not in shapes and most >= USUAL * len(others) and count(one.name, one[0]) == 1


def _shape(value: str) -> str:
    """Return how an id is written: `u107` and `u9` are both `a9`."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", value))


def _is_of_sizes(edges: Edges, log: LogCounts, count: Callable[[str, str], int]) -> bool:
    """Return whether the first row holds the numbers of rows, users or items of all others, in place of ids."""
    sizes = {str(size - 1) for size in (edges.num_rows, len(log.user_ids), len(log.item_ids))}
    first = {role: str(edges.head[role][0]) for role in ("user", "item")}
    return set(first.values()) <= sizes and all(count(role, raw) == 1 for role, raw in first.items())


def _on_unseen(ids: pl.Series, plural: str) -> list[str]:
    if ids.dtype != pl.String or not (holds := ids.str.contains(UNSEEN)).any():
        return []
    bare = ids.str.replace_all(UNSEEN, "")
    num_equal = len(ids) - bare.n_unique()
    example = ids[holds.arg_max() or 0]
    [unseen] = re.findall(UNSEEN, example)[:1]
    equal = f", and {num_equal:,} of them differ from others only by these" if num_equal else ""
    return [
        f"doubt: {holds.sum():,} {plural} hold characters that nobody sees, such as U+{ord(unseen):04X} in "
        f"{shortened(example)}{equal}: they stay different; remove them: "
        f"sed $'s/\\u{ord(unseen):04x}//g' FILE > log.csv"
    ]
