"""Time of the best ten of a million items: exact search against reading the vectors once, index against exact search.

Vectors are trained on a simulated log (`_world.py`, about two minutes) and kept with their index in runs/benchmarks.
The rows `exactly` and `by the index` are whole answers of the Python API from a raw history.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed import _rounds, _world
from caser.answering.recommender import Recommender, load
from caser.arrays.types import Int64, Scores
from caser.models.base import StateScorer
from caser.search.exact import Candidates, find_top_k

RUNS = Path("runs/benchmarks")
D, BATCH, RECALL = 100, 64, 0.95
SIZES = (10_000, 31_623, 100_000, 316_228, 1_000_000)


def run_of(num_items: int) -> Recommender:
    """Load the run with its index, which is made if it does not exist."""
    path = RUNS / f"catalogue-{num_items}"
    if not path.exists():
        _world.trained_run(num_items, num_users=num_items * 3 // 10, d=D).indexed(RECALL).save(path)
    return load(path)


def answers_of(
    recommender: Recommender, histories: list[list[int]], at_once: int = 1
) -> Callable[[int], _rounds.Contender]:
    """Return a function that makes a contender, which asks a number of times for `at_once` answers."""

    def contender(number: int) -> _rounds.Contender:
        def run() -> float:
            for start in range(0, number * at_once, at_once):
                recommender.recommend(histories=histories[start : start + at_once])
            return number * at_once

        return run

    return contender


def reading(vectors_ID: Scores) -> _rounds.Contender:
    """Return a contender that reads every vector once."""

    def run() -> float:
        vectors_ID.max()
        return 1

    return run


def best_ten(scorer: StateScorer, state_1D: Scores, num_items: int) -> _rounds.Contender:
    """Return a contender that finds the best ten of the first `num_items` items exactly."""
    vectors_ID, bias_I = (array[: num_items + 1] for array in scorer.item_vectors())

    def scores_of(items: slice | Int64) -> Scores:
        scores_1N: Scores = state_1D @ vectors_ID[items].T
        scores_1N += bias_I[items]
        return scores_1N

    def run() -> float:
        find_top_k(scores_of, 1, len(vectors_ID), 10, Candidates(np.array([0])))
        return 1

    return run


def main() -> None:
    """Measure all contenders in rounds, and print medians."""
    parser = _rounds.parser(__doc__)
    parser.add_argument("--items", type=int, default=SIZES[-1])
    options = parser.parse_args()
    indexed = run_of(options.items)
    artefact = indexed.artefact
    exact = Recommender(replace(artefact, index=None))
    scorer, index, tape = artefact.state_scorer, artefact.index, artefact.histories
    if scorer is None or index is None:
        raise TypeError("the run must have item vectors and an index.")
    histories = [tape.sequence(user)[-10:].tolist() for user in range(1, 501)]
    state_1D = scorer.states(np.zeros(1, dtype=np.int32), np.array([histories[0][-5:]], dtype=np.int32))
    sizes = [size for size in SIZES if size <= options.items]
    num_common = [
        len(set(one.items) & set(other.items))
        for one, other in zip(exact.recommend(histories=histories), indexed.recommend(histories=histories), strict=True)
    ]
    rates = _rounds.rates(
        {
            "reading the vectors once": reading(scorer.item_vectors()[0]),
            "exactly": answers_of(exact, histories)(2),
            f"exactly, {BATCH} at once": answers_of(exact, histories, BATCH)(1),
            "by the index": answers_of(indexed, histories)(100),
            f"by the index, {BATCH} at once": answers_of(indexed, histories, BATCH)(2),
            **{f"best ten of {size:,}": best_ten(scorer, state_1D, size) for size in sizes},
        },
        options.rounds,
    )
    milliseconds = {name: 1000 / rates.median(name) for name in rates.per_round}
    rows = [
        {"form": name, "ms an answer": spent, "over reading": rates.ratio("reading the vectors once", name)}
        for name, spent in milliseconds.items()
    ]
    grown = [milliseconds[f"best ten of {size:,}"] for size in sizes]
    exponent = float(np.polyfit(np.log(sizes), np.log(grown), 1)[0])
    over_reading = rates.ratio("reading the vectors once", "exactly")

    def draw(axes: Any) -> None:
        axes.loglog(sizes, grown, "o-")
        axes.set(xlabel="items", ylabel="ms for the best ten, exactly")

    bars = [
        _rounds.Bar("exact top 10 over reading", over_reading, "x", 3, 1.5, "lower"),
        _rounds.Bar("the index against exactly", rates.ratio("by the index", "exactly"), "x", 20, 100),
        _rounds.Bar("recall at 10 of the index", sum(num_common) / (10 * len(num_common)), "", 0.95, 0.95),
    ]
    _rounds.publish(
        "catalogue",
        rows,
        bars,
        draw,
        items=options.items,
        d=D,
        cells=index.num_cells,
        probes=index.probes,
        recall_at_build=index.recall,
        growth_exponent=round(exponent, 3),
    )


if __name__ == "__main__":
    main()
