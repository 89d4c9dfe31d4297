"""`caser data`: fetch public data sets, describe and simulate logs, and write the events of a service as a log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import cyclopts
import polars as pl

from caser.cli import show
from caser.cli.configuration import with_config
from caser.cli.flags import FilterFlags, LocalOrRay, ReadingFlags, Switch, TableFile, Whole, flag_name, one_of
from caser.cli.logs import open_log, say_facts
from caser.data import datasets, synthetic
from caser.data.describe import describe as facts_of
from caser.data.filters import LogFilters
from caser.data.log import InteractionLog
from caser.data.prepared.folder import is_prepared
from caser.data.prepared.folder import verify as check_files
from caser.data.prepared.prepare import MEMORY_MB, prepare_log
from caser.data.readers import Reading
from caser.data.time_units import times_in_words
from caser.errors import ConfigError
from caser.study.audit.findings import share
from caser.system.frames import write_frames

FETCHABLE = [name for name, dataset in datasets.DATASETS.items() if dataset.sources]
"""The data sets that have an address to fetch them from."""

LABELS: Mapping[str, str] = {
    "interactions": "interactions",
    "users": "users",
    "items": "items",
    "density": "interactions per pair of user and item",
    "interactions_per_user_least": "interactions of a user, the fewest",
    "interactions_per_user_lower_quartile": "  a quarter of users have at most",
    "interactions_per_user_median": "  half of users have at most",
    "interactions_per_user_upper_quartile": "  three quarters of users have at most",
    "interactions_per_user_most": "  the most",
    "time_unit": "times were read as",
    "first_time": "first time",
    "last_time": "last time",
    "share_of_rows_tied": "tied: same user and time as another one",
    "share_of_users_with_tied_last_time": "users whose last time is tied",
    "share_of_repeats": "repeats: the user had the item before",
    "share_of_consecutive_repeats": "  and just before",
    "duplicates": "duplicates: same user, item and time",
    "popularity_gini": "Gini of popularity (0: all items alike)",
    "share_of_top_1_percent_of_items": "share of the most popular 1 % of items",
}
"""What the table of `describe` calls each fact, in at most 40 characters."""

DataSetName: TypeAlias = Annotated[str, cyclopts.Parameter(help=f"One of {', '.join(FETCHABLE)}.")]


def build_app() -> cyclopts.App:
    """Make the `caser data` commands."""
    app = cyclopts.App(help="Fetch, describe and make logs.", name_transform=flag_name, help_format="markdown")
    for command in (fetch, describe, prepare, simulate, events):
        app.command(with_config(command))
    return app


def fetch(name: DataSetName, /, *, json: Switch = False) -> None:
    """Put a public data set into the cache, from its official address or from a mirror. SHA-256 checks the file.

    Parameters
    ----------
    json
        Print one JSON document instead of sentences.

    """
    fetched = datasets.fetch(name, on_message=show.note)
    if json:
        show.document({"name": name, "path": str(fetched)})
    else:
        show.note(f"{name} is at {fetched}")


def describe(
    log: str,
    /,
    *,
    verify: Switch = False,
    json: Switch = False,
    reading: ReadingFlags = Reading(),  # noqa: B008 (frozen)
    filters: FilterFlags = LogFilters(),  # noqa: B008
) -> None:
    """Describe a log: sizes, times, ties, repeats, popularity.

    Parameters
    ----------
    log
        A file, a prepared log, or the name of a public data set.
    verify
        Compare the SHA-256 of every file of a prepared log first.
    json
        Print one JSON document instead of a table.

    """
    if verify:
        if not is_prepared(log):
            raise ConfigError(f"--verify has an effect only on a prepared log; got {log}. Leave it out.")
        check_files(log)
    facts = facts_of(open_log(log, reading, filters))
    if json:
        show.document(facts)
    else:
        known = [name for name in LABELS if facts[name] is not None]
        show.table(log, ["", ""], [(LABELS[name], _in_words(name, facts[name])) for name in known])
        if facts["source"] is not None:
            show.remark(f"read from {facts['source']}")


def _in_words(name: str, value: Any) -> Any:
    """Return a fact as the table of `describe` shows it: shares as percentages, and how times were written in words."""
    if name == "time_unit":
        return times_in_words(value)
    return share(value) if name.startswith("share_") else value


def prepare(
    *source: str,
    out: Path,
    shards: Whole | None = None,
    memory_mb: Whole = MEMORY_MB,
    sql: str | None = None,
    connection: str | None = None,
    engine: LocalOrRay = "local",
    min_rating: float | None = None,
    event_types: tuple[str, ...] = (),
    json: Switch = False,
    reading: ReadingFlags = Reading(),  # noqa: B008 (frozen)
) -> None:
    """Write a log that need not fit into memory as a folder, which every command takes in place of a log.

    If it is killed, the same command goes on where it was.

    Parameters
    ----------
    source
        Files, folders of parts or patterns such as 'logs/*.csv'; or Parquet files in a store, as s3://bucket/log/*.parquet.
    out
        The folder to write.
    shards
        Number of shards in which training and evaluation read it. By default one fits into a quarter of the memory.
    memory_mb
        About how many megabytes of memory it may take, beside what Python and its packages take.
    sql
        A query whose rows are the log, with --connection.
    connection
        The database: sqlite:///FILE, duckdb:///FILE or postgresql://...
    engine
        What reads it: this process (local). A Ray cluster (ray) cannot do that yet, and is refused.
    min_rating
        Keep interactions with at least this rating.
    event_types
        Keep interactions of these kinds; all kinds when empty.
    json
        Print one JSON document instead of sentences.

    """
    if engine == "ray":
        raise ConfigError(
            "a log is prepared on one machine: the number of each row depends on all rows before it; got --engine ray. "
            "Leave --engine out; training and answers on a cluster take the prepared log (docs/scale.md)."
        )
    filters = LogFilters(min_rating=min_rating, event_types=event_types)
    log = prepare_log(
        source,
        out,
        reading,
        filters=filters,
        num_shards=shards,
        memory_mb=memory_mb,
        sql=sql,
        connection=connection,
        on_message=show.note,
    )
    say_facts(log.log)
    facts = {
        "interactions": log.num_interactions,
        "users": log.num_users,
        "items": log.num_items,
        "shards": log.num_shards,
        "digest": log.digest,
    }
    if json:
        show.document({"out": str(out), **facts})
    else:
        sizes = ", ".join(f"{facts[name]:,} {name}" for name in ("interactions", "users", "items", "shards"))
        show.note(f"wrote {out}: {sizes}")


def simulate(
    world: Annotated[str, one_of(synthetic.WORLDS)],
    /,
    *,
    out: TableFile,
    num_users: int | None = None,
    num_items: int | None = None,
    length: int | None = None,
    session_length: int | None = None,
    seed: int = 0,
    json: Switch = False,
) -> None:
    """Write a log from a simulated world whose best possible hit rate is known.

    Parameters
    ----------
    world
        What decides the next item. chain: the last item; union: a pair of items; skip: an earlier item; noise: nothing.
    out
        The .parquet, .csv, .tsv or .jsonl file (text also with .gz) to write.
    num_users
        Number of users.
    num_items
        Number of items.
    length
        Number of interactions of each user.
    session_length
        A user pauses for a day after so many interactions, so that `caser compare --sessions` finds sessions. Without
        it, nobody pauses.
    seed
        Seed of the world.
    json
        Print one JSON document instead of a sentence.

    """
    sizes = {"num_users": num_users, "num_items": num_items, "length": length}
    made = synthetic.WORLDS[world](**{name: value for name, value in sizes.items() if value is not None}, seed=seed)
    if session_length is not None:
        made = made.in_sessions(session_length)
    frame = _as_frame(made.log)
    write_frames(out, [frame], frame.schema)
    best = made.best_hit_rate()
    if json:
        facts = {"interactions": len(made.log), "description": made.description, "best_hit@1": best}
        show.document({"out": str(out), **facts})
    else:
        show.note(f"wrote {out}: {made.description}; the best possible hit rate at 1 is {best:.3f}")


def events(store: str, /, *, out: TableFile, csv_safe: Switch = False, json: Switch = False) -> None:
    """Write the events that a service has stored as a log, with user_id, item_id, and timestamp in seconds.

    Where events have kinds, the log has the column event_type, too.

    Parameters
    ----------
    store
        What `caser serve --store` got: a file, or postgresql://user@host/name. The service may be running.
    out
        The .csv or .parquet file to write.
    csv_safe
        In a .csv or .tsv file, put a ' before text that begins like a formula, for a person who opens the file in a
        spreadsheet. Such an id is then no longer written as in the log.
    json
        Print one JSON document instead of a sentence.

    """
    from caser.service.events.export import event_frames

    count = 0
    frames = event_frames(store)
    first = next(frames)

    def counted() -> Iterator[pl.DataFrame]:
        nonlocal count
        for frame in chain([first], frames):
            count += len(frame)
            yield frame

    write_frames(out, counted(), first.schema, csv_safe=csv_safe)
    if json:
        show.document({"out": str(out), "events": count})
    else:
        show.note(f"wrote {out}: {count:,} events")


def _as_frame(log: InteractionLog) -> pl.DataFrame:
    """Return the interactions with raw ids and times in seconds, or with their order as times if there are none."""
    return pl.DataFrame(
        {
            "user_id": log.user_vocabulary.raw(log.users),
            "item_id": log.item_vocabulary.raw(log.items),
            "timestamp": log.times // 1_000_000 if log.has_times else log.rows,
        }
    )
