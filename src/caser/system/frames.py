"""Tables written to a file one frame at a time, so that a table may be larger than memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from caser.errors import ConfigError
from caser.system.storage import discard, partial_path, refused, remove_strays


def write_frames(path: str | Path, frames: Iterable[pl.DataFrame], schema: pl.Schema) -> None:
    """Write frames one after another to one .parquet or .csv file, holding one at a time; the file appears when whole.

    Raises ConfigError for another ending, ArtefactError if the file cannot be written.
    """
    target = Path(path)
    if target.suffix not in (".parquet", ".csv"):
        raise ConfigError(f"a file of answers must end in .parquet or .csv; got {target.name!r}.")
    partial = partial_path(target)
    source = register_io_source(lambda *_: iter(frames), schema=schema)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_strays(target)
        if target.suffix == ".csv":
            source.sink_csv(partial, check_extension=False, sync_on_close="all")
        else:
            source.sink_parquet(partial, sync_on_close="all")
        partial.replace(target)
    except (OSError, pl.exceptions.ComputeError) as error:
        raise refused(target, error, 0) from None
    finally:
        discard(partial)
