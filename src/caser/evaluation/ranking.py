"""Exact ranks of the targets of every query among all candidates, in blocks of bounded memory.

Assumes that a higher score is better, and that scores have a column for every item and column 0 for padding, which is
never a candidate. Will not sample candidates: a rank among a sample is another number with the same name.

Shape suffixes: Q queries, P targets of all queries, B queries of one block, T most targets of a query, I items and
padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from caser.data.log import Int32, Int64, Vocabulary
from caser.data.split import Mask, Queries
from caser.errors import ConfigError, NumericalError
from caser.evaluation.metrics import Metric, Values
from caser.models.base import Scorer, Scores

Ties = Literal["against", "index"]
"""`against`: candidates that tie with a target rank before it. `index`: the lowest index first, as in top-k lists."""

MEMORY_MB = 256
"""Default bound on what a block of scores and its copies may take, in megabytes."""

_BYTES_PER_SCORE = 48
_CELLS_PER_BLOCK = 4_000_000
_FEW_TARGETS = 4


@dataclass(frozen=True, eq=False)
class RankTable:
    """The rank of every target.

    ranks      (P,) float64, from 1, inf for a target that is no candidate
    is_repeat  (P,) bool, whether the target is in the history
    queries    (P,) int64, ascending, the query of each target
    num_targets, num_candidates (Q,) int64     owners (Q,) int32, the user or session each query is about
    """

    ranks: Values
    is_repeat: Mask
    queries: Int64
    num_targets: Int64
    num_candidates: Int64
    owners: Int32

    def __len__(self) -> int:
        return len(self.num_targets)

    def values(self, metric: Metric) -> Values:
        """One metric for every query, (Q,)."""
        offsets = np.concatenate([[0], np.cumsum(self.num_targets)])
        size = max(1, _CELLS_PER_BLOCK // int(self.num_targets.max(initial=1)))
        values = np.empty(len(self))
        for start in range(0, len(self), size):
            block = slice(start, start + size)
            own = slice(offsets[start], offsets[min(start + size, len(self))])
            ranks_BT = padded(self.queries[own] - start, self.ranks[own], self.num_targets[block], np.inf)
            values[block] = metric(ranks_BT, self.num_targets[block], self.num_candidates[block])
        return values

    def only(self, chosen: Mask) -> RankTable:
        """The table with only some targets, (P,), and without queries that have none left."""
        left = np.bincount(self.queries[chosen], minlength=len(self))
        kept = left > 0
        renumbered = np.cumsum(kept) - 1
        return RankTable(
            ranks=self.ranks[chosen],
            is_repeat=self.is_repeat[chosen],
            queries=renumbered[self.queries[chosen]],
            num_targets=left[kept],
            num_candidates=self.num_candidates[kept],
            owners=self.owners[kept],
        )


def ranks(
    scorer: Scorer,
    queries: Queries,
    *,
    candidates: Mask,
    remove_seen: bool,
    ties: Ties = "against",
    memory_mb: int = MEMORY_MB,
    user_vocabulary: Vocabulary | None = None,
) -> RankTable:
    """Rank every target: 1 + candidates that score higher + candidates that tie, as far as `ties` counts them.

    `candidates` (I,) says which items may be ranked; `remove_seen` takes the items of each query's whole history from
    them. Raises NumericalError, naming the user, for a score that is NaN or +inf (-inf is the lowest score there is).

    >>> from caser.data.synthetic import chain_world
    >>> from caser.data.split import leave_one_out
    >>> from caser.models.markov import Markov
    >>> split = leave_one_out(chain_world(num_users=40, num_items=6, length=9, seed=0).log)
    >>> scorer = Markov().build(40, 6)
    >>> scorer.fit(split.final)
    >>> table = ranks(scorer, split.test, candidates=np.arange(7) > 0, remove_seen=False)
    >>> len(table), bool((table.ranks <= 6).all())
    (40, True)
    """
    candidates = candidates & (np.arange(len(candidates)) > 0)
    parts = []
    for block in _blocks(queries, scorer, len(candidates), memory_mb):
        scores_BI = _checked(scorer, queries, block, len(candidates), user_vocabulary)
        rows, targets = queries.target_pairs(block)
        seen_BI = np.zeros(scores_BI.shape, dtype=bool)
        seen_BI[queries.seen(block)] = True
        scores_BI[:, ~candidates] = np.nan
        if remove_seen:
            scores_BI[seen_BI] = np.nan
        ranked = _RANK[ties](scores_BI, rows, targets)
        ranked[np.isnan(scores_BI[rows, targets])] = np.inf
        parts.append((ranked, seen_BI[rows, targets], np.sum(~np.isnan(scores_BI), axis=1)))
    return RankTable(
        ranks=np.concatenate([part[0] for part in parts] or [np.zeros(0)]),
        is_repeat=np.concatenate([part[1] for part in parts] or [np.zeros(0, dtype=bool)]),
        queries=np.repeat(np.arange(len(queries)), queries.num_targets),
        num_targets=queries.num_targets,
        num_candidates=np.concatenate([part[2] for part in parts] or [np.zeros(0, dtype=np.int64)]),
        owners=queries.owners,
    )


def padded(rows: Int64, values: Scores, lengths: Int64, fill: float) -> Scores:
    """Lay values out by row, (len(lengths), longest), short rows filled up.

    >>> padded(np.array([0, 0, 1]), np.array([5.0, 6.0, 7.0]), np.array([2, 1]), fill=0).tolist()
    [[5.0, 6.0], [7.0, 0.0]]
    """
    table = np.full((len(lengths), int(lengths.max(initial=1))), fill, dtype=values.dtype)
    table[rows, _places(lengths)] = values
    return table


def _blocks(queries: Queries, scorer: Scorer, num_columns: int, memory_mb: int) -> list[slice]:
    """Slices of queries whose scores, copies and histories fit into the memory given; one query at least."""
    if memory_mb < 1:
        raise ConfigError(
            f"memory for ranking must be at least 1 megabyte; got {memory_mb}. The default is {MEMORY_MB}."
        )
    longest = int((queries.ends - queries.starts).max(initial=1))
    width = longest if scorer.history_length is None else min(longest, scorer.history_length)
    size = max(1, memory_mb * 2**20 // (_BYTES_PER_SCORE * (num_columns + width)))
    return [slice(start, start + size) for start in range(0, len(queries), size)]


def _checked(
    scorer: Scorer, queries: Queries, block: slice, num_columns: int, user_vocabulary: Vocabulary | None
) -> Scores:
    """Our own copy of the scores of a block, without NaN or +inf among the items."""
    users = queries.users[block]
    scores_BI = np.array(scorer.scores(users, queries.histories(block, scorer.history_length)))
    if scores_BI.shape != (len(users), num_columns):
        raise ConfigError(
            f"a scorer must give a score per query and item, shape {(len(users), num_columns)}; got {scores_BI.shape}. "
            "Judge a model on the log it was trained on."
        )
    bad = ~(scores_BI[:, 1:] < np.inf)
    if bad.any():
        row, item = np.argwhere(bad)[0]
        owner = int(queries.owners[block][row])
        name = f"user {user_vocabulary.raw([owner])[0]!r}" if user_vocabulary is not None else f"user index {owner}"
        raise NumericalError(
            f"scores must be numbers below infinity; got {scores_BI[row, item + 1]} for {name} and item index "
            f"{item + 1}. Train again with a smaller learning rate."
        )
    return scores_BI


def _rank_against(scores_BI: Scores, rows: Int64, targets: Int32) -> Values:
    """1 + other candidates that score at least as high: by counting for few targets, else by sorting once per query."""
    lengths = np.bincount(rows, minlength=len(scores_BI))
    thresholds_BT = padded(rows, scores_BI[rows, targets], lengths, np.nan)
    if thresholds_BT.shape[1] <= _FEW_TARGETS:
        at_least_BT = np.stack([np.sum(scores_BI >= column[:, None], axis=1) for column in thresholds_BT.T], axis=1)
    else:
        ascending_BI = np.sort(scores_BI, axis=1)  # NaN, that is no candidate, comes last
        num_B = np.sum(~np.isnan(scores_BI), axis=1)
        below = [np.searchsorted(row, column, "left") for row, column in zip(ascending_BI, thresholds_BT, strict=True)]
        at_least_BT = num_B[:, None] - np.stack(below)
    return at_least_BT[rows, _places(lengths)].astype(np.float64)


def _rank_by_index(scores_BI: Scores, rows: Int64, targets: Int32) -> Values:
    """1 + candidates that score higher, or as high with a lower index."""
    order_BI = np.argsort(-scores_BI, axis=1, kind="stable")
    rank_BI = np.empty(scores_BI.shape)
    np.put_along_axis(rank_BI, order_BI, np.arange(1.0, scores_BI.shape[1] + 1)[None, :], axis=1)
    ranked: Values = rank_BI[rows, targets]
    return ranked


_RANK = {"against": _rank_against, "index": _rank_by_index}


def _places(lengths: Int64) -> Int64:
    """0, 1, 2, ... within each row: the column of every value laid out row by row."""
    return np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
