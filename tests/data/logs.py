"""Small logs for tests, written as rows or as one sequence per user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from caser.arrays.types import RawId
from caser.data.log import InteractionLog
from caser.data.queries import Queries
from caser.data.split import Split

Row = tuple[RawId, RawId, int]
"""User, item, time."""


def log_of(rows: Iterable[Row]) -> InteractionLog:
    users, items, times = zip(*rows, strict=True)
    return InteractionLog.from_columns(pl.Series(users), pl.Series(items), np.array(times, dtype=np.int64))


def log_of_sequences(sequences: Mapping[RawId, Sequence[RawId]]) -> InteractionLog:
    """Every user's items one second apart, one user after another."""
    rows = [(user, item) for user, sequence in sequences.items() for item in sequence]
    return log_of((user, item, time) for time, (user, item) in enumerate(rows))


def with_pauses(log: InteractionLog, every: int = 7) -> InteractionLog:
    """The log with a day's pause in each user's sequence after every few interactions, so that it has sessions."""
    place = np.arange(len(log)) - np.searchsorted(log.users, log.users)
    return replace(log, times=log.times + place // every * 86_400_000_000)


def for_every_protocol(log: InteractionLog, every: int = 7) -> InteractionLog:
    """The log with pauses, and with new items after half of the time: a log that every protocol can split."""
    paused = with_pauses(log, every)
    half = int(np.median(paused.times))
    rows = zip(paused.users.tolist(), paused.items.tolist(), paused.times.tolist(), strict=True)
    return log_of((user, item if time < half else item + log.num_items, time) for user, item, time in rows)


def raw_sequences(split: Split, part: str) -> dict[RawId, list[RawId]]:
    """The sequences of a tape in raw ids, users without interactions left out."""
    tape, log = getattr(split, part), split.log
    users = range(1, tape.num_users + 1)
    raw = {user: log.item_vocabulary.raw(tape.sequence(user)) for user in users}
    return {log.user_vocabulary.raw([user])[0]: items for user, items in raw.items() if items}


def raw_queries(split: Split, part: str) -> list[tuple[RawId, list[RawId], list[RawId]]]:
    """Each query as (owner, history, targets), in raw ids."""
    queries: Queries = getattr(split, part)
    log = split.log
    return [
        (
            log.user_vocabulary.raw([queries.owners[row]])[0],
            log.item_vocabulary.raw(queries.items[queries.starts[row] : queries.ends[row]]),
            log.item_vocabulary.raw(queries.targets[queries.target_offsets[row] : queries.target_offsets[row + 1]]),
        )
        for row in range(len(queries))
    ]
