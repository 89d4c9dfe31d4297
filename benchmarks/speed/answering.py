"""Time of one answer from a raw history, and of many at once: Caser (d = 50, L = 5) on MovieLens-1M, from Python.

The catalogue has 3,416 items. A run is trained for one epoch and kept in runs/benchmarks, because the quality of the
answers does not matter here. An unknown user has no vector; by default one is fitted to the history (`fold-in`), which
costs more than the answer itself.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.speed import _rounds
from caser.answering.fold_in import fold_in
from caser.answering.recommender import Recommender, load
from caser.config import Training
from caser.data import datasets
from caser.evaluation import protocols
from caser.fitting.fit import fit
from caser.models.caser.caser import Caser

RUN = Path("runs/benchmarks/answering")
NUM_ANSWERS = 200
BATCH = 512


def run() -> Recommender:
    """Load the run, which is trained if it does not exist."""
    if not RUN.exists():
        split = protocols.apply("caser-paper", datasets.load("ml-1m"))
        fit(Caser(L=5, T=3, d=50, n_v=4, n_h=16, user_vector=True), split, Training(batch_size=512), epochs=1).save(RUN)
    return load(RUN)


def one_by_one(answer: Callable[[int], object], seconds: list[float]) -> _rounds.Contender:
    """Return a contender that answers for some users one after another, and appends the time of each to `seconds`."""

    def contender() -> float:
        for place in range(NUM_ANSWERS):
            began = time.perf_counter()
            answer(place)
            seconds.append(time.perf_counter() - began)
        return NUM_ANSWERS

    return contender


def main() -> None:
    """Measure all contenders in rounds, and print medians."""
    options = _rounds.parser(__doc__).parse_args()
    recommender = run()
    artefact = recommender.artefact
    scorer, tape, prior = artefact.state_scorer, artefact.histories, recommender.user_prior
    if scorer is None or prior is None:
        raise TypeError("the run must have user vectors.")
    users = artefact.users.ids.to_list()
    indices = [tape.sequence(user)[-50:] for user in range(1, BATCH + 1)]
    histories = [artefact.items.raw(history) for history in indices]
    vectors_ID, _ = scorer.item_vectors()
    state_1D = np.ones((1, vectors_ID.shape[1]), dtype=vectors_ID.dtype)

    def all_users() -> float:
        with tempfile.TemporaryDirectory() as folder:
            recommender.recommend_all(Path(folder) / "all.parquet")
        return len(users)

    def at_once() -> float:
        recommender.recommend(users=users[:BATCH], histories=histories)
        return BATCH

    singly: dict[str, Callable[[int], object]] = {
        "the product of one state and all vectors": lambda place: state_1D @ vectors_ID.T,
        "a known user with a history": lambda place: recommender.recommend(users[place], [histories[place]]),
        "a stranger, as the mean user": lambda place: recommender.recommend(
            histories=[histories[place]], unknown_users="mean"
        ),
        "a stranger, folded in": lambda place: recommender.recommend(histories=[histories[place]]),
        "fold-in alone": lambda place: fold_in(scorer, indices[place], prior),
    }
    seconds: dict[str, list[float]] = {name: [] for name in singly}
    alone = {name: one_by_one(answer, seconds[name]) for name, answer in singly.items()}
    rates = _rounds.rates(
        {**alone, f"{BATCH} known users at once": at_once, "everybody, to a file": all_users}, options.rounds
    )
    medians = {name: 1000 * statistics.median(spent) for name, spent in seconds.items()}
    rows = [
        {"answer": name, "median ms": medians.get(name, 1000 / rates.median(name)), "a second": rates.median(name)}
        for name in rates.per_round
    ]
    bars = [
        _rounds.Bar("one answer from a raw history", medians["a known user with a history"], "ms", 0.3, 0.1, "lower"),
        _rounds.Bar("the same for a stranger, folded in", medians["a stranger, folded in"], "ms", 2, 1, "lower"),
    ]
    _rounds.publish(
        "answering",
        rows,
        bars,
        lambda axes: axes.barh([str(row["answer"]) for row in rows], [row["median ms"] for row in rows], log=True),
        items=len(artefact.items),
        most_positions_folded_in=50,
    )


if __name__ == "__main__":
    main()
