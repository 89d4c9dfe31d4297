"""A log in shards by user: the events of some users at a time, for logs that do not fit into memory.

A user is in exactly one shard. Users are numbered from 1 through all shards, in their order, and items have one
vocabulary. A shard is an `InteractionLog` of its own, whose users are numbered from 1 again. The arrays of the whole
log may be memory-mapped, as those of a prepared log are (`prepared/folder.py`), so that a shard costs no more than is
read of it. One log is the case of one shard: `shard(0)` is then the log itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from caser.arrays.types import Int64
from caser.data.log import InteractionLog
from caser.errors import ConfigError


@dataclass(frozen=True, eq=False)
class ShardedLog:
    """A log of U users, cut into K shards.

    log         the whole log; its arrays may be memory-mapped
    first_user  (K + 1,) int64: shard k holds the users first_user[k] to first_user[k + 1] - 1 of the whole log

    >>> from caser.data.synthetic import chain_world
    >>> shards = ShardedLog.of(chain_world(num_users=5, num_items=4, length=3).log, num_shards=2)
    >>> shards.first_user.tolist(), [len(shards.shard(k)) for k in range(shards.num_shards)]
    ([1, 4, 6], [9, 6])
    """

    log: InteractionLog
    first_user: Int64

    @classmethod
    def of(cls, log: InteractionLog, num_shards: int = 1) -> ShardedLog:
        """Cut a log into shards with about equally many interactions.

        log  any log
        num_shards  from 1 to the number of users

        Raises ConfigError for another number of shards.
        """
        if not 1 <= num_shards <= log.num_users:
            raise ConfigError(
                f"the number of shards must lie in 1..{log.num_users:,}, the number of users; got {num_shards:,}."
            )
        cuts = np.arange(1, num_shards, dtype=np.int64) * len(log) // num_shards
        users = log.users[cuts]
        within = cuts - np.searchsorted(log.users, users)
        return cls(log, cut_users(users.astype(np.int64), within, log.num_users))

    @property
    def num_shards(self) -> int:
        """Number of shards."""
        return len(self.first_user) - 1

    @property
    def num_users(self) -> int:
        """Number of users in all shards."""
        return self.log.num_users

    @property
    def num_items(self) -> int:
        """Number of items, which is the same for every shard; padding does not count."""
        return self.log.num_items

    @property
    def num_interactions(self) -> int:
        """Number of interactions in all shards."""
        return len(self.log)

    @property
    def has_times(self) -> bool:
        """False if the source has no times, so that the order of rows is the order of events."""
        return self.log.has_times

    @property
    def item_ids(self) -> pl.Series:
        """The raw ids of the items, in the order of their indices."""
        return self.log.item_vocabulary.ids

    @property
    def digest(self) -> str:
        """The digest of the whole log, which does not depend on where it is cut: see `InteractionLog.digest`."""
        return self.log.digest

    def user_ids(self, k: int) -> pl.Series:
        """Return the raw ids of the users of a shard, in the order of their indices.

        k  the number of the shard, from 0
        """
        return self.shard(k).user_vocabulary.ids

    def shard(self, k: int) -> InteractionLog:
        """Return a shard as a log: its users are numbered from 1, its items and rows as in the whole log.

        k  the number of the shard, from 0

        The shard is made when it is asked for, and nothing of it is kept.

        >>> from caser.data.synthetic import chain_world
        >>> shards = ShardedLog.of(chain_world(num_users=5, num_items=4, length=3).log, num_shards=2)
        >>> shards.shard(1).users.tolist(), shards.user_ids(1).to_list()
        ([1, 1, 1, 2, 2, 2], [4, 5])
        """
        first, end = (int(user) for user in self.first_user[k : k + 2])
        if first == 1 and end == self.num_users + 1:
            return self.log
        log = self.log
        # int32 as the users are: NumPy would otherwise convert all of them.
        events = slice(*np.searchsorted(log.users, np.array([first, end], np.int32)).tolist())
        return replace(
            log,
            users=log.users[events] - np.int32(first - 1),
            items=log.items[events],
            times=log.times[events],
            rows=log.rows[events],
            kinds=None if log.kinds is None else log.kinds[events],
            user_vocabulary=log.user_vocabulary.part(first, end),
        )


def cut_users(users: Int64, within: Int64, num_users: int) -> Int64:
    """Return the first user of each of K shards, and `num_users + 1`: (K + 1,) int64.

    users      (K - 1,) ascending: the user whose interactions hold each place at which the log should be cut
    within     (K - 1,) how many interactions that user has before the place
    num_users  number of users, at least K

    The cut is before that user, or after it if the place is within its interactions. Each shard has one user at least.

    >>> cut_users(np.array([1, 1]), np.array([3, 6]), 4).tolist()
    [1, 2, 3, 5]
    """
    num_shards = len(users) + 1
    first = np.concatenate([[1], users + (within > 0), [num_users + 1]]).astype(np.int64)
    shards = np.arange(num_shards + 1)
    # At least one user for each shard before it, and then for each after it.
    first = np.maximum.accumulate(first - shards) + shards
    return np.minimum(first, num_users + 1 - shards[::-1])
