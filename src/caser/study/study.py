"""A study: several recipes under one protocol, with intervals, differences, cost, and verdicts in words.

`run_study` trains and judges the recipes, and puts the numbers together. The modules compare, ablate, sweep and
sessions choose the recipes and the reference row, and write the verdicts. A report is drawn from `Study.to_dict`.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

import caser
from caser.data.log import InteractionLog
from caser.data.split import Split
from caser.errors import ConfigError
from caser.evaluation import judge, protocols
from caser.evaluation.fingerprint import describe
from caser.evaluation.protocol import Part
from caser.evaluation.rank_table import RankTable
from caser.evaluation.report import Report
from caser.evaluation.statistics import Difference
from caser.study.engine import Outcome, Plan, StepListener, carry_out
from caser.study.recipes import Recipe

Kind = Literal["compare", "ablate", "sweep", "sessions"]


@dataclass(frozen=True, eq=False)
class Study:
    """The results of a study. A row is a recipe under its label.

    kind, title  which kind of study it is, and the question that it answers
    split        what the first view trains and judges on
    plan         how it was carried out
    report       the metrics of every row, with intervals and slices
    outcome      how each row was chosen, its runs, and their cost
    reference    the label of the row that the others are compared with
    differences  the difference of every other row to the reference, on `metric`
    verdicts     the results in sentences, the most important first
    advice       sentences on what to do
    notes        sentences on what was left out, and why
    extra        what only this kind of study has, in JSON values
    command      the command line that asked for the study; None if Python did
    """

    kind: Kind
    title: str
    split: Split
    plan: Plan
    report: Report
    outcome: Outcome
    reference: str
    differences: dict[str, Difference]
    verdicts: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    command: str | None = None

    def __repr__(self) -> str:
        return f"Study({self.kind}, {', '.join(self.outcome.runs)}, {self.report.fingerprint})"

    @property
    def metric(self) -> str:
        """The metric that chooses on validation, and that rows are compared by."""
        return self.report.protocol.validation_metric

    @property
    def ranking(self) -> list[str]:
        """The labels of all rows, best first."""
        return sorted(self.report.values, key=lambda label: -self.report.estimate(label, self.metric).value)

    def recipe(self, label: str) -> Recipe:
        """Return the recipe of a row after tuning. Raises KeyError for a label that is not in the study."""
        return self.outcome.chosen[label].recipe

    def to_dict(self) -> dict[str, Any]:
        """Return every number of the study, and what it rests on, as JSON values."""
        judged = self.report.to_dict()
        return {
            "kind": self.kind,
            "title": self.title,
            "command": self.command,
            "date": datetime.date.today().isoformat(),
            "version": caser.__version__,
            "machine": {"cores": os.cpu_count(), "platform": platform.machine(), "gpu": _gpu()},
            "log": facts_of_log(self.split.log),
            "protocol": judged["protocol"],
            "part": judged["part"],
            "fingerprint": judged["fingerprint"],
            "facts": judged["facts"],
            "metric": self.metric,
            "metrics": list(self.report.protocol.metrics),
            "owner": self.report.owner_word,
            "num_owners": self.report.num_owners,
            "num_queries": judged["num_queries"],
            "seeds": list(self.plan.seeds),
            "budget": self.plan.budget,
            "test_openings": self.outcome.num_openings,
            "verdicts": list(self.verdicts),
            "advice": list(self.advice),
            "notes": [*self.outcome.notes, *self.notes, *judged["notes"]],
            "rows": [self._row(label, judged) for label in self.outcome.runs],
            "slices": judged["slices"],
            **self.extra,
        }

    def _row(self, label: str, judged: Mapping[str, Any]) -> dict[str, Any]:
        tuned, runs, recipe = self.outcome.chosen[label], self.outcome.runs[label], self.recipe(label)
        peaks = [run.peak_memory_mb for run in runs if run.peak_memory_mb is not None]
        difference = self.differences.get(label)
        return {
            "label": label,
            "kind": "neural" if recipe.is_neural else "counting",
            "about": recipe.model.about,
            **recipe.facts(),
            "epochs": [run.epochs for run in runs] if recipe.is_neural else None,
            "parameters": runs[0].num_parameters,
            "trials": tuned.num_trials,
            "seconds": {
                "choosing": round(tuned.seconds, 2),
                **{name: _mean([run.seconds[name] for run in runs]) for name in ("training", "ranking")},
            },
            "peak_memory_mb": max(peaks) if peaks else None,
            "metrics": judged["models"][label],
            "by_seed": judged["by_seed"][label],
            "difference": None
            if difference is None
            else {"against": self.reference, "metric": self.metric, **difference.to_dict()},
            "beyond": judged["beyond"][label],
            "history": list(tuned.choice.history),
            "setting": recipe.setting,
            "group": recipe.group,
            "run": str(runs[0].folder),
        }


def run_study(
    kind: Kind,
    title: str,
    recipes: Mapping[str, Recipe],
    splits: Mapping[str, Split],
    plan: Plan,
    *,
    reference: Callable[[Report], str],
    baselines: Sequence[str] = (),
    tell: StepListener | None = None,
) -> Study:
    """Train and judge recipes, and compare each with a reference row.

    kind, title  which kind of study it is, and the question that it answers
    recipes      by label
    splits       the split of each view; all must ask for the same targets
    plan         seeds, budget, workers and store
    reference    returns the label of the reference row, given the report
    baselines    labels of the rows that the report's own verdicts compare the others with
    tell         called after each step

    Raises ConfigError if the plan has no seed, if every recipe failed, if the reference row failed, or if the views ask
    for different targets.
    """
    if not plan.seeds:
        raise ConfigError(
            "a study needs at least one seed to train and judge with; got seeds=(). Name one in Plan.seeds."
        )
    # Train, choose and rank.
    check_views(splits, plan.part)
    outcome = carry_out(recipes, splits, plan, tell or (lambda _: None))
    if not outcome.runs:
        raise ConfigError(f"a study needs a model that can be trained; all of them failed: {'; '.join(outcome.notes)}")
    # Measure.
    split = next(iter(splits.values()))
    tables = {label: [run.table for run in runs] for label, runs in outcome.runs.items()}
    if len(splits) > 1:
        tables = _with_facts_of(split, plan.part, tables)
    report = judge.report(tables, split, plan.part, baselines=[name for name in baselines if name in tables])
    # Compare every row with the reference.
    chosen = reference(report)
    if chosen not in tables:
        raise ConfigError(f"this study needs {chosen} to compare with; it failed: {'; '.join(outcome.notes)}")
    metric = report.protocol.validation_metric
    return Study(
        kind=kind,
        title=title,
        split=split,
        plan=plan,
        report=report,
        outcome=outcome,
        reference=chosen,
        differences=report.differences(chosen, metric),
    )


def facts_of_log(log: InteractionLog) -> dict[str, Any]:
    """Return the facts of a log that a report shows: its name, sizes and digest."""
    name = log.provenance.get("dataset") or log.provenance.get("source") or log.provenance.get("world") or "log"
    return {
        "name": re.split(r"[/\\]", str(name))[-1],
        "interactions": len(log),
        "users": log.num_users,
        "items": log.num_items,
        "digest": log.digest,
    }


def check_views(splits: Mapping[str, Split], part: Part) -> None:
    """Raise ConfigError unless all views ask for the same targets, of the same users, among the same candidates.

    splits  the split of each view
    part    the part of every split that judges
    """
    (first, split), *others = splits.items()
    for view, other in others:
        asked, asked_by_other = _what_is_asked(split, part), _what_is_asked(other, part)
        for name in asked:
            if not np.array_equal(asked[name], asked_by_other[name]):
                raise ConfigError(
                    f"the views of a study must ask the same; {first} and {view} differ in their {name}. Make both "
                    "from one log, by one protocol."
                )


def _what_is_asked(split: Split, part: Part) -> dict[str, Any]:
    queries, rules = protocols.parts(split, part)[1], protocols.resolve(split.name, split, part)
    seen = np.stack(queries.seen(slice(None))) if rules.remove_seen else np.zeros(0)
    return {
        "targets": queries.targets,
        "queries": queries.target_offsets,
        "users or sessions": queries.owners,
        "candidates": rules.candidates,
        "seen items": seen,
    }


def _with_facts_of(split: Split, part: Part, tables: Mapping[str, Sequence[RankTable]]) -> dict[str, list[RankTable]]:
    """Give the tables of all views the facts of one split, because one report refuses tables with different facts.

    The views ask for the same targets. They differ in the history that a model may read, which belongs to the recipe.
    """
    facts = describe(split, protocols.resolve(split.name, split, part), part)
    return {label: [replace(table, facts=facts) for table in seeds] for label, seeds in tables.items()}


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 3)


def _gpu() -> str | None:
    try:
        import torch
    except ModuleNotFoundError:
        return None
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None
