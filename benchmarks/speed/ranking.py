"""Full-catalogue evaluation against the score product that it cannot do without: MovieLens-1M, and larger catalogues.

`evaluate` scores every query of the Caser paper's protocol with a network of the paper's sizes (untrained: its scores
cost the same), ranks every target among all items not seen, keeps the best ten and takes every metric, MAP among them.
`answering` does so with the scorer that needs no torch, `report` makes the whole report. `product` is states times item
vectors plus bias at once, and nothing else; `product in blocks` makes as many scores at a time as ranking does and lets
them fall, so that they never leave the cache: the least that any evaluation can take. The rules of the split are
settled in the round that warms up. For larger catalogues states and vectors are random, each query with 33 targets and
130 items seen.
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
from caser.data.split import Queries, Split
from caser.evaluation import judge, protocols
from caser.evaluation.metrics import parse_metric
from caser.evaluation.ranking import MOST_QUERIES, ranks
from caser.models.base import Arrays, Scorer
from caser.models.caser.caser import Caser
from caser.models.neural import NeuralScorer

MODEL = Caser(L=5, T=3, d=50, n_v=4, n_h=16)
METRICS = [parse_metric(name) for name in protocols.PROTOCOLS["caser-paper"].metrics]
NUM_TARGETS, NUM_SEEN = 33, 130
GROWTH = ((2_000, 10_000), (200, 100_000))
"""Queries and items."""

Work = Callable[[], object]


@dataclass
class Fixed:
    """Scores of states made beforehand, one for each user."""

    states_QD: Scores
    vectors_ID: Scores
    bias_I: Scores
    history_length: int | None = 1

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """State . vector + bias, (B, I)."""
        return self.states_QD[users_B] @ self.vectors_ID.T + self.bias_I

    def arrays(self) -> Arrays:
        """Nothing to keep."""
        return {}

    def product(self, size: int) -> None:
        """All scores, so many queries at a time, thrown away."""
        bias_I, states_QD, vectors_ID = map(torch.from_numpy, (self.bias_I, self.states_QD, self.vectors_ID))
        for states_BD in torch.split(states_QD, size):
            torch.addmm(bias_I, states_BD, vectors_ID.T)


def evaluate(scorer: Scorer, split: Split) -> None:
    """Rank every target, and take every metric."""
    table = judge.rank(scorer, split)
    for metric in METRICS:
        table.values(metric)


def movielens() -> dict[str, Work]:
    """What takes turns on MovieLens-1M."""
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


def grown(num_queries: int, num_items: int) -> dict[str, Work]:
    """Random states, vectors, targets and histories: the product, and ranking with every metric."""
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
    """Do the work, and count its queries."""

    def run() -> float:
        work()
        return num_queries

    return run


def main() -> None:
    """Measure in rounds, one contender after another, and print medians."""
    words = _rounds.parser(__doc__).parse_args()
    cases = [(6040, "", movielens())]
    cases += [
        (num_queries, f", {num_items:,} items", grown(num_queries, num_items)) for num_queries, num_items in GROWTH
    ]
    works = {name: contender(work, num_queries) for num_queries, _, case in cases for name, work in case.items()}
    rates = _rounds.rates(works, words.rounds)
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
