"""The parts of a log in shards: each shard is cut by itself, and the parts of all shards are put together.

Queries are put together as they are, because they take memory by user and not by interaction: their histories are
slices of the items of the whole log, which may be memory-mapped. A part that trains becomes a `ShardedTape`, which
loads one shard when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from caser.arrays.offsets import blocks_of, offsets_of
from caser.arrays.types import Floats, Int32, Int64, Mask
from caser.data.cuts import Parts
from caser.data.event_kinds import EventKinds, concat_kinds
from caser.data.log import InteractionLog
from caser.data.queries import Queries
from caser.data.shards import ShardedLog
from caser.data.tape import Tape
from caser.errors import ConfigError
from caser.system.mapped import release
from caser.system.memory import refuse_whole

_BLOCK = 2**20
"""About so many interactions are looked at at once."""

_BYTES_PER_INTERACTION = 100
"""About the memory for an interaction of a log that is split or filtered in one piece."""

_BYTES_IN_SHARD = 1000
"""How many bytes of the memory are planned for an interaction of one shard: several shards are loaded at once, and
cutting a shard takes a dozen arrays."""

MEMORY_MB = 1000
"""By default shards are so small that splitting and training take about so many megabytes beside the tables."""

Cut = Callable[[InteractionLog, int], Parts]
"""Cuts a shard, whose users are numbered from 1; the number is that of its first user in the whole log."""


def cut_shards(shards: ShardedLog, cut: Cut) -> Parts:
    """Cut every shard of a log, and put the parts together.

    shards  the log
    cut     cuts one shard

    The parts of a single shard are returned as they are. The parts of several have the users of the whole log; their
    tapes load one shard at a time.
    """
    if shards.num_shards == 1:
        return cut(shards.shard(0), 1)
    pieces = _Pieces(shards, cut)
    for k in range(shards.num_shards):
        pieces.add(k)
    return pieces.together()


def everything_of(shards: ShardedLog) -> Tape:
    """Return all interactions of a log as one part.

    shards  the log

    Its `items` and `times` are those of the log, which may be memory-mapped.
    """
    tape = Tape.from_log(shards.log)
    if shards.num_shards == 1:
        return tape
    bounds = [slice(*shards.first_user[k : k + 2].tolist()) for k in range(shards.num_shards)]
    lengths = [tape.lengths[users] for users in bounds]

    def load(k: int) -> Tape:
        return _numbered(Tape.from_log(shards.shard(k)), shards, k)

    part = ShardedTape(load, lengths, tape.item_counts, has_kinds=tape.has_kinds)
    part.__dict__.update(items=tape.items, times=tape.times, kinds=tape.kinds)
    return part


def whole_log(log: InteractionLog | ShardedLog) -> InteractionLog:
    """Return a log in one piece, for work that needs all of it at once.

    log  a log, in memory or in shards

    Raises ConfigError if a log in several shards does not fit into memory.
    """
    if not isinstance(log, ShardedLog):
        return log
    if log.num_shards > 1:
        refuse_whole(f"{log.num_interactions:,} interactions", _BYTES_PER_INTERACTION * log.num_interactions)
    return log.log


def cut_for(shards: ShardedLog, memory_mb: int = MEMORY_MB) -> ShardedLog:
    """Cut a log into so many shards that splitting it and training on it take a given amount of memory.

    shards     the log; it gets no fewer shards than it has
    memory_mb  megabytes beside the tables of a model and what its optimiser keeps, at least 1

    Raises ConfigError for less than one megabyte.

    >>> from caser.data.synthetic import chain_world
    >>> log = chain_world(num_users=200, num_items=6, length=20, seed=0).log
    >>> cut_for(ShardedLog.of(log), memory_mb=1).num_shards
    4
    """
    if memory_mb < 1:
        raise ConfigError(f"memory_mb (--memory-mb) must be at least 1; got {memory_mb}.")
    needed = -(-shards.num_interactions * _BYTES_IN_SHARD // (memory_mb * 10**6))
    return shards if needed <= shards.num_shards else ShardedLog.of(shards.log, min(needed, shards.num_users))


def masked_part(tape: Tape, mask: Mask) -> ShardedTape:
    """Return some interactions of a tape with one sequence per user; their items are loaded when they are asked for.

    tape  any tape with one sequence per user
    mask  (N,) bool, which interactions

    >>> tape = Tape.from_sequences([[3, 1, 4], [1, 5]], num_items=5)
    >>> part = masked_part(tape, np.array([1, 0, 1, 1, 0], bool))
    >>> part.lengths.tolist(), part.item_counts.tolist(), part.items.tolist()
    ([0, 2, 1], [0, 1, 0, 1, 1, 0], [3, 4, 1])
    """
    lengths = np.zeros(tape.num_users + 1, dtype=np.int64)
    counts = np.zeros(tape.num_items + 1, dtype=np.int64)
    for first, end in blocks_of(tape.lengths, _BLOCK):
        inside = slice(tape.offsets[first], tape.offsets[end])
        users = np.repeat(np.arange(end - first), tape.lengths[first:end])[mask[inside]]
        lengths[first:end] = np.bincount(users, minlength=end - first)
        counts += np.bincount(tape.items[inside][mask[inside]], minlength=len(counts))
        release(tape.items, mask)
    return ShardedTape(lambda _: tape.where(mask), [lengths[1:]], counts, has_kinds=tape.has_kinds)


class ShardedTape(Tape):
    """A part of a log in shards. Offsets and counts are in memory; `pieces` and `pool` load some shards of the items.

    All else that a `Tape` offers works too, such as `items`, but it loads the whole part.
    """

    def __init__(
        self, load: Callable[[int], Tape], lengths: Sequence[Int64], item_counts: Int64, *, has_kinds: bool
    ) -> None:
        """Keep how to load a shard.

        load         returns the part of the shard with a number, whose users are numbered as in the whole log
        lengths      for each shard, the lengths of its sequences, (its number of users,) int64
        item_counts  (I,) int64, the number of interactions of each item in all shards
        has_kinds    whether interactions have kinds
        """
        self._load, self._lengths, self._has_kinds = load, lengths, has_kinds
        values = {
            "offsets": offsets_of(np.concatenate([[0], *lengths])),
            "num_items": len(item_counts) - 1,
            "sequence_owners": None,
            "item_counts": item_counts,
        }
        self.__dict__.update(values)  # the class is frozen

    def __repr__(self) -> str:
        return f"ShardedTape({len(self):,} interactions in {len(self._lengths)} shards)"

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process have the whole part: how a shard is loaded cannot be sent to it."""
        return Tape, (self.items, self.offsets, self.num_items, None, self.times, None, self.kinds)

    @property
    def sizes(self) -> list[int]:
        """The number of interactions of each shard."""
        return [int(each.sum()) for each in self._lengths]

    def lengths_of(self, shards: Sequence[int]) -> Int64:
        """Return the lengths of the R sequences of some shards, (R,) int64. See `Tape.lengths_of`.

        shards  their numbers, ascending
        """
        return np.concatenate([self._lengths[k] for k in shards])

    def pieces(self) -> Iterator[Tape]:
        """Yield the shards, one at a time. See `Tape.pieces`."""
        for k in range(len(self._lengths)):
            yield self._load(k)

    def pool(self, shards: Sequence[int]) -> Tape:
        """Load some shards as one tape.

        shards  their numbers, ascending
        """
        return _joined([self._load(k) for k in shards])

    @cached_property
    def items(self) -> Int32:
        """The items of all shards, (N,) int32. Raises ConfigError if they do not fit into memory."""
        refuse_whole(f"{len(self):,} interactions", 2 * 4 * len(self))  # twice for a moment
        return self.pool(range(len(self._lengths))).items

    @property
    def has_kinds(self) -> bool:
        """Whether the interactions have kinds. See `Tape.has_kinds`."""
        return self._has_kinds

    @cached_property
    def kinds(self) -> EventKinds | None:
        """The kinds of the interactions of all shards; None without kinds. See `Tape.kinds`."""
        return concat_kinds([piece.kinds for piece in self.pieces()]) if self._has_kinds else None

    @cached_property
    def target_counts(self) -> Int64 | Floats:
        """How often each item is predicted in all shards, (I,). See `Tape.target_counts`."""
        if not self._has_kinds:
            return self.item_counts
        counts: Int64 | Floats = np.sum([piece.target_counts for piece in self.pieces()], axis=0)
        return counts

    @cached_property
    def times(self) -> Int64 | None:
        """The time of each interaction of all shards, (N,) int64. See `Tape.times`."""
        refuse_whole(f"the times of {len(self):,} interactions", 2 * 8 * len(self))
        times = [piece.times for piece in self.pieces()]
        present = [each for each in times if each is not None]
        return np.concatenate(present) if len(present) == len(times) else None


class _Pieces:
    """The parts of the shards so far."""

    def __init__(self, shards: ShardedLog, cut: Cut) -> None:
        self.shards, self.cut = shards, cut
        self.lengths: dict[str, list[Int64]] = {"fit": [], "final": []}
        self.counts = {name: np.zeros(shards.num_items + 1, dtype=np.int64) for name in self.lengths}
        self.queries: dict[str, list[Queries]] = {"validation": [], "test": []}
        self.counted, self.done = 0, 0

    def add(self, k: int) -> None:
        """Cut a shard, and keep what takes memory by user."""
        first = int(self.shards.first_user[k])
        shard = self.shards.shard(k)
        parts = self.cut(shard, first)
        for name, tape in (("fit", parts.fit), ("final", parts.final)):
            self.lengths[name].append(tape.lengths[1:])
            self.counts[name] += tape.item_counts
        for name, queries in (("validation", parts.validation), ("test", parts.test)):
            whole = self.shards.log.items if queries.items is shard.items else None
            self.queries[name].append(_in_whole(queries, first, self.done, whole))
        self.counted += parts.counted
        self.done += len(shard)
        _release(self.shards)

    def together(self) -> Parts:
        def tape(name: str) -> Tape:
            def load(k: int) -> Tape:
                shard = self.shards.shard(k)
                own: Tape = getattr(self.cut(shard, int(self.shards.first_user[k])), name)
                _release(self.shards)
                return _numbered(own, self.shards, k)

            has_kinds = self.shards.log.kinds is not None
            return ShardedTape(load, self.lengths[name], self.counts[name], has_kinds=has_kinds)

        validation, test = (_concat(self.queries[name]) for name in ("validation", "test"))
        return Parts(tape("fit"), validation, tape("final"), test, self.counted)


def _release(shards: ShardedLog) -> None:
    """Give back the pages of a mapped log that were read."""
    log = shards.log
    release(log.users, log.items, log.times, log.rows)


def _numbered(tape: Tape, shards: ShardedLog, k: int) -> Tape:
    """The tape of shard k, whose sequences belong to users of the whole log."""
    users = np.arange(*shards.first_user[k : k + 2])
    return replace(tape, sequence_owners=np.concatenate([[0], users]).astype(np.int32))


def _in_whole(queries: Queries, first: int, begin: int, items: Int32 | None) -> Queries:
    """The queries of a shard as queries of the whole log, in which its first user and its first interaction have these
    numbers. `items` are those of the whole log; None if the histories are not slices of them.
    """
    shift = np.int32(first - 1)
    return replace(
        queries,
        users=np.where(queries.users > 0, queries.users + shift, 0).astype(np.int32),
        owners=queries.owners + shift,
        items=queries.items if items is None else items,
        starts=queries.starts + begin,
        ends=queries.ends + begin,
        seen_starts=None if queries.seen_starts is None else queries.seen_starts + begin,
    )


def _concat(pieces: Sequence[Queries]) -> Queries:
    """The queries of all shards. Those that do not share the items of the whole log get all items in one array."""
    same = all(each.items is pieces[0].items for each in pieces)
    seen = [each.seen_starts for each in pieces if each.seen_starts is not None]
    return Queries(
        users=np.concatenate([each.users for each in pieces]),
        items=pieces[0].items if same else np.concatenate([each.items for each in pieces]),
        starts=np.concatenate([each.starts for each in pieces]),
        ends=np.concatenate([each.ends for each in pieces]),
        targets=np.concatenate([each.targets for each in pieces]),
        target_offsets=offsets_of(np.concatenate([each.num_targets for each in pieces])),
        owners=np.concatenate([each.owners for each in pieces]),
        seen_starts=np.concatenate(seen) if seen else None,
        kinds=concat_kinds([each.kinds for each in pieces]),
    )


def _joined(pieces: Sequence[Tape]) -> Tape:
    """Some shards as one tape, whose sequences have the users of the whole log; without times."""
    return Tape(
        np.concatenate([each.items for each in pieces]),
        offsets_of(np.concatenate([[0], *(each.lengths[1:] for each in pieces)])),
        pieces[0].num_items,
        np.concatenate([[0], *(each.owners[1:] for each in pieces)]).astype(np.int32),
        kinds=concat_kinds([each.kinds for each in pieces]),
    )
