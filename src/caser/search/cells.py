"""An approximate index of a large catalogue: a query scores only the items of a few cells.

Items with similar vectors are in the same cell (inverted lists; Jegou, Douze & Schmid, TPAMI 2011). A query scores the
mean vector of every cell, and then every item in the cells with the best scores; it probes these cells. The scores of
items are exact, so an answer has the right order, but it may miss an item. The bias of an item becomes the last
coordinate of its vector, and the last coordinate of a state is 1. Building an index needs faiss (the extra `ann`): it
finds the cells. Answering does not need faiss. A run saves only the cell of each item, not the means.

Shape suffixes: I catalogue + padding, M items in cells, C cells, Q queries, D state width + 1 for the bias, R results
of the exact search, of all queries together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from caser.arrays.offsets import offsets_of
from caser.arrays.types import Int32, Int64, Scores
from caser.errors import ArtefactError, ConfigError
from caser.search.exact import Candidates, NotFiniteError, TopK, find_top_k, keep_best
from caser.system.extras import require

CUT_OFF = 10
"""The recall of an index is the share of this many exact best items that its answers hold."""

_SAMPLED_ITEMS_PER_CELL = 32
"""K-means finds the cells from a sample of at most this many items per cell."""

_ONE_SIDED_95 = 1.645
"""The normal quantile of a one-sided 95 % interval."""

_KMEANS_ITERATIONS = 5


@dataclass(frozen=True, eq=False)
class Index:
    """The cells of the items. Raises ArtefactError when the parts do not fit together.

    cells_I     (I,) int32, the cell of each item, from 1; 0 for padding and for items that are never recommended
    vectors_ID  (I, D - 1) floats, the item vectors
    bias_I      (I,) floats, the item biases
    probes      how many cells a query probes
    recall      the share of the exact top 10 that answers held when the index was built; `probes` was chosen with some
                users, and the recall was measured with others
    """

    cells_I: Int32
    vectors_ID: Scores
    bias_I: Scores
    probes: int
    recall: float

    def __post_init__(self) -> None:
        sizes_C = np.bincount(self.cells_I.clip(min=0))[1:]
        if len(self.cells_I) != len(self.vectors_ID) or self.cells_I.min() < 0 or not sizes_C.all():
            raise ArtefactError("an index must have a cell for each item, numbered from 1 without gaps; it does not.")
        if not 1 <= self.probes <= len(sizes_C):
            raise ArtefactError(f"an index must probe 1 to {len(sizes_C)} cells; got {self.probes}.")

    @property
    def num_cells(self) -> int:
        """The number of cells."""
        return len(self._starts) - 1

    @cached_property
    def _members(self) -> Int64:
        """The indices of the items, cell after cell, (M,)."""
        return np.argsort(self.cells_I, kind="stable")[np.count_nonzero(self.cells_I == 0) :]

    @cached_property
    def _starts(self) -> Int64:
        """Where each cell starts in `_members`, and where the last cell ends, (C + 1,)."""
        return offsets_of(np.bincount(self.cells_I)[1:])

    @cached_property
    def _member_vectors(self) -> Scores:
        """The vectors of the items, with their biases, cell after cell, (M, D)."""
        return with_bias(self.vectors_ID[self._members], self.bias_I[self._members])

    @cached_property
    def _means(self) -> Scores:
        """The mean vector of each cell, (C, D)."""
        sums_CD = np.add.reduceat(self._member_vectors, self._starts[:-1], axis=0)
        means_CD: Scores = sums_CD / np.diff(self._starts)[:, None].astype(sums_CD.dtype)
        return means_CD

    def cells_by_score(self, states_QD: Scores) -> Scores:
        """Score every cell for every query. The score of a cell is the score of its mean vector.

        states_QD  (Q, D) floats, the states with a 1 for the bias

        Returns floats (Q, C).
        """
        scores_QC: Scores = states_QD @ self._means.T
        return scores_QC

    def find_top_k(self, states: Scores, k: int, candidates: Candidates) -> TopK:
        """Find the k best candidates of each query among the items of the cells that it probes.

        states      (Q, D - 1) floats, the state of each query
        k           the length of each result; it is shorter if the probed cells hold fewer than k candidates
        candidates  which items may be recommended; `chosen` must be None

        Raises NotFiniteError when the score of an item in a probed cell is NaN or +inf.
        """
        states_QD = _with_one(states)
        starts = self._starts.tolist()
        # Keep only the barred items that are in a cell, and find where the seen items of each query start.
        barred = candidates.barred[self.cells_I[candidates.barred] > 0]
        seen = candidates.seen_rows.searchsorted(np.arange(len(states) + 1)).tolist()
        found = []
        for query, (state_D, scores_C) in enumerate(zip(states_QD, self.cells_by_score(states_QD), strict=True)):
            # Score the items of the best cells.
            cells = scores_C.argpartition(-self.probes)[-self.probes :].tolist()
            scores = np.concatenate([self._member_vectors[starts[cell] : starts[cell + 1]] @ state_D for cell in cells])
            items = np.concatenate([self._members[starts[cell] : starts[cell + 1]] for cell in cells])
            if not scores.max() < np.inf:  # true also for NaN
                raise NotFiniteError(query)
            # Keep those that may be among the k best candidates.
            removed = np.concatenate([barred, candidates.seen_items[seen[query] : seen[query + 1]]])
            found.append(_preselect(items, scores, k, removed))
        rows = np.arange(len(states_QD)).repeat([len(items) for items, _ in found])
        if not found:
            return TopK(rows, rows, np.empty(0, dtype=np.float32))
        # Sort the candidates of all queries at once.
        items_of_rows, scores_of_rows = (np.concatenate(column) for column in zip(*found, strict=True))
        return TopK(*keep_best(rows, items_of_rows, scores_of_rows, k))


def _preselect(items: Int64, scores: Scores, k: int, removed: Int64) -> tuple[Int64, Scores]:
    """Drop the removed items, and most items that cannot be among the k best of the rest; return items and scores."""
    enough = k + len(removed)  # even if all removed items are among these, k are left
    if enough < len(scores):
        is_high = scores >= np.partition(scores, -enough)[-enough]
        items, scores = items[is_high], scores[is_high]
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
    """Build an index that reaches a target recall. The recall is the share of the exact top 10 that answers hold.

    vectors_ID  (I, D - 1) floats, the item vectors
    bias_I      (I,) floats, the item biases
    is_trained  (I,) bool, which items may be recommended
    states      (Q, D - 1) floats, states of users of the log. Half of them choose the number of probed cells: the lower
                end of a one-sided 95 % interval of their mean recall must reach the target. The recall of the index is
                measured with the other half
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
    cells_I[members] = np.unique(cells_M, return_inverse=True)[1] + 1  # numbered from 1, without empty cells

    # Find the exact top 10 of every query, and how many cells the query must probe to find each of these items. This
    # number is the rank of the item's cell.
    def scores_of(items: slice | Int64) -> Scores:
        scores_QN: Scores = states @ vectors_ID[items].T + bias_I[items]
        return scores_QN

    exact = find_top_k(scores_of, len(states), len(vectors_ID), CUT_OFF, Candidates(np.flatnonzero(~is_trained)))
    index = Index(cells_I, vectors_ID, bias_I, probes=int(cells_I.max()), recall=1.0)
    cell_ranks_QC = (-index.cells_by_score(_with_one(states))).argsort(axis=1).argsort(axis=1) + 1
    probes_needed_R = cell_ranks_QC[exact.rows, cells_I[exact.items] - 1]
    # Choose the number of probed cells with every second query. Measure the recall with the others, if there are any.
    is_for_choosing_R = exact.rows % 2 == 0
    probes = _fewest_probes(probes_needed_R[is_for_choosing_R], exact.rows[is_for_choosing_R], recall)
    measured_R = probes_needed_R if is_for_choosing_R.all() else probes_needed_R[~is_for_choosing_R]
    return replace(index, probes=probes, recall=float((measured_R <= probes).mean()))


def _fewest_probes(probes_needed_R: Int64, query_R: Int64, recall: float) -> int:
    """Return the smallest number of probed cells that reaches the target recall.

    `probes_needed_R` is the number of cells that must be probed to find each exact result. `query_R` is the query of
    each exact result.
    """
    num_results_Q = np.bincount(query_R)
    has_results_Q = num_results_Q > 0
    for probes in np.unique(probes_needed_R).tolist():
        share_Q = np.bincount(query_R, probes_needed_R <= probes)[has_results_Q] / num_results_Q[has_results_Q]
        if share_Q.mean() - _ONE_SIDED_95 * share_Q.std() / len(share_Q) ** 0.5 >= recall:
            return int(probes)
    return int(probes_needed_R.max())


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


def _cells(vectors_MD: Scores, num_cells: int) -> Int64:
    """Return the cell of each vector, from 0, by spherical k-means, which groups vectors by their direction."""
    require("ann", "an index")
    import faiss

    vectors_MD = np.ascontiguousarray(vectors_MD, dtype=np.float32)
    means = faiss.Kmeans(
        vectors_MD.shape[1],
        num_cells,
        niter=_KMEANS_ITERATIONS,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=_SAMPLED_ITEMS_PER_CELL,
        seed=0,
    )
    means.train(vectors_MD)
    cells: Int64 = means.index.search(vectors_MD, 1)[1][:, 0]
    return cells
