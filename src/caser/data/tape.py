"""The tape: the items of every user in time order, one user after another in one array.

    items    [ 3 1 4 | 1 5 | 9 2 6 5 ]        offsets  [0 0 3 5 9]
               user 1  user 2   user 3                   ^ user 0, the anonymous user, has no items

A tape can also hold several sequences of one user, such as sessions. Then `sequence_owners` says to which user each
sequence belongs, and the word "user" below means "sequence". The tape takes one int32 per interaction and one int64 per
user, and refers to the times of the log without a copy. Padding is added when a history or a batch is made, and windows
are never stored. The arrays may be memory-mapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from caser.arrays.offsets import offsets_of
from caser.arrays.ragged import padded_histories
from caser.arrays.types import Floats, Int32, Int64
from caser.data.event_kinds import EventKinds
from caser.data.log import InteractionLog
from caser.system.mapped import release

_BLOCK = 2**22
"""Number of interactions that are counted at once."""


@dataclass(frozen=True, eq=False)
class Tape:
    """The sequences of all users of a log, or of a part of a log.

    items      (N,) int32, indices from 1
    offsets    (num_users + 2,) int64: user u has the items items[offsets[u]:offsets[u + 1]]
    num_items  size of the catalogue without padding; scores have num_items + 1 columns
    sequence_owners  (num_users + 1,) int32: the user of each sequence; None if each user has one sequence
    log_times  (M,) int64, microseconds since 1970: the times of the log; None if the log has no times
    log_mask   (M,) bool: which interactions of the log are on the tape, in the order of `items`; None for all of them
    kinds      which interactions are predicted, and of which kind they are; the others are history only. None: all are
               predicted, and none has a kind

    >>> tape = Tape.from_sequences([[3, 1, 4], [1, 5]], num_items=5)
    >>> tape.sequence(2).tolist(), tape.num_users, len(tape)
    ([1, 5], 2, 5)
    """

    items: Int32
    offsets: Int64
    num_items: int
    sequence_owners: Int32 | None = None
    log_times: Int64 | None = None
    log_mask: NDArray[np.bool_] | None = None
    kinds: EventKinds | None = None

    @classmethod
    def from_log(cls, log: InteractionLog, mask: NDArray[np.bool_] | None = None) -> Tape:
        """Return the interactions of a log as a tape with one sequence per user.

        mask  (N,) bool: True for the interactions to take; all of them by default
        """
        users = log.users if mask is None else log.users[mask]
        items = log.items if mask is None else log.items[mask]
        lengths = _counts(users, log.num_users + 1)
        times = log.times if log.has_times else None
        kinds = log.kinds if log.kinds is None or mask is None else log.kinds[mask]
        return cls(items, offsets_of(lengths), log.num_items, log_times=times, log_mask=mask, kinds=kinds)

    @classmethod
    def from_sequences(cls, sequences: Sequence[Sequence[int]], num_items: int) -> Tape:
        """Return sequences as a tape; the first sequence belongs to user 1.

        sequences  item indices from 1, oldest first        num_items  size of the catalogue without padding
        """
        lengths = np.array([0, *(len(sequence) for sequence in sequences)], dtype=np.int64)
        items = np.array([item for sequence in sequences for item in sequence], dtype=np.int32)
        return cls(items, offsets_of(lengths), num_items)

    def where(self, mask: NDArray[np.bool_]) -> Tape:
        """Return the tape with some of its interactions, for a tape with one sequence per user.

        mask  (N,) bool: True for the interactions to take

        >>> Tape.from_sequences([[3, 1, 4], [1, 5]], num_items=5).where(np.array([1, 0, 1, 1, 0], bool)).items.tolist()
        [3, 4, 1]
        """
        lengths = np.bincount(self.users[mask], minlength=self.num_users + 1)
        times = self.times
        kept = None if times is None else times[mask]
        kinds = None if self.kinds is None else self.kinds[mask]
        return Tape(self.items[mask], offsets_of(lengths), self.num_items, log_times=kept, kinds=kinds)

    def with_items(self, num_items: int) -> Tape:
        """Return the same sequences for a catalogue to which items were added.

        num_items  size of the larger catalogue without padding
        """
        return Tape(self.items, self.offsets, num_items, self.sequence_owners, log_times=self.times, kinds=self.kinds)

    def __repr__(self) -> str:
        return f"Tape({len(self):,} interactions, {self.num_users:,} users, {self.num_items:,} items)"

    def __len__(self) -> int:
        return len(self.items)

    @property
    def num_users(self) -> int:
        """Number of users, including those without interactions; the anonymous user 0 does not count."""
        return len(self.offsets) - 2

    @cached_property
    def owners(self) -> Int32:
        """The user of each sequence, (num_users + 1,) int32; the first entry is the anonymous user 0."""
        if self.sequence_owners is not None:
            return self.sequence_owners
        return np.arange(self.num_users + 1, dtype=np.int32)

    def whole(self, num_users: int) -> Tape:
        """Return the tape with one sequence per user: the sequences of a user are put together in their order.

        num_users  number of users, including those without a sequence

        >>> sessions = Tape(np.array([3, 1, 4]), np.array([0, 0, 2, 3]), 5, np.array([0, 1, 1]))
        >>> sessions.whole(num_users=2).sequence(1).tolist()
        [3, 1, 4]
        """
        if self.sequence_owners is None:
            return self
        lengths = np.bincount(self.owners, self.lengths, minlength=num_users + 1).astype(np.int64)
        return replace(self, offsets=offsets_of(lengths), sequence_owners=None)

    @cached_property
    def lengths(self) -> Int64:
        """Number of interactions of each user, (num_users + 1,) int64; the anonymous user 0 has none."""
        return np.diff(self.offsets)

    @cached_property
    def users(self) -> Int32:
        """The user of each interaction, (N,) int32."""
        return np.repeat(np.arange(self.num_users + 1, dtype=np.int32), self.lengths)

    @property
    def sizes(self) -> list[int]:
        """The number of interactions of each shard; a tape in memory is one shard."""
        return [len(self)]

    def pieces(self) -> Iterator[Tape]:
        """Yield the shards of the tape, one at a time; a tape in memory is one shard.

        The sequences of a shard are numbered from 1, and `owners` has their users in the whole log.
        """
        yield self

    def lengths_of(self, shards: Sequence[int]) -> Int64:
        """Return the lengths of the R sequences of some shards, (R,) int64.

        shards  the numbers of the shards, ascending; the only one of a tape in memory is 0

        Raises IndexError for other shards than there are.
        """
        _check_only(shards)
        return self.lengths[1:]

    def pool(self, shards: Sequence[int]) -> Tape:
        """Load some shards as one tape.

        shards  their numbers, ascending; the only one of a tape in memory is 0

        Raises IndexError for other shards than there are.

        >>> Tape.from_sequences([[3, 1, 4], [1, 5]], num_items=5).pool([0]).items.tolist()
        [3, 1, 4, 1, 5]
        """
        _check_only(shards)
        return self

    @property
    def times(self) -> Int64 | None:
        """The time of each interaction in microseconds since 1970, (N,) int64; None if the log has no times."""
        return self.log_times if self.log_times is None or self.log_mask is None else self.log_times[self.log_mask]

    @cached_property
    def item_counts(self) -> Int64:
        """Number of interactions with each item, (num_items + 1,) int64; padding has none."""
        return _counts(self.items, self.num_items + 1)

    @cached_property
    def target_counts(self) -> Int64 | Floats:
        """How often each item is predicted, (num_items + 1,) int64; the sum of weights, where kinds have weights."""
        if self.kinds is None:
            return self.item_counts
        if self.kinds.is_weighted:
            return np.bincount(self.items, self.kinds.relative_weights, minlength=self.num_items + 1)
        return _counts(self.items[self.kinds.is_target], self.num_items + 1)

    @property
    def has_kinds(self) -> bool:
        """Whether the interactions have kinds, so that only some of them may be predicted."""
        return self.kinds is not None

    @property
    def mean_weight(self) -> float:
        """The mean weight of what is predicted, as weights were given; 1 where there are none."""
        if not self.has_kinds:
            return 1.0
        found = [piece.kinds for piece in self.pieces() if piece.kinds is not None]
        number = sum(kinds.num_targets for kinds in found)
        return sum(kinds.total_weight for kinds in found) / number if number else 1.0

    def sequence(self, user: int) -> Int32:
        """Return all items of one user in time order, (n,) int32.

        user  an index from 0 to num_users
        """
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def histories(self, users: Int32 | Sequence[int], length: int) -> Int32:
        """Return the last `length` items of each user, left-padded with 0: (B, length) int32.

        users  (B,) indices from 0 to num_users        length  number of columns

        >>> Tape.from_sequences([[3, 1, 4], [1, 5]], num_items=5).histories([1, 2], length=3).tolist()
        [[3, 1, 4], [0, 1, 5]]
        """
        index = np.asarray(users, dtype=np.int64)
        return padded_histories(self.items, self.offsets[index], self.offsets[index + 1], length)


def _check_only(shards: Sequence[int]) -> None:
    """Raise IndexError unless the only shard of a tape in memory is meant."""
    if list(shards) != [0]:
        raise IndexError(f"a tape in memory has one shard, number 0; got {list(shards)}.")


def _counts(indices: Int32, size: int) -> Int64:
    """How often each index from 0 to size - 1 occurs, (size,) int64; in blocks, because bincount copies to int64."""
    counts = np.zeros(size, dtype=np.int64)
    for begin in range(0, len(indices), _BLOCK):
        counts += np.bincount(indices[begin : begin + _BLOCK], minlength=size)
        release(indices)
    return counts
