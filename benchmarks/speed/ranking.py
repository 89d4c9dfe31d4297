"""Time of full-catalogue evaluation against the matrix product of its scores: MovieLens-1M, and larger catalogues.

evaluate           scores every query of the protocol caser-paper with an untrained network of the paper's sizes, ranks
                   every target among all unseen items, keeps the best ten, and computes all metrics
answering          the same with the NumPy scorer, which needs no torch
report             the whole report
product            states times item vectors plus bias, all queries at once, and nothing else
product in blocks  the same for as many queries at a time as ranking takes, without keeping the scores; they stay in the
                   cache, so this is the least time that any evaluation can take

The round that warms up also computes what is cached per split. For larger catalogues, states and vectors are random,
and each query has 33 targets and 130 seen items.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from benchmarks.speed import _rounds
from caser.arrays.types import Int32, Scores
from caser.data import datasets
from caser.data.queries import Queries
from caser.data.split import Split
from caser.evaluation import judge, protocols
from caser.evaluation.metrics import parse_metric
from caser.evaluation.ranking import MOST_QUERIES, ranks
from caser.models.base import Arrays, Scorer
from caser.models.caser.caser import Caser
from caser.models.neural import NeuralScorer

MODEL = Caser(L=5, T=3, d=50, n_v=4, n_h=16)
METRICS = [parse_metric(name) for name in protocols.PROTOCOLS["caser-paper"].metrics]
NUM_TARGETS, NUM_SEEN = 33, 130
LARGER = ((2_000, 10_000), (200, 100_000))
"""Queries and items."""

Work = Callable[[], object]


@dataclass
class Fixed:
    """A scorer whose states are given, one per user."""

    states_QD: Scores
    vectors_ID: Scores
    bias_I: Scores
    history_length: int | None = 1

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Return state . vector + bias, (B, I)."""
        return self.states_QD[users_B] @ self.vectors_ID.T + self.bias_I

    def arrays(self) -> Arrays:
        """Return no parameters."""
        return {}

    def product(self, size: int) -> None:
        """Compute all scores for `size` queries at a time, without keeping them."""
        bias_I, states_QD, vectors_ID = map(torch.from_numpy, (self.bias_I, self.states_QD, self.vectors_ID))
        for states_BD in torch.split(states_QD, size):
            torch.addmm(bias_I, states_BD, vectors_ID.T)


def evaluate(scorer: Scorer, split: Split) -> None:
    """Rank every target, and compute every metric."""
    table = judge.rank(scorer, split)
    for metric in METRICS:
        table.values(metric)


def movielens() -> dict[str, Work]:
    """Return the works that are compared on MovieLens-1M."""
    split = protocols.apply("caser-paper", datasets.load("ml-1m"))
    sizes = split.log.num_users, split.log.num_items
    scorer = NeuralScorer(MODEL.build(*sizes, seed=0))
    answering = MODEL.scorer(scorer.arrays(), *sizes)
    states_QD = scorer.states(split.test.users, split.test.histories(slice(None), scorer.history_length))
    product = Fixed(states_QD, *scorer.item_vectors()).product
    return {
        "product": partial(product, len(states_QD)),
        "product in blocks": partial(product, MOST_QUERIES),
        "evaluate": partial(evaluate, scorer, split),
        "answering": partial(evaluate, answering, split),
        "report": partial(judge.judge, {"caser": scorer}, split),
    }


def larger_catalogue(num_queries: int, num_items: int) -> dict[str, Work]:
    """Return the product, and ranking with every metric, on random data."""
    generator = np.random.default_rng(0)
    states_QD = generator.standard_normal((num_queries, MODEL.state_width), dtype=np.float32)
    vectors_ID = generator.standard_normal((num_items + 1, MODEL.state_width), dtype=np.float32)
    scorer = Fixed(states_QD, vectors_ID, np.zeros(num_items + 1, dtype=np.float32))
    queries = Queries(
        users=np.arange(num_queries, dtype=np.int32),
        items=generator.integers(1, num_items + 1, num_queries * NUM_SEEN, dtype=np.int32),
        starts=np.arange(num_queries) * NUM_SEEN,
        ends=np.arange(1, num_queries + 1) * NUM_SEEN,
        targets=np.concatenate(
            [generator.choice(num_items, NUM_TARGETS, replace=False) + 1 for _ in range(num_queries)]
        ).astype(np.int32),
        target_offsets=np.arange(num_queries + 1) * NUM_TARGETS,
        owners=np.arange(1, num_queries + 1, dtype=np.int32),
    )

    def work() -> None:
        table = ranks(scorer, queries, candidates=np.arange(num_items + 1) > 0, remove_seen=True)
        for metric in METRICS:
            table.values(metric)

    return {
        f"product, {num_items:,} items": partial(scorer.product, num_queries),
        f"evaluate, {num_items:,} items": work,
    }


def contender(work: Work, num_queries: int) -> _rounds.Contender:
    """Return a contender that does some work; its units are queries."""

    def run() -> float:
        work()
        return num_queries

    return run


def main() -> None:
    """Measure all contenders in rounds, and print medians."""
    options = _rounds.parser(__doc__).parse_args()
    cases = [(6040, "", movielens())]
    cases += [
        (num_queries, f", {num_items:,} items", larger_catalogue(num_queries, num_items))
        for num_queries, num_items in LARGER
    ]
    works = {name: contender(work, num_queries) for num_queries, _, case in cases for name, work in case.items()}
    rates = _rounds.rates(works, options.rounds)
    rows = [
        {
            "work": name,
            "queries a second": rates.median(name),
            "ms": 1000 * num_queries / rates.median(name),
            "times the product": rates.ratio(f"product{suffix}", name),
        }
        for num_queries, suffix, case in cases
        for name in case
    ]
    bars = [
        _rounds.Bar(f"evaluation against its {product}", rates.ratio(product, "evaluate"), "x", 4, 2, "lower")
        for product in ("product", "product in blocks")
    ]
    drawn = {str(row["work"]): row["times the product"] for row in rows}
    _rounds.publish("ranking", rows, bars, lambda axes: axes.barh(list(drawn), list(drawn.values())))


if __name__ == "__main__":
    main()
