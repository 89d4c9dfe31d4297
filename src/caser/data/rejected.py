"""What users do not want: items of negative events, such as skips, which answers leave out.

A negative event is no interaction: no model reads, counts or predicts it. It says that its user does not want its item,
until the user takes the item after all: the last event of a user with an item decides.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import polars as pl

from caser.arrays.types import Int32, Int64

_PAIR = ["user", "item"]


@dataclass(frozen=True, eq=False)
class Rejected:
    """R pairs of a user and an item that the user does not want, in the order of users; each pair once.

    users, items  (R,) int32, indices
    times         (R,) int64, when the user said so, in microseconds since 1970; None for a log without times

    >>> rejected = Rejected(np.array([1, 3, 3], np.int32), np.array([7, 2, 5], np.int32), None)
    >>> rejected.of_user(3)[0].tolist(), rejected.of_user(2)[0].tolist()
    ([2, 5], [])
    """

    users: Int32
    items: Int32
    times: Int64 | None

    @classmethod
    def of(cls, pairs: pl.DataFrame, users: pl.Series, items: pl.Series) -> Rejected:
        """Return pairs of raw ids as pairs of indices. A pair with an unknown user or item is left out.

        pairs  `user`, `item` and perhaps `time`, as `last_negatives` returns them
        users, items  the raw ids of a log, in the order of their indices
        """
        for role, ids in (("user", users), ("item", items)):
            index = pl.int_range(1, len(ids) + 1, dtype=pl.Int32, eager=True)
            pairs = pairs.join(pl.DataFrame({role: ids, f"{role}_index": index}), on=role)
        found = pairs.sort("user_index", "item_index")
        times = found["time"].to_numpy() if "time" in found else None
        return cls(found["user_index"].to_numpy(), found["item_index"].to_numpy(), times)

    def __len__(self) -> int:
        return len(self.users)

    def of_user(self, user: int) -> tuple[Int32, Int64 | None]:
        """Return the items that a user does not want, and the times.

        user  an index from 0
        """
        own = slice(*np.searchsorted(self.users, np.array([user, user + 1], np.int32)).tolist())
        return self.items[own], None if self.times is None else self.times[own]

    def renumbered(self, old_users: pl.Series, old_items: pl.Series) -> Rejected:
        """Return the pairs for a log with fewer users and items.

        old_users, old_items  the indices that the users and items had, in the order of their new ones
        """
        columns = {"user": self.users, "item": self.items, **({} if self.times is None else {"time": self.times})}
        return Rejected.of(pl.DataFrame(columns), old_users, old_items)


def last_negatives(events: pl.DataFrame, kinds: Collection[str]) -> pl.DataFrame:
    """Return the pairs of a user and an item whose last event is negative: `user`, `item`, and `time` if there is one.

    events  `user`, `item`, `event_type` and perhaps `time`; events of equal times are in their order
    kinds   the negative kinds

    >>> events = pl.DataFrame({"user": ["a", "a"], "item": [7, 7], "event_type": ["skip", "buy"]})
    >>> len(last_negatives(events, ["skip"])), len(last_negatives(events[::-1], ["skip"]))
    (0, 1)
    """
    columns = [*_PAIR, "event_type", *(["time"] if "time" in events else [])]
    ordered = events.select(columns)
    ordered = ordered.sort("time", maintain_order=True) if "time" in events else ordered
    last = ordered.group_by(_PAIR, maintain_order=True).last()
    return last.filter(pl.col("event_type").is_in(kinds)).drop("event_type")
