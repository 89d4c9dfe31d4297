"""The items that a user does not want, out of two: the negative events that the run was read with, and stored ones.

The rule of `data/rejected.py` holds for both together: the last event of the user with an item decides. At equal times,
and where the log has no times, a stored event comes after those of the run.
"""

from __future__ import annotations

import numpy as np

from caser.arrays.types import Int32, RawId
from caser.artefact.folder import Artefact
from caser.data.kind_rules import KindRules
from caser.service.events.store import RecentHistory

_SECOND = 1_000_000


def rejected_items(artefact: Artefact, rules: KindRules, user: RawId | None, recent: RecentHistory) -> Int32:
    """Return the indices of the items that a user does not want, (R,) int32, ascending.

    artefact  the run        rules  what its log says of kinds
    user      the raw id; None where the run's history of the user must not be used
    recent    the stored events of the user
    """
    [index] = [0] if user is None else artefact.users.lookup([user])
    # The last stored event of each item, and whether it is negative.
    kinds = recent.kinds or (None,) * len(recent.items)
    last: dict[int, tuple[float, bool]] = {}
    for item, time, kind in zip(artefact.items.lookup(recent.items), recent.times, kinds, strict=True):
        is_negative = kind in rules.negatives
        if is_negative or rules.is_history(kind):
            last[item] = time, is_negative
    negative = {item: time for item, (time, is_negative) in last.items() if is_negative}
    rejected = {item for item, time in negative.items() if not _is_taken_later(artefact, index, item, time)}
    # What the run says holds, unless a stored event is later.
    if artefact.rejected is not None:
        items, times = artefact.rejected.of_user(index)
        for place, item in enumerate(items.tolist()):
            moment = -np.inf if times is None else times[place] / _SECOND
            if item not in last or last[item][0] < moment:
                rejected.add(item)
    return np.array(sorted(rejected - {0}), dtype=np.int32)


def _is_taken_later(artefact: Artefact, user: int, item: int, time: float) -> bool:
    """Whether the run has an interaction of the user with the item that is later than a stored event."""
    tape = artefact.histories
    if tape.times is None:
        return False
    own = slice(tape.offsets[user], tape.offsets[user + 1])
    times = tape.times[own][np.asarray(tape.items[own]) == item]
    return bool((times > time * _SECOND).any())
