"""Exact ranks of the targets of every query among all candidates, in blocks of bounded memory.

Assumes that a higher score is better, and that scores have one column per item and column 0 for padding, which is never
a candidate. This module does not sample candidates: a rank among a sample is another number with the same name.

Inside this module a score of NaN means "not a candidate". A score of -inf is the lowest score a candidate can have;
`caser.search.exact` treats -inf as "not a candidate" instead, which is why its top-k cannot be used here.

Shape suffixes: Q queries, P targets of all queries, B queries of one block, I items and padding, G groups of items,
N candidates that may be among the best, K best candidates kept, T targets of the query that has most.
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
from caser.system.mapped import release

Ties = Literal["against", "index"]
"""`against`: candidates that tie with a target rank before it. `index`: the lowest index first, as in top-k lists."""

MEMORY_MB = 256
"""Default limit of the memory of one block of scores and its copies, in megabytes."""

MOST_QUERIES = 256
"""A block has at most this many queries, even if memory would hold more."""

LIST_LENGTH = 10
"""By default a table keeps this many of the best candidates of each query."""

# What a block needs per score at most: the score, its copies, and one position of a history.
_BYTES_PER_SCORE = 48
# Up to this many targets per query, counting higher scores is faster than sorting the scores.
_FEW_TARGETS = 4
# `_lower_bounds` makes at least this many groups per kept candidate, and more where a group would get more items.
_GROUPS_PER_PLACE = 8
_ITEMS_PER_GROUP = 32


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
    """Rank every target: 1 + number of candidates that score higher + number of ties that `ties` places before it.

    scorer           a fitted model
    queries          histories and targets
    candidates       (I,) bool, the items that are ranked; index 0 is never ranked
    remove_seen      whether the items of a query's whole history leave its candidates
    ties             how candidates with the score of a target rank
    depth            the number of best candidates that the table keeps per query
    memory_mb        limit of the memory of one block, in megabytes
    user_vocabulary  raw ids for error messages, which otherwise name a user by index
    facts            what the table says it was made under, see `fingerprint.describe`

    Raises NumericalError, naming the user, for a score that is NaN or +inf (-inf is allowed, the lowest score); and
    ConfigError for scores of another shape than (B, I) and for `memory_mb` below 1.

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
    blocks: list[tuple[Values, Mask, Int64, Int32]] = []
    for block in candidate_scores(
        scorer,
        queries,
        candidates=candidates,
        remove_seen=remove_seen,
        memory_mb=memory_mb,
        user_vocabulary=user_vocabulary,
    ):
        scores_BI, rows_P, targets_P = block.scores_BI, block.rows_P, block.targets_P
        # These three read the scores in the order of items; counting comes last, because it may sort them.
        target_scores_P = scores_BI[rows_P, targets_P]
        top_BK = best_candidates(scores_BI, depth)
        tied_after_P = _count_tied_after(scores_BI, rows_P, targets_P) if ties == "index" else 0
        reaching_P, num_candidates_B = _count_reaching(scores_BI, rows_P, target_scores_P)
        ranks_P = np.where(np.isnan(target_scores_P), np.inf, reaching_P - tied_after_P)
        blocks.append((ranks_P, block.is_repeat_P, num_candidates_B, top_BK))
    ranks_P, is_repeat_P, num_candidates_Q, top_QK = map(np.concatenate, zip(*blocks, strict=True))
    return RankTable(
        ranks=ranks_P,
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
    """The scores of some queries.

    queries      which queries, as a slice of all
    scores_BI    (B, I) the score of each candidate, NaN for an item that is no candidate of the query
    rows_P       (P,) int64, the row in the block of each target
    targets_P    (P,) int32, the item of each target
    is_repeat_P  (P,) bool, whether the target is among the items that the query's user has seen
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
    """Yield the scores of all queries block by block; the caller may change a block.

    Parameters are those of `ranks`, which also says what is raised. Without queries there is one empty block.
    """
    num_columns = len(candidates)
    excluded_items = np.flatnonzero(~candidates | (np.arange(num_columns) == 0))
    for block in _blocks(queries, scorer, num_columns, memory_mb):
        scores_BI = _checked_scores(scorer, queries, block, num_columns, user_vocabulary)
        flat = scores_BI.reshape(-1)
        rows_P, targets_P = queries.target_pairs(block)
        # Mark seen items with NaN; a target that is now NaN is a repeat. Then restore them unless they must go.
        seen_rows, seen_items = queries.seen(block)
        seen = seen_rows * num_columns + seen_items
        seen_scores = None if remove_seen else flat[seen]
        flat[seen] = np.nan
        is_repeat_P = np.isnan(flat[rows_P * num_columns + targets_P])
        if seen_scores is not None:
            flat[seen] = seen_scores
        scores_BI[:, excluded_items] = np.nan
        release(queries.items)
        yield ScoreBlock(block, scores_BI, rows_P, targets_P, is_repeat_P)


def best_candidates(scores_BI: Scores, depth: int) -> Int32:
    """Return the `depth` best candidates of each query, best first, equal scores by lowest index.

    scores_BI  (B, I) scores, NaN for an item that is no candidate
    depth      the number of candidates to return

    Returns (B, depth) int32 item indices, then 0 where a query has fewer candidates.

    >>> best_candidates(np.array([[np.nan, 1.0, 2.0, 2.0, 0.5], [np.nan, np.nan, np.nan, 7.0, np.nan]]), 3).tolist()
    [[2, 3, 1], [3, 0, 0]]
    """
    best_BK = np.zeros((len(scores_BI), depth), dtype=np.int32)
    if depth:
        # Keep only the few candidates that can be among the best.
        flat = np.flatnonzero(scores_BI >= _lower_bounds(scores_BI, depth)[:, None])
        rows, items = np.divmod(flat, scores_BI.shape[1])
        # Lay them out by row, in the order of items, and sort each row; NaN, which pads a row, sorts last.
        lengths = np.bincount(rows, minlength=len(scores_BI))
        costs_BN = padded(rows, -scores_BI.reshape(-1)[flat], lengths, np.nan)
        items_BN = padded(rows, items, lengths, 0)
        order_BK = np.argsort(costs_BN, axis=1, kind="stable")[:, :depth]
        best_BK[:, : order_BK.shape[1]] = np.take_along_axis(items_BN, order_BK, axis=1)
    return best_BK


def _lower_bounds(scores_BI: Scores, depth: int) -> Scores:
    """A score per query, (B,), that at least `depth` of its candidates reach, but not many more; -inf if it has fewer.

    Items are dealt into groups, and the bound is the `depth`-th largest of the groups' maxima: the `depth` best groups
    have one such item each. This is much cheaper than to partition all scores of a query.
    """
    num_items = scores_BI.shape[1]
    num_groups = min(num_items, max(_GROUPS_PER_PLACE * depth, num_items // _ITEMS_PER_GROUP))
    if num_groups < depth:
        return np.full(len(scores_BI), -np.inf, dtype=scores_BI.dtype)
    # Group g holds the items g, g + num_groups, g + 2 num_groups, ... ; fmax ignores NaN.
    maxima_BG = np.fmax(scores_BI[:, :num_groups], -np.inf)
    for start in range(num_groups, num_items, num_groups):
        layer = scores_BI[:, start : start + num_groups]
        np.fmax(maxima_BG[:, : layer.shape[1]], layer, out=maxima_BG[:, : layer.shape[1]])
    maxima_BG.partition(num_groups - depth, axis=1)
    bounds_B: Scores = maxima_BG[:, num_groups - depth]
    return bounds_B


def _blocks(queries: Queries, scorer: Scorer, num_columns: int, memory_mb: int) -> list[slice]:
    """Slices of queries whose scores, copies and histories fit into the memory given, with at least one query each.

    Blocks of more than MOST_QUERIES would be no faster: their scores leave the processor's cache.
    """
    if memory_mb < 1:
        raise ConfigError(
            f"memory for ranking must be at least 1 megabyte; got {memory_mb}. The default is {MEMORY_MB}."
        )
    longest = int((queries.ends - queries.starts).max(initial=1))
    width = longest if scorer.history_length is None else min(longest, scorer.history_length)
    size = min(MOST_QUERIES, max(1, memory_mb * 2**20 // (_BYTES_PER_SCORE * (num_columns + width))))
    return [slice(start, start + size) for start in range(0, max(len(queries), 1), size)]


def _checked_scores(
    scorer: Scorer, queries: Queries, block: slice, num_columns: int, user_vocabulary: Vocabulary | None
) -> Scores:
    """A copy of the scores of a block, checked to have no NaN and no +inf; padding gets -inf."""
    users = queries.users[block]
    scores_BI = np.array(scorer.scores(users, queries.histories(block, scorer.history_length)), order="C")
    if scores_BI.shape != (len(users), num_columns):
        raise ConfigError(
            f"a scorer must give a score per query and item, shape {(len(users), num_columns)}; got {scores_BI.shape}. "
            "Judge a model on the log it was trained on."
        )
    scores_BI[:, 0] = -np.inf
    if not scores_BI.max(initial=-np.inf) < np.inf:  # a NaN makes the maximum NaN, so the comparison is false
        row, item = np.argwhere(~(scores_BI < np.inf))[0]
        owner = int(queries.owners[block][row])
        name = f"user {user_vocabulary.raw([owner])[0]!r}" if user_vocabulary is not None else f"user index {owner}"
        raise NumericalError(
            f"scores must be numbers below infinity; got {scores_BI[row, item]} for {name} and item index "
            f"{item}. Fit the model again, a network with a smaller learning rate."
        )
    return scores_BI


def _count_reaching(scores_BI: Scores, rows_P: Int64, values_P: Scores) -> tuple[Int64, Int64]:
    """Count the candidates of a query that score at least each value, (P,), and all its candidates, (B,).

    With few values per query this compares every score with each value; otherwise it sorts the scores in place, so
    that they lose the order of items, and searches the values.
    """
    num_queries = len(scores_BI)
    lengths = np.bincount(rows_P, minlength=num_queries)
    if lengths.max(initial=0) <= _FEW_TARGETS:
        values_BT = padded(rows_P, values_P, lengths, np.nan)
        counts_BT = np.stack([_count_true(scores_BI >= values_B[:, None]) for values_B in values_BT.T], axis=1)
        return counts_BT[rows_P, places_of(lengths)], _count_true(scores_BI >= -np.inf)
    scores_BI.sort(axis=1)  # NaN, an item that is no candidate, sorts last
    infinity_B = np.full(num_queries, np.inf, dtype=scores_BI.dtype)
    num_candidates_B = _count_below(scores_BI, np.arange(num_queries), infinity_B)
    return num_candidates_B[rows_P] - _count_below(scores_BI, rows_P, values_P), num_candidates_B


def _count_tied_after(scores_BI: Scores, rows_P: Int64, targets_P: Int32) -> Int64:
    """Count the candidates that tie with each target and have a higher index, (P,)."""
    pairs = zip(rows_P.tolist(), targets_P.tolist(), strict=True)
    counts = [np.count_nonzero(scores_BI[row, item + 1 :] == scores_BI[row, item]) for row, item in pairs]
    return np.array(counts, dtype=np.int64)


def _count_below(ascending_BI: Scores, rows_P: Int64, values_P: Scores) -> Int64:
    """Count the entries of a row that are below each value, (P,); every row is ascending, with NaN at the end.

    A binary search of all values at once, where np.searchsorted would need one call per row.

    >>> _count_below(np.array([[1.0, 2.0, 2.0, np.nan], [0.0, 5.0, 6.0, 7.0]]), np.array([0, 1]), np.array([2.0, 9.0]))
    array([1, 4])
    """
    flat, width = ascending_BI.reshape(-1), ascending_BI.shape[1]
    row_starts_P: Int64 = rows_P * width
    # Invariant: all entries of the row before `places_P` are below the value; the answer is within `left` places.
    places_P: Int64 = row_starts_P.copy()
    left = width
    while left > 1:
        half = left // 2
        places_P += half * (flat[places_P + (half - 1)] < values_P)
        left -= half
    places_P += flat[places_P] < values_P
    return places_P - row_starts_P


def _count_true(mask_BI: Mask) -> Int64:
    """Count the true entries of each row, (B,); far faster than a sum along an axis."""
    return np.array([np.count_nonzero(row) for row in mask_BI], dtype=np.int64)
