"""An approximate index of a large catalogue: a query only scores the items of a few cells.

Items with similar vectors are in the same cell (inverted lists; Jegou, Douze & Schmid, TPAMI 2011). A query compares
its state with the mean vector of every cell, and scores the items of the best few cells. These scores are exact, so the
items of an answer are in the right order, but an item may be missing. The bias of an item is one more coordinate of its
vector, and the same coordinate of a state is 1. Building an index needs the extra `ann` (faiss, which finds the cells).
Answering does not need it. Only the cell of each item is saved.

Shape suffixes: I catalogue + padding, M items in cells, C cells, Q queries, D state width + 1 for the bias, R exact
results of all queries.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from caser.arrays.offsets import offsets_of
from caser.arrays.types import Int32, Int64, Scores
from caser.errors import ArtefactError, ConfigError, MissingDependencyError
from caser.search.exact import Candidates, NotFiniteError, TopK, find_top_k, keep_best

CUT_OFF = 10
"""Recall is the share of this many best items that an answer holds."""

_POINTS_PER_CELL = 32
"""Items per cell that k-means looks at."""

_ONE_SIDED_95 = 1.645
"""The normal quantile of a one-sided 95 % interval."""

_ROUNDS = 5
"""Rounds of k-means."""


@dataclass(frozen=True, eq=False)
class Index:
    """The cells of the items. Raises ArtefactError when the parts do not fit together.

    cells_I     (I,) int32, the cell of each item, from 1; 0 for padding and for items that are never recommended
    vectors_ID  (I, D - 1) floats, the item vectors
    bias_I      (I,) floats, the item biases
    probes      how many cells a query probes
    recall      the share of the exact top 10 that answers held when the index was built; it was measured with other
                users than those that `probes` was chosen with
    """

    cells_I: Int32
    vectors_ID: Scores
    bias_I: Scores
    probes: int
    recall: float

    def __post_init__(self) -> None:
        sizes_C = np.bincount(self.cells_I.clip(min=0))[1:]
        if len(self.cells_I) != len(self.vectors_ID) or self.cells_I.min() < 0 or not sizes_C.all():
            raise ArtefactError("an index must give each item a cell, numbered from 1, none empty; it does not.")
        if not 1 <= self.probes <= len(sizes_C):
            raise ArtefactError(f"an index must probe 1 to {len(sizes_C)} cells; got {self.probes}.")

    @property
    def num_cells(self) -> int:
        """The number of cells."""
        return len(self._starts) - 1

    @cached_property
    def _members(self) -> Int64:
        """The item indices, cell after cell, (M,)."""
        return np.argsort(self.cells_I, kind="stable")[np.count_nonzero(self.cells_I == 0) :]

    @cached_property
    def _starts(self) -> Int64:
        """Where each cell starts among the members, and where the last one ends, (C + 1,)."""
        return offsets_of(np.bincount(self.cells_I)[1:])

    @cached_property
    def _rows(self) -> Scores:
        """The vectors of the members with their biases, (M, D)."""
        return with_bias(self.vectors_ID[self._members], self.bias_I[self._members])

    @cached_property
    def _means(self) -> Scores:
        """The mean vector of each cell, (C, D)."""
        sums_CD = np.add.reduceat(self._rows, self._starts[:-1], axis=0)
        means_CD: Scores = sums_CD / np.diff(self._starts)[:, None].astype(sums_CD.dtype)
        return means_CD

    def cells_by_score(self, states_QD: Scores) -> Scores:
        """Score every cell for every query: the score of the cell's mean vector.

        states_QD  (Q, D) floats, the states with a 1 for the bias

        Returns floats (Q, C).
        """
        scores_QC: Scores = states_QD @ self._means.T
        return scores_QC

    def find_top_k(self, states: Scores, k: int, candidates: Candidates) -> TopK:
        """Find the k best candidates of each query among the items of the cells that it probes.

        states      (Q, D - 1) floats, the state of each query
        k           the length of the lists; a list is shorter where the cells do not hold k candidates
        candidates  which items may be recommended; `chosen` must be None

        Raises NotFiniteError when the score of an item in a probed cell is NaN or +inf.
        """
        states_QD = _with_one(states)
        starts = self._starts.tolist()
        barred = candidates.barred[self.cells_I[candidates.barred] > 0]
        seen = candidates.seen_rows.searchsorted(np.arange(len(states) + 1)).tolist()
        found = []
        for row, (state_D, scores_C) in enumerate(zip(states_QD, self.cells_by_score(states_QD), strict=True)):
            # Score the items of the best cells.
            cells = scores_C.argpartition(-self.probes)[-self.probes :].tolist()
            scores = np.concatenate([self._rows[starts[cell] : starts[cell + 1]] @ state_D for cell in cells])
            items = np.concatenate([self._members[starts[cell] : starts[cell + 1]] for cell in cells])
            if not scores.max() < np.inf:
                raise NotFiniteError(row)
            # Keep those that may be among the k best candidates.
            removed = np.concatenate([barred, candidates.seen_items[seen[row] : seen[row + 1]]])
            found.append(_preselect(items, scores, k, removed))
        rows = np.arange(len(states_QD)).repeat([len(items) for items, _ in found])
        if not found:
            return TopK(rows, rows, np.empty(0, dtype=np.float32))
        # Sort the candidates of all queries at once.
        items_of_rows, scores_of_rows = (np.concatenate(column) for column in zip(*found, strict=True))
        return TopK(*keep_best(rows, items_of_rows, scores_of_rows, k))


def _preselect(items: Int64, scores: Scores, k: int, removed: Int64) -> tuple[Int64, Scores]:
    """The items, in any order, that may be among the k best without the removed ones, and their scores."""
    most = k + len(removed)  # even if all removed items are among these, k are left
    if most < len(scores):
        above = np.flatnonzero(scores >= np.partition(scores, -most)[-most])
        items, scores = items[above], scores[above]
    is_kept = ~np.isin(items, removed)
    return items[is_kept], scores[is_kept]


def build(
    vectors_ID: Scores,
    bias_I: Scores,
    is_trained: np.ndarray,
    states: Scores,
    recall: float,
    num_cells: int | None = None,
) -> Index:
    """Build an index that reaches a target recall: the share of the exact top 10 that answers hold.

    vectors_ID  (I, D - 1) floats, the item vectors
    bias_I      (I,) floats, the item biases
    is_trained  (I,) bool, which items may be recommended
    states      (Q, D - 1) floats, states of users of the log: with every second one the number of probed cells is
                chosen, so that the lower end of a one-sided 95 % interval of the recall reaches the target; with the
                others the recall is measured
    recall      the target, above 0 and at most 1
    num_cells   the number of cells, by default about 4 times the square root of the number of items

    Raises ConfigError for a recall outside its range, and MissingDependencyError without faiss.
    """
    if not 0 < recall <= 1:
        raise ConfigError(f"recall must be above 0 and at most 1; got {recall}.")
    # Put the items into cells.
    members = np.flatnonzero(is_trained)
    num_cells = min(num_cells or round(4 * len(members) ** 0.5), len(members))
    cells_I = np.zeros(len(vectors_ID), dtype=np.int32)
    cells_M = _cells(with_bias(vectors_ID[members], bias_I[members]), num_cells)
    cells_I[members] = np.unique(cells_M, return_inverse=True)[1] + 1

    # Find the exact top 10 of every query, and how many cells it must probe to find each of them.
    def scores_of(items: slice | Int64) -> Scores:
        scores_QN: Scores = states @ vectors_ID[items].T + bias_I[items]
        return scores_QN

    exact = find_top_k(scores_of, len(states), len(vectors_ID), CUT_OFF, Candidates(np.flatnonzero(~is_trained)))
    index = Index(cells_I, vectors_ID, bias_I, int(cells_I.max()), 1.0)
    cell_ranks_QC = (-index.cells_by_score(_with_one(states))).argsort(axis=1).argsort(axis=1) + 1
    needed_R = cell_ranks_QC[exact.rows, cells_I[exact.items] - 1]
    # Choose the number of probed cells with every second query, and measure the recall with the others.
    chooses_R = exact.rows % 2 == 0
    probes = _fewest_probes(needed_R[chooses_R], exact.rows[chooses_R], recall)
    measured_R = needed_R if chooses_R.all() else needed_R[~chooses_R]
    return replace(index, probes=probes, recall=float((measured_R <= probes).mean()))


def _fewest_probes(needed_R: Int64, query_R: Int64, recall: float) -> int:
    """The smallest number of probed cells that reaches the target recall.

    `needed_R` is how many cells must be probed to find each exact result, and `query_R` is its query.
    """
    num_results_Q = np.bincount(query_R)
    has_results_Q = num_results_Q > 0
    for probes in np.unique(needed_R).tolist():
        share_Q = np.bincount(query_R, needed_R <= probes)[has_results_Q] / num_results_Q[has_results_Q]
        if share_Q.mean() - _ONE_SIDED_95 * share_Q.std() / len(share_Q) ** 0.5 >= recall:
            return int(probes)
    return int(needed_R.max())


def with_bias(vectors_ID: Scores, bias_I: Scores) -> Scores:
    """Append the bias to each vector, as the last coordinate.

    vectors_ID  (I, D - 1) floats
    bias_I      (I,) floats

    Returns floats (I, D).

    >>> with_bias(np.array([[1.0, 2.0]]), np.array([3.0])).tolist()
    [[1.0, 2.0, 3.0]]
    """
    return np.concatenate([vectors_ID, bias_I[:, None]], axis=1)


def _with_one(states: Scores) -> Scores:
    return with_bias(states, np.ones(len(states), dtype=states.dtype))


def _cells(rows_MD: Scores, num_cells: int) -> Int64:
    """The cell of each row, from 0, by spherical k-means: scores depend on the direction between state and vector."""
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
