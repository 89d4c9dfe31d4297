"""Doubts on the times of a log: rounded, some with a zone, before 1995, far from now, or all equal.

What the doubts look at is gathered in `TimeFacts`, piece by piece for a log that is read in pieces.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from caser.data.clocks import other_clocks
from caser.data.dates import DAY, DAY_LENGTH, ZONED
from caser.data.doubts import MANY, SPREADSHEET
from caser.data.ids import missing_flags, shortened
from caser.data.time_units import MEANINGS
from caser.data.times import shown_moment

OLDEST = 788_918_400_000_000
"""1995 in microseconds since 1970. Logs of events on the web are younger."""

ALL_OLDER = 852_076_800_000_000
"""1997 in microseconds since 1970. Few logs end before, and numbers of another clock look so."""

LOOKED_AT = 10_000
"""How many written times are looked at."""

YEAR = 366 * DAY_LENGTH

MOST_OF_ALL = 0.9
"""The share of times from which times that are far ahead are rather in another unit than wrong."""

MOST_WORDS = 2
"""So many distinct times may stand for none."""

NO_TEXT = "\x00"
"""Stands for a written value that is no text and no number, such as a date."""


class Strange(NamedTuple):
    """The times that lie before or after what is usual.

    number  how many there are        place, time  where the first one is, and what it is
    values  how they are written: the first three distinct values, as text or numbers
    """

    number: int
    place: int
    time: int
    values: list[Any]

    def merged(self, later: Strange | None) -> Strange:
        """Return these times together with those of a later piece.

        later  the same of that piece; None for none
        """
        if later is None:
            return self
        values = list(dict.fromkeys([*self.values, *later.values]))
        return self._replace(number=self.number + later.number, values=values[:3])


@dataclass(frozen=True, eq=False)
class TimeFacts:
    """What is known about N times, in microseconds since 1970.

    count        N        place_name  what a place counts: "line" or "row"
    first, last  the earliest and the latest time; 0 if there is none
    early, late  times before 1995, and more than a year from now; None if there are none
    largest      of times that are floats of 32 bits, the largest, without its sign; None for other times
    rises        how many times are later than that of the row before
    ends         the times of the first and the last row; 0 if there is none
    written      at most `LOOKED_AT` of the written times, with their places; None if times are no text
    """

    count: int
    place_name: str
    first: int
    last: int
    early: Strange | None
    late: Strange | None
    largest: float | None
    rises: int
    ends: tuple[int, int]
    written: pl.DataFrame | None

    @classmethod
    def of(cls, rows: pl.DataFrame, place_name: str) -> TimeFacts:
        """Return the facts of some rows.

        rows        with the columns `time`, `place` and `written`, in the order of the source
        place_name  what a place counts
        """
        times, written = rows["time"], rows["written"]
        now = int(time.time() * 1_000_000)
        found = rows.select("place", "written") if written.dtype == pl.String else None
        largest = written.abs().max() if written.dtype == pl.Float32 else None
        return cls(
            len(rows),
            place_name,
            int(times.min() or 0),  # type: ignore[arg-type]
            int(times.max() or 0),  # type: ignore[arg-type]
            _strange(rows, times < OLDEST),
            _strange(rows, times > now + YEAR),
            largest if isinstance(largest, float) else None,
            int((times.diff() > 0).sum() or 0),
            (int(times[0]), int(times[-1])) if len(times) else (0, 0),
            None if found is None else _looked_at(found),
        )

    def merged(self, later: TimeFacts) -> TimeFacts:
        """Return the facts of these rows together with those of a later piece.

        later  the facts of that piece
        """
        if not self.count or not later.count:
            return self if self.count else later
        written = None
        if self.written is not None and later.written is not None:
            written = _looked_at(pl.concat([self.written, later.written]))
        return TimeFacts(
            self.count + later.count,
            self.place_name,
            min(self.first, later.first),
            max(self.last, later.last),
            self.early.merged(later.early) if self.early else later.early,
            self.late.merged(later.late) if self.late else later.late,
            max((one.largest for one in (self, later) if one.largest is not None), default=None),
            self.rises + later.rises + (later.ends[0] > self.ends[1]),
            (self.ends[0], later.ends[1]),
            written,
        )


def doubts_on_times(times: TimeFacts, unit: str | None = None) -> list[str]:
    """Return the doubts on the times of a log.

    times  what is known about them        unit  the unit in which they were read; None if they were no numbers

    >>> rows = pl.DataFrame({"time": [37_000_000, 637_000_000], "place": [2, 3], "written": [37, 637]})
    >>> print(*doubts_on_times(TimeFacts.of(rows, "line")))
    doubt: all times lie before 1997, from 1970-01-01 00:00:37 UTC to 1970-01-01 00:10:37 UTC: are they in another unit?
    """
    if not times.count:
        return []
    if times.first == times.last and times.count >= MANY:
        return [f"doubt: all times are {shown_moment(times.first)}: only the order of rows orders the events"]
    doubts = [] if times.largest is None else _on_floats(times.largest)
    doubts += [] if times.written is None else _on_written(times.written["written"])
    if times.last < ALL_OLDER:
        span = f"from {shown_moment(times.first)} to {shown_moment(times.last)}"
        return [
            *doubts,
            f"doubt: all times lie before 1997, {span}: are they in another unit?{_clocks(times.last, unit)}",
        ]
    if times.late is not None and times.late.number >= MOST_OF_ALL * times.count:
        span = f"from {shown_moment(times.first)} to {shown_moment(times.last)}"
        ways = _clocks(times.last, unit) or " correct them"
        return [
            *doubts,
            f"doubt: nearly all times lie more than a year ahead of now, {span}: are they in another unit?{ways}",
        ]
    for strange, claim in ((times.early, "lie before 1995"), (times.late, "lie more than a year ahead of now")):
        if strange is not None:
            doubts.append(_on_strange(times, strange, claim))
    return doubts


def _clocks(last: int, unit: str | None) -> str:
    """Name the clocks that make the last time plausible, with the flag of each."""
    found = {} if unit is None else other_clocks(last, unit)
    ways = [
        f"--time-format {one if one.isalpha() else repr(one)} reads the last one as {shown_moment(moment)}"
        f"{f' ({MEANINGS[one]})' if one in MEANINGS else ''}"
        for one, moment in found.items()
    ]
    return " " + ", ".join(ways[:3]) if ways else ""


def _strange(rows: pl.DataFrame, mask: pl.Series) -> Strange | None:
    if not mask.any():
        return None
    found = rows.filter(mask)
    values = found["written"].unique(maintain_order=True).head(3).to_list()
    return Strange(
        len(found),
        int(found["place"][0]),
        int(found["time"][0]),
        [value if isinstance(value, str | int | float) else NO_TEXT for value in values],
    )


def _looked_at(written: pl.DataFrame) -> pl.DataFrame:
    """Return at most `LOOKED_AT` of some written times; those of a log are the same, however it is cut into pieces."""
    if len(written) <= LOOKED_AT:
        return written
    # The order of these products (Fibonacci hashing) spreads the places evenly.
    keys = written["place"].to_numpy().astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    kept = np.sort(np.argpartition(keys, LOOKED_AT)[:LOOKED_AT])
    return written[kept]


def _on_floats(largest: float) -> list[str]:
    """Doubt times that floats of 32 bits round."""
    if largest < 2**24:
        return []
    step = 2 ** (int(np.log2(largest)) - 23)
    return [
        f"doubt: times are floats of 32 bits, which hold {largest:,.0f} only in steps of {step:,}, so that the order "
        "of events is lost: write the column as integers or floats of 64 bits"
    ]


def _on_written(few: pl.Series) -> list[str]:
    """Name times that a spreadsheet rounded, and times of which only some have a time of day, or a zone."""
    doubts = []
    rounded = few.str.strip_chars().str.contains(SPREADSHEET)
    if rounded.sum() >= max(1, 0.01 * len(few)):
        doubts.append(
            f"doubt: times look like {shortened(few[rounded.arg_max() or 0])}: rounded by a spreadsheet, so that the "
            "order of events is lost: export the column as text"
        )
    days = few.str.contains(DAY)
    if 0.01 * len(few) < days.sum() < 0.99 * len(few) and few.filter(~days).str.contains(":").any():
        doubts.append(
            f"doubt: some times are days ({shortened(few.filter(days)[0])}) and others have a time of day "
            f"({shortened(few.filter(~days)[0])}): a day counts as its midnight, before all others of the day"
        )
    zoned = few.str.contains(ZONED)
    if 0.01 * len(few) < zoned.sum() < 0.99 * len(few):
        with_zone, without = few.filter(zoned)[0], few.filter(~zoned)[0]
        doubts.append(
            f"doubt: some times have a zone ({shortened(with_zone)}) and others have none ({shortened(without)}), "
            "which are read in UTC: write all with a zone"
        )
    return doubts


def _on_strange(times: TimeFacts, strange: Strange, claim: str) -> str:
    advice = "correct them, or drop these rows"
    if strange.values == [NO_TEXT]:
        advice = "set them to null if this means none"
    elif len(strange.values) <= MOST_WORDS and NO_TEXT not in strange.values:
        words = [str(value).strip() for value in strange.values]
        means = f"{words[0]} means" if len(words) == 1 else f"{' and '.join(words)} mean"
        advice = f"pass {missing_flags('time', words)} --bad-rows skip if {means} none"
    return (
        f"doubt: {strange.number:,} of {times.count:,} times {claim} (first at {times.place_name} {strange.place:,}: "
        f"{shown_moment(strange.time)}); they are kept: {advice}"
    )
