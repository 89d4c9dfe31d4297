"""Recipes trained with several seeds, and judged together once all are there: what the quality benchmarks share.

The number of epochs is chosen on validation with the first seed, and used by all. A finished run is a folder under
runs/benchmarks and is used again; one that was killed continues. Recipes can be trained by several processes at once
(`--recipe`); the process that finds all runs there prints the table.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from caser import recommender
from caser.config import Training
from caser.data import datasets
from caser.data.split import Split
from caser.evaluation import judge, protocols
from caser.evaluation.statistics import mean_over_seeds
from caser.fitting import Progress, fit
from caser.models.caser import Caser

RUNS = Path("runs/benchmarks")
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Recipe:
    """A model, how to train it, and whether the number of epochs is chosen on validation or part of the recipe."""

    model: Caser
    training: Training
    choose: bool = True
    about: str = ""


def main(name: str, dataset: str, protocol: str, recipes: Mapping[str, Recipe], quoted: Sequence[str] = ()) -> None:
    """Train what is missing, then judge everything; `quoted` are sentences with other people's numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", choices=sorted(recipes), action="append", help="train only this recipe")
    words = parser.parse_args()
    seeds = [0, 1, 2]
    split = protocols.apply(protocol, datasets.load(dataset))
    for recipe in words.recipe or recipes:
        first = train(name, recipe, recipes[recipe], seeds[0], split)
        for seed in seeds[1:]:
            train(name, recipe, replace(recipes[recipe], choose=False), seed, split, epochs=first)
    if all(folder(name, recipe, seed).exists() for recipe in recipes for seed in seeds):
        show(name, table(name, recipes, seeds, split), quoted)
    else:
        print("some recipes or seeds are still to be trained; run again without options for the table", file=sys.stderr)


def folder(name: str, recipe: str, seed: int) -> Path:
    """Where a run is kept."""
    return RUNS / name / f"{recipe}-{seed}"


def train(name: str, label: str, recipe: Recipe, seed: int, split: Split, epochs: int | None = None) -> int:
    """Train one recipe with one seed, unless it is there; return its number of epochs."""
    out = folder(name, label, seed)
    if out.exists():
        return int(recommender.load(out).artefact.manifest["epochs"])

    def tell(progress: Progress) -> None:
        if progress.done:
            value = "" if progress.validation is None else f" validation {progress.validation:.4f}"
            rate = progress.done.num_states / progress.done.seconds
            about = f"{label} seed {seed}: {progress.stage} epoch {progress.epoch} loss {progress.done.loss:.4f}{value}"
            print(f"{about} {rate:,.0f} positions/s", file=sys.stderr, flush=True)

    checkpoint = out.with_name(f"{out.name}.checkpoint")
    training = recipe.training.but(seed=seed, epochs=epochs or recipe.training.epochs)
    fitted = fit(
        recipe.model,
        split,
        training,
        epochs=None if recipe.choose else training.epochs,
        checkpoint=checkpoint,
        tell=tell,
    )
    fitted.save(out)
    checkpoint.unlink()
    return int(fitted.artefact.manifest["epochs"])


def table(name: str, recipes: Mapping[str, Recipe], seeds: Sequence[int], split: Split) -> dict[str, Any]:
    """Judge the counting models and every run on the test part; a recipe's row is the mean over its seeds."""
    counting = judge.counting_baselines(split)
    runs = {label: [recommender.load(folder(name, label, seed)) for seed in seeds] for label in recipes}
    scorers = {name: [scorer] for name, scorer in counting.items()}
    scorers |= {label: [run.artefact.scorer for run in own] for label, own in runs.items()}
    tables = {name: [judge.rank(scorer, split) for scorer in own] for name, own in scorers.items()}
    report = judge.report(tables, split, baselines=counting)
    metrics = report.protocol.metrics
    rows: dict[str, Any] = {
        model: {metric: report.estimate(model, metric).to_dict() for metric in metrics} for model in tables
    }
    for label in recipes:
        for metric in metrics:
            per_seed = report.values[label][metric].mean(axis=1)
            rows[label][metric] = {**mean_over_seeds(per_seed).to_dict(), "seeds": per_seed.round(4).tolist()}
    return {
        "name": name,
        "protocol": report.protocol.name,
        "fingerprint": report.fingerprint,
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "seeds": list(seeds),
        "epochs": {label: [run.artefact.manifest["epochs"] for run in own] for label, own in runs.items()},
        "models": rows,
        "comparisons": report.verdicts(),
        "notes": list(report.notes),
    }


def show(name: str, result: Mapping[str, Any], quoted: Sequence[str]) -> None:
    """Print a Markdown table for people and keep the JSON."""
    metrics = list(next(iter(result["models"].values())))
    print(f"| model | {' | '.join(metrics)} |\n|---|{'---|' * len(metrics)}")
    for model, values in result["models"].items():
        cells = [f"{one['value']:.4f} ({one['low']:.4f} to {one['high']:.4f})" for one in values.values()]
        print(f"| {model} | {' | '.join(cells)} |")
    for sentence in (*result["comparisons"], *result["notes"], *quoted):
        print(f"\n{sentence}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
