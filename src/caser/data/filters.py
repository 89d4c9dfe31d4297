"""Filters: keep the interactions of a log that meet a rule; the log's provenance records how many each rule drops.

Filters change the meaning of a metric. So they are settings that are off by default, and they are part of the
fingerprint of every result.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from pydantic import Field

from caser.arrays.types import Mask
from caser.config import Settings
from caser.data.log import InteractionLog


class LogFilters(Settings):
    """Which interactions to keep. The filters apply in the order in which they are listed here."""

    min_rating: float | None = None
    """Keep interactions with at least this rating."""
    event_types: tuple[str, ...] = ()
    """Keep interactions of these kinds; all kinds when empty."""
    drop_duplicates: bool = False
    """Keep only the first of interactions that are equal in user, item and time. A log without times has none."""
    drop_repeats: bool = False
    """Keep only the first of consecutive interactions of a user with the same item."""
    min_item_count: int = Field(default=0, ge=0)
    """Keep items with at least this many interactions. Users are not filtered."""
    k_core: int = Field(default=0, ge=0)
    """Keep users and items with at least this many interactions each, repeated until all have as many."""


FILTERS_OF_COLUMNS = ("min_rating", "event_types")
"""The filters on columns that a log does not keep, so that they apply when it is read."""


def apply_filters(log: InteractionLog, filters: LogFilters) -> InteractionLog:
    """Return the log after all filters except `min_rating` and `event_types`, which only a reader can apply.

    log      is not changed        filters  which interactions to keep

    Each filter adds a step to `provenance["filters"]`. Raises DataError if no interaction is left.

    >>> log = InteractionLog.from_columns(pl.Series(["a", "a", "a", "b"]), pl.Series([7, 7, 8, 7]), None)
    >>> filtered = apply_filters(log, LogFilters(drop_repeats=True, min_item_count=2))
    >>> len(filtered), filtered.provenance["filters"]
    (2, [{'filter': 'drop_repeats', 'dropped': 1}, {'filter': 'min_item_count=2', 'dropped': 1}])
    """
    if filters.drop_duplicates:
        log = log.keep(_first_of_duplicates(log), "drop_duplicates")
    if filters.drop_repeats:
        log = log.keep(_first_of_repeats(log), "drop_repeats")
    if filters.min_item_count:
        counts = np.bincount(log.items)
        log = log.keep(counts[log.items] >= filters.min_item_count, f"min_item_count={filters.min_item_count}")
    if filters.k_core:
        log = log.keep(_core(log, filters.k_core), f"k_core={filters.k_core}")
    return log


def _first_of_duplicates(log: InteractionLog) -> Mask:
    frame = pl.DataFrame({"user": log.users, "item": log.items, "time": log.times})
    return frame.select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()


def _first_of_repeats(log: InteractionLog) -> Mask:
    repeats = (log.users[1:] == log.users[:-1]) & (log.items[1:] == log.items[:-1])
    return np.concatenate([[True], ~repeats])


def _core(log: InteractionLog, least: int) -> Mask:
    """Return the largest set of interactions in which every user and every item has at least `least` of them, (N,)."""
    kept = np.ones(len(log), dtype=bool)
    while True:
        users = np.bincount(log.users[kept], minlength=log.num_users + 1)
        items = np.bincount(log.items[kept], minlength=log.num_items + 1)
        still = kept & (users[log.users] >= least) & (items[log.items] >= least)
        if still.sum() == kept.sum():
            return kept
        kept = still
