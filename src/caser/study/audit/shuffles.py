"""Histories without their order: a split whose sequences are shuffled, as a whole or in blocks, and whose targets stay.

A sequence is cut into blocks, and the items of a block change places at random. A block is

    1, 2, 3, ...  that many neighbouring items, counted back from the end: the last b items of a history are still its
                  last b items, but nothing says in which order; blocks of 1 are the true order
    whole         the whole sequence: the set of items stays, and nothing else

What a model loses from one to the next is what it had from the order, and from the recency, of items. The sequences
that train are shuffled like the histories, so that a model may learn whatever there is to learn without the order.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from caser.arrays.offsets import offsets_of, places_of
from caser.arrays.types import Int64
from caser.data.split import Split
from caser.data.tape import Tape

Block = int | Literal["whole"]


def shuffled(split: Split, block: Block, random: np.random.Generator) -> Split:
    """The split with the sequences of `fit` and the histories of `validation` shuffled within blocks.

    Users, targets and the items of each history stay, so values per query can be paired with the true split's. `final`
    and `test` are left as they are. The log says that it has no times, because items no longer stand at theirs.

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> split = leave_one_out(chain_world(num_users=1, num_items=9, length=8, seed=0).log)
    >>> split.fit.items.tolist(), shuffled(split, 2, np.random.default_rng(0)).fit.items.tolist()
    ([1, 2, 3, 4, 4, 5], [2, 1, 4, 3, 4, 5])
    """
    fit, queries = split.fit, split.validation
    items = fit.items[_order(fit.offsets[:-1], fit.offsets[1:], block, random)]
    bounds = offsets_of(queries.ends - queries.starts)
    # Each history gets entries of its own: in `sessions` one history is the beginning of the next.
    histories = queries.items[_order(queries.starts, queries.ends, block, random)]
    return replace(
        split,
        log=replace(split.log, has_times=False),
        fit=Tape(items, fit.offsets, fit.num_items),
        validation=replace(queries, items=histories, starts=bounds[:-1], ends=bounds[1:]),
    )


def _order(starts: Int64, ends: Int64, block: Block, random: np.random.Generator) -> Int64:
    """Where each entry of the slices [start, end), one slice after another, comes from once blocks are shuffled."""
    lengths = ends - starts
    slices = np.repeat(np.arange(len(starts)), lengths)
    place = places_of(lengths)
    source = starts[slices] + place
    blocks = slices if block == "whole" else (lengths[slices] - 1 - place) // block
    is_first = (np.diff(slices, prepend=-1) != 0) | (np.diff(blocks, prepend=-1) != 0)
    order: Int64 = source[np.argsort(np.cumsum(is_first) + random.random(len(slices)))]
    return order
