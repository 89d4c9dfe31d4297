"""Exact ranks of the targets of every query among all candidates, in blocks of bounded memory.

Assumes that a higher score is better, and that scores have a column for every item and column 0 for padding, which is
never a candidate. Will not sample candidates: a rank among a sample is another number with the same name.

Shape suffixes: Q queries, P targets of all queries, B queries of one block, I items and padding, G groups of items,
N candidates among which the best are, K best candidates kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from caser.arrays.offsets import places_of
from caser.arrays.types import Int32, Int64, Mask, Scores
from caser.data.log import Vocabulary
from caser.data.queries import Queries
from caser.errors import ConfigError, NumericalError
from caser.evaluation.metrics import Values
from caser.evaluation.rank_table import RankTable, padded
from caser.models.base import Scorer

Ties = Literal["against", "index"]
"""`against`: candidates that tie with a target rank before it. `index`: the lowest index first, as in top-k lists."""

MEMORY_MB = 256
"""Default bound on what a block of scores and its copies may take, in megabytes."""

MOST_QUERIES = 256
"""How many queries are ranked at once where memory would hold more."""

LIST_LENGTH = 10
"""How many of the best candidates of a query are kept beside its ranks."""

_BYTES_PER_SCORE = 48
_FEW_TARGETS = 4
_GROUPS_PER_PLACE = 8
_LAYERS = 32


def ranks(
    scorer: Scorer,
    queries: Queries,
    *,
    candidates: Mask,
    remove_seen: bool,
    ties: Ties = "against",
    depth: int = LIST_LENGTH,
    memory_mb: int = MEMORY_MB,
    user_vocabulary: Vocabulary | None = None,
    facts: Mapping[str, Any] | None = None,
) -> RankTable:
    """Rank every target: 1 + candidates that score higher + candidates that tie, as far as `ties` counts them.

    `candidates` (I,) says which items may be ranked; `remove_seen` takes the items of each query's whole history from
    them; the table keeps the `depth` best candidates of each query, and `facts`. Raises NumericalError, naming the
    user, for a score that is NaN or +inf (-inf is the lowest score there is).

    >>> from caser.data.synthetic import chain_world
    >>> from caser.data.split import leave_one_out
    >>> from caser.models.counting.markov import Markov
    >>> split = leave_one_out(chain_world(num_users=40, num_items=6, length=9, seed=0).log)
    >>> scorer = Markov().build(40, 6)
    >>> scorer.fit(split.final)
    >>> table = ranks(scorer, split.test, candidates=np.arange(7) > 0, remove_seen=False)
    >>> len(table), bool((table.ranks <= 6).all())
    (40, True)
    """
    parts: list[tuple[Values, Mask, Int64, Int32]] = []
    for block in candidate_scores(
        scorer,
        queries,
        candidates=candidates,
        remove_seen=remove_seen,
        memory_mb=memory_mb,
        user_vocabulary=user_vocabulary,
    ):
        scores_BI, rows_P, targets_P = block.scores_BI, block.rows_P, block.targets_P
        own_P, top_BK = scores_BI[rows_P, targets_P], best_candidates(scores_BI, depth)
        behind_P = _tied_behind(scores_BI, rows_P, targets_P) if ties == "index" else 0
        reaching_P, num_candidates_B = _reaching(scores_BI, rows_P, own_P)
        ranked_P = np.where(np.isnan(own_P), np.inf, reaching_P - behind_P)
        parts.append((ranked_P, block.is_repeat_P, num_candidates_B, top_BK))
    ranked_P, is_repeat_P, num_candidates_Q, top_QK = map(np.concatenate, zip(*parts, strict=True))
    return RankTable(
        ranks=ranked_P,
        is_repeat=is_repeat_P,
        queries=np.repeat(np.arange(len(queries)), queries.num_targets),
        num_targets=queries.num_targets,
        num_candidates=num_candidates_Q,
        owners=queries.owners,
        top_QK=top_QK,
        facts=facts or {},
    )


@dataclass(frozen=True, eq=False)
class ScoreBlock:
    """Some queries with a score for every candidate, (B, I), NaN elsewhere.

    rows_P, targets_P  the query in the block and the item of each target     is_repeat_P  whether it was seen
    """

    queries: slice
    scores_BI: Scores
    rows_P: Int64
    targets_P: Int32
    is_repeat_P: Mask


def candidate_scores(
    scorer: Scorer,
    queries: Queries,
    *,
    candidates: Mask,
    remove_seen: bool,
    memory_mb: int = MEMORY_MB,
    user_vocabulary: Vocabulary | None = None,
) -> Iterator[ScoreBlock]:
    """Score all queries block by block, each block the caller's own; what is no candidate of a query has NaN.

    Without queries there is one empty block. Raises as `ranks` does.
    """
    num_columns = len(candidates)
    excluded = np.flatnonzero(~candidates | (np.arange(num_columns) == 0))
    for block in _blocks(queries, scorer, num_columns, memory_mb):
        scores_BI = _checked(scorer, queries, block, num_columns, user_vocabulary)
        flat = scores_BI.reshape(-1)
        rows_P, targets_P = queries.target_pairs(block)
        seen_rows, seen_items = queries.seen(block)
        seen = seen_rows * num_columns + seen_items
        kept = None if remove_seen else flat[seen]
        flat[seen] = np.nan
        is_repeat_P = np.isnan(flat[rows_P * num_columns + targets_P])
        if kept is not None:
            flat[seen] = kept
        scores_BI[:, excluded] = np.nan
        yield ScoreBlock(block, scores_BI, rows_P, targets_P, is_repeat_P)


def best_candidates(scores_BI: Scores, depth: int) -> Int32:
    """The `depth` best candidates of each query, best first, ties to the lowest index; 0 where there are fewer.

    >>> best_candidates(np.array([[np.nan, 1.0, 2.0, 2.0, 0.5], [np.nan, np.nan, np.nan, 7.0, np.nan]]), 3).tolist()
    [[2, 3, 1], [3, 0, 0]]
    """
    found_BK = np.zeros((len(scores_BI), depth), dtype=np.int32)
    if depth:
        flat = np.flatnonzero(scores_BI >= _lower_bounds(scores_BI, depth)[:, None])
        rows, items = np.divmod(flat, scores_BI.shape[1])
        lengths = np.bincount(rows, minlength=len(scores_BI))
        costs_BN = padded(rows, -scores_BI.reshape(-1)[flat], lengths, np.nan)
        items_BN = padded(rows, items, lengths, 0)
        order_BK = np.argsort(costs_BN, axis=1, kind="stable")[:, :depth]
        found_BK[:, : order_BK.shape[1]] = np.take_along_axis(items_BN, order_BK, axis=1)
    return found_BK


def _lower_bounds(scores_BI: Scores, depth: int) -> Scores:
    """A score that at least `depth` candidates of a query reach, (B,), and few more; -inf where there are fewer.

    Of groups of items the maxima: as many items reach the greatest `depth` of them.
    """
    num_items = scores_BI.shape[1]
    num_groups = min(num_items, max(_GROUPS_PER_PLACE * depth, num_items // _LAYERS))
    if num_groups < depth:
        return np.full(len(scores_BI), -np.inf, dtype=scores_BI.dtype)
    maxima_BG = np.fmax(scores_BI[:, :num_groups], -np.inf)
    for start in range(num_groups, num_items, num_groups):
        layer = scores_BI[:, start : start + num_groups]
        np.fmax(maxima_BG[:, : layer.shape[1]], layer, out=maxima_BG[:, : layer.shape[1]])
    maxima_BG.partition(num_groups - depth, axis=1)
    bounds_B: Scores = maxima_BG[:, num_groups - depth]
    return bounds_B


def _blocks(queries: Queries, scorer: Scorer, num_columns: int, memory_mb: int) -> list[slice]:
    """Slices of queries whose scores, copies and histories fit into the memory given; one query at least.

    Larger ones than MOST_QUERIES would be no faster: their scores leave the processor's cache.
    """
    if memory_mb < 1:
        raise ConfigError(
            f"memory for ranking must be at least 1 megabyte; got {memory_mb}. The default is {MEMORY_MB}."
        )
    longest = int((queries.ends - queries.starts).max(initial=1))
    width = longest if scorer.history_length is None else min(longest, scorer.history_length)
    size = min(MOST_QUERIES, max(1, memory_mb * 2**20 // (_BYTES_PER_SCORE * (num_columns + width))))
    return [slice(start, start + size) for start in range(0, max(len(queries), 1), size)]


def _checked(
    scorer: Scorer, queries: Queries, block: slice, num_columns: int, user_vocabulary: Vocabulary | None
) -> Scores:
    """Our own copy of the scores of a block, without NaN or +inf; padding has -inf."""
    users = queries.users[block]
    scores_BI = np.array(scorer.scores(users, queries.histories(block, scorer.history_length)), order="C")
    if scores_BI.shape != (len(users), num_columns):
        raise ConfigError(
            f"a scorer must give a score per query and item, shape {(len(users), num_columns)}; got {scores_BI.shape}. "
            "Judge a model on the log it was trained on."
        )
    scores_BI[:, 0] = -np.inf
    if not scores_BI.max(initial=-np.inf) < np.inf:  # NaN spreads
        row, item = np.argwhere(~(scores_BI < np.inf))[0]
        owner = int(queries.owners[block][row])
        name = f"user {user_vocabulary.raw([owner])[0]!r}" if user_vocabulary is not None else f"user index {owner}"
        raise NumericalError(
            f"scores must be numbers below infinity; got {scores_BI[row, item]} for {name} and item index "
            f"{item}. Train again with a smaller learning rate."
        )
    return scores_BI


def _reaching(scores_BI: Scores, rows_P: Int64, values_P: Scores) -> tuple[Int64, Int64]:
    """How many candidates of its query score at least each value, (P,), and how many there are, (B,).

    By counting for few values a query, else by sorting: the scores are then no longer in the order of items.
    """
    lengths = np.bincount(rows_P, minlength=len(scores_BI))
    if lengths.max(initial=0) <= _FEW_TARGETS:
        values_BT = padded(rows_P, values_P, lengths, np.nan)
        counts = [_true_by_row(scores_BI >= values_B[:, None]) for values_B in values_BT.T]
        return np.stack(counts, axis=1)[rows_P, places_of(lengths)], _true_by_row(scores_BI >= -np.inf)
    scores_BI.sort(axis=1)  # NaN, that is no candidate, comes last
    everyone = np.arange(len(scores_BI))
    num_candidates_B = _first_places(scores_BI, everyone, np.full(len(scores_BI), np.inf, dtype=scores_BI.dtype))
    return num_candidates_B[rows_P] - _first_places(scores_BI, rows_P, values_P), num_candidates_B


def _tied_behind(scores_BI: Scores, rows_P: Int64, targets_P: Int32) -> Int64:
    """How many candidates tie with each target and have a higher index, (P,)."""
    pairs = zip(rows_P.tolist(), targets_P.tolist(), strict=True)
    behind = [np.count_nonzero(scores_BI[row, item + 1 :] == scores_BI[row, item]) for row, item in pairs]
    return np.array(behind, dtype=np.int64)


def _first_places(ascending_BI: Scores, rows_P: Int64, values_P: Scores) -> Int64:
    """How many of an ascending row are below each value: np.searchsorted in many rows at once.

    >>> _first_places(np.array([[1.0, 2.0, 2.0, np.nan], [0.0, 5.0, 6.0, 7.0]]), np.array([0, 1]), np.array([2.0, 9.0]))
    array([1, 4])
    """
    flat, width = ascending_BI.reshape(-1), ascending_BI.shape[1]
    begins_P: Int64 = rows_P * width
    found_P: Int64 = begins_P.copy()
    left = width
    while left > 1:
        half = left // 2
        found_P += half * (flat[found_P + (half - 1)] < values_P)
        left -= half
    found_P += flat[found_P] < values_P
    return found_P - begins_P


def _true_by_row(mask_BI: Mask) -> Int64:
    """How many are true in each row; far faster than a sum along an axis."""
    return np.array([np.count_nonzero(row) for row in mask_BI], dtype=np.int64)
