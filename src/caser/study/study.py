"""A study: recipes side by side under one protocol, with intervals, cost, and what it amounts to in words.

`conduct` carries the recipes out and puts the numbers together; compare, ablate, sweep and sessions say which recipes,
against which of them differences are taken, and what the numbers mean. `to_dict` is what a report is drawn from.
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
from caser.data.split import Split
from caser.errors import ConfigError
from caser.evaluation import judge, protocols
from caser.evaluation.fingerprint import describe
from caser.evaluation.protocols import Part
from caser.evaluation.rank_table import RankTable
from caser.evaluation.report import Report
from caser.evaluation.statistics import Difference
from caser.study.engine import Outcome, Plan, Tell, carry_out
from caser.study.recipes import Recipe

Kind = Literal["compare", "ablate", "sweep", "sessions"]


@dataclass(frozen=True, eq=False)
class Study:
    """What came of the recipes.

    report     their metrics, intervals and slices          outcome    how each was chosen, its runs and their cost
    reference  the row that differences are taken against   differences  of every other row to it, on `metric`
    verdicts   what it amounts to, most important first     advice     what to do about it
    extra      what only this kind of study has, in JSON values
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

    @property
    def metric(self) -> str:
        """The metric that chooses and that is compared."""
        return self.report.protocol.validation_metric

    @property
    def ranking(self) -> list[str]:
        """The rows, best first."""
        return sorted(self.report.values, key=lambda label: -self.report.estimate(label, self.metric).value)

    def recipe(self, label: str) -> Recipe:
        """A row's recipe, as it was tuned."""
        return self.outcome.chosen[label].recipe

    def to_dict(self) -> dict[str, Any]:
        """JSON values: every number of the report, and what it comes from."""
        judged = self.report.to_dict()
        return {
            "kind": self.kind,
            "title": self.title,
            "command": self.command,
            "date": datetime.date.today().isoformat(),
            "version": caser.__version__,
            "machine": {"cores": os.cpu_count(), "platform": platform.machine(), "gpu": _gpu()},
            "log": facts_of_log(self.split),
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


def conduct(
    kind: Kind,
    title: str,
    recipes: Mapping[str, Recipe],
    splits: Mapping[str, Split],
    plan: Plan,
    *,
    reference: Callable[[Report], str],
    baselines: Sequence[str] = (),
    tell: Tell | None = None,
) -> Study:
    """Carry recipes out and judge them; `reference` picks the row that differences are taken against.

    `splits` has one split for each view; the first says what is asked, and the others ask for the same targets.
    """
    check_views(splits, plan.part)
    outcome = carry_out(recipes, splits, plan, tell or (lambda _: None))
    if not outcome.runs:
        raise ConfigError(f"a study needs a model that can be trained; got none: {'; '.join(outcome.notes)}")
    split = next(iter(splits.values()))
    tables = {label: [run.table for run in runs] for label, runs in outcome.runs.items()}
    if len(splits) > 1:
        tables = _of_one_question(tables, split, plan.part)
    report = judge.report(tables, split, plan.part, baselines=[name for name in baselines if name in tables])
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


def facts_of_log(split: Split) -> dict[str, Any]:
    """What a study says of its log: name, sizes, digest."""
    log = split.log
    name = log.provenance.get("dataset") or log.provenance.get("source") or log.provenance.get("world") or "log"
    return {
        "name": re.split(r"[/\\]", str(name))[-1],
        "interactions": len(log),
        "users": log.num_users,
        "items": log.num_items,
        "digest": log.digest,
    }


def check_views(splits: Mapping[str, Split], part: Part) -> None:
    """Raise ConfigError unless all views ask for the same targets, of the same users, among the same candidates."""
    (first, split), *others = splits.items()
    for view, other in others:
        for what, one, two in zip(_ASKED, _asked(split, part), _asked(other, part), strict=True):
            if not np.array_equal(one, two):
                raise ConfigError(
                    f"the views of a study must ask the same; {first} and {view} differ in their {what}. Make both of "
                    "one log, by one protocol."
                )


_ASKED = ("targets", "queries", "users or sessions", "candidates", "seen items")


def _asked(split: Split, part: Part) -> list[Any]:
    queries, rules = protocols.parts(split, part)[1], protocols.resolve(split.name, split, part)
    seen = np.stack(queries.seen(slice(None))) if rules.remove_seen else np.zeros(0)
    return [queries.targets, queries.target_offsets, queries.owners, rules.candidates, seen]


def _of_one_question(tables: Mapping[str, Sequence[RankTable]], split: Split, part: Part) -> dict[str, list[RankTable]]:
    """Tables of several views as answers to one question: what a view may read belongs to its recipe."""
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
