"""A split for a model that will not be judged: nothing is kept for a test part.

The log of such a model may be too short for a protocol. What is not judged needs no test part, and a choice needs no
more than one target: the last interaction of each user who has at least two.
"""

from __future__ import annotations

import numpy as np

from caser.arrays.types import Int64
from caser.data.cuts import are_last_targets, positions
from caser.data.log import InteractionLog
from caser.data.queries import Queries
from caser.data.split import Split, check_log
from caser.data.tape import Tape


def unjudged(log: InteractionLog, name: str, *, anonymous: bool = False) -> Split:
    """Split off the last interaction of each user, or the last target, to validate, and nothing for a test.

    log        the log; of users with one interaction, it is used for training only
    name       the name of the protocol
    anonymous  whether the queries name no user, because the users of the protocol are sessions

    Returns a split whose test part is empty, and whose `final` part is the whole log. The validation part is empty if
    no user has two interactions. Raises DataError for what is no log. Source: ours.

    >>> from caser.data.synthetic import chain_world
    >>> split = unjudged(chain_world(num_users=4, num_items=6, length=2, seed=0).log, "leave-one-out")
    >>> len(split.fit), len(split.validation), len(split.final), len(split.test)
    (4, 4, 8, 0)
    """
    check_log(log)
    everything = Tape.from_log(log)
    is_last = are_last_targets(log) & (positions(log)[0] > 0)
    ends = np.zeros(log.num_users + 1, dtype=np.int64)  # where the target of each user is; user 0 is padding
    ends[log.users[is_last]] = np.flatnonzero(is_last)
    owners = log.users[is_last].astype(np.int64)

    def queries(asked: Int64) -> Queries:
        last = ends[asked]
        users = np.zeros(len(asked), dtype=np.int32) if anonymous else asked.astype(np.int32)
        places = np.arange(len(asked) + 1, dtype=np.int64)
        starts = everything.offsets[asked]
        kinds = None if log.kinds is None else log.kinds[last]
        return Queries(users, log.items, starts, last, log.items[last], places, asked.astype(np.int32), kinds=kinds)

    note = (
        f"the log is too short for the protocol {name}, so nothing can be judged: the last interaction of each user "
        "chooses, and everything trains"
    )
    return Split(name, log, Tape.from_log(log, ~is_last), queries(owners), everything, queries(owners[:0]), (note,))
