"""Facts about a log that help to judge numbers measured on it.

Tied times show how much of the order is only the order of rows. Repeats show whether seen items must stay candidates.
The distribution of popularity shows how hard the popularity baseline is to beat.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from caser.arrays.types import Int64
from caser.data.log import InteractionLog
from caser.data.split import check_log

Facts = dict[str, Any]


def describe(log: InteractionLog) -> Facts:
    """Return facts about a log by name, as JSON values: sizes, activity, times, repeats, popularity and provenance.

    log  any log

    Shares lie between 0 and 1. Times are ISO 8601 texts in UTC; facts about times are None for a log without times.
    Raises DataError for what is no log.

    >>> log = InteractionLog.from_columns(pl.Series([1, 1, 1]), pl.Series([7, 7, 8]), np.array([0, 0, 60_000_000]))
    >>> facts = describe(log)
    >>> facts["last_time"], facts["duplicates"], round(facts["share_of_rows_tied"], 3)
    ('1970-01-01T00:01:00Z', 1, 0.667)
    """
    check_log(log)
    return {
        "interactions": len(log),
        "users": log.num_users,
        "items": log.num_items,
        "density": len(log) / (log.num_users * log.num_items),
        **_activity(log),
        **_times(log),
        **_repeats(log),
        **_popularity(np.bincount(log.items)[1:]),
        "source": log.provenance.get("source"),
        "notes": list(log.provenance.get("notes", [])),
        "bad_rows": dict(log.provenance.get("bad_rows", {})),
        "filters": list(log.provenance.get("filters", [])),
    }


def _activity(log: InteractionLog) -> Facts:
    """Return minimum, quartiles and maximum of the number of interactions per user."""
    names = ("least", "lower_quartile", "median", "upper_quartile", "most")
    values = np.quantile(np.bincount(log.users)[1:], [0, 0.25, 0.5, 0.75, 1])
    return {f"interactions_per_user_{name}": float(value) for name, value in zip(names, values, strict=True)}


def _times(log: InteractionLog) -> Facts:
    """Return the range of the times, and how many rows and users have an order that the times do not decide."""
    names = ("time_unit", "first_time", "last_time", "share_of_rows_tied", "share_of_users_with_tied_last_time")
    if not log.has_times:
        return dict.fromkeys(names)
    same = (log.users[1:] == log.users[:-1]) & (log.times[1:] == log.times[:-1])
    tied = np.append(same, False) | np.append(False, same)
    last = np.append(log.users[1:] != log.users[:-1], True)
    ends = (_iso(int(log.times.min())), _iso(int(log.times.max())))
    values = (log.provenance.get("time_unit"), *ends, float(tied.mean()), float(tied[last].mean()))
    return dict(zip(names, values, strict=True))


def _repeats(log: InteractionLog) -> Facts:
    """Return how many interactions repeat an item: at any earlier time, in the interaction before, or at one moment."""
    frame = pl.DataFrame({"user": log.users, "item": log.items, "time": log.times})
    distinct_pairs = frame.select(pl.struct("user", "item").n_unique()).item()
    consecutive = (log.users[1:] == log.users[:-1]) & (log.items[1:] == log.items[:-1])
    return {
        "share_of_repeats": 1 - distinct_pairs / len(log),
        "share_of_consecutive_repeats": float(consecutive.sum() / len(log)),
        "duplicates": len(log) - frame.select(pl.struct(pl.all()).n_unique()).item(),
    }


def _popularity(counts: Int64) -> Facts:
    """Return the Gini coefficient of interactions per item, and the share of the top 1 % of items (at least one)."""
    ascending = np.sort(counts)
    num_items = len(ascending)
    gini = float((2 * np.arange(1, num_items + 1) - num_items - 1) @ ascending) / (num_items * int(ascending.sum()))
    top = ascending[-max(1, num_items // 100) :].sum() / ascending.sum()
    return {"popularity_gini": gini, "share_of_top_1_percent_of_items": float(top)}


def _iso(microseconds: int) -> str:
    return f"{np.datetime64(microseconds, 'us').astype('datetime64[s]')}Z"
