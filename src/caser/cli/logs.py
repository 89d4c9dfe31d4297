"""The argument LOG of many commands: a file, a folder or pattern of files, a pipe, or the name of a public data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caser.answering.recommender import Recommender
from caser.artefact.own_log import OWN_LOG, own_log
from caser.cli import show
from caser.data import datasets, sources
from caser.data.bad_rows import bad_rows_in_words
from caser.data.filters import FILTERS_OF_COLUMNS, LogFilters
from caser.data.log import InteractionLog
from caser.data.prepared.folder import is_prepared, open_prepared
from caser.data.readers import Reading, read_log
from caser.data.shard_parts import MEMORY_MB, cut_for
from caser.data.shards import ShardedLog
from caser.errors import ArtefactError, ConfigError, DataError, did_you_mean
from caser.system.hints import command_line


def open_log(name: str, reading: Reading, filters: LogFilters) -> InteractionLog:
    """Read a log, and say on stderr what was guessed, skipped and filtered.

    name     a file, a folder, a pattern such as "logs/*.csv", "-" for the standard input, or a public data set
    reading  how to read a file; a data set takes no such settings
    filters  which interactions to keep

    Raises DataError if there is no such log or it cannot be read, and ConfigError for reading settings of a data set.
    """
    log = _read(name, reading, filters)
    say_facts(log)
    return log


def open_shards(
    name: str, reading: Reading, filters: LogFilters, memory_mb: int | None = None
) -> InteractionLog | ShardedLog:
    """Read a log as `open_log` does, but a prepared log that is not filtered stays in shards.

    name, reading, filters  as for `open_log`
    memory_mb               megabytes that decide how small the shards are; None takes the default

    Raises what `open_log` raises, and ConfigError for `memory_mb` where the log is not in shards.
    """
    if is_prepared(name) and reading == Reading() and filters == LogFilters():
        shards = open_prepared(name)
        say_facts(shards.log)
        return cut_for(shards, MEMORY_MB if memory_mb is None else memory_mb)
    if memory_mb is not None:
        raise ConfigError(
            f"--memory-mb has an effect only on a prepared log that is not filtered again; got {name}. Leave it out, "
            f"or prepare the log first: {command_line('data', 'prepare', name, '--out', 'FOLDER')}"
        )
    return open_log(name, reading, filters)


def say_facts(log: InteractionLog) -> None:
    """Say on stderr what was guessed, skipped and filtered when a log was read.

    log  the log
    """
    for sentence in log.provenance.get("notes", []):
        show.note(f"  {sentence}")
    for reason, bad in log.provenance.get("bad_rows", {}).items():
        words = bad_rows_in_words(bad)
        end = f": {words}" if words else ""
        show.note(f"  skipped {bad['count']:,} rows {reason}; the first is at {bad['first']:,}{end}")
    for step in log.provenance.get("filters", []):
        show.note(f"  filter {step['filter']} dropped {step['dropped']:,} interactions")


def open_new_events(name: str, facts: Mapping[str, Any]) -> InteractionLog:
    """Read a log of new events as the log of a run was read.

    name   as for `open_log`
    facts  what the manifest of the run says about its log

    Filters on columns apply; the others look at old and new events together. Raises what `open_log` raises.
    """
    settings = facts.get("filter_settings", {})
    of_columns = LogFilters(**{key: value for key, value in settings.items() if key in FILTERS_OF_COLUMNS})
    is_read = is_prepared(name) or name in datasets.DATASETS
    return open_log(name, Reading() if is_read else Reading(**facts.get("reading", {})), of_columns)


def log_of_run(run: Recommender, moved_to: str | None) -> InteractionLog | ShardedLog:
    """Return the log of a run: of an updated run from the run itself, and otherwise as `reopen_shards` reads it.

    run       the run
    moved_to  where the log is now; None if it did not move

    Raises what `reopen_shards` raises.
    """
    facts = run.artefact.manifest["log"]
    is_own = moved_to is None and facts.get("source") == OWN_LOG
    return own_log(run.artefact) if is_own else reopen_shards(facts, moved_to)


def reopen_log(facts: Mapping[str, Any], moved_to: str | None) -> InteractionLog:
    """Read the log of a run again, with the settings of the first time.

    facts     what the manifest of the run says about its log
    moved_to  where the log is now; None if it did not move

    Raises ArtefactError if the run does not say where its log is, or the log is not there.
    """
    name = moved_to or facts.get("dataset") or facts.get("source")
    if name in (None, "frame", "simulated", sources.PIPE):
        kind = "from a pipe" if name == sources.PIPE else "in memory"
        raise ArtefactError(f"the run was trained on a log {kind}; give the same log as a file with --log.")
    if not moved_to and "dataset" not in facts and not sources.exists(name):
        raise ArtefactError(f"the run's log must still be at {name}; it is not. Say where it is with --log.")
    if is_prepared(name):  # it was read when it was prepared
        return _read(name, Reading(), _later_filters(facts))
    reading = Reading() if name in datasets.DATASETS else Reading(**facts.get("reading", {}))
    return _read(name, reading, LogFilters(**facts.get("filter_settings", {})))


def reopen_shards(facts: Mapping[str, Any], moved_to: str | None) -> InteractionLog | ShardedLog:
    """Read the log of a run again as `reopen_log` does, but a prepared log that was not filtered stays in shards.

    facts, moved_to  as for `reopen_log`, which says what is raised
    """
    name = moved_to or facts.get("source")
    is_whole = _later_filters(facts) == LogFilters()
    if name is not None and "dataset" not in facts and is_prepared(name) and is_whole:
        return cut_for(open_prepared(name))
    return reopen_log(facts, moved_to)


def _later_filters(facts: Mapping[str, Any]) -> LogFilters:
    """The filters of a prepared log that were not applied when it was prepared; its digest proves those that were."""
    settings = facts.get("filter_settings", {})
    return LogFilters(**{name: value for name, value in settings.items() if name not in FILTERS_OF_COLUMNS})


def _read(name: str, reading: Reading, filters: LogFilters) -> InteractionLog:
    path = Path(name).expanduser()
    if name in datasets.DATASETS and not path.is_file():
        if typed := reading.model_dump(exclude_unset=True):
            raise ConfigError(
                f"a public data set is read in its own way; got {', '.join(typed)} for {name}. "
                "Leave it out, or name the file."
            )
        return datasets.load(name, filters=filters, on_message=show.note)
    if not sources.exists(name):
        raise DataError(
            f"LOG must be a file, a folder, a pipe or a public data set; got {name!r}, which is neither: "
            f"{did_you_mean(name, datasets.DATASETS)}"
        )
    return read_log(name, reading, filters=filters)
