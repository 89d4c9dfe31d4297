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


def write_frames(path: str | Path, frames: Iterable[pl.DataFrame], schema: pl.Schema) -> None:
    """Write frames one after another to one file. The file appears only when it is complete.

    path    the file, which may exist, with an ending of SINKS; its folder is made if needed
    frames  the rows in order; one frame at a time is held in memory
    schema  names and types of the columns, which all frames have

    Raises ConfigError if the file name has another ending, ArtefactError if the file cannot be written.

    >>> import tempfile
    >>> frame = pl.DataFrame({"item": [7, 8]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_frames(f"{folder}/items.parquet", [frame, frame], frame.schema)
    ...     pl.read_parquet(f"{folder}/items.parquet")["item"].to_list()
    [7, 8, 7, 8]
    """
    sink = SINKS[table_ending(path)]
    source = register_io_source(lambda *_: iter(frames), schema=schema)
    with replacing(Path(path)) as unfinished:
        try:
            sink(source, unfinished, sync_on_close="all")
        except pl.exceptions.ComputeError as error:  # polars reports some failures of the disk in this way
            raise OSError(str(error)) from None
