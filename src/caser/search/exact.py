"""Exact top-k over a catalogue: scores are computed for one block of items at a time, and only the best are kept.

The scores of a whole catalogue are never sorted. Where a model scores by vectors, they are never held at once either:
memory is one block, whatever the size of the catalogue. Most blocks hold no score above the current top k; such a block
is only searched for its highest scores.

Shape suffixes: B queries, I catalogue + padding, N items of one block, M results of all queries, S seen items of all
queries.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from caser.arrays.types import Int32, Int64, Scores
from caser.errors import ConfigError

ScoresOf = Callable[[slice | Int64], Scores]
"""A function from items, a slice or indices, to their scores for all queries, (B, N). The result may be overwritten."""

_LEAST_GROUPS, _GROUPS_PER_RESULT = 512, 8
"""How many groups of columns there are, at least, whose maxima tell which entries may be among the best."""

_FEW = 4
"""A block has few entries that may enter the top k if they are at most this many times k for each query."""

MOST_SCORES = 2**20
"""The largest number of scores that are held at once."""


def _empty() -> Int64:
    return np.empty(0, dtype=np.int64)


class NotFiniteError(ArithmeticError):
    """A score is NaN or infinite.

    row  the query with that score
    """

    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


@dataclass(frozen=True, eq=False)
class TopK:
    """The best items of each query, one query after another, the best item first.

    rows    (M,) int64, the query of each result
    items   (M,) int64, the item index
    scores  (M,) floats, the score
    """

    rows: Int64
    items: Int64
    scores: Scores

    def of(self, num_queries: int) -> list[slice]:
        """Return where the results of each query are.

        num_queries  the number of queries

        >>> TopK(np.array([0, 0, 2]), np.array([4, 1, 5]), np.array([2.0, 1.0, 3.0])).of(3)
        [slice(0, 2, None), slice(2, 2, None), slice(2, 3, None)]
        """
        ends = np.searchsorted(self.rows, np.arange(num_queries + 1)).tolist()
        return [slice(start, end) for start, end in itertools.pairwise(ends)]

    def where(self, is_kept_B: NDArray[np.bool_]) -> TopK:
        """Return the results of some queries.

        is_kept_B  (B,) bool, whether to keep the results of each query
        """
        kept = is_kept_B[self.rows]
        return TopK(self.rows[kept], self.items[kept], self.scores[kept])

    def concat(self, other: TopK) -> TopK:
        """Return these results together with those of other queries.

        other  results of queries that have none here
        """
        rows = np.concatenate([self.rows, other.rows])
        order = rows.argsort(kind="stable")
        items, scores = np.concatenate([self.items, other.items]), np.concatenate([self.scores, other.scores])
        return TopK(rows[order], items[order], scores[order])

    def last(self, num_queries: int, k: int) -> Scores:
        """Return the k-th best score of each query: the score that another item must exceed to enter the top k.

        num_queries  B, the number of queries
        k            the length of the lists

        Returns floats (B,), -inf where a query has fewer than k results.
        """
        bounds = self.rows.searchsorted(np.arange(num_queries + 1))
        starts_B, ends_B = bounds[:-1], bounds[1:]
        last_B = np.full(num_queries, -np.inf, dtype=self.scores.dtype)
        is_full_B = ends_B - starts_B >= k
        last_B[is_full_B] = self.scores[starts_B[is_full_B] + k - 1]
        return last_B


@dataclass(frozen=True, eq=False)
class Candidates:
    """Which items may be recommended: the chosen ones without the barred ones, and without the seen ones of each query.

    barred      sorted int64, the item indices that no query may get
    chosen      sorted int64, the only item indices that a query may get; None for all
    seen_rows   (S,) int64, sorted, a query ...
    seen_items  (S,) int64, ... and an item index that this query may not get
    """

    barred: Int64
    chosen: Int64 | None = None
    seen_rows: Int64 = field(default_factory=_empty)
    seen_items: Int64 = field(default_factory=_empty)

    def without(self, seen: Sequence[Int32]) -> Candidates:
        """Return the same candidates without the items that each query has seen.

        seen  the seen item indices of each query, int32, one array per query
        """
        rows = np.arange(len(seen)).repeat([len(items) for items in seen])
        return replace(self, seen_rows=rows, seen_items=np.concatenate(seen) if len(seen) else _empty())

    def of(self, rows: Int64) -> Candidates:
        """Return the candidates of some of the queries, which are numbered anew from 0.

        rows  sorted int64, the queries to keep
        """
        places, is_kept = _places(self.seen_rows, rows)
        return replace(self, seen_rows=places, seen_items=self.seen_items[is_kept])

    def in_places(self) -> Candidates:
        """Return the same candidates with places in `chosen` instead of item indices; unchanged where that is None."""
        if self.chosen is None:
            return self
        seen_places, is_chosen = _places(self.seen_items, self.chosen)
        barred, _ = _places(self.barred, self.chosen)
        return Candidates(barred, None, self.seen_rows[is_chosen], seen_places)

    def bar(self, scores_BN: Scores, start: int) -> None:
        """Set the scores of items that may not be recommended to -inf.

        scores_BN  (B, N) floats, the scores of a block of items, changed in place
        start      the index of the block's first item
        """
        end = start + scores_BN.shape[1]
        first, last = self.barred.searchsorted((start, end))
        scores_BN[:, self.barred[first:last] - start] = -np.inf
        if len(self.seen_items):
            inside = (self.seen_items >= start) & (self.seen_items < end)
            scores_BN[self.seen_rows[inside], self.seen_items[inside] - start] = -np.inf


def check_k(k: object) -> None:
    """Raise ConfigError unless `k` is a whole number of at least 1.

    k  the length of a list; True is no number of items
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ConfigError(f"k must be a whole number, at least 1; got {k!r}.")


def find_top_k(
    scores_of: ScoresOf,
    num_queries: int,
    num_items: int,
    k: int,
    candidates: Candidates,
    most_scores: int = MOST_SCORES,
) -> TopK:
    """Find the k best candidates of each query, block by block. Among equal scores, the lowest index comes first.

    scores_of    the function that scores some items for all queries
    num_queries  the number of queries
    num_items    the number of items, padding included
    k            the length of the lists; a list is shorter where there are fewer candidates
    candidates   which items may be recommended; an item with a score of -inf is no candidate either
    most_scores  the largest number of scores that are held at once; one item for all queries is the least

    Raises ConfigError for `k` below 1, and NotFiniteError when the score of a candidate is NaN or +inf.

    >>> table = np.array([[0.0, 1.0, 3.0, 3.0]])
    >>> found = find_top_k(lambda items: table[:, items], 1, 4, k=2, candidates=Candidates(barred=np.array([0, 2])))
    >>> found.items.tolist(), found.scores.tolist()
    ([3, 1], [3.0, 1.0])
    """
    check_k(k)
    chosen, places = candidates.chosen, candidates.in_places()
    total = num_items if chosen is None else len(chosen)
    size = max(1, most_scores // max(num_queries, 1))
    best = TopK(_empty(), _empty(), np.empty(0, dtype=np.float32))
    for start in range(0, total if num_queries else 0, size):
        # Score the block.
        end = min(start + size, total)
        scores_BN = scores_of(slice(start, end) if chosen is None else chosen[start:end])
        places.bar(scores_BN, start)
        if not scores_BN.max() < np.inf:  # the maximum of a block with a NaN is NaN
            raise NotFiniteError(int((~(scores_BN < np.inf)).any(axis=1).argmax()))
        # Merge its best entries with those of earlier blocks.
        rows, columns, scores = _entries_that_may_enter(scores_BN, best, k)
        if len(rows):
            best = _merged(best, TopK(rows, columns + start, scores), k)
    return best if chosen is None else TopK(best.rows, chosen[best.items], best.scores)


def top_k(scores_BN: Scores, k: int) -> tuple[Int64, Int64, Scores]:
    """Find the k best columns of each row. Among equal scores, the lowest column comes first.

    scores_BN  (B, N) floats; a score of -inf is no candidate
    k          the length of the lists; a row has fewer where -inf leaves fewer

    Returns rows, columns and scores, each (M,): one row after another, the best column first. Raises ConfigError for
    `k` below 1.

    >>> rows, columns, scores = top_k(np.array([[1.0, 3.0, 3.0], [2.0, -np.inf, -np.inf]]), k=2)
    >>> rows.tolist(), columns.tolist()
    ([0, 0, 1], [1, 2, 0])
    """
    check_k(k)
    num_columns = scores_BN.shape[1]
    lowest = np.finfo(scores_BN.dtype).min
    if k >= num_columns:
        flat = np.flatnonzero(scores_BN >= lowest)
    else:
        bound_B1 = np.maximum(_bound(scores_BN, k), lowest)
        flat = np.flatnonzero(scores_BN > bound_B1)
        # Of the entries at the bound, the first k of a row are enough, and none where k are above it.
        num_above_B = np.bincount(flat // num_columns, minlength=len(scores_BN))
        at_bound = [
            row * num_columns + np.flatnonzero(scores_BN[row] == bound_B1[row])[:k]
            for row in np.flatnonzero(num_above_B < k).tolist()
        ]
        flat = np.concatenate([flat, *at_bound])
    rows, columns = np.divmod(flat, num_columns)
    return keep_best(rows, columns, scores_BN[rows, columns], k)


def _bound(scores_BN: Scores, k: int) -> Scores:
    """A score that at least k entries of each row reach, and few exceed: (B, 1), for k below N.

    It is the k-th largest of the maxima of groups of columns. To look for the k-th largest of all entries would be slow
    where most are equal, as the zeros of counting models are.
    """
    num_columns, num_groups = scores_BN.shape[1], max(_LEAST_GROUPS, _GROUPS_PER_RESULT * k)
    maxima_BG = scores_BN
    if num_columns >= 2 * num_groups:
        maxima_BG = scores_BN[:, :num_groups].copy()
        for start in range(num_groups, num_columns, num_groups):
            some_BN = scores_BN[:, start : start + num_groups]
            np.maximum(maxima_BG[:, : some_BN.shape[1]], some_BN, out=maxima_BG[:, : some_BN.shape[1]])
    place = maxima_BG.shape[1] - k
    bound_B1: Scores = np.partition(maxima_BG, place, axis=1)[:, place, None]
    return bound_B1


def keep_best(rows: Int64, items: Int64, scores: Scores, k: int) -> tuple[Int64, Int64, Scores]:
    """Sort entries by row, then by falling score, then by item, and keep the first k of each row.

    rows, items  int64 (n,), a query and an item
    scores       (n,) floats, the score of the item for the query
    k            how many entries of a row to keep at most

    Returns rows, items and scores of what is kept, in this order.

    >>> rows, items, _ = keep_best(np.array([1, 0, 1]), np.array([7, 5, 6]), np.array([2.0, 9.0, 2.0]), k=1)
    >>> rows.tolist(), items.tolist()
    ([0, 1], [5, 6])
    """
    order = np.lexsort((items, -scores, rows))
    rows = rows[order]
    is_kept = np.arange(len(rows)) - rows.searchsorted(rows) < k
    order = order[is_kept]
    return rows[is_kept], items[order], scores[order]


def _entries_that_may_enter(scores_BN: Scores, best: TopK, k: int) -> tuple[Int64, Int64, Scores]:
    """The entries of this block that may enter the current top k, as rows, columns and scores.

    These are the entries above the k-th best score of their row, if they are few, and otherwise the block's own top k.
    """
    if len(best.rows):
        flat = np.flatnonzero(scores_BN > best.last(len(scores_BN), k)[:, None])
        if len(flat) <= _FEW * k * len(scores_BN):
            rows, columns = np.divmod(flat, scores_BN.shape[1])
            return rows, columns, scores_BN[rows, columns]
    return top_k(scores_BN, k)


def _merged(one: TopK, other: TopK, k: int) -> TopK:
    """The k best of two lists of results of the same queries."""
    if not len(one.rows):
        return other
    rows, items = np.concatenate([one.rows, other.rows]), np.concatenate([one.items, other.items])
    return TopK(*keep_best(rows, items, np.concatenate([one.scores, other.scores]), k))


def _places(values: Int64, chosen: Int64) -> tuple[Int64, NDArray[np.bool_]]:
    """The place in `chosen` (sorted) of each value that is there, and for every value whether it is there."""
    if not len(chosen):
        return _empty(), np.zeros(len(values), dtype=bool)
    places = chosen.searchsorted(values).clip(max=len(chosen) - 1)
    is_there = chosen[places] == values
    return places[is_there], is_there
