"""Logs in many forms, and what is compared between a log in memory and the same log prepared on disk."""

from __future__ import annotations

import bz2
import datetime
import gzip
import lzma
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from caser.data.filters import LogFilters
from caser.data.log import InteractionLog
from caser.data.readers import read_log

ROWS = 40
RANDOM = np.random.default_rng(5)
FRAME = pl.DataFrame(
    {
        "user_id": [f"u{one}" for one in RANDOM.integers(0, 9, ROWS)],
        "item_id": RANDOM.integers(0, 12, ROWS),
        "timestamp": 1_600_000_000 + RANDOM.integers(0, 40, ROWS),  # with ties
        "rating": RANDOM.integers(1, 6, ROWS),
    }
)
CSV = FRAME.write_csv().encode()
MOMENTS = FRAME.with_columns(
    timestamp=pl.from_epoch("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%S"),
    day=pl.from_epoch("timestamp").dt.strftime("%Y-%m-%d"),
    clock=pl.from_epoch("timestamp").dt.strftime("%H:%M:%S"),
)


@dataclass(frozen=True)
class Case:
    """A log in one form.

    write    writes it into an empty folder, and returns the path to read
    options  settings of `Reading`        filters  settings of `LogFilters`
    """

    write: Callable[[Path], Path]
    options: dict[str, Any] = field(default_factory=dict)
    filters: LogFilters = field(default_factory=LogFilters)


def case(name: str, content: bytes | pl.DataFrame, *, filters: LogFilters | None = None, **options: Any) -> Case:
    """A log in one file."""

    def write(folder: Path) -> Path:
        path = folder / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif name.endswith("parquet"):
            content.write_parquet(path, row_group_size=7)
        else:
            content.write_ipc(path)
        return path

    return Case(write, options, filters or LogFilters())


def parts(ending: str, pattern: str = "") -> Case:
    """A log in several files, one of which is empty."""

    def write(folder: Path) -> Path:
        for number, part in enumerate(FRAME.iter_slices(17)):
            below = folder / "log" / f"week={number // 2}"
            below.mkdir(parents=True, exist_ok=True)
            if ending == "parquet":
                part.write_parquet(below / f"part-{number}.parquet")
            else:
                part.write_csv(below / f"part-{number}.csv")
        if ending == "csv":
            (folder / "log" / "week=0" / "part-9.csv").touch()
        return folder / "log" / pattern if pattern else folder / "log"

    return Case(write)


def zipped(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "log.zip", "w") as archive:
        archive.writestr("log.csv", CSV)
    return folder / "log.zip"


def with_bad_rows() -> bytes:
    lines = CSV.decode().splitlines()
    lines[5] = ",3,1600000000,1"
    lines[20] = "u1,3,soon,1"
    lines[23] = "u1,3,1600000000,1,7"
    lines[24] = "NA,3,1600000000,1"
    lines[38] = "u1,3,later,1"
    return "\n".join(lines).encode()


def quoted() -> bytes:
    rows = [f'"{user[0]},{user[1:]}","line\n{item} ""x""",{time}' for user, item, time, _ in FRAME.rows()]
    return "\n".join(["user,item,time", *rows, ""]).encode()


SPREAD = FRAME.with_columns(timestamp=pl.col("timestamp") + 1000 * pl.col("item_id"))
SORTED = FRAME.sort("timestamp", descending=True)
CALENDAR = FRAME.drop("timestamp").with_columns(
    year=pl.lit(2020), month=1 + pl.col("item_id") % 3, day=1 + pl.int_range(ROWS) % 28
)
HALF_DAYS = MOMENTS.drop("day", "clock").with_columns(
    timestamp=pl.when(pl.col("rating") > 2).then("timestamp").otherwise(pl.col("timestamp").str.slice(0, 10))
)
OFFSETS = MOMENTS.drop("day", "clock").with_columns(tz_offset=pl.lit(-300))
COUNTED = FRAME.drop("timestamp").with_columns(day=18_000 + pl.col("rating"), clock=pl.lit(93_000) + pl.col("item_id"))
ACCENTS = [f"u\xe9{row % 7},{row % 5},{1_600_000_000 + row}".encode() for row in range(ROWS)]
DAMAGED = [line.replace(b"u", b"\xff") if row in (9, 30) else line for row, line in enumerate(ACCENTS)]

UUIDS = [uuid.UUID(int=number).bytes for number in RANDOM.integers(1, 9, ROWS).tolist()]
TITLED = FRAME.with_columns(item_title=pl.format("Title {}", "item_id"))
KINDS_OF_EVENTS = FRAME.with_columns(event=pl.format("kind{}", "rating")).write_csv().encode()
PLAIN = FRAME.select("user_id", "item_id", "timestamp")

CASES: dict[str, Case] = {
    "csv": case("log.csv", CSV),
    "without an end of line": case("log.csv", CSV.rstrip()),
    "crlf": case("log.csv", CSV.replace(b"\n", b"\r\n")),
    "blanks around fields": case("log.csv", CSV.replace(b",", b" , ")),
    "no header": case("u.data", PLAIN.write_csv(separator="\t", include_header=False).encode()),
    "named by position": case("log.csv", PLAIN.write_csv(include_header=False).encode(), user="1", item="2", time="3"),
    "quoted": case("log.csv", quoted()),
    "wrapped in quotes": case("log.csv", PLAIN.write_csv(quote_style="always").encode()),
    "comments above": case("log.csv", b"# a log\n# of ours\n" + CSV),
    "a hint at the separator": case("log.csv", b"sep=;\n" + FRAME.write_csv(separator=";").encode()),
    "names again": case("log.csv", CSV + CSV),
    "not ascii": case("log.csv", CSV.replace(b"u1", "ué".encode())),
    "a damaged character": case("log.csv", CSV.replace(b"u1", "ué".encode()).replace("ué".encode(), b"\xff", 1),
                                bad_rows="skip"),
    "bad rows": case("log.csv", with_bad_rows(), bad_rows="skip"),
    "words for missing": case("log.csv", CSV, missing=("u3", "u4"), bad_rows="skip"),
    "whole floats as text": case("log.csv", CSV.replace(b"\nu", b"\n").replace(b",16", b".0,16")),
    "ids that become integers": case("log.csv", CSV.replace(b"\nu", b"\n1")),
    "order of rows": case("log.csv", FRAME.select("user_id", "item_id").write_csv().encode()),
    "moments": case("log.csv", MOMENTS.drop("day", "clock").write_csv().encode()),
    "day and clock": case("log.csv", MOMENTS.drop("timestamp").write_csv().encode()),
    "named day and clock": case("log.csv", MOMENTS.drop("timestamp").write_csv().encode(), time="day,clock"),
    "time format": case("log.csv", CSV, time_format="milliseconds"),
    "old and one moment": case("log.csv", PLAIN.with_columns(timestamp=pl.lit(17)).write_csv().encode()),
    "far from now": case("log.csv", CSV.replace(b",1600000003,", b",32503680000,")),
    "stray last row": case("log.csv", CSV + b"Total,60,1600000000,3\n"),
    "min rating": case("log.csv", CSV, filters=LogFilters(min_rating=3)),
    "event types": case("log.csv", KINDS_OF_EVENTS,
                        filters=LogFilters(event_types=("kind1", "kind4"))),
    "target events": case("log.csv", KINDS_OF_EVENTS, target_events=("kind1", "kind4=0.5")),
    "target events and filters": case("log.csv", KINDS_OF_EVENTS, target_events=("kind4",),
                                      filters=LogFilters(event_types=("kind1", "kind4"), min_rating=1)),
    "newest first": case("log.csv", SORTED.write_csv().encode()),
    "totals": case("log.csv", CSV.replace(b"\nu3,", b"\nTotal,", 2)),
    "many bad rows": case("log.csv", CSV.replace(b"\nu3,", b"\n,"), bad_rows="skip"),
    "long ids": case("log.csv", CSV.replace(b"\nu3,", b"\n" + b"u" * 1001 + b","), bad_rows="skip"),
    "some days": case("log.csv", HALF_DAYS.write_csv().encode()),
    "a calendar": case("log.csv", CALENDAR.write_csv().encode()),
    "a calendar without zeros": case("log.parquet", CALENDAR),
    "offsets": case("log.csv", OFFSETS.write_csv().encode(), time="timestamp,tz_offset"),
    "unused offsets": case("log.csv", OFFSETS.write_csv().encode()),
    "zones": case("log.csv", OFFSETS.with_columns(tz_offset=pl.lit("Europe/Berlin")).write_csv().encode(),
                  time="timestamp,tz_offset"),
    "numbered days": case("log.csv", COUNTED.write_csv().encode(), time="day,clock"),
    "days of a spreadsheet": case("log.csv", FRAME.with_columns(timestamp=44_000.5 + pl.col("rating")).write_csv()
                                  .encode(), time_format="excel"),
    "some damaged lines": case("log.csv", b"\n".join([b"user,item,time", *DAMAGED]), bad_rows="skip"),
    "titles": case("log.csv", TITLED.write_csv().encode()),
    "titles of reviews": case("log.csv", FRAME.with_columns(title=pl.format("{} {}", "user_id", "rating"))
                              .write_csv().encode()),
    "one title": case("log.csv", FRAME.with_columns(title=pl.lit("same")).write_csv().encode()),
    "a long title": case("log.csv", TITLED.with_columns(item_title=pl.when(pl.col("item_id") == 3)
                         .then(pl.lit("long" * 300)).otherwise("item_title")).write_csv().encode()),
    "gzip": case("log.csv.gz", gzip.compress(CSV)),
    "bzip2": case("log.csv.bz2", bz2.compress(CSV)),
    "xz": case("log.csv.xz", lzma.compress(CSV)),
    "zip": Case(zipped),
    "gbk": case("log.csv", CSV.replace(b"u1", "机".encode("gbk")), encoding="gbk"),
    "json lines": case("log.jsonl", FRAME.write_ndjson().encode()),
    "json lines, nested": case("log.jsonl", FRAME.with_columns(user=pl.struct(id="user_id")).drop("user_id")
                               .write_ndjson().encode(), user="user.id"),
    "json array": case("log.json", b"[" + FRAME.write_ndjson().strip().replace("\n", ",").encode() + b"]"),
    "parquet": case("log.parquet", FRAME),
    "arrow": case("log.arrow", FRAME),
    "typed moments": case("log.parquet", FRAME.with_columns(timestamp=pl.from_epoch("timestamp"))),
    "typed day": case("log.parquet", FRAME.with_columns(timestamp=datetime.date(2020, 1, 2))),
    "small floats": case("log.parquet", SPREAD.with_columns(pl.col("timestamp").cast(pl.Float32))),
    "floats": case("log.parquet", FRAME.with_columns(item_id=pl.col("item_id").cast(pl.Float64))),
    "large integers": case("log.parquet", FRAME.with_columns(item_id=2**63 + pl.col("item_id").cast(pl.UInt64))),
    "uuids": case("log.parquet", FRAME.with_columns(user_id=pl.Series(UUIDS))),
    "categories": case("log.parquet", FRAME.with_columns(user_id=pl.col("user_id").cast(pl.Categorical))),
    "lists": case("log.parquet", FRAME.group_by("user_id", maintain_order=True).agg("item_id", "timestamp")),
    "nulls": case("log.parquet", FRAME.with_columns(item_id=pl.when(pl.col("rating") > 1).then("item_id")),
                  bad_rows="skip"),
    "parts of csv": parts("csv"),
    "parts of parquet": parts("parquet"),
    "a pattern": parts("parquet", "*/part-*"),
}  # fmt: skip


def facts_of(log: InteractionLog) -> dict[str, Any]:
    """Everything of a log that must be the same, however it was read."""
    kept = ("notes", "rows_read", "bad_rows", "time_unit", "filters", "reading", "filter_settings")
    return {
        **{name: getattr(log, name).tolist() for name in ("users", "items", "times", "rows")},
        **{name: str(getattr(log, name).dtype) for name in ("users", "items", "times", "rows")},
        "user_ids": (log.user_vocabulary.ids.dtype, log.user_vocabulary.ids.to_list()),
        "item_ids": (log.item_vocabulary.ids.dtype, log.item_vocabulary.ids.to_list()),
        "titles": None if log.titles is None else log.titles.to_list(),
        "has_times": log.has_times,
        "digest": log.digest,
        **{name: log.provenance[name] for name in kept},
    }


def in_memory(one: Case, path: Path) -> InteractionLog:
    """The log as it is read in memory."""
    return read_log(path, filters=one.filters, **one.options)
