"""`caser data`: fetch public data sets, describe a log, simulate a world whose right answer is known."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import cyclopts
import polars as pl

from caser.cli import show
from caser.cli.flags import Switch, TableFile, flag_name, flat
from caser.cli.logs import Filters, Reading, open_log
from caser.data import datasets, synthetic
from caser.data.describe import describe as facts_of
from caser.system.frames import write_frames

FETCHABLE = [name for name, dataset in datasets.DATASETS.items() if dataset.sources]
DataSetName: TypeAlias = Annotated[str, cyclopts.Parameter(help=f"One of {', '.join(FETCHABLE)}.")]


def build_app() -> cyclopts.App:
    """Make the `caser data` commands."""
    app = cyclopts.App(help="Fetch, describe and simulate logs.", name_transform=flag_name, help_format="markdown")
    app.command(fetch)
    app.command(describe)
    simulate.__annotations__["world"] = Literal[tuple(synthetic.WORLDS)]
    app.command(simulate)
    return app


def fetch(name: DataSetName, /, *, json: Switch = False) -> None:
    """Put a public data set into the cache: from its official address, or from a mirror, checked by SHA-256.

    Parameters
    ----------
    json
        Print one JSON document instead of sentences.

    """
    fetched = datasets.fetch(name, on_message=show.say)
    if json:
        show.document({"name": name, "path": str(fetched)})
    else:
        show.say(f"{name} is at {fetched}")


def describe(
    log: str,
    /,
    *,
    json: Switch = False,
    reading: Annotated[Reading, flat("Reading the log")] = Reading(),  # noqa: B008 (frozen)
    filters: Annotated[Filters, flat("Filtering the log")] = Filters(),  # noqa: B008
) -> None:
    """Say what is in a log: sizes, times, ties, repeats, popularity.

    Parameters
    ----------
    log
        A file, or the name of a public data set.
    json
        Print one JSON document instead of a table.

    """
    facts = facts_of(open_log(log, reading, filters))
    if json:
        show.document(facts)
    else:
        rows = [(name.replace("_", " "), value) for name, value in facts.items() if not isinstance(value, dict | list)]
        show.table(log, ["", ""], rows)


def simulate(
    world: str,
    /,
    *,
    out: TableFile,
    num_users: int | None = None,
    num_items: int | None = None,
    length: int | None = None,
    seed: int = 0,
    json: Switch = False,
) -> None:
    """Write a log from a world whose best possible hit rate is known.

    Parameters
    ----------
    world
        chain: the last item decides; union: a pair decides; skip: an earlier item decides; noise: nothing does.
    out
        The .csv or .parquet file to write.
    num_users
        Number of users.
    num_items
        Number of items.
    length
        Interactions per user.
    seed
        Seed of the world.
    json
        Print one JSON document instead of a sentence.

    """
    sizes = {"num_users": num_users, "num_items": num_items, "length": length}
    made = synthetic.WORLDS[world](**{name: value for name, value in sizes.items() if value is not None}, seed=seed)
    log = made.log
    frame = pl.DataFrame(
        {
            "user_id": log.user_vocabulary.raw(log.users),
            "item_id": log.item_vocabulary.raw(log.items),
            "timestamp": log.times // 1_000_000 if log.has_times else log.rows,
        }
    )
    write_frames(out, [frame], frame.schema)
    best = made.best_hit_rate()
    if json:
        show.document({"out": str(out), "interactions": len(log), "description": made.description, "best_hit@1": best})
    else:
        show.say(f"wrote {out}: {made.description}; the best possible hit rate at 1 is {best:.3f}")
