"""`caser train LOG --model auto`: try every model within a time budget, and save the one that wins."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from caser.cli import show
from caser.cli.flags import AUTO, FilterFlags, ReadingFlags, Switch, one_of
from caser.cli.logs import open_log
from caser.cli.runs import save_run, tell_next, tell_unjudged, writing_run
from caser.cli.study_options import seconds_of
from caser.data.filters import LogFilters
from caser.data.readers import Reading
from caser.evaluation import protocols
from caser.evaluation.protocols import DEFAULT_PROTOCOL, PROTOCOLS
from caser.models import MODELS
from caser.study.auto import auto
from caser.study.engine import AS_MANY_AS_CORES, DEFAULT_STORE, Plan


def train_auto(
    log: str,
    /,
    *,
    out: Path,
    model: Annotated[str, one_of([AUTO, *MODELS])] = AUTO,
    protocol: Annotated[str, one_of(PROTOCOLS)] = DEFAULT_PROTOCOL,
    budget: str = "10m",
    all: Switch = False,
    jobs: int | None = AS_MANY_AS_CORES,
    store: Path = DEFAULT_STORE,
    json: Switch = False,
    reading: ReadingFlags = Reading(),  # noqa: B008 (frozen)
    filters: FilterFlags = LogFilters(),  # noqa: B008
) -> None:
    """Try every model within a time budget, on validation, and save the best one, or a blend of the two best.

    The test part stays closed until `caser evaluate`. Run the same command again to continue: finished runs are kept.

    Parameters
    ----------
    log
        A file (CSV, TSV, JSON lines, Parquet, .inter, u.data, ratings.dat, ...) or the name of a public data set.
    out
        The run folder to write.
    model
        auto. `caser train --model NAME --help` shows the settings of one model.
    protocol
        How the log is split and judged.
    budget
        Time for choosing, such as 10m, 90s or 1h; all models share it equally. The winner's own training comes on top.
    all
        Train the winner on everything, test part included: for a model that will not be judged.
    jobs
        How many models train at the same time; by default as many as there are cores.
    store
        The folder that keeps finished runs, so that they are used again.
    json
        Print one JSON document instead of a table.

    """
    plan = Plan(budget=seconds_of(budget), workers=jobs, store=store)
    with writing_run(out):
        split = protocols.apply(protocol, open_log(log, reading, filters), judged=not all)
        tell_unjudged(split)
        with show.study_progress() as tell:
            winner = auto(split, plan, train_on="all" if all else "final", tell=tell)
        save_run(winner.recommender, out)
    name = winner.recommender.artefact.config.name
    if json:
        show.document({"run": str(out), "model": name, "why": list(winner.why), "validation": winner.tried})
        return
    metric = protocols.protocol_named(protocol).validation_metric
    rows = [(label, f"{value:.4f}") for label, value in winner.tried.items()]
    show.table(f"validation, {metric}", ["model", metric], rows)
    for sentence in winner.why:
        show.remark(sentence)
    tell_next(out, winner.recommender.artefact.manifest)
