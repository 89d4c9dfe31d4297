"""Ranks and metrics together against an independent library: TREC's own evaluation, through ir-measures."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
from ir_measures import AP, RR, P, R, Success, nDCG

from caser.arrays.types import Int32, Scores
from caser.data.split import Queries
from caser.evaluation.metrics import Values, parse_metric
from caser.evaluation.ranking import ranks
from caser.models.base import Arrays
from caser.system.randomness import numpy_generator

NUM_QUERIES, NUM_ITEMS = 60, 200
CANDIDATES = np.arange(NUM_ITEMS + 1) % 9 != 0  # some targets can never be found

MEASURES = {
    "hit@10": Success @ 10,
    "precision@10": P @ 10,
    "recall@10": R @ 10,
    "ndcg@10": nDCG @ 10,
    "ndcg@1": nDCG @ 1,
    "mrr@10": RR @ 10,
    "map": AP,
}


class Fixed:
    """One row of scores per user, all different, so that there are no ties."""

    history_length: int | None = 1
    table = numpy_generator(5, "world").permuted(np.tile(np.arange(NUM_ITEMS + 1.0), (NUM_QUERIES, 1)), axis=1)

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        return self.table[users_B]

    def arrays(self) -> Arrays:
        return {}


def asked() -> Queries:
    """Queries with 1 to 15 targets and no history."""
    generator = numpy_generator(6, "world")
    targets = [generator.choice(NUM_ITEMS, generator.integers(1, 16), replace=False) + 1 for _ in range(NUM_QUERIES)]
    nothing = np.zeros(NUM_QUERIES, dtype=np.int64)
    users = np.arange(NUM_QUERIES, dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in targets])]).astype(np.int64)
    flat = np.concatenate(targets).astype(np.int32)
    return Queries(users, np.zeros(1, dtype=np.int32), nothing, nothing, flat, offsets, users)


def theirs(name: str) -> Values:
    rows, targets = asked().target_pairs(slice(None))
    qrels = [
        ir_measures.Qrel(str(row), str(item), 1) for row, item in zip(rows.tolist(), targets.tolist(), strict=True)
    ]
    run = [
        ir_measures.ScoredDoc(str(user), str(item), float(Fixed.table[user, item]))
        for user in range(NUM_QUERIES)
        for item in np.flatnonzero(CANDIDATES)
    ]
    found = {int(one.query_id): one.value for one in ir_measures.iter_calc([MEASURES[name]], qrels, run)}
    return np.array([found[user] for user in range(NUM_QUERIES)])


@pytest.mark.parametrize("name", MEASURES)
def test_metrics_equal_those_of_an_independent_library(name: str) -> None:
    table = ranks(Fixed(), asked(), candidates=CANDIDATES, remove_seen=False)
    assert np.isinf(table.ranks).any()
    np.testing.assert_allclose(table.values(parse_metric(name)), theirs(name), atol=1e-12)
