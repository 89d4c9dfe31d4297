"""The result of ranking with one scorer: the rank of every target, and the best candidates of every query.

A table holds the facts it was made under, so that a saved table can later be compared only with tables made under the
same facts. This module does not rank (`ranking.py` does) or judge.

Shape suffixes: Q queries, P targets of all queries, B queries of one block, T targets of the query that has most,
K best candidates kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caser.arrays.offsets import offsets_of, places_of
from caser.arrays.types import Int32, Int64, Mask, Scores
from caser.errors import ArtefactError
from caser.evaluation.metrics import Metric, Values
from caser.system.parsing import parse_json

Arrays = Mapping[str, NDArray[Any]]
"""Arrays by name, as safetensors keeps them."""

# A metric is computed for so many queries at once that their ranks, padded, fill a table of about this size.
_CELLS_PER_BLOCK = 2**16
# The dtype of every array that is saved.
_SAVED = {
    "ranks": np.float64,
    "is_repeat": np.uint8,
    "num_targets": np.int64,
    "num_candidates": np.int64,
    "owners": np.int32,
    "top_QK": np.int32,
    "facts": np.uint8,
}


@dataclass(frozen=True, eq=False)
class RankTable:
    """The rank of every target, and the best candidates of every query.

    ranks           (P,) float64, from 1; inf for a target that is no candidate
    is_repeat       (P,) bool, whether the target is among the items that its query's user has seen
    queries         (P,) int64, ascending, the query of each target
    num_targets     (Q,) int64, the number of targets of each query
    num_candidates  (Q,) int64, the number of items that were ranked for each query
    owners          (Q,) int32, the user or session that each query is about
    top_QK          (Q, K) int32, the best candidates, best first, equal scores by lowest index, then 0
    facts           what `fingerprint.describe` says of the queries and rules; empty if no protocol made them
    """

    ranks: Values
    is_repeat: Mask
    queries: Int64
    num_targets: Int64
    num_candidates: Int64
    owners: Int32
    top_QK: Int32
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.num_targets)

    def values(self, metric: Metric) -> Values:
        """Compute one metric for every query.

        metric  a metric with its cut-off

        Returns (Q,) float64.
        """
        values_Q = np.empty(len(self))
        for queries_B, ranks_BT in self._blocks:
            values_Q[queries_B] = metric(ranks_BT, self.num_targets[queries_B], self.num_candidates[queries_B])
        return values_Q

    @cached_property
    def _blocks(self) -> list[tuple[Int64, Values]]:
        """Blocks of queries, and their ranks as rows padded with inf.

        Queries with similar numbers of targets share a block, so that there is little padding.
        """
        blocks, start = [], 0
        offsets = offsets_of(self.num_targets)
        longest_first = np.argsort(-self.num_targets, kind="stable")
        while start < len(self):
            size = max(1, _CELLS_PER_BLOCK // int(self.num_targets[longest_first[start]]))
            queries_B = longest_first[start : start + size]
            lengths_B = self.num_targets[queries_B]
            targets = np.repeat(offsets[queries_B], lengths_B) + places_of(lengths_B)
            rows = np.repeat(np.arange(len(queries_B)), lengths_B)
            blocks.append((queries_B, padded(rows, self.ranks[targets], lengths_B, np.inf)))
            start += size
        return blocks

    def only(self, kept_P: Mask) -> RankTable:
        """Return the table of some targets only, without the queries that have none of them, and without facts.

        kept_P  (P,) bool, which targets to keep
        """
        num_targets_Q = np.bincount(self.queries[kept_P], minlength=len(self))
        kept_Q = num_targets_Q > 0
        new_places_Q = np.cumsum(kept_Q) - 1
        return RankTable(
            ranks=self.ranks[kept_P],
            is_repeat=self.is_repeat[kept_P],
            queries=new_places_Q[self.queries[kept_P]],
            num_targets=num_targets_Q[kept_Q],
            num_candidates=self.num_candidates[kept_Q],
            owners=self.owners[kept_Q],
            top_QK=self.top_QK[kept_Q],
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the table as arrays that safetensors can keep; `facts` becomes the bytes of its JSON.

        >>> table = RankTable.from_lists([[3.0, 1.0]], num_candidates=9)
        >>> sorted(table.to_arrays())
        ['facts', 'is_repeat', 'num_candidates', 'num_targets', 'owners', 'ranks', 'top_QK']
        >>> RankTable.from_arrays(table.to_arrays()).ranks.tolist()
        [3.0, 1.0]
        """
        facts = np.frombuffer(json.dumps(dict(self.facts), sort_keys=True).encode(), dtype=np.uint8)
        values = {name: facts if name == "facts" else getattr(self, name) for name in _SAVED}
        return {name: np.ascontiguousarray(value, dtype=_SAVED[name]) for name, value in values.items()}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> RankTable:
        """Read a table from arrays.

        arrays  what `to_arrays` returned

        Raises ArtefactError if an array is missing, unknown, of another dtype or shape, or at odds with the others.
        """
        _check(arrays)
        num_targets = arrays["num_targets"]
        return cls(
            ranks=arrays["ranks"],
            is_repeat=arrays["is_repeat"] != 0,
            queries=np.repeat(np.arange(len(num_targets)), num_targets),
            num_targets=num_targets,
            num_candidates=arrays["num_candidates"],
            owners=arrays["owners"],
            top_QK=arrays["top_QK"],
            facts=parse_json(arrays["facts"].tobytes()),
        )

    @classmethod
    def from_lists(cls, ranks: list[list[float]], num_candidates: int) -> RankTable:
        """Make a small table by hand, in which every query has an owner of its own.

        ranks           one list of ranks per query
        num_candidates  the number of items that were ranked for each query
        """
        num_targets = np.array([len(of_query) for of_query in ranks], dtype=np.int64)
        return cls(
            ranks=np.array([rank for of_query in ranks for rank in of_query], dtype=np.float64),
            is_repeat=np.zeros(num_targets.sum(), dtype=bool),
            queries=np.repeat(np.arange(len(ranks)), num_targets),
            num_targets=num_targets,
            num_candidates=np.full(len(ranks), num_candidates, dtype=np.int64),
            owners=np.arange(1, len(ranks) + 1, dtype=np.int32),
            top_QK=np.zeros((len(ranks), 0), dtype=np.int32),
        )


def padded(rows: Int64, values: Scores, lengths: Int64, fill: float) -> Scores:
    """Lay values out as the rows of a table, and fill up short rows.

    rows     (P,) int64, ascending, the row of each value
    values   (P,) any floating-point or integer dtype
    lengths  (B,) int64, the number of values of each row
    fill     the value of the other cells

    Returns (B, longest row), of the dtype of `values`.

    >>> padded(np.array([0, 0, 1]), np.array([5.0, 6.0, 7.0]), np.array([2, 1]), fill=0).tolist()
    [[5.0, 6.0], [7.0, 0.0]]
    """
    table = np.full((len(lengths), int(lengths.max(initial=1))), fill, dtype=values.dtype)
    table[rows, places_of(lengths)] = values
    return table


def _check(arrays: Arrays) -> None:
    problem = next(_problems(arrays), None)
    if problem:
        raise ArtefactError(f"saved ranks must be what RankTable.to_arrays wrote; got {problem}. Rank again.")


def _problems(arrays: Arrays) -> Iterator[str]:
    """Yield what is wrong with saved arrays; a check relies on the ones before it, so only the first is sure."""
    # The arrays themselves.
    for name in sorted({*arrays, *_SAVED}):
        if name not in arrays or name not in _SAVED:
            yield f"{'no' if name in _SAVED else 'an unknown'} array {name!r}"
        elif arrays[name].dtype != _SAVED[name] or arrays[name].ndim != (2 if name == "top_QK" else 1):
            yield f"{name!r} as {arrays[name].dtype} {arrays[name].shape}"
    # Lengths that must agree.
    num_queries, num_ranks = len(arrays["num_targets"]), len(arrays["ranks"])
    lengths = {name: len(arrays[name]) for name in ("num_candidates", "owners", "top_QK")}
    if set(lengths.values()) != {num_queries}:
        yield f"{num_queries} queries with {lengths}"
    if (arrays["num_targets"] < 1).any() or arrays["num_targets"].sum() != num_ranks:
        yield f"{num_ranks} ranks for {arrays['num_targets'].sum()} targets"
    if len(arrays["is_repeat"]) != num_ranks:
        yield f"{num_ranks} ranks with {len(arrays['is_repeat'])} marks of repeats"
    # Contents.
    most = np.repeat(arrays["num_candidates"], arrays["num_targets"])
    is_rank = (arrays["ranks"] >= 1) & ((arrays["ranks"] <= most) | np.isinf(arrays["ranks"]))
    if not is_rank.all():  # false also for NaN
        yield f"a rank that is not from 1 to the number of candidates, {arrays['ranks'][~is_rank][0]:g}"
    if (arrays["num_candidates"] < 0).any() or (arrays["owners"] < 0).any() or (arrays["top_QK"] < 0).any():
        yield "a negative number of candidates, user or item"
    try:
        facts = parse_json(arrays["facts"].tobytes())
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        yield "facts that are not a JSON object"
