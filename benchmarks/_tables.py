"""Published tables: recipes under one protocol, printed for people and kept as JSON in benchmarks/results.

The number of epochs is chosen on validation with the first seed and used by all; the test part is judged once a recipe
is fitted. Finished runs are kept in runs/benchmarks and used again, so a table that was stopped goes on where it was.
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
from caser.study.compare import best_of, sentence
from caser.study.engine import AS_MANY_AS_CORES, Plan, Step
from caser.study.recipes import Recipe
from caser.study.study import Study, run_study

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
) -> None:
    """Carry out the recipes beside the counting baselines; `quoted` are sentences with other people's numbers."""
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
    publish(name, study, verdicts, quoted)


def publish(name: str, study: Study, verdicts: Sequence[str], quoted: Sequence[str] = ()) -> None:
    """Print a Markdown table and sentences, and keep the numbers."""
    found = study.to_dict()
    print(f"| | {' | '.join(found['metrics'])} |\n|---|{'---|' * len(found['metrics'])}")
    for row in found["rows"]:
        print(f"| {row['label']} | {' | '.join(map(_cell, row['metrics'].values()))} |")
    for text in (*verdicts, *found["notes"], *quoted):
        print(f"\n{text}")
    RESULTS.mkdir(exist_ok=True)
    kept = {**found, "command": f"python tools/dev.py bench {name}", "verdicts": list(verdicts), "quoted": list(quoted)}
    for row in kept["rows"]:
        row.pop("run")
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _cell(estimate: Mapping[str, Any]) -> str:
    return f"{estimate['value']:.4f} ({estimate['low']:.4f} to {estimate['high']:.4f})"
