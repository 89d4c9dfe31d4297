"""Published tables: recipes judged under one protocol, printed for people and saved as JSON in benchmarks/results.

For each recipe, validation chooses the number of epochs with the first seed, and all seeds use it; then the test part
is judged. Finished runs are kept in runs/benchmarks and used again, so an interrupted table goes on where it stopped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from caser.data import datasets
from caser.evaluation import protocols
from caser.models import COUNTING_BASELINES
from caser.study.compare import best_of
from caser.study.engine import AS_MANY_AS_CORES, Plan, Step
from caser.study.recipes import Recipe
from caser.study.study import Study, run_study
from caser.study.words import sentence

STORE = Path("runs/benchmarks")
RESULTS = Path(__file__).parent / "results"


def tell(step: Step) -> None:
    """Say on stderr what has been done."""
    print(f"{step.done}/{step.total} {step.action} {step.label}: {step.sentence}", file=sys.stderr, flush=True)


def table(
    name: str,
    dataset: str,
    protocol: str,
    recipes: Mapping[str, Recipe],
    quoted: Sequence[str] = (),
    seeds: tuple[int, ...] = (0, 1, 2),
    benchmark: str | None = None,
) -> None:
    """Judge recipes and the counting baselines, then print and save the table.

    name       of the file in benchmarks/results
    dataset    of `caser.data.datasets`
    protocol   a name of PROTOCOLS
    recipes    label -> recipe
    quoted     sentences with numbers that others have published, to print below the table
    seeds      of every recipe
    benchmark  the benchmark that makes the table, if it has another name than the file
    """
    split = protocols.apply(protocol, datasets.load(dataset))
    counting = {model: Recipe.of(model) for model in COUNTING_BASELINES}
    study = run_study(
        "compare",
        name,
        {**counting, **recipes},
        {"": split},
        Plan(store=STORE, seeds=seeds, workers=AS_MANY_AS_CORES),
        reference=lambda report: best_of(counting, report),
        baselines=list(counting),
        tell=tell,
    )
    verdicts = [sentence(study, label, study.reference) for label in recipes]
    publish(name, study, verdicts, quoted, benchmark)


def publish(
    name: str, study: Study, verdicts: Sequence[str], quoted: Sequence[str] = (), benchmark: str | None = None
) -> None:
    """Print a study as a Markdown table with sentences below it, and save it as JSON.

    name       of the file in benchmarks/results
    study      the study
    verdicts   sentences that compare models
    quoted     sentences with numbers that others have published
    benchmark  the benchmark that makes the table, if it has another name than the file
    """
    result = study.to_dict()
    print(f"| | {' | '.join(result['metrics'])} |\n|---|{'---|' * len(result['metrics'])}")
    for row in result["rows"]:
        print(f"| {row['label']} | {' | '.join(map(_cell, row['metrics'].values()))} |")
    for text in (*verdicts, *result["notes"], *quoted):
        print(f"\n{text}")
    RESULTS.mkdir(exist_ok=True)
    command = f"python tools/dev.py bench {benchmark or name}"
    saved = {**result, "command": command, "verdicts": list(verdicts), "quoted": list(quoted)}
    for row in saved["rows"]:
        row.pop("run")
    path = RESULTS / f"{name}.json"
    if path.exists():
        print(f"\n{compared(saved, json.loads(path.read_text(encoding='utf-8')))}")
    path.write_text(json.dumps(saved, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def compared(new: Mapping[str, Any], published: Mapping[str, Any]) -> str:
    """Return one sentence on how far a table is from the one that was saved before it.

    new, published  what `publish` saves
    """
    of = f"The saved table of {published['date']}"
    if new["fingerprint"] != published["fingerprint"]:
        return f"{of} has another fingerprint, {published['fingerprint']}: it cannot be compared."
    before = _values(published)
    apart = {key: abs(value - before[key]) for key, value in _values(new).items() if key in before}
    if not apart:
        return f"{of} has other models."
    (label, metric), most = max(apart.items(), key=lambda item: item[1])
    if most < 5e-5:  # equal as printed
        return f"{of} has the same numbers."
    return f"Against {of[0].lower()}{of[1:]}, the largest difference is {most:.4f}: {metric} of {label}."


def _values(saved: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    return {(row["label"], name): one["value"] for row in saved["rows"] for name, one in row["metrics"].items()}


def _cell(estimate: Mapping[str, Any]) -> str:
    return f"{estimate['value']:.4f} ({estimate['low']:.4f} to {estimate['high']:.4f})"
