"""Queries: the questions on which models are judged.

All histories are slices of one array, so that queries take little memory. Padding is applied when a block of queries is
read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from caser.arrays.offsets import offsets_of
from caser.arrays.ragged import concat_slices, padded_histories
from caser.arrays.types import Int32, Int64
from caser.data.event_kinds import EventKinds


@dataclass(frozen=True, eq=False)
class Queries:
    """Questions put to a model: which items come next after this history?

    users    (Q,) int32: the user whose vector is used, 0 for the anonymous user
    items    (M,) int32: the array that holds the histories
    starts, ends  (Q,) int64: the history of query q is items[starts[q]:ends[q]]
    targets  (N,) int32: the items that truly came next, without repetition within a query
    target_offsets  (Q + 1,) int64: query q has the targets targets[target_offsets[q]:target_offsets[q + 1]]
    owners   (Q,) int32: the user or session that the query is about; confidence intervals resample owners
    seen_starts  (Q,) int64: the seen items of query q are items[seen_starts[q]:ends[q]]; by default, its history
    kinds    the kind of event of each target; None where events have none
    target_times  (Q,) int64: the time of the first target, where it is not the log's time at `ends`; only a split that
        reads the future has them
    """

    users: Int32
    items: Int32
    starts: Int64
    ends: Int64
    targets: Int32
    target_offsets: Int64
    owners: Int32
    seen_starts: Int64 | None = None
    target_times: Int64 | None = None
    kinds: EventKinds | None = None

    def __len__(self) -> int:
        return len(self.users)

    def __repr__(self) -> str:
        return f"Queries({len(self):,} queries, {len(self.targets):,} targets)"

    @property
    def starts_of_seen(self) -> Int64:
        """Where the seen items of each query begin in `items`: (Q,) int64."""
        return self.starts if self.seen_starts is None else self.seen_starts

    @property
    def num_targets(self) -> Int64:
        """Number of targets of each query: (Q,) int64."""
        return np.diff(self.target_offsets)

    def between(self, first: int, end: int) -> Queries:
        """Return some of the queries, in their order; they share the array of histories.

        first, end  the first query, and the one after the last
        """
        offsets = self.target_offsets[first : end + 1]
        return replace(
            self,
            users=self.users[first:end],
            starts=self.starts[first:end],
            ends=self.ends[first:end],
            targets=self.targets[offsets[0] : offsets[-1]],
            target_offsets=offsets - offsets[0],
            owners=self.owners[first:end],
            seen_starts=None if self.seen_starts is None else self.seen_starts[first:end],
            target_times=None if self.target_times is None else self.target_times[first:end],
            kinds=None if self.kinds is None else self.kinds[slice(offsets[0], offsets[-1])],
        )

    def at(self, places: Int64) -> Queries:
        """Return some of the queries, in a given order; they share the array of histories.

        places  (P,) int64, the number of each query, from 0
        """
        targets = concat_slices(self.targets, self.target_offsets[places], self.target_offsets[places + 1])[1]
        return replace(
            self,
            users=self.users[places],
            starts=self.starts[places],
            ends=self.ends[places],
            targets=targets,
            target_offsets=offsets_of(self.num_targets[places]),
            owners=self.owners[places],
            seen_starts=None if self.seen_starts is None else self.seen_starts[places],
            target_times=None if self.target_times is None else self.target_times[places],
        )

    def histories(self, block: slice, length: int | None) -> Int32:
        """Return the histories of a block of B queries, left-padded with 0: (B, length) int32.

        block   which queries        length  number of columns, at least 1; None: as many as the longest history needs
        """
        starts, ends = self.starts[block], self.ends[block]
        width = int((ends - starts).max(initial=1)) if length is None else length
        return padded_histories(self.items, starts, ends, max(width, 1))

    def seen(self, block: slice) -> tuple[Int64, Int32]:
        """Return all pairs (row within the block, seen item), as two arrays (P,): int64 rows and int32 items.

        block  which queries

        A protocol that removes seen items from the candidates removes these.
        """
        return concat_slices(self.items, self.starts_of_seen[block], self.ends[block])

    def target_pairs(self, block: slice) -> tuple[Int64, Int32]:
        """Return all pairs (row within the block, target), as two arrays (P,): int64 rows and int32 items.

        block  which queries
        """
        rows = np.arange(len(self))[block]
        return concat_slices(self.targets, self.target_offsets[rows], self.target_offsets[rows + 1])
