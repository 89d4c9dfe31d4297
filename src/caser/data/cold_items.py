"""The split for new items: models are judged on items that occur only after the cut, so that training never saw them.

Every other split judges nearly only items that training knew, because a model without attributes of items cannot find
another one. A shop gets new items every day; this split measures whether a model finds those.
"""

from __future__ import annotations

import numpy as np

from caser.arrays.types import Int64
from caser.data.cuts import Parts, check_fractions, positions, prefix_queries, stages
from caser.data.log import InteractionLog
from caser.data.shard_parts import cut_shards
from caser.data.shards import ShardedLog
from caser.data.split import Split, in_shards, split_name
from caser.data.tape import Tape
from caser.errors import DataError
from caser.system.mapped import release


def cold_items(log: InteractionLog | ShardedLog, test: float = 0.1, validation: float = 0.1) -> Split:
    """Cut the log at two moments, and judge the interactions with items that first occur after the cut.

    log         a log with times
    test        share of the items that first occur at or after the second cut, where the test part begins
    validation  share of the items that first occur between the two cuts; the validation part begins at the first cut

    The shares must be positive, with a sum below 1. Everything before a cut trains, and nothing after it. Each later
    interaction with an item that did not occur before the cut is the target of one query; all that its user did
    before, after the cut too, is the history. No user vector is used, because many of these users are new. Interactions
    after a cut with known items, and those without a history, are not judged; `notes` has the number of the latter.

    Returns a split named "cold-items", with the shares in the name if they are not the default ones. Raises DataError
    for a log without times, for one in which too few items are new after a cut, and for shares that are not allowed.
    Source: ours; Schein et al. 2002 (Methods and metrics for cold-start recommendations) judge on items that are held
    out from training, but not by time.

    >>> from caser.data.log import InteractionLog
    >>> import polars as pl
    >>> items = pl.Series([f"film {number // 2}" for number in range(20)])
    >>> split = cold_items(InteractionLog.from_columns(pl.Series(["ann"] * 20), items, np.arange(20)))
    >>> len(split.fit), len(split.final), split.log.item_vocabulary.raw(split.test.targets)
    (16, 18, ['film 9', 'film 9'])
    """
    shards = in_shards(log)
    if not shards.has_times:
        raise DataError(
            "cold-items needs timestamps; this log has none. Name the time column (Reading(time=...), or --time)."
        )
    check_fractions(test, validation)
    # The cuts are the moments when two of the items first occur; items are numbered in this order.
    first_I, num_items = _first_times(shards), shards.log.num_items
    num_test, num_cold = int(num_items * test), int(num_items * (test + validation))
    enough = 0 < num_test < num_cold < num_items
    by_time = np.sort(first_I[1:])
    from_validation, from_test = (by_time[num_items - num_cold], by_time[num_items - num_test]) if enough else (0, 0)

    def cut(shard: InteractionLog, _: int) -> Parts:
        stage = stages(shard.times >= from_validation, shard.times >= from_test)
        first = first_I[shard.items]
        judged = [(stage == 1) & (first >= from_validation), (stage == 2) & (first >= from_test)]
        validation, test = (prefix_queries(shard, mask) for mask in judged)
        without = int((judged[1] & (positions(shard)[0] == 0) & shard.targets).sum())
        return Parts(Tape.from_log(shard, stage == 0), validation, Tape.from_log(shard, stage <= 1), test, without)

    parts = cut_shards(shards, cut) if enough else None
    if parts is None or not (len(parts.fit) and len(parts.validation) and len(parts.test)):
        raise DataError(
            "cold-items needs interactions before its cuts and, after each, a new item with an earlier interaction of "
            f"its user; got {num_items:,} items, {num_test:,} of them for the test."
        )
    without = parts.counted
    notes = (f"{without:,} interactions with new items have no history and are not judged",) if without else ()
    name = split_name(cold_items, test=test, validation=validation)
    return Split(name, shards.log, parts.fit, parts.validation, parts.final, parts.test, notes, shards)


def _first_times(shards: ShardedLog) -> Int64:
    """When each item first occurs, (I,) int64; the entry of padding is not used."""
    first_I = np.full(shards.log.num_items + 1, np.iinfo(np.int64).max)
    for k in range(shards.num_shards):
        shard = shards.shard(k)
        np.minimum.at(first_I, shard.items, shard.times)
        release(shards.log.items, shards.log.times)
    return first_I
