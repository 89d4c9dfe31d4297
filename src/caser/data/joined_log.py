"""One log of an old log and new events, in which each event counts once.

Users and items of the old log keep their indices; new ones follow, by first appearance in time. A new event that the
old log holds, with the same user, item and second, is left out, so that the new events may come alone or in a file that
has the old ones too. Late events, which are older than the last of the old log, take their place in time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from caser.arrays.offsets import rows_by_time
from caser.arrays.types import Int32, Int64, Mask
from caser.data.appearance import index_by_appearance
from caser.data.id_text import written
from caser.data.item_table import combined
from caser.data.log import InteractionLog, Vocabulary
from caser.errors import DataError

SECOND = 1_000_000
"""Microseconds; within one, two events of a user with one item are the same (decision 26)."""


@dataclass(frozen=True, eq=False)
class JoinedLog:
    """An old log and new events together.

    log           the log of both
    num_new       how many events came new
    num_repeated  how many events of the new log the old one holds
    num_late      how many of the new events are not later than the last event of the old log
    """

    log: InteractionLog
    num_new: int
    num_repeated: int
    num_late: int


def joined(old: InteractionLog, new: InteractionLog) -> JoinedLog:
    """Join an old log with new events.

    old  the old log, with times
    new  the new events, with times; it may hold old ones too

    The result has the provenance of the old log. Raises DataError where one of the logs has no times, or
    predicts some kinds of events only, or has negative ones.

    >>> old = InteractionLog.from_columns(pl.Series(["a", "b"]), pl.Series([7, 8]), np.array([10, 20]) * SECOND)
    >>> new = InteractionLog.from_columns(pl.Series(["b", "c"]), pl.Series([8, 9]), np.array([20, 30]) * SECOND)
    >>> both = joined(old, new)
    >>> both.log, both.num_new, both.num_repeated
    (InteractionLog(3 interactions, 3 users, 3 items), 1, 1)
    """
    for name, log in (("old", old), ("new", new)):
        if not log.has_times:
            raise DataError(
                f"new events are told from old ones by their times; the {name} log has none. Name the time column "
                "(Reading(time=...), or --time)."
            )
        if log.kinds is not None or log.rejected is not None:
            what = "predicts some kinds only (target_events)" if log.rejected is None else "has negative_events"
            raise DataError(
                f"logs are joined where events of all kinds are alike; the {name} log {what}. Join its files, and read "
                "them as one log; for a run, caser refit RUN --log LOG does."
            )
    # The events that the old log does not hold, in the order of time.
    events = np.argsort(new.times, kind="stable")
    known_U, known_I = (
        ours.indices(theirs.ids.to_list())
        for ours, theirs in (
            (old.user_vocabulary, new.user_vocabulary),
            (old.item_vocabulary, new.item_vocabulary),
        )
    )
    is_new = ~_is_held(old, known_U[new.users - 1], known_I[new.items - 1], new.times)[events]
    events = events[is_new]
    if not len(events):
        return JoinedLog(old, 0, len(new), 0)
    users, user_vocabulary = _numbered(old.user_vocabulary, new.user_vocabulary, known_U, new.users[events])
    items, item_vocabulary = _numbered(old.item_vocabulary, new.item_vocabulary, known_I, new.items[events])
    times = new.times[events]
    # Order by user and time; of equal times, the old events come first.
    all_users, all_times = np.concatenate([old.users, users]), np.concatenate([old.times, times])
    order = np.lexsort((all_times, all_users))
    log = InteractionLog(
        users=all_users[order],
        items=np.concatenate([old.items, items])[order],
        times=all_times[order],
        rows=rows_by_time(all_times)[order],
        user_vocabulary=user_vocabulary,
        item_vocabulary=item_vocabulary,
        titles=_titles(old, new, item_vocabulary),
        provenance=old.provenance,
    )
    return JoinedLog(log, len(events), len(new) - len(events), int((times <= old.times.max()).sum()))


def is_in_log(log: InteractionLog, other: InteractionLog, is_meant: Mask | None = None) -> Mask:
    """Tell of each interaction of a log whether another log holds it, (N,) bool.

    log       the log that is asked about
    other     a log whose users and items may have other indices
    is_meant  (M,) bool, which interactions of the other log count; None for all of them

    Of several interactions of a user with one item at one time, as many are held as the other log has, the first ones.
    """
    keys = ["user", "item", "time"]
    ours = _events(
        other.user_vocabulary.indices(log.user_vocabulary.ids.to_list())[log.users - 1],
        other.item_vocabulary.indices(log.item_vocabulary.ids.to_list())[log.items - 1],
        log.times,
    )
    theirs = _events(other.users, other.items, other.times)
    meant = np.ones(len(other), dtype=bool) if is_meant is None else is_meant
    number = pl.int_range(pl.len()).over(keys).alias("number")
    theirs = theirs.with_columns(number, pl.Series("held", meant))
    found = ours.with_columns(number).join(theirs, on=[*keys, "number"], how="left", maintain_order="left")
    held: Mask = found["held"].fill_null(False).to_numpy()
    return held


def _events(users: Int32, items: Int32, times: Int64) -> pl.DataFrame:
    return pl.DataFrame({"user": users, "item": items, "time": np.asarray(times)})


def _is_held(old: InteractionLog, users: Int32, items: Int32, times: Int64) -> Mask:
    """Whether the old log holds each event, (N,) bool: the same user and item in the same second."""
    held = _events(old.users, old.items, old.times // SECOND).unique()
    asked = _events(users, items, times // SECOND).with_row_index()
    found = asked.join(held, on=["user", "item", "time"], how="semi")
    is_held = np.zeros(len(users), dtype=bool)
    is_held[found["index"].to_numpy()] = True
    return is_held


def _numbered(ours: Vocabulary, theirs: Vocabulary, known_V: Int32, used: Int32) -> tuple[Int32, Vocabulary]:
    """The indices of ids that are used in the order of time, and the vocabulary with the new ids at its end.

    known_V  (V,) int32, the index that each of their ids has with us, 0 for a new one
    """
    places, appeared = index_by_appearance(pl.Series(used), np.arange(len(used)))
    in_order = appeared.to_numpy() - 1  # the places of their ids, by first appearance
    indices = known_V[in_order].copy()
    is_new = indices == 0
    indices[is_new] = len(ours) + 1 + np.arange(int(is_new.sum()), dtype=np.int32)
    return indices[places - 1], Vocabulary(_extended(ours.ids, theirs.ids.gather(in_order[is_new])))


def _extended(ids: pl.Series, further: pl.Series) -> pl.Series:
    """Ids with further ones at their end: as numbers if all are, and otherwise as they are written."""
    if further.is_empty():
        return ids
    if further.dtype.is_integer() and ids.dtype.is_integer():
        return pl.concat([ids.cast(pl.Int64), further.cast(pl.Int64).rename(ids.name)])
    if further.dtype == ids.dtype:
        return pl.concat([ids, further.rename(ids.name)])
    return pl.Series(ids.name, [*map(written, ids.to_list()), *map(written, further.to_list())], dtype=pl.String)


def _titles(old: InteractionLog, new: InteractionLog, items: Vocabulary) -> pl.Series | None:
    """The titles of both logs, in the order of the items; those of the new log come first."""
    if old.titles is None and new.titles is None:
        return None
    columns = []
    for log in (old, new):
        known = log.item_vocabulary.indices(items.ids.to_list())
        titles = pl.Series([None] * len(log.item_vocabulary), dtype=pl.String) if log.titles is None else log.titles
        padded = pl.concat([pl.Series([None], dtype=pl.String), titles.rename("")])
        columns.append(padded.gather(known))
    return combined(*columns)
