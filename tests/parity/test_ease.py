"""EASE against a second implementation: plain NumPy, from the rows of the file to the metrics, without this library.

The second implementation reads the log, keeps the last interaction of each user for the test, computes the weights in
closed form and ranks one user at a time. Metrics of both must agree to four digits.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from caser.data import datasets
from caser.evaluation.judge import judge
from caser.evaluation.protocols import apply
from caser.models import counting_settings
from tests.parity.test_gates import CACHE, needs, silent

PENALTY = 500.0  # the default of EASE
CUTOFF = 10
Sequences: TypeAlias = list[NDArray[np.int64]]

pytestmark = pytest.mark.data


def sequences(rows: NDArray[Any]) -> Sequences:
    """Return the items of each user by time, numbered from 0; rows are (user, item, time), ties stay in file order."""
    users, items = (np.unique(column, return_inverse=True)[1] for column in rows[:, :2].T)
    order = np.lexsort((rows[:, 2], users))  # stable
    return np.split(items[order], np.cumsum(np.bincount(users))[:-1])


def weights(trained: Sequences, num_items: int) -> NDArray[np.float64]:
    """Return B = -P / diag(P) with a zero diagonal, P = inverse(X'X + penalty Id), (items, items)."""
    gram = np.eye(num_items) * PENALTY
    for items in map(np.unique, trained):
        gram[np.ix_(items, items)] += 1
    inverse = np.linalg.inv(gram)
    solved = inverse / -np.diag(inverse)
    np.fill_diagonal(solved, 0)
    return solved


def rank(scores: NDArray[np.float64], target: int, candidates: NDArray[np.bool_]) -> float:
    """Return the place of the target among the candidates; equal scores count against it."""
    if not candidates[target]:
        return np.inf
    return float(np.sum(scores[candidates] >= scores[target]))


def by_hand(rows: NDArray[Any]) -> dict[str, float]:
    """Train on all but the last item of each user, and rank the last item among trained items that are not seen."""
    users = sequences(rows)
    assert min(map(len, users)) >= 3  # then every user is judged
    num_items = 1 + max(int(items.max()) for items in users)
    trained = [items[:-1] for items in users]
    solved = weights(trained, num_items)
    is_trained = np.bincount(np.concatenate(trained), minlength=num_items) > 0
    ranks = []
    for history, (target,) in zip(trained, (items[-1:] for items in users), strict=True):
        candidates = is_trained.copy()
        candidates[history] = False
        ranks.append(rank(solved[np.unique(history)].sum(axis=0), target, candidates))
    found = np.array(ranks)
    gains = np.where(found <= CUTOFF, 1 / np.log2(1 + found), 0)
    return {"hit@10": float(np.mean(found <= CUTOFF)), "ndcg@10": float(gains.mean())}


def by_the_library(name: str) -> dict[str, float]:
    log = datasets.load(name, on_message=silent)
    split = apply("leave-one-out", log)
    scorer = counting_settings("ease").build(log.num_users, log.num_items)
    scorer.fit(split.final)
    values = judge({"ease": scorer}, split).values["ease"]
    return {metric: float(values[metric].mean()) for metric in ("hit@10", "ndcg@10")}


def rounded(found: dict[str, float]) -> tuple[float, float]:
    return round(found["hit@10"], 4), round(found["ndcg@10"], 4)


@needs(CACHE / "ml-100k" / "u.data")
def test_ease_on_movielens_100k_equals_a_second_implementation() -> None:
    rows = np.loadtxt(CACHE / "ml-100k" / "u.data", dtype=np.int64)[:, [0, 1, 3]]
    assert rounded(by_hand(rows)) == rounded(by_the_library("ml-100k")) == (0.1453, 0.0737)


@pytest.mark.slow
@needs(CACHE / "amazon-beauty.parquet")
def test_ease_on_amazon_beauty_equals_a_second_implementation() -> None:
    columns = ["user_id", "item_id", "timestamp"]
    rows = pl.read_parquet(CACHE / "amazon-beauty.parquet").select(columns).to_numpy()
    assert rounded(by_hand(rows)) == rounded(by_the_library("amazon-beauty")) == (0.0737, 0.0400)
