"""What `caser train LOG` ships on logs of several kinds, against the best rivals on each (an hour on two cores).

The shipped model is chosen by `caser.best` on validation, with no settings. The rivals are counting models and the
networks GRU4Rec and SASRec, each with its defaults for the log and one seed. All are judged once on the test part.
Type names of logs to make only their part of the table: `python -m benchmarks.default_choice ml-100k`. A path is a log
of your own, judged by leave-one-out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks._tables import RESULTS, STORE, tell
from caser.answering.recommender import load
from caser.data import datasets
from caser.data.readers import read_log
from caser.data.split import Split
from caser.evaluation import judge, protocols
from caser.study.best import best
from caser.study.engine import AS_MANY_AS_CORES, Plan, carry_out
from caser.study.recipes import Recipe

LOGS = {"ml-100k": "d2l", "yoochoose-clicks": "sessions", "amazon-beauty": "leave-one-out", "ml-1m": "leave-one-out"}
"""The protocol of each log."""

RIVALS = ("count-knn", "session-knn", "ease", "gru4rec", "sasrec")
SHIPPED = "caser train LOG"


def judged(name: str, split: Split) -> dict[str, Any]:
    """Fit and judge everything on one log; what a former call has made is used again."""
    metric = protocols.protocol_named(split.name).validation_metric
    folder = STORE / "default_choice" / name
    if not folder.exists():
        winner = best(split, checkpoints=folder.with_suffix(".checkpoints"))
        winner.recommender.save(folder)
    shipped = load(folder)
    recipes = {model: Recipe.of(model) for model in RIVALS}
    plan = Plan(store=STORE, seeds=(0,), workers=AS_MANY_AS_CORES)
    runs = carry_out(recipes, {"": split}, plan, tell).runs
    tables = {SHIPPED: [judge.rank(shipped.artefact.scorer, split, "test")]}
    tables |= {label: [one.table for one in found] for label, found in runs.items()}
    report = judge.report(tables, split, "test", baselines=[label for label in tables if label != SHIPPED])
    rival = max(runs, key=lambda label: report.estimate(label, metric).value)
    difference = report.differences(rival, metric)[SHIPPED]
    values = {label: report.estimate(label, metric) for label in tables}
    return {
        "protocol": split.name,
        "metric": metric,
        "shipped": shipped.artefact.config.name,
        "why": shipped.artefact.manifest["why"],
        "values": {label: {"value": one.value, "low": one.low, "high": one.high} for label, one in values.items()},
        "best_rival": rival,
        "difference": difference.to_dict(),
        "sentence": difference.sentence(SHIPPED, rival, metric, report.num_owners, report.owner_word),
    }


def main(names: list[str]) -> None:
    """Print and save the results of some logs, or of all."""
    file = RESULTS / "default_choice.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in names or list(LOGS):
        log = datasets.load(name) if name in LOGS else read_log(name)
        name = Path(name).stem
        found[name] = judged(name, protocols.apply(LOGS.get(name, "leave-one-out"), log))
        RESULTS.mkdir(exist_ok=True)
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"\n{name}, {found[name]['protocol']}, {found[name]['metric']}: ships {found[name]['shipped']}")
        for label, one in found[name]["values"].items():
            print(f"| {label} | {one['value']:.4f} ({one['low']:.4f} to {one['high']:.4f}) |")
        print(found[name]["sentence"], *found[name]["why"], sep="\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
