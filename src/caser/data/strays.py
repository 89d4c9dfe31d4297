"""Strays: doubts on single rows that may be no interaction, and on characters in ids that nobody sees.

A total below a table, or its sizes above it, has the form of a row. What betrays it is an id that occurs once, in the
first or the last row, and is written unlike all others.
"""

from __future__ import annotations

import re
from collections import Counter

import polars as pl

from caser.data.ids import shortened
from caser.data.log import InteractionLog

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


def doubts_on_strays(log: InteractionLog, rows: pl.DataFrame, place: str) -> list[str]:
    """Return the doubts on the first and the last row of a source, and on characters in ids that have no width.

    log    the log of the rows        rows  the columns `user`, `item` and `place`, in the order of the source
    place  what `place` counts, "line" or "row"

    >>> rows = pl.DataFrame({"user": ["u1", "u2"] * 8 + ["Total"], "item": ["7"] * 16 + ["16"], "place": range(17)})
    >>> log = InteractionLog.from_columns(rows["user"], rows["item"], None)
    >>> doubts_on_strays(log, rows, "row")
    ['doubt: row 16 may be no interaction: Total,16: remove it if it is none']
    """
    doubts = []
    if len(rows) > FEWEST:
        is_stray = {0: _is_of_sizes(log, rows), len(rows) - 1: False}
        for row in is_stray:
            if is_stray[row] or _is_unlike(rows["user"], row) or _is_unlike(rows["item"], row):
                shown = f"{rows['user'][row]},{rows['item'][row]}"[:60]
                number = rows["place"][row]
                command = f": sed {number}d FILE > log.csv" if place == "line" else ""
                doubts.append(
                    f"doubt: {place} {number:,} may be no interaction: {shown}: remove it if it is none{command}"
                )
    doubts += _on_summaries(rows, place, doubts)
    for ids, plural in ((log.user_vocabulary.ids, "users"), (log.item_vocabulary.ids, "items")):
        doubts += _on_unseen(ids, plural)
    return doubts


def _on_summaries(rows: pl.DataFrame, place: str, others: list[str]) -> list[str]:
    """Return the doubt on rows whose user or item is called like a total, unless the row is doubted already."""
    texts = [rows[role] for role in ("user", "item") if rows[role].dtype == pl.String]
    if not texts:
        return []
    found = pl.select(pl.any_horizontal([pl.lit(ids).str.contains(SUMMARY) for ids in texts])).to_series()
    found = found.fill_null(False)
    if not 0 < found.sum() <= MOST_SUMMARIES * len(rows):
        return []
    row = found.arg_max() or 0
    number, shown = rows["place"][row], f"{rows['user'][row]},{rows['item'][row]}"[:60]
    if any(doubt.startswith(f"doubt: {place} {number:,} may be") for doubt in others):
        return []
    return [
        f"doubt: {found.sum():,} rows sum up others or begin or end a file, as {place} {number:,}: {shown}: remove them"
    ]


def _is_unlike(ids: pl.Series, row: int) -> bool:
    """Return whether the id of a row is written unlike all others, which are alike, and occurs once."""
    if ids.dtype != pl.String:
        return False
    others = ids[1 : SAMPLE_ROWS + 1] if row == 0 else ids[: min(SAMPLE_ROWS, len(ids) - 1)]
    shapes = Counter(map(_shape, others.to_list()))
    shape, (_, most) = _shape(ids[row]), shapes.most_common(1)[0]
    return shape not in shapes and most >= USUAL * len(others) and int((ids == ids[row]).sum()) == 1


def _shape(value: str) -> str:
    """Return how an id is written: `u107` and `u9` are both `a9`."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", value))


def _is_of_sizes(log: InteractionLog, rows: pl.DataFrame) -> bool:
    """Return whether the first row holds the numbers of rows, users or items of all others, in place of ids."""
    sizes = {str(size - 1) for size in (len(rows), log.num_users, log.num_items)}
    first = [str(rows[role][0]) for role in ("user", "item")]
    return set(first) <= sizes and all(
        int((rows[role].cast(pl.String) == value).sum()) == 1
        for role, value in zip(("user", "item"), first, strict=True)
    )


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
