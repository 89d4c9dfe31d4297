"""`caser train LOG --model auto`: try what there is within a budget, ship what wins, and say why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from caser.artefact import folder as artefact
from caser.cli import show
from caser.cli.flags import Switch, flat
from caser.cli.logs import Filters, Reading, open_log
from caser.cli.runs import save_run
from caser.cli.study import seconds_of
from caser.evaluation import protocols
from caser.models import MODELS
from caser.study.auto import auto
from caser.study.engine import AS_MANY_AS_CORES, DEFAULT_STORE, Plan

NAME = "auto"


def train_auto(
    log: str,
    /,
    *,
    out: Path,
    model: str = "auto",
    protocol: str = "leave-one-out",
    budget: str = "10m",
    jobs: int | None = AS_MANY_AS_CORES,
    store: Path = DEFAULT_STORE,
    json: Switch = False,
    reading: Annotated[Reading, flat("Reading the log")] = Reading(),  # noqa: B008 (frozen)
    filters: Annotated[Filters, flat("Filtering the log")] = Filters(),  # noqa: B008
) -> None:
    """Try every model within a budget, on validation, and save the one that wins, or a blend of the two best.

    The test part stays closed until `caser evaluate`. Run the same command again to continue: finished runs are kept.

    Parameters
    ----------
    log
        A file (CSV, TSV, JSON lines, Parquet, .inter, u.data, ratings.dat, ...) or the name of a public data set.
    out
        The run folder to write.
    model
        auto; `caser train --model NAME --help` shows the settings of one model.
    protocol
        How the log is split and judged.
    budget
        Time for choosing, all models together and shared equally: 10m, 90s, 1h. The winner's training comes on top.
    jobs
        Trainings side by side; as many as there are cores by default.
    store
        Where finished runs are kept, to be used again.
    json
        Print one JSON document instead of a table.

    """
    protocols.protocol_named(protocol)
    plan = Plan(budget=seconds_of(budget), workers=jobs, store=store.expanduser())
    artefact.check_writable(out)
    split = protocols.apply(protocol, open_log(log, reading, filters))
    with show.studying() as tell:
        winner = auto(split, plan, tell=tell)
    save_run(winner.recommender, out)
    name = winner.recommender.artefact.config.name
    if json:
        show.document({"run": str(out), "model": name, "why": list(winner.why), "validation": winner.tried})
        return
    metric = protocols.protocol_named(protocol).validation_metric
    show.table(
        f"validation, {metric}", ["model", metric], [(one, f"{value:.4f}") for one, value in winner.tried.items()]
    )
    for sentence in winner.why:
        show.remark(sentence)
    show.say(f"{name} is in {out}; judge it with: caser evaluate {out}")


train_auto.__annotations__["model"] = Literal[(NAME, *sorted(MODELS))]
train_auto.__annotations__["protocol"] = Literal[tuple(protocols.PROTOCOLS)]
