"""Tables that are written to a file one frame at a time, so that a table may be larger than memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from caser.errors import ConfigError
from caser.system.storage import replacing

TABLE_ENDINGS = (".parquet", ".csv", ".jsonl")
"""How the name of a file of a table may end."""


def write_frames(path: str | Path, frames: Iterable[pl.DataFrame], schema: pl.Schema) -> None:
    """Write frames one after another to one .parquet, .csv or .jsonl file. The file appears only when it is complete.

    path    the file, which may exist; its folder is made if needed
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
    target = Path(path)
    if target.suffix not in TABLE_ENDINGS:
        raise ConfigError(f"the file of a table must end in .parquet, .csv or .jsonl; got {target.name!r}.")
    source = register_io_source(lambda *_: iter(frames), schema=schema)
    with replacing(target) as partial:
        try:
            if target.suffix == ".csv":
                # Text is quoted, so that " 7" keeps its blank, and the text "NA" differs from a missing value.
                source.sink_csv(partial, check_extension=False, sync_on_close="all", quote_style="non_numeric")
            elif target.suffix == ".jsonl":
                source.sink_ndjson(partial, sync_on_close="all")
            else:
                source.sink_parquet(partial, sync_on_close="all")
        except pl.exceptions.ComputeError as error:  # polars reports some failures of the disk in this way
            raise OSError(str(error)) from None
