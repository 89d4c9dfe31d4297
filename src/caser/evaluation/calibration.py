"""Calibration: turns the scores of a ranking into chances that an item is the next one.

A score has no unit, and only a network that is trained with a softmax has logits. So the chance is learned: from the
ranked lists of validation queries, and from which item truly came next. The model is a conditional logit with an
outside option (McFadden 1974). For the first DEPTH items of a ranking, best first, with scores s_1 >= s_2 >= ...:

    g_r = (s_1 - s_r) / scale                                     how far an item is behind the first one
    u_r = a_1 (-g_r) + a_2 (-log(1 + g_r)) + a_3 (-log r) + a_4 [r = 1]
    v   = b_0 + b_1 tanh((s_1 - level) / (3 scale)) + b_2 log(1 + g_n)     "none of these", n the last of the list
    chance_r = exp(u_r) / (exp(v) + sum of exp(u_j) over the list)

So the chances of a list sum to less than 1, and the rest is the chance of everything else: items after the first DEPTH,
items that are no candidates, and items that nobody knows. The first term alone is a softmax with a temperature (Guo et
al., ICML 2017), which suits logits; the second is a power of the score, which suits counts; the third, a power of the
rank, holds for any model (Zipf); the fourth tells the first item from the others. No a is negative, so a better-ranked
item never has a smaller chance. Maximum likelihood makes the mean of each term that is used equal to what was observed,
so the chances add up to the hits on validation. A normal prior with variance 1 keeps the numbers small where there are
few targets. Source: ours, from these parts.

This file knows ranked lists and nothing else: not where the scores come from, and not what a user is.

Shape suffixes: B lists, Q lists of all queries, N places of a list, F terms of an item, G terms of "none of these".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from caser.arrays.types import Floats, Int32, Mask
from caser.data.queries import Queries
from caser.evaluation.ranking import best_candidates, candidate_scores
from caser.models.base import Scorer

DEPTH = 100
"""How many items of a ranking have a chance of their own."""

MOST_TARGETS = 5_000
"""The most validation queries that a calibration is learned from."""

LEAST_TARGETS = 100
"""With fewer validation queries, no chance is learned."""

LEAST_FOUND = 20
"""With fewer targets among the first DEPTH items, no chance is learned."""

_MOST_STEPS, _ENOUGH = 100, 1e-10
_EQUAL = 1e-30  # scores whose differences are no larger have no unit


class ScoredLists(NamedTuple):
    """The first items of the rankings of some queries, best first.

    items_BN      (B, N) int32, then 0 where a query has fewer candidates
    scores_BN     (B, N) float64, then NaN
    is_target_BN  (B, N) bool, whether the item is the one that came next
    """

    items_BN: Int32
    scores_BN: Floats
    is_target_BN: Mask


def scored_lists(
    scorer: Scorer, queries: Queries, candidates: Mask, *, remove_seen: bool, depth: int = DEPTH
) -> Iterator[ScoredLists]:
    """Rank the items of queries, block by block.

    scorer       a fitted model
    queries      histories and targets; of several targets, the first is the one that came next
    candidates   (I,) bool, the items that are ranked
    remove_seen  whether the items of a query's whole history leave its candidates
    depth        N, the length of the lists

    Raises what `ranking.ranks` raises.
    """
    for block in candidate_scores(scorer, queries, candidates=candidates, remove_seen=remove_seen):
        items_BN = best_candidates(block.scores_BI, depth)
        scores_BN = np.take_along_axis(block.scores_BI, items_BN.astype(np.int64), axis=1).astype(np.float64)
        is_there = (items_BN > 0) & (scores_BN > -np.inf)
        items_BN, scores_BN = np.where(is_there, items_BN, 0).astype(np.int32), np.where(is_there, scores_BN, np.nan)
        next_B1 = queries.targets[queries.target_offsets[:-1][block.queries], None]
        yield ScoredLists(items_BN, scores_BN, is_there & (items_BN == next_B1))


@dataclass(frozen=True)
class Calibration:
    """What turns the scores of ranked lists into chances; the module says how.

    scale, level  the unit of differences of scores, and the usual score of the first item
    inside        a_1 to a_4
    outside       b_0 to b_2
    targets       how many validation queries it was learned from
    found         how many of their targets were among the first DEPTH items
    carried       refit or update: the run has the calibration of the run that it was made from; None for its own
    """

    scale: float
    level: float
    inside: tuple[float, ...]
    outside: tuple[float, ...]
    targets: int
    found: int
    carried: str | None = None

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Self:
        """Return the calibration of a manifest.

        facts  the entry `calibration`, as `to_dict` made it
        """
        return cls(**{**facts, "inside": tuple(facts["inside"]), "outside": tuple(facts["outside"])})

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**asdict(self), "inside": list(self.inside), "outside": list(self.outside)}

    def chances(self, scores_BN: Floats) -> Floats:
        """Return the chance of each item of ranked lists: (B, N) float64, each list sums to less than 1.

        scores_BN  (B, N) float64, the first N = DEPTH scores of each ranking, best first; NaN where there are fewer

        The chance is NaN where the score is.

        >>> calibration = Calibration(1.0, 0.0, (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 1, 1)
        >>> calibration.chances(np.log([[2.0, 1.0]])).round(2).tolist()  # 1, 1/2 and 1 for "none of these"
        [[0.4, 0.2]]
        """
        terms = _Terms(scores_BN, self.scale, self.level)
        chances_BN, _ = terms.chances(np.array([*self.inside, *self.outside]))
        return np.where(terms.is_there_BN, chances_BN, np.nan)


def learn(scores_QN: Floats, is_target_QN: Mask) -> Calibration | None:
    """Learn a calibration from ranked lists and what came next.

    scores_QN     (Q, N) float64, as for `Calibration.chances`
    is_target_QN  (Q, N) bool, whether each item is the one that came next; at most one of a list

    Returns None for fewer than LEAST_TARGETS lists, or fewer than LEAST_FOUND targets among their items.

    >>> scores = np.tile([3.0, 2.0, 1.0], (200, 1))
    >>> hits = np.arange(200)[:, None] % 10 == np.array([[0, 20, 20]])   # the first item in one of ten lists
    >>> learn(scores, hits).chances(scores[:1])[0].round(2).tolist()
    [0.1, 0.01, 0.0]
    """
    num_targets, num_found = len(scores_QN), int(is_target_QN.any(axis=1).sum())
    if num_targets < LEAST_TARGETS or num_found < LEAST_FOUND:
        return None
    first_Q = scores_QN[:, 0]
    behind = (first_Q[:, None] - scores_QN)[~np.isnan(scores_QN)]
    scale, level = float(behind.mean()), float(np.median(first_Q[~np.isnan(first_Q)]))
    scale = scale if scale > _EQUAL else 1.0
    terms = _Terms(scores_QN, scale, level)
    # Without what would make a better-ranked item less likely.
    is_used = np.ones(terms.num_inside + terms.outside_BG.shape[1], dtype=bool)
    while (weights := _most_likely(terms, is_target_QN, is_used))[: terms.num_inside].min() < 0:
        is_used[weights[: terms.num_inside].argmin()] = False
    inside, outside = weights[: terms.num_inside].tolist(), weights[terms.num_inside :].tolist()
    return Calibration(scale, level, tuple(inside), tuple(outside), num_targets, num_found)


class _Terms:
    """The terms of the items of ranked lists, and of "none of these"."""

    def __init__(self, scores_BN: Floats, scale: float, level: float) -> None:
        num_lists, length = scores_BN.shape
        self.is_there_BN = ~np.isnan(scores_BN)
        first_B1 = np.where(self.is_there_BN[:, :1], scores_BN[:, :1], level)
        gaps_BN = np.where(self.is_there_BN, first_B1 - scores_BN, 0.0) / scale
        ranks_N = np.arange(1, length + 1)
        of_rank_N2 = np.stack([-np.log(ranks_N), ranks_N == 1], axis=1)
        of_gap_BN2 = np.stack([-gaps_BN, -np.log1p(gaps_BN)], axis=2)
        self.inside_BNF = np.concatenate([of_gap_BN2, np.broadcast_to(of_rank_N2, of_gap_BN2.shape)], axis=2)
        level_B, widest_B = np.tanh((first_B1[:, 0] - level) / (3 * scale)), np.log1p(gaps_BN.max(axis=1))
        self.outside_BG = np.stack([np.ones(num_lists), level_B, widest_B], axis=1)
        self.num_inside = self.inside_BNF.shape[2]

    def chances(self, weights: Floats) -> tuple[Floats, Floats]:
        """The chance of each item, (B, N), 0 where there is none, and of "none of these", (B,)."""
        utility_BN = np.where(self.is_there_BN, self.inside_BNF @ weights[: self.num_inside], -np.inf)
        outside_B = self.outside_BG @ weights[self.num_inside :]
        most_B = np.maximum(utility_BN.max(axis=1), outside_B)
        odds_BN, outside_B = np.exp(utility_BN - most_B[:, None]), np.exp(outside_B - most_B)
        total_B = odds_BN.sum(axis=1) + outside_B
        return odds_BN / total_B[:, None], outside_B / total_B

    def gradient(self, inside_BN: Floats, outside_B: Floats) -> Floats:
        """The sum of the terms, weighted by a number for each item and for "none of these": (F + G,)."""
        flat = self.inside_BNF.reshape(-1, self.num_inside)
        return np.concatenate([inside_BN.reshape(-1) @ flat, outside_B @ self.outside_BG])

    def curvature(self, chances_BN: Floats, none_B: Floats) -> Floats:
        """The covariance of the terms under the chances, summed over the lists: (F + G, F + G)."""
        of_items_BF = np.einsum("bn,bnf->bf", chances_BN, self.inside_BNF)
        means_BT = np.concatenate([of_items_BF, none_B[:, None] * self.outside_BG], axis=1)
        flat = self.inside_BNF.reshape(-1, self.num_inside)
        squares: Floats = -means_BT.T @ means_BT
        squares[: self.num_inside, : self.num_inside] += (flat * chances_BN.reshape(-1, 1)).T @ flat
        squares[self.num_inside :, self.num_inside :] += (self.outside_BG * none_B[:, None]).T @ self.outside_BG
        return squares


def _most_likely(terms: _Terms, is_target_BN: Mask, is_used: Mask) -> Floats:
    """The weights with the highest likelihood and prior, by Newton's method; the function is concave.

    is_used  which weights may differ from 0
    """
    is_none_B = ~is_target_BN.any(axis=1)
    weights = np.zeros(len(is_used))

    def loss(at: Floats) -> float:
        chances_BN, none_B = terms.chances(at)
        of_what_came_B = np.where(is_none_B, none_B, (chances_BN * is_target_BN).sum(axis=1))
        return float(-np.log(of_what_came_B.clip(min=1e-300)).sum() + at @ at / 2)

    value = loss(weights)
    for _ in range(_MOST_STEPS):
        chances_BN, none_B = terms.chances(weights)
        gradient = terms.gradient(is_target_BN - chances_BN, is_none_B - none_B) - weights
        curvature = terms.curvature(chances_BN, none_B) + np.eye(len(weights))
        step = np.zeros(len(weights))
        step[is_used] = np.linalg.solve(curvature[np.ix_(is_used, is_used)], gradient[is_used])
        # Far from the top, a whole step may go too far: halve it until it does not go down.
        share = 1.0
        while (new := loss(weights + share * step)) > value and share > _ENOUGH:
            share /= 2
        if new >= value:
            break
        weights, gained, value = weights + share * step, value - new, new
        if gained < _ENOUGH * value:
            break
    return weights
