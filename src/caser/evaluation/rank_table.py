"""What ranking found of one scorer: the rank of every target, and the best candidates of every query.

A table knows the facts it was made under, so that it can be saved, and put beside others later only where they belong
together. Will not rank (`ranking.py` does) or judge.

Shape suffixes: Q queries, P targets of all queries, B queries of one block, T most targets of a query, K best
candidates kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caser.arrays.offsets import places_of
from caser.arrays.types import Int32, Int64, Mask, Scores
from caser.errors import ArtefactError
from caser.evaluation.metrics import Metric, Values

Arrays = Mapping[str, NDArray[Any]]

_CELLS_PER_BLOCK = 2**16
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
    """The rank of every target, and the top of every list.

    ranks      (P,) float64, from 1, inf for a target that is no candidate
    is_repeat  (P,) bool, whether the target is in the history
    queries    (P,) int64, ascending, the query of each target
    num_targets, num_candidates (Q,) int64     owners (Q,) int32, the user or session each query is about
    top_QK     (Q, K) int32, the best candidates of each query, best first, ties to the lowest index, then 0
    facts      what `protocols.describe` says of the queries and rules; empty where they are not a protocol's
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
        """One metric for every query, (Q,)."""
        values = np.empty(len(self))
        for chosen, ranks_BT in self._rows:
            values[chosen] = metric(ranks_BT, self.num_targets[chosen], self.num_candidates[chosen])
        return values

    @cached_property
    def _rows(self) -> list[tuple[Int64, Values]]:
        """Queries of about as many targets together, and their ranks as the rows of a table with little padding."""
        rows, start = [], 0
        offsets = np.cumsum(self.num_targets) - self.num_targets
        longest_first = np.argsort(-self.num_targets, kind="stable")
        while start < len(self):
            size = max(1, _CELLS_PER_BLOCK // int(self.num_targets[longest_first[start]]))
            chosen = longest_first[start : start + size]
            lengths = self.num_targets[chosen]
            own = np.repeat(offsets[chosen], lengths) + places_of(lengths)
            own_rows = np.repeat(np.arange(len(chosen)), lengths)
            rows.append((chosen, padded(own_rows, self.ranks[own], lengths, np.inf)))
            start += size
        return rows

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
            top_QK=self.top_QK[kept],
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays that safetensors can keep; `facts` as the bytes of their JSON.

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
        """Read what `to_arrays` wrote. Raises ArtefactError if it is anything else."""
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
            facts=json.loads(arrays["facts"].tobytes()),
        )

    @classmethod
    def from_lists(cls, ranks: list[list[float]], num_candidates: int) -> RankTable:
        """Make a small table by hand: one list of ranks per query, each query of an owner of its own."""
        num_targets = np.array([len(own) for own in ranks], dtype=np.int64)
        return cls(
            ranks=np.array([rank for own in ranks for rank in own], dtype=np.float64),
            is_repeat=np.zeros(num_targets.sum(), dtype=bool),
            queries=np.repeat(np.arange(len(ranks)), num_targets),
            num_targets=num_targets,
            num_candidates=np.full(len(ranks), num_candidates, dtype=np.int64),
            owners=np.arange(1, len(ranks) + 1, dtype=np.int32),
            top_QK=np.zeros((len(ranks), 0), dtype=np.int32),
        )


def padded(rows: Int64, values: Scores, lengths: Int64, fill: float) -> Scores:
    """Lay values out by row, (len(lengths), longest), short rows filled up.

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
    """What is wrong with saved arrays; each check may rely on those before it."""
    for name in sorted({*arrays, *_SAVED}):
        if name not in arrays or name not in _SAVED:
            yield f"{'no' if name in _SAVED else 'an unknown'} array {name!r}"
        elif arrays[name].dtype != _SAVED[name] or arrays[name].ndim != (2 if name == "top_QK" else 1):
            yield f"{name!r} as {arrays[name].dtype} {arrays[name].shape}"
    num_queries, num_ranks = len(arrays["num_targets"]), len(arrays["ranks"])
    lengths = {name: len(arrays[name]) for name in ("num_candidates", "owners", "top_QK")}
    if set(lengths.values()) != {num_queries}:
        yield f"{num_queries} queries with {lengths}"
    if (arrays["num_targets"] < 1).any() or arrays["num_targets"].sum() != num_ranks:
        yield f"{num_ranks} ranks for {arrays['num_targets'].sum()} targets"
    if len(arrays["is_repeat"]) != num_ranks:
        yield f"{num_ranks} ranks with {len(arrays['is_repeat'])} marks of repeats"
    if not (arrays["ranks"] >= 1).all():
        yield "a rank below 1"
    try:
        facts = json.loads(arrays["facts"].tobytes())
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        yield "facts that are no JSON object"
