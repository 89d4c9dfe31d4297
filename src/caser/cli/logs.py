"""What `LOG` means on the command line: a file, or the name of a public data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caser.cli import show
from caser.data import datasets
from caser.data.filters import LogFilters
from caser.data.log import InteractionLog
from caser.data.readers import Reading, read_log
from caser.errors import ArtefactError, ConfigError, DataError, did_you_mean

Filters = LogFilters
__all__ = ["Filters", "Reading", "open_log", "reopen_log"]


def open_log(name: str, reading: Reading, filters: LogFilters) -> InteractionLog:
    """Read a log and say on stderr what was guessed, skipped and filtered."""
    log = _read(name, reading, filters)
    for sentence in log.provenance.get("notes", []):
        show.say(f"  {sentence}")
    for reason, bad in log.provenance.get("bad_rows", {}).items():
        show.say(f"  skipped {bad['count']:,} rows {reason}; the first is at {bad['first']:,}")
    for step in log.provenance.get("filters", []):
        show.say(f"  filter {step['filter']} dropped {step['dropped']:,} interactions")
    return log


def reopen_log(facts: Mapping[str, Any], moved_to: str | None) -> InteractionLog:
    """Read the log of a run again, with the options it was read with; `moved_to` is where it is now."""
    name = moved_to or facts.get("dataset") or facts.get("source")
    if name is None or name == "frame":
        raise ArtefactError("the run was trained on a table in memory; give the same log as a file with --log.")
    if not moved_to and "dataset" not in facts and not Path(name).exists():
        raise ArtefactError(f"the run's log must still be at {name}; it is not. Say where it is with --log.")
    reading = Reading() if name in datasets.DATASETS else Reading(**facts.get("reading", {}))
    return _read(name, reading, LogFilters(**facts.get("filter_settings", {})))


def _read(name: str, reading: Reading, filters: LogFilters) -> InteractionLog:
    path = Path(name).expanduser()
    if name in datasets.DATASETS and not path.is_file():
        if given := reading.model_dump(exclude_defaults=True):
            raise ConfigError(
                f"a public data set is read in its own way; got {', '.join(given)} for {name}. "
                "Leave it out, or name the file."
            )
        return datasets.load(name, filters=filters, on_message=show.say)
    if not path.exists():
        raise DataError(
            f"LOG must be a file or a public data set; got {name!r}, which is neither: "
            f"{did_you_mean(name, datasets.DATASETS)}"
        )
    return read_log(path, reading, filters=filters)
