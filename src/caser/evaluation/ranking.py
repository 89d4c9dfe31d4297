"""Exact ranks of the targets of every query among all candidates, in blocks of bounded memory.

Assumes that a higher score is better, and that scores have a column for every item and column 0 for padding, which is
never a candidate. Will not sample candidates: a rank among a sample is another number with the same name.

Shape suffixes: Q queries, P targets of all queries, B queries of one block, T most targets of a query, I items and
padding, K best candidates kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from caser.data.log import Int32, Int64, Vocabulary
from caser.data.split import Mask, Queries
from caser.errors import ConfigError, NumericalError
from caser.evaluation.metrics import Values
from caser.evaluation.rank_table import RankTable, padded, places
from caser.models.base import Scorer, Scores

Ties = Literal["against", "index"]
"""`against`: candidates that tie with a target rank before it. `index`: the lowest index first, as in top-k lists."""

MEMORY_MB = 256
"""Default bound on what a block of scores and its copies may take, in megabytes."""

LIST_LENGTH = 10
"""How many of the best candidates of a query are kept beside its ranks."""

_BYTES_PER_SCORE = 48
_FEW_TARGETS = 4


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
    >>> from caser.models.markov import Markov
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
        scores_BI, (rows, targets) = block.scores_BI, queries.target_pairs(block.queries)
        ranked = _RANK[ties](scores_BI, rows, targets)
        ranked[np.isnan(scores_BI[rows, targets])] = np.inf
        num_candidates = np.sum(~np.isnan(scores_BI), axis=1)
        parts.append((ranked, block.seen_BI[rows, targets], num_candidates, best_candidates(scores_BI, depth)))
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
    """Some queries with a score for every candidate, (B, I), NaN elsewhere, and which items were seen, (B, I)."""

    queries: slice
    scores_BI: Scores
    seen_BI: Mask


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
    candidates = candidates & (np.arange(len(candidates)) > 0)
    for block in _blocks(queries, scorer, len(candidates), memory_mb):
        scores_BI = _checked(scorer, queries, block, len(candidates), user_vocabulary)
        seen_BI = np.zeros(scores_BI.shape, dtype=bool)
        seen_BI[queries.seen(block)] = True
        scores_BI[:, ~candidates] = np.nan
        if remove_seen:
            scores_BI[seen_BI] = np.nan
        yield ScoreBlock(block, scores_BI, seen_BI)


def best_candidates(scores_BI: Scores, depth: int) -> Int32:
    """The `depth` best candidates of each query, best first, ties to the lowest index; 0 where there are fewer.

    >>> best_candidates(np.array([[np.nan, 1.0, 2.0, 2.0, 0.5], [np.nan, np.nan, np.nan, 7.0, np.nan]]), 3).tolist()
    [[2, 3, 1], [3, 0, 0]]
    """
    found_BK = np.zeros((len(scores_BI), depth), dtype=np.int32)
    kept = min(depth, scores_BI.shape[1])
    if kept == 0:
        return found_BK
    costs_BI = -scores_BI
    last_B = np.partition(costs_BI, kept - 1, axis=1)[:, kept - 1]  # NaN, that is no candidate, comes last
    last_B1 = np.where(np.isnan(last_B), np.inf, last_B)[:, None]
    better_BI, tied_BI = costs_BI < last_B1, costs_BI == last_B1
    room_B1 = kept - better_BI.sum(axis=1, keepdims=True)
    rows, items = np.nonzero(better_BI | (tied_BI & (np.cumsum(tied_BI, axis=1, dtype=np.int32) <= room_B1)))
    order = np.lexsort((items, costs_BI[rows, items], rows))
    found_BK[rows, places(np.bincount(rows, minlength=len(scores_BI)))] = items[order]
    return found_BK


def _blocks(queries: Queries, scorer: Scorer, num_columns: int, memory_mb: int) -> list[slice]:
    """Slices of queries whose scores, copies and histories fit into the memory given; one query at least."""
    if memory_mb < 1:
        raise ConfigError(
            f"memory for ranking must be at least 1 megabyte; got {memory_mb}. The default is {MEMORY_MB}."
        )
    longest = int((queries.ends - queries.starts).max(initial=1))
    width = longest if scorer.history_length is None else min(longest, scorer.history_length)
    size = max(1, memory_mb * 2**20 // (_BYTES_PER_SCORE * (num_columns + width)))
    return [slice(start, start + size) for start in range(0, max(len(queries), 1), size)]


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
    return at_least_BT[rows, places(lengths)].astype(np.float64)


def _rank_by_index(scores_BI: Scores, rows: Int64, targets: Int32) -> Values:
    """1 + candidates that score higher, or as high with a lower index."""
    order_BI = np.argsort(-scores_BI, axis=1, kind="stable")
    rank_BI = np.empty(scores_BI.shape)
    np.put_along_axis(rank_BI, order_BI, np.arange(1.0, scores_BI.shape[1] + 1)[None, :], axis=1)
    ranked: Values = rank_BI[rows, targets]
    return ranked


_RANK = {"against": _rank_against, "index": _rank_by_index}
