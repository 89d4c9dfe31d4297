"""Sources: a file, a folder of parts, a pattern of names or a pipe becomes one table.

A folder is read with all files below it that are not hidden, as Spark, BigQuery and Athena write tables. The parts must
have the same columns. A folder called `day=2024-01-01` adds a column `day`. Everything is held in memory as a whole.
"""

from __future__ import annotations

import functools
import glob
import hashlib
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl

from caser.data.content import read_parts, read_pipe
from caser.data.formats import read_table
from caser.data.tables import Layout, RawTable, numbered
from caser.errors import DataError

STANDARD_INPUT = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")

PIPE = "pipe"
"""The source in `provenance` of a log that cannot be read a second time."""

TABLES_OF_FILES = {
    "_delta_log": "a Delta table, whose folder also holds rows that were deleted: write it as one file: "
    "python -c \"import polars; polars.read_delta('FOLDER').write_parquet('log.parquet')\"",
    ".hoodie": "a Hudi table, whose folder also holds rows that were deleted: write it as Parquet with Spark",
    "metadata": "an Iceberg table, whose folder also holds rows that were deleted: write it as one file: "
    "python -c \"import polars; polars.scan_iceberg('FOLDER').collect().write_parquet('log.parquet')\"",
    "manifest.json": "a run that caser saved, not a log; name the log that it was trained on",
}
"""Names in a folder that show that not every file below it is a part of a table, and what to do."""

SHOWN_PARTS = 5
"""How many parts a sentence names."""

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Source:
    """Where a log is.

    name   what a sentence calls it: an absolute path, a pattern of paths, or "pipe"
    parts  its files in the order of their names; empty for a pipe
    pipe   the path of a pipe, or "-" for the standard input; None for files
    base   the folder below which names of folders, such as `day=2024-01-01`, are columns
    """

    name: str
    parts: tuple[Path, ...]
    pipe: str | None = None
    base: Path = Path()

    @functools.cached_property
    def contents(self) -> list[bytes]:
        """The bytes of each part, or those of the pipe. They are read once, as a pipe can be read only once."""
        return [read_pipe(self.pipe)] if self.pipe else read_parts(self.parts)


def open_source(
    path: str | Path | Source, layout: Layout, format: str | None = None
) -> tuple[dict[str, Any], RawTable]:
    """Read all rows of a file, a folder of parts, a pattern such as `logs/*.csv`, or a pipe.

    path    "-" is the standard input        layout  what the caller says about text files
    format  a key of `formats.READERS`; None: the content decides

    Returns facts for a `provenance`, and the table. The facts are `sha256`, over the bytes of all parts in the order of
    their names, `format`, and `parts` if there are several. Raises DataError if the source cannot be read.
    """
    source = path if isinstance(path, Source) else find_source(path)
    contents = source.contents
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content)
    if source.pipe:
        found, table = read_table(contents[0], layout, format)
    else:
        found, table = _read_parts(source, contents, layout, format)
    facts = {"sha256": digest.hexdigest(), "format": found}
    return {**facts, "parts": len(contents)} if len(contents) > 1 else facts, table


def find_source(path: str | Path) -> Source:
    """Return where a log is. Raises DataError if there is nothing that can be read.

    path  a file, a folder, a pattern of names, a pipe, or "-" for the standard input
    """
    name = str(path)
    if name in STANDARD_INPUT and not _is_regular_input():
        return Source(PIPE, (), "-")
    try:
        found = Path(name).expanduser()
        kind = found.stat().st_mode if found.exists() else None
        if kind is not None and stat.S_ISFIFO(kind):
            return Source(PIPE, (), name)
        found = found.resolve()
    except (OSError, ValueError, RuntimeError):
        return Source(name, (Path(name),))
    if kind is None and glob.has_magic(name):
        return _matched(str(found))
    if kind is not None and stat.S_ISDIR(kind):
        return Source(str(found), _parts_below(found), base=found)
    if kind is not None and not stat.S_ISREG(kind):
        what = "a socket" if stat.S_ISSOCK(kind) else "a device"
        raise DataError(f"a log must be a file, a folder of files or a pipe; got {what}")
    return Source(str(found), (found,), base=found.parent)


def exists(path: str | Path) -> bool:
    """Return whether there is a file, a folder, a pipe, or at least one file of a pattern.

    path  as in `open_source`
    """
    name = str(path)
    try:
        found = Path(name).expanduser()
        return name in STANDARD_INPUT or found.exists() or (glob.has_magic(name) and bool(_glob(str(found))))
    except (OSError, ValueError, RuntimeError):
        return False


def _is_regular_input() -> bool:
    """Return whether the standard input is a file, as after `< log.csv`, so that it has a path of its own."""
    try:
        return stat.S_ISREG(os.fstat(0).st_mode) and Path("/dev/stdin").exists()
    except OSError:
        return False


def _glob(pattern: str) -> list[str]:
    return sorted(glob.glob(pattern, recursive=True), key=_in_order)  # noqa: PTH207 (Path.glob takes no absolute pattern)


def _in_order(path: str | Path) -> list[tuple[int, int, str]]:
    """Return what orders the names of parts: text as text, and numbers by their size, so that 2 is before 10."""
    parts = re.findall(r"\d+|\D+", str(path))
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]


def _matched(pattern: str) -> Source:
    """Return the files that match a pattern, and those in folders that match it."""
    parts: list[Path] = []
    for match in _glob(pattern):
        path = Path(match)
        is_marker = path.name == "_SUCCESS" or path.suffix == ".crc"
        parts.extend(_parts_below(path) if path.is_dir() else [] if is_marker else [path])
    if not parts:
        raise DataError("a pattern must match at least one file; got none")
    fixed = Path(pattern)
    while glob.has_magic(str(fixed)):
        fixed = fixed.parent
    return Source(pattern, tuple(dict.fromkeys(parts)), base=fixed)


def _parts_below(folder: Path) -> tuple[Path, ...]:
    """Return the files below a folder that may be parts of a table, in the order of their names."""
    for name, advice in TABLES_OF_FILES.items():
        there = folder / name
        if there.exists() and (name != "metadata" or any(there.glob("*.metadata.json"))):
            raise DataError(f"a folder must hold nothing but the parts of a table; got {advice}")
    parts = sorted((path for path in folder.rglob("*") if path.is_file() and _is_part(path, folder)), key=_in_order)
    endings = sorted({_ending(path) for path in parts})
    if not parts:
        raise DataError("a folder must hold parts of a table, such as part-0.parquet; got none")
    if len(endings) > 1:
        raise DataError(
            f"the files of a folder must be parts of one table; got {', '.join(endings[:8])}; name the log itself, or "
            f"a pattern such as '{folder}/*{endings[0]}'"
        )
    return tuple(parts)


def _is_part(path: Path, folder: Path) -> bool:
    """Return whether a file is no marker, checksum or hidden file, and is in no such folder."""
    inside = path.relative_to(folder).parts
    return path.suffix != ".crc" and not any(part.startswith((".", "_")) for part in inside)


def _ending(path: Path) -> str:
    """Return the ending of a name that shows its format, in lower case, without the digits of numbered parts."""
    endings = [one for one in path.suffixes[-2:] if not one[1:].isdigit()]
    return "".join(endings[-1:]).lower() or "no ending"


def _read_parts(source: Source, contents: list[bytes], layout: Layout, format: str | None) -> tuple[str, RawTable]:
    """Read every part and put the rows of one below those of another. Parts of zero bytes are passed over."""
    names = [str(part.relative_to(source.base)) for part in source.parts]
    partitions = partitions_of(names)
    tables: dict[str, RawTable] = {}
    found = ""
    for name, content, partition in zip(names, contents, partitions, strict=True):
        if not content and len(contents) > 1:
            continue
        try:
            kind, table = read_table(content, layout, format)
        except DataError as error:
            raise error if len(contents) == 1 else DataError(f"{str(error).rstrip('.')}; in the part {name}") from None
        if found and kind != found:
            raise DataError(f"the parts of a table must have one format; got {found} and {kind}, in {name}")
        found, tables[name] = kind, with_partition(table, partition)
    if not tables:
        raise DataError("a log must hold at least one interaction; got only empty parts")
    return found, next(iter(tables.values())) if len(tables) == 1 else _joined(tables)


def partitions_of(names: Sequence[str]) -> list[dict[str, str | int | None]]:
    """Return what the names of the folders of each part say, such as {"day": "2024-01-01"} for `day=2024-01-01`.

    names  the paths of the parts, below the folder of the table
    """
    folders = [[part.split("=", 1) for part in Path(name).parts[:-1] if "=" in part] for name in names]
    texts = [{unquote(key): unquote(value) for key, value in pairs} for pairs in folders]
    if len({frozenset(text) for text in texts}) > 1:
        raise DataError(f"each part of a table must be in folders of the same names; got {names[0]} and {names[-1]}")
    values: list[dict[str, str | int | None]] = [
        {key: None if value == NULL_PARTITION else value for key, value in text.items()} for text in texts
    ]
    for key in texts[0] if texts else ():
        if all(one[key] is None or re.fullmatch(r"0|-?[1-9]\d{0,17}", str(one[key])) for one in values):
            values = [{**one, key: None if one[key] is None else int(str(one[key]))} for one in values]
    return values


def with_partition(table: RawTable, partition: Mapping[str, str | int | None]) -> RawTable:
    """Add a column for each folder with a name such as `day=2024-01-01`, if the file itself has no such column.

    table  a part        partition  what the names of its folders say, as from `partitions_of`
    """
    new = {key: value for key, value in partition.items() if key not in table.columns}
    if not new:
        return table
    kinds = {key: pl.Int64 if isinstance(value, int) and not table.is_text else pl.String for key, value in new.items()}
    columns = [pl.lit(value).cast(kinds[key]).alias(key) for key, value in new.items()]
    note = f"the names of folders give the columns {', '.join(new)}"
    return replace(table, frame=table.frame.with_columns(columns), notes=(*table.notes, note))


def _joined(tables: Mapping[str, RawTable]) -> RawTable:
    """Put the tables of parts below one another. Raises DataError if their columns differ."""
    first_name, first = next(iter(tables.items()))
    for name, table in tables.items():
        check_alike(first_name, first, name, table)
    note = note_on_parts({name: len(table.places) for name, table in tables.items()})
    columns = first.columns
    frames = [table.frame.select(columns) for table in tables.values()]
    return replace(
        first,
        frame=pl.concat(frames, how="vertical_relaxed"),
        places=numbered("row", 1, sum(len(table.places) for table in tables.values())),
        faults=pl.concat([table.faults.alias("fault") for table in tables.values()]),
        notes=tuple(dict.fromkeys([note, *(one for table in tables.values() for one in table.notes)])),
    )


def check_alike(first_name: str, first: RawTable, name: str, table: RawTable) -> None:
    """Raise DataError unless two parts have the same columns, of types that fit, and both a header or none.

    first_name, first  the first part        name, table  another one
    """
    schema, other = first.frame.collect_schema(), table.frame.collect_schema()
    if table.has_header != first.has_header:
        with_one, without = (first_name, name) if first.has_header else (name, first_name)
        raise DataError(
            f"all parts of a table must begin with the names of the columns, or none; got names in {with_one} and "
            f"none in {without}; join parts of one file, in their order, with cat"
        )
    if set(other) != set(schema):
        differing = ", ".join(repr(column[:40]) for column in sorted(set(other) ^ set(schema))[:6])
        raise DataError(
            f"the parts of a table must have the same columns; got {differing} in only one of {first_name}, {name}"
        )
    for column, kind in schema.items():
        if not _fits(kind, other[column]):
            raise DataError(
                f"the parts of a table must have the same types; got {kind} in {first_name} and {other[column]} in "
                f"{name}, in column {column!r}; write the parts anew with one type"
            )


def note_on_parts(counts: Mapping[str, int], num_parts: int | None = None) -> str:
    """Return the sentence on the parts of a table.

    counts     the number of rows of the first parts, by name        num_parts  how many parts there are; None for these
    """
    num_parts = num_parts or len(counts)
    listed = ", ".join(f"{name} ({count:,})" for name, count in list(counts.items())[:SHOWN_PARTS])
    more = f" and {num_parts - SHOWN_PARTS} more" if num_parts > SHOWN_PARTS else ""
    return f"read {num_parts:,} parts, with their rows: {listed}{more}; rows are numbered through all parts"


def _fits(kind: pl.DataType, other: pl.DataType) -> bool:
    """Return whether two columns can be one without changing a value: equal types, integers, or one without a value."""
    is_empty = pl.Null in (kind, other)
    return kind == other or is_empty or (kind.is_integer() and other.is_integer())
