"""Read an interaction log from a file or a frame.

Files: CSV, TSV, space-separated triplets, MovieLens `u.data`, `ratings.dat` and `ratings.csv`, RecBole `.inter`, JSON,
Parquet, Arrow and Avro, each also compressed, in a folder of parts, or through a pipe; see `sources.py`. Frames of
polars, pandas and Arrow; see `frames.py`. What the caller does not say is guessed, and every guess is a sentence in
`provenance["notes"]`. A row without a user, an item or a readable time is a bad row: the
log is refused, or bad rows are skipped and counted. Rows with equal times keep their order. The whole source is held in
memory.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import polars as pl
from pydantic import AfterValidator, BeforeValidator, Field

from caser.config import Settings
from caser.data.dialect import unescaped
from caser.data.encodings import known_encoding, notes_on_encoding
from caser.data.event_kinds import weights_of
from caser.data.filters import FILTERS_OF_COLUMNS, LogFilters, apply_filters
from caser.data.frames import ArrowTable, to_frame
from caser.data.interpret import to_log
from caser.data.log import InteractionLog
from caser.data.names import SYNONYMS
from caser.data.prepared.folder import is_prepared, open_prepared
from caser.data.quotes import Quotes
from caser.data.rows import Rules
from caser.data.sources import Source, find_source, open_source
from caser.data.tables import Layout, RawTable
from caser.errors import ConfigError, DataError
from caser.system.kinds import must_be

LogSource: TypeAlias = str | Path | pl.DataFrame | pl.LazyFrame | ArrowTable
"""The path of a file, a folder of parts or a pipe, a pattern of paths, a polars frame, or any other Arrow table."""


def _known_weights(words: tuple[str, ...]) -> tuple[str, ...]:
    weights_of(words)
    return words


class Reading(Settings):
    """How to read a log. Settings that are left out are guessed, and the guesses are reported."""

    user: str | None = None
    """Column with the user."""
    item: str | None = None
    """Column with the item."""
    time: str | None = None
    """Column with the time, or "date,time" for a day and a time of day in two columns, or "date,hour,minute,am_pm" for
    parts of them; "" for the order of rows."""
    time_format: str | None = None
    """How times are written, such as "%d/%m/%Y %H:%M", or the unit of numbers, such as "milliseconds", "filetime" or
    "seconds since 1904-01-01"."""
    missing: tuple[str, ...] | None = None
    """Words that mean that a value is missing, besides NA, NULL, NaN, - and the like; with "" among them, instead. A
    number must be said of one column, such as "user=0", "item=0" or "time=0", and a word can be."""
    rating: str | None = None
    """Column with the rating, for --min-rating."""
    event_type: str | None = None
    """Column with the kind of event, for --event-types, --target-events and --negative-events."""
    target_events: Annotated[tuple[str, ...], AfterValidator(_known_weights)] = ()
    """Kinds of events that are predicted and judged, such as purchase, or cart=0.3 with a weight in training; the other
    events are history only."""
    negative_events: tuple[str, ...] = ()
    """Kinds of events that say "not this", such as skip: no interactions, and answers leave out their items."""
    separator: Annotated[str, BeforeValidator(unescaped)] | None = Field(default=None, pattern=r'^[^"\r\n]+$')
    r"""Text between two fields of a text file; `\t` is a tab."""
    header: bool | None = None
    """Whether the first line of a text file names the columns."""
    quotes: Quotes = "auto"
    """What quotes mean in a text file: characters like others (plain), or the ends of a field, in which a quote is
    written twice (doubled) or follows a backslash (backslash)."""
    encoding: Annotated[str, AfterValidator(known_encoding)] | None = None
    """Encoding of a text file that is not Unicode, such as gbk, shift_jis, euc-kr, cp1251 or latin-1."""
    format: str | None = None
    """Format of a file: delimited, jsonl, json, parquet, arrow or avro."""
    bad_rows: Literal["refuse", "skip"] = "refuse"
    """What to do with rows that have no user, no item or no readable time: refuse the log, or skip these rows."""


def read_log(
    source: LogSource, reading: Reading | None = None, *, filters: LogFilters | None = None, **options: Any
) -> InteractionLog:
    """Read an interaction log from a file or a frame.

    source   the path of a file, of a folder of parts, of a prepared log (see `prepare_log`) or of a pipe, "-" for the
             standard input, a pattern such as "logs/*.csv", a frame of polars or pandas, or a table of Arrow
    reading  how to read it; by default everything is guessed
    filters  which interactions to keep; all of them by default
    options  single settings of `Reading`, such as `user="visitor"`, which replace those of `reading`

    Returns the log. Its `provenance` holds the source, the guesses, the number of bad rows and what each filter
    dropped. Raises DataError, with one sentence that names the source, if the source cannot be read, has bad rows while
    `bad_rows` is "refuse", or has no interaction left after the filters. Raises ConfigError for an unknown option, for
    `reading` or `filters` of another type, and for a setting of files together with a frame. Raises
    MissingDependencyError if a frame of pandas cannot be read because pyarrow is not installed.

    >>> frame = pl.DataFrame({"visitor": ["ann", "bob", "ann"], "item": [3, 3, 4], "time": [20, 10, 30]})
    >>> log = read_log(frame)
    >>> log, log.provenance["notes"][0]
    (InteractionLog(3 interactions, 2 users, 2 items), 'read visitor as user; override with user= (--user)')
    """
    must_be("reading", reading, Reading | None, "caser.Reading(...) or None")
    reading = (reading or Reading()).replace(**options)
    filters = LogFilters() if filters is None else filters
    if not isinstance(filters, LogFilters):
        raise ConfigError(f"filters must be caser.LogFilters(...); got {filters!r}.")
    if isinstance(source, str | Path) and is_prepared(source):
        return _read_prepared(source, reading, filters)
    on_encoding: list[str] = []
    facts: dict[str, Any] = {"source": str(source) if isinstance(source, str | Path) else "frame"}
    try:
        found = find_source(source) if isinstance(source, str | Path) else source
        facts["source"] = found.name if isinstance(found, Source) else "frame"
        table = _open(found, reading, facts)
        on_encoding = notes_on_encoding(table.notes)
        facts["reading"] = reading.model_dump(mode="json", exclude_defaults=True)
        rules = Rules(
            named=reading.model_dump(include=set(SYNONYMS)),
            missing=reading.missing,
            time_format=reading.time_format,
            skip=reading.bad_rows == "skip",
            target_events=weights_of(reading.target_events),
            negative_events=reading.negative_events,
        )
        return apply_filters(to_log(table, rules, filters, facts), filters)
    except MemoryError:
        raise DataError(f"a log must fit into memory; it does not; use a part of it; in {facts['source']}.") from None
    except DataError as error:
        sentence = "; ".join([str(error).rstrip("."), *on_encoding])
        raise type(error)(f"{sentence}; in {facts['source']}.") from None


def _read_prepared(source: str | Path, reading: Reading, filters: LogFilters) -> InteractionLog:
    """Open a prepared log as one log, and apply the filters that need no other column."""
    asked = reading.model_dump(exclude_defaults=True)
    needs_column = filters.model_dump(include={*FILTERS_OF_COLUMNS}, exclude_defaults=True)
    if asked or needs_column:
        raise ConfigError(
            f"a prepared log is read already; got {', '.join([*asked, *needs_column])} for {source}. Leave it out, or "
            "give it when the log is prepared."
        )
    log = open_prepared(source).log
    settings = {**log.provenance["filter_settings"], **filters.model_dump(mode="json", exclude_defaults=True)}
    opened = log.with_facts(titles=log.titles, provenance={**log.provenance, "filter_settings": settings})
    return apply_filters(opened, filters)


def _open(source: object, reading: Reading, facts: dict[str, Any]) -> RawTable:
    """Return the rows of the source, and add the checksum and format of a file to `facts`."""
    if isinstance(source, Source):
        named = [getattr(reading, role) for role in SYNONYMS]
        layout = Layout(reading.separator, reading.header, reading.quotes, tuple(filter(None, named)), reading.encoding)
        more, table = open_source(source, layout, reading.format)
        facts.update(more)
        return table
    for name in ("separator", "header", "format", "quotes", "encoding"):
        if getattr(reading, name) != Reading.model_fields[name].default:
            raise ConfigError(f"{name} has an effect only when a file is read; got a frame. Leave {name} out.")
    frame, notes = to_frame(source)
    return replace(RawTable.from_frame(frame), notes=notes)
