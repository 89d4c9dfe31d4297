"""Facts about a split that take long to compute: how often users repeat, how much leaks from the future, a digest.

A study judges one split many times, so each fact is computed once and kept for as long as its tape, queries or split
lives. This module does not decide anything: `protocols.py` turns the facts into rules, notes and fingerprints.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from caser.arrays.offsets import blocks_of, places_of
from caser.data.queries import Queries
from caser.data.split import Split
from caser.data.tape import Tape
from caser.evaluation.weak_cache import cached_while_alive
from caser.system.mapped import release, take

if TYPE_CHECKING:
    from hashlib import _Hash as Hasher

_BLOCK = 2**20
"""About so many interactions are looked at at once."""


@cached_while_alive
def repeat_share(tape: Tape) -> float:
    """Share of training targets, between 0 and 1, whose item the same user had before.

    tape  the part that trains; every target of the tape counts except a user's first interaction

    >>> repeat_share(Tape.from_sequences([[1, 2, 1], [3, 4, 4]], num_items=4))
    0.5
    """
    num_repeats = num_targets = 0
    for piece in tape.pieces():
        # One number per (user, item) pair; equal neighbours after sorting are repeats. Far faster than np.unique.
        pairs = piece.users.astype(np.int64) * (piece.num_items + 1) + piece.items
        if piece.kinds is None:
            pairs.sort()
            num_repeats += int(np.count_nonzero(pairs[1:] == pairs[:-1]))
            num_targets += len(piece) - int((piece.lengths > 0).sum())
            continue
        order = np.argsort(pairs, kind="stable")
        repeats = order[1:][pairs[order[1:]] == pairs[order[:-1]]]
        firsts = piece.offsets[:-1][piece.lengths > 0]
        is_target = piece.kinds.is_target
        num_repeats += int(is_target[repeats].sum())
        num_targets += int(is_target.sum()) - int(is_target[firsts].sum())
    return num_repeats / max(num_targets, 1)


@cached_while_alive
def later_share(split: Split, tape: Tape, queries: Queries) -> float | None:
    """Share of pairs of a training interaction and a query in which the interaction is later than the query's target.

    split    a split log
    tape     the part of it that trains: `fit` or `final`
    queries  the part of it that judges: `validation` or `test`

    Returns a number between 0 and 1: how much a model learns from the future of those it is judged on. Returns None
    for a log without times and for a part without queries.
    """
    log = split.log
    if not log.has_times or len(queries) == 0:
        return None
    if queries.target_times is not None and tape.times is not None:
        # Interactions from all of a user's time train: the tape says which.
        later = np.searchsorted(np.sort(queries.target_times), tape.times, "left")
        return float(later.mean()) / len(queries)
    target_times = np.sort(take(log.times, queries.ends))
    # Training interactions are the first ones of each user, as many as the tape has. Go through them in blocks of
    # users, and count for each the targets that it is not later than.
    lengths, trained = Tape.from_log(log).lengths, tape.whole(log.num_users).lengths
    num_earlier, begin = 0, 0
    for first, end in blocks_of(lengths, _BLOCK):
        times = log.times[begin : begin + int(lengths[first:end].sum())]
        is_trained = places_of(lengths[first:end]) < np.repeat(trained[first:end], lengths[first:end])
        num_earlier += int((len(queries) - np.searchsorted(target_times, times[is_trained], "left")).sum())
        begin += len(times)
        release(log.times)
    return 1 - num_earlier / len(queries) / int(trained.sum())


@cached_while_alive
def queries_hasher(queries: Queries) -> Hasher:
    """Return a SHA-256 hasher that has read the histories and targets of queries; copy it before adding to it.

    queries  the queries of one part of a split
    """
    hasher = hashlib.sha256()
    histories = (queries.users, queries.owners, queries.items, queries.starts, queries.ends)
    for array in (*histories, queries.targets, queries.target_offsets):
        hash_array(hasher, array)
    return hasher


def hash_array(hasher: Hasher, array: NDArray[Any]) -> None:
    """Add the shape and the bytes of an array to a hasher.

    hasher  is changed
    array   any shape and dtype
    """
    hasher.update(f"{array.shape}".encode())
    for begin in range(0, len(array), _BLOCK):
        hasher.update(np.ascontiguousarray(array[begin : begin + _BLOCK]).data)
        release(array)
