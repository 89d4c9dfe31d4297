"""Tables that are written to a file one frame at a time, so that a table may be larger than memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from caser.errors import ConfigError
from caser.system.storage import replacing

_TEXT: Mapping[str, Any] = {
    # Text is quoted, so that " 7" keeps its blank, and the text "NA" differs from a missing value.
    ".csv": partial(pl.LazyFrame.sink_csv, quote_style="non_numeric"),
    ".tsv": partial(pl.LazyFrame.sink_csv, quote_style="non_numeric", separator="\t"),
    ".jsonl": pl.LazyFrame.sink_ndjson,
}

SINKS: Mapping[str, Any] = {
    ".parquet": pl.LazyFrame.sink_parquet,
    **{ending: partial(sink, check_extension=False) for ending, sink in _TEXT.items()},
    **{f"{ending}.gz": partial(sink, check_extension=False, compression="gzip") for ending, sink in _TEXT.items()},
}
"""What writes a table into a file, by the ending of its name."""


_FORMULA = "^[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
"""How text begins that spreadsheets take for a formula, in some of them also with wide signs."""


def table_ending(path: str | Path) -> str:
    """Return the ending of a file for a table, a key of SINKS.

    path  the file, which need not exist

    Raises ConfigError, naming the endings, for a name with another one, and for a folder.

    >>> table_ending("answers/Recs.CSV.gz")
    '.csv.gz'
    """
    target = Path(path)
    ending = "".join(target.suffixes[-1 - (target.suffix.lower() == ".gz") :]).lower()
    if ending not in SINKS:
        raise ConfigError(f"the file of a table must end in {', '.join(SINKS)}; got {target.name!r}.")
    if target.is_dir():
        raise ConfigError(f"the file of a table must not be a folder; got {target}. Name a file in it.")
    return ending


def refuse_safe(path: str | Path) -> None:
    """Raise ConfigError for a file that no spreadsheet opens as text, so that nothing in it needs to be made safe.

    path  the file of a table
    """
    if not (ending := table_ending(path)).startswith((".csv", ".tsv")):
        raise ConfigError(f"a table is made safe for spreadsheets in .csv and .tsv only; got {ending}. Leave it out.")


def without_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table in which no text is a formula to a spreadsheet: a `'` is put before text that would be one.

    frame  any table; its numbers stay

    >>> without_formulas(pl.DataFrame({"id": ["=1+1", "tea", None], "score": [-1.0, 0.5, 0.1]}))["id"].to_list()
    ["'=1+1", 'tea', None]
    """
    text = pl.col(pl.String)
    return frame.with_columns(pl.when(text.str.contains(_FORMULA)).then("'" + text).otherwise(text).name.keep())


def write_frames(
    path: str | Path, frames: Iterable[pl.DataFrame], schema: pl.Schema, *, csv_safe: bool = False
) -> None:
    """Write frames one after another to one file. The file appears only when it is complete.

    path      the file, which may exist, with an ending of SINKS; its folder is made if needed
    frames    the rows in order; one frame at a time is held in memory
    schema    names and types of the columns, which all frames have
    csv_safe  write text that a spreadsheet would calculate with a `'` before it; for .csv and .tsv only

    Raises ConfigError if the file name has another ending, or one that `csv_safe` is not for, ArtefactError if the file
    cannot be written.

    >>> import tempfile
    >>> frame = pl.DataFrame({"item": [7, 8]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_frames(f"{folder}/items.parquet", [frame, frame], frame.schema)
    ...     pl.read_parquet(f"{folder}/items.parquet")["item"].to_list()
    [7, 8, 7, 8]
    """
    ending = table_ending(path)
    if csv_safe:
        refuse_safe(path)
        frames = map(without_formulas, frames)
    with replacing(Path(path)) as unfinished:
        write_new_frames(unfinished, frames, schema, ending)


def write_new_frames(path: Path, frames: Iterable[pl.DataFrame], schema: pl.Schema, ending: str = ".parquet") -> None:
    """Write frames one after another to a new file, which is flushed to disk.

    path    a file that does not exist, with any name
    frames  the rows in order; one frame at a time is held in memory
    schema  names and types of the columns, which all frames have
    ending  what kind of file it is, a key of SINKS

    Raises OSError if the file cannot be written.
    """
    source = register_io_source(lambda *_: iter(frames), schema=schema)
    try:
        SINKS[ending](source, path, sync_on_close="all")
    except pl.exceptions.ComputeError as error:  # polars reports some failures of the disk in this way
        raise OSError(str(error)) from None
