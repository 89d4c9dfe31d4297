"""An approximate index of a large catalogue: an answer looks at the items of a few cells, not at all of them.

Items with like vectors share a cell (inverted lists; Jegou, Douze & Schmid, TPAMI 2011). A state is compared with the
mean of every cell, and only the items of the best few cells are scored; these scores are exact, so what an answer holds
is in the right order and only may lack an item. The bias counts as one more coordinate of a vector, and that of a state
is 1. Building needs the extra `ann` (faiss, which finds the cells); answering does not, and all that is saved is the
cell of each item.

Shape suffixes: I catalogue + padding, M items in cells, C cells, Q queries, K leaders, D state width + 1 for the bias.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from caser.arrays.offsets import offsets_of
from caser.arrays.types import Int32, Int64, Scores
from caser.errors import ArtefactError, ConfigError, MissingDependencyError
from caser.search.exact import Candidates, NotFiniteError, TopK, find_top_k

CUT_OFF = 10
"""TopK of a query that recall is about."""

_POINTS_PER_CELL = 32
_ONE_SIDED_95 = 1.645
_ROUNDS = 5


@dataclass(frozen=True, eq=False)
class Index:
    """Cells of items.

    cells_I  the cell of each item, from 1; 0 for padding and for items that are never recommended
    probes   how many cells an answer looks at
    recall   share of the exact top 10 that answers held when the index was built, for other users than those that
             decided on `probes`
    """

    cells_I: Int32
    vectors_ID: Scores
    bias_I: Scores
    probes: int
    recall: float

    def __post_init__(self) -> None:
        sizes_C = np.bincount(self.cells_I.clip(min=0))[1:]
        if len(self.cells_I) != len(self.vectors_ID) or self.cells_I.min() < 0 or not sizes_C.all():
            raise ArtefactError("an index must have a cell, from 1 and none empty, for each item; it has not.")
        if not 1 <= self.probes <= len(sizes_C):
            raise ArtefactError(f"an index must look at 1 to {len(sizes_C)} cells; got {self.probes}.")

    @property
    def num_cells(self) -> int:
        """How many cells there are."""
        return len(self._starts) - 1

    @cached_property
    def _members(self) -> Int64:
        """Item indices, cell after cell, (M,)."""
        return np.argsort(self.cells_I, kind="stable")[np.count_nonzero(self.cells_I == 0) :]

    @cached_property
    def _starts(self) -> Int64:
        """Where each cell starts among the members, and where the last one ends, (C + 1,)."""
        return offsets_of(np.bincount(self.cells_I)[1:])

    @cached_property
    def _rows(self) -> Scores:
        """The members' vectors, (M, D)."""
        return with_bias(self.vectors_ID[self._members], self.bias_I[self._members])

    @cached_property
    def _means(self) -> Scores:
        """The mean of each cell's rows, (C, D)."""
        sums_CD = np.add.reduceat(self._rows, self._starts[:-1], axis=0)
        means_CD: Scores = sums_CD / np.diff(self._starts)[:, None].astype(sums_CD.dtype)
        return means_CD

    def cells_by_score(self, states_QD: Scores) -> Scores:
        """How well each cell fits each state, (Q, C); states with the 1 for the bias."""
        fits_QC: Scores = states_QD @ self._means.T
        return fits_QC

    def find_top_k(self, states: Scores, k: int, candidates: Candidates) -> TopK:
        """The `k` best candidates that are found for each state; `candidates.chosen` must be None.

        Fewer than `k` only say that the cells did not hold more. Raises NotFiniteError as `catalogue.best` does.
        """
        found = []
        states_QD = _with_one(states)
        starts = self._starts.tolist()
        excluded = candidates.barred[self.cells_I[candidates.barred] > 0]
        seen = candidates.seen_rows.searchsorted(np.arange(len(states) + 1)).tolist()
        for row, (state_D, fits_C) in enumerate(zip(states_QD, self.cells_by_score(states_QD), strict=True)):
            cells = fits_C.argpartition(-self.probes)[-self.probes :].tolist()
            scores = np.concatenate([self._rows[starts[cell] : starts[cell + 1]] @ state_D for cell in cells])
            items = np.concatenate([self._members[starts[cell] : starts[cell + 1]] for cell in cells])
            if not scores.max() < np.inf:
                raise NotFiniteError(row)
            barred = np.concatenate([excluded, candidates.seen_items[seen[row] : seen[row + 1]]])
            found.append(_head(items, scores, k, barred))
        rows = np.arange(len(states_QD)).repeat([len(items) for items, _ in found])
        if not found:
            return TopK(rows, rows, np.empty(0, dtype=np.float32))
        items_M, scores_M = (np.concatenate(column) for column in zip(*found, strict=True))
        return TopK(rows, items_M, scores_M)


def _head(items: Int64, scores: Scores, k: int, barred: Int64) -> tuple[Int64, Scores]:
    """The `k` best items that are not barred, best first; equal scores by lowest index."""
    most = k + len(barred)  # so many that enough are left
    if most < len(scores):
        above = np.flatnonzero(scores >= np.partition(scores, -most)[-most])
        items, scores = items[above], scores[above]
    order = np.lexsort((items, -scores))
    order = order[~np.isin(items[order], barred)][:k]
    return items[order], scores[order]


def build(
    vectors_ID: Scores,
    bias_I: Scores,
    is_trained: np.ndarray,
    states: Scores,
    recall: float,
    num_cells: int | None = None,
) -> Index:
    """Put the trained items into cells, and look at so many that answers have `recall` of the exact top 10.

    `states` are of the log's own users: half decide how many cells, so that their recall is above `recall` by more than
    chance (one-sided, 95 %); the other half say what recall that gives.
    `num_cells` is about 4 times the root of the catalogue by default. Raises MissingDependencyError without faiss.
    """
    if not 0 < recall <= 1:
        raise ConfigError(f"recall must be above 0 and at most 1; got {recall}.")
    members = np.flatnonzero(is_trained)
    num_cells = min(num_cells or round(4 * len(members) ** 0.5), len(members))
    cells_I = np.zeros(len(vectors_ID), dtype=np.int32)
    cells_M = _cells(with_bias(vectors_ID[members], bias_I[members]), num_cells)
    cells_I[members] = np.unique(cells_M, return_inverse=True)[1] + 1

    def scores_of(items: slice | Int64) -> Scores:
        scores_QN: Scores = states @ vectors_ID[items].T + bias_I[items]
        return scores_QN

    leaders = find_top_k(scores_of, len(states), len(vectors_ID), CUT_OFF, Candidates(np.flatnonzero(~is_trained)))
    every = Index(cells_I, vectors_ID, bias_I, int(cells_I.max()), 1.0)
    fits_QC = every.cells_by_score(_with_one(states))
    places_QC = (-fits_QC).argsort(axis=1).argsort(axis=1) + 1
    place_M = places_QC[leaders.rows, cells_I[leaders.items] - 1]  # a leader is found if so many cells are looked at
    decides_M = leaders.rows % 2 == 0
    probes = _enough(place_M[decides_M], leaders.rows[decides_M], recall)
    judged_M = place_M if decides_M.all() else place_M[~decides_M]
    return replace(every, probes=probes, recall=float((judged_M <= probes).mean()))


def _enough(place_M: Int64, query_M: Int64, recall: float) -> int:
    """The fewest cells that find leaders at these places for a mean share over queries that is above `recall`."""
    num_M = np.bincount(query_M)
    asked = num_M > 0
    for probes in np.unique(place_M).tolist():
        share_Q = np.bincount(query_M, place_M <= probes)[asked] / num_M[asked]
        if share_Q.mean() - _ONE_SIDED_95 * share_Q.std() / len(share_Q) ** 0.5 >= recall:
            return int(probes)
    return int(place_M.max())


def with_bias(vectors_ID: Scores, bias_I: Scores) -> Scores:
    """Vectors with their bias as the last coordinate.

    >>> with_bias(np.array([[1.0, 2.0]]), np.array([3.0])).tolist()
    [[1.0, 2.0, 3.0]]
    """
    return np.concatenate([vectors_ID, bias_I[:, None]], axis=1)


def _with_one(states: Scores) -> Scores:
    return with_bias(states, np.ones(len(states), dtype=states.dtype))


def _cells(rows_MD: Scores, num_cells: int) -> Int64:
    """The cell of each row, from 0: spherical k-means, since what counts is the direction in which a state must lie."""
    try:
        import faiss
    except ImportError:
        raise MissingDependencyError(
            "an index needs faiss to find its cells; it is not installed. Type: pip install 'caser[ann]'"
        ) from None
    rows_MD = np.ascontiguousarray(rows_MD, dtype=np.float32)
    means = faiss.Kmeans(
        rows_MD.shape[1],
        num_cells,
        niter=_ROUNDS,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=_POINTS_PER_CELL,
        seed=0,
    )
    means.train(rows_MD)
    cells: Int64 = means.index.search(rows_MD, 1)[1][:, 0]
    return cells
