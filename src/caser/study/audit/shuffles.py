"""Shuffles the sequences of a split, whole or in blocks, while its targets stay the same.

A sequence is cut into blocks, and the items within each block are put in random order. A block is

    1, 2, 3, ...  this many consecutive items, counted from the end: the last b items of a history stay its last b
                  items, but their order is lost. Blocks of 1 keep the true order
    whole         the whole sequence: only the set of items stays

The loss of a model from one kind of block to the next is what the order, or the recency, of items was worth to it. The
training sequences are shuffled like the histories, so a model can learn everything that does not depend on the order.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from caser.arrays.offsets import offsets_of, places_of
from caser.arrays.types import Int64
from caser.data.split import Split

Block = int | Literal["whole"]
"""The size of the blocks that are shuffled."""


def shuffled(split: Split, block: Block, random: np.random.Generator) -> Split:
    """Return the split with the sequences of `fit` and the histories of `validation` shuffled within blocks.

    block   the size of a block; sizes above 1 and "whole" lose the order
    random  the generator that the order is drawn from

    Users, targets and the items of each history stay, so the values of a query can be paired with those on the true
    split. `final` and `test` are not changed. The new log has no times, because items are no longer at their times.

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> split = leave_one_out(chain_world(num_users=1, num_items=9, length=8, seed=0).log)
    >>> split.fit.items.tolist(), shuffled(split, 2, np.random.default_rng(0)).fit.items.tolist()
    ([1, 2, 3, 4, 4, 5], [2, 1, 4, 3, 4, 5])
    """
    fit, queries = split.fit, split.validation
    order = _order(fit.offsets[:-1], fit.offsets[1:], block, random)
    kinds = None if fit.kinds is None else fit.kinds[order]
    # Each query gets items of its own: under `sessions`, a history is the beginning of the next one. The seen items
    # before a history keep their order.
    seen_rows, seen = queries.seen(slice(None))
    bounds = offsets_of(np.bincount(seen_rows, minlength=len(queries)))
    starts, lengths = bounds[:-1] + queries.starts - queries.starts_of_seen, queries.ends - queries.starts
    places = np.repeat(starts, lengths) + places_of(lengths)
    seen[places] = queries.items[_order(queries.starts, queries.ends, block, random)]
    return replace(
        split,
        log=replace(split.log, has_times=False),
        fit=replace(fit, items=fit.items[order], kinds=kinds),
        validation=replace(queries, items=seen, starts=starts, ends=bounds[1:], seen_starts=bounds[:-1]),
    )


def _order(starts: Int64, ends: Int64, block: Block, random: np.random.Generator) -> Int64:
    """The positions that the items of the slices [start, end), one slice after another, come from after shuffling."""
    lengths = ends - starts
    slices = np.repeat(np.arange(len(starts)), lengths)
    place = places_of(lengths)
    source = starts[slices] + place
    blocks = slices if block == "whole" else (lengths[slices] - 1 - place) // block
    # A random number within (0, 1) is added to the number of the block: sorting shuffles within blocks only.
    is_first = (np.diff(slices, prepend=-1) != 0) | (np.diff(blocks, prepend=-1) != 0)
    order: Int64 = source[np.argsort(np.cumsum(is_first) + random.random(len(slices)))]
    return order
