"""The best items of a catalogue, exactly: scores are made a block of items at a time, and only leaders are kept.

A full list of scores is never sorted and, where a model scores by vectors, never held: memory is one block, whatever
the size of the catalogue. Of a block that has nothing above what the leaders have, only the highest score is looked at.

Shape suffixes: B questions, I catalogue + padding, N items of one block.
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
"""Items, as a slice or as indices, to their scores for some questions, (B, N); the block is the caller's to change."""

_FEW = 4

MOST_SCORES = 2**20
"""Scores that are held at once."""


def _nothing() -> Int64:
    return np.empty(0, dtype=np.int64)


class NotFiniteError(ArithmeticError):
    """A score is NaN or infinite; `row` is the question."""

    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


@dataclass(frozen=True, eq=False)
class TopK:
    """The best items of each question, one question after another, best first: all (M,).

    rows  the question          items  item indices          scores
    """

    rows: Int64
    items: Int64
    scores: Scores

    def of(self, num_questions: int) -> list[slice]:
        """The places of each question.

        >>> TopK(np.array([0, 0, 2]), np.array([4, 1, 5]), np.array([2.0, 1.0, 3.0])).of(3)
        [slice(0, 2, None), slice(2, 2, None), slice(2, 3, None)]
        """
        ends = np.searchsorted(self.rows, np.arange(num_questions + 1)).tolist()
        return [slice(start, end) for start, end in itertools.pairwise(ends)]

    def where(self, is_kept_B: NDArray[np.bool_]) -> TopK:
        """Those of some questions."""
        kept = is_kept_B[self.rows]
        return TopK(self.rows[kept], self.items[kept], self.scores[kept])

    def concat(self, other: TopK) -> TopK:
        """These and those of other questions."""
        rows = np.concatenate([self.rows, other.rows])
        order = rows.argsort(kind="stable")
        items, scores = np.concatenate([self.items, other.items]), np.concatenate([self.scores, other.scores])
        return TopK(rows[order], items[order], scores[order])

    def last(self, num_questions: int, k: int) -> Scores:
        """The k-th best score of each question, -inf where there are fewer: what another item must exceed."""
        bounds = self.rows.searchsorted(np.arange(num_questions + 1))
        starts_B, ends_B = bounds[:-1], bounds[1:]
        last_B = np.full(num_questions, -np.inf, dtype=self.scores.dtype)
        full = ends_B - starts_B >= k
        last_B[full] = self.scores[starts_B[full] + k - 1]
        return last_B


@dataclass(frozen=True, eq=False)
class Candidates:
    """Which items may be recommended: those of `chosen`, or all where it is None, without those of `barred`.

    Both are sorted item indices. `seen_rows` and `seen_items` (S,) are a question and an item that is barred for it.
    """

    barred: Int64
    chosen: Int64 | None = None
    seen_rows: Int64 = field(default_factory=_nothing)
    seen_items: Int64 = field(default_factory=_nothing)

    def without(self, seen: Sequence[Int32]) -> Candidates:
        """The same without the items that each question names."""
        rows = np.arange(len(seen)).repeat([len(items) for items in seen])
        return replace(self, seen_rows=rows, seen_items=np.concatenate(seen) if len(seen) else _nothing())

    def of(self, rows: Int64) -> Candidates:
        """For some of the questions, sorted."""
        places, is_there = _places(self.seen_rows, rows)
        return replace(self, seen_rows=places, seen_items=self.seen_items[is_there])

    def in_places(self) -> Candidates:
        """The same with places in `chosen` instead of item indices."""
        if self.chosen is None:
            return self
        seen_places, is_there = _places(self.seen_items, self.chosen)
        barred, _ = _places(self.barred, self.chosen)
        return Candidates(barred, None, self.seen_rows[is_there], seen_places)

    def bar(self, scores_BN: Scores, start: int) -> None:
        """Give -inf to what may not be recommended, in the block of items from `start`."""
        end = start + scores_BN.shape[1]
        first, last = self.barred.searchsorted((start, end))
        scores_BN[:, self.barred[first:last] - start] = -np.inf
        if len(self.seen_items):
            inside = (self.seen_items >= start) & (self.seen_items < end)
            scores_BN[self.seen_rows[inside], self.seen_items[inside] - start] = -np.inf


def find_top_k(
    scores_of: ScoresOf,
    num_questions: int,
    num_items: int,
    k: int,
    candidates: Candidates,
    most_scores: int = MOST_SCORES,
) -> TopK:
    """The `k` best candidates of each question, equal scores by lowest index; fewer where there are fewer.

    `num_items` counts padding; at most `most_scores` are held at once. Raises ConfigError for `k` below 1,
    NotFiniteError for a candidate whose score is NaN or infinite; -inf is no candidate.

    >>> table = np.array([[0.0, 1.0, 3.0, 3.0]])
    >>> found = find_top_k(lambda items: table[:, items], 1, 4, k=2, candidates=Candidates(barred=np.array([0, 2])))
    >>> found.items.tolist(), found.scores.tolist()
    ([3, 1], [3.0, 1.0])
    """
    _check(k)
    chosen, places = candidates.chosen, candidates.in_places()
    total = num_items if chosen is None else len(chosen)
    size = max(1, most_scores // max(num_questions, 1))
    found = TopK(_nothing(), _nothing(), np.empty(0, dtype=np.float32))
    for start in range(0, total if num_questions else 0, size):
        end = min(start + size, total)
        scores_BN = scores_of(slice(start, end) if chosen is None else chosen[start:end])
        places.bar(scores_BN, start)
        if not scores_BN.max() < np.inf:  # NaN passes through a maximum
            raise NotFiniteError(int((~(scores_BN < np.inf)).any(axis=1).argmax()))
        rows, columns, scores = _ahead(scores_BN, found, k)
        if len(rows):
            found = _merged(found, TopK(rows, columns + start, scores), k)
    return found if chosen is None else TopK(found.rows, chosen[found.items], found.scores)


def top_k(scores_BN: Scores, k: int) -> tuple[Int64, Int64, Scores]:
    """The `k` best columns of each row, all rows after one another: rows, columns, scores; best first within a row.

    Equal scores are ordered by column, so the lowest index wins. A row has fewer where -inf leaves fewer: a score of
    -inf is no candidate. Raises ConfigError for `k` below 1.

    >>> rows, columns, scores = top_k(np.array([[1.0, 3.0, 3.0], [2.0, -np.inf, -np.inf]]), k=2)
    >>> rows.tolist(), columns.tolist()
    ([0, 0, 1], [1, 2, 0])
    """
    _check(k)
    num_columns = scores_BN.shape[1]
    lowest = np.finfo(scores_BN.dtype).min
    if k < num_columns:
        kth_B1 = np.partition(scores_BN, num_columns - k, axis=1)[:, num_columns - k, None]
        flat = np.flatnonzero(scores_BN >= np.maximum(kth_B1, lowest))
    else:
        flat = np.flatnonzero(scores_BN >= lowest)
    rows, columns = np.divmod(flat, num_columns)
    return _cut(rows, columns, scores_BN[rows, columns], k)


def _check(k: int) -> None:
    if not isinstance(k, int | np.integer) or k < 1:
        raise ConfigError(f"k must be a whole number, at least 1; got {k!r}.")


def _cut(rows: Int64, columns: Int64, scores: Scores, k: int) -> tuple[Int64, Int64, Scores]:
    """Order by row, then score, then column, and keep the first `k` of each row."""
    order = np.lexsort((columns, -scores, rows))
    rows = rows[order]
    kept = np.arange(len(rows)) - rows.searchsorted(rows) < k
    order = order[kept]
    return rows[kept], columns[order], scores[order]


def _ahead(scores_BN: Scores, found: TopK, k: int) -> tuple[Int64, Int64, Scores]:
    """What of a block comes among the leaders: all that exceeds their last, or where that is much, the block's best."""
    if len(found.rows):
        flat = np.flatnonzero(scores_BN > found.last(len(scores_BN), k)[:, None])
        if len(flat) <= _FEW * k * len(scores_BN):
            rows, columns = np.divmod(flat, scores_BN.shape[1])
            return rows, columns, scores_BN[rows, columns]
    return top_k(scores_BN, k)


def _merged(one: TopK, other: TopK, k: int) -> TopK:
    if not len(one.rows):
        return other
    rows, items = np.concatenate([one.rows, other.rows]), np.concatenate([one.items, other.items])
    return TopK(*_cut(rows, items, np.concatenate([one.scores, other.scores]), k))


def _places(items: Int64, chosen: Int64) -> tuple[Int64, NDArray[np.bool_]]:
    """Where items are in `chosen`, of those that are there, and which are."""
    if not len(chosen):
        return _nothing(), np.zeros(len(items), dtype=bool)
    places = chosen.searchsorted(items).clip(max=len(chosen) - 1)
    is_there = chosen[places] == items
    return places[is_there], is_there
