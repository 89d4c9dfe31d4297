"""Lanes: what training is given, one or several series of batches.

A lane is a series of batches of its own, over its own users and with its own random streams. A step takes one batch of
each lane, and its loss is the mean over the targets of all of them. So it does not matter which process works through
which lanes: one process with two lanes computes the same sums as two processes with one lane each.

    lane 0   a b c d            four steps: (a, e), (b, f), (c, g), (d); lane 1 has nothing left for the last one
    lane 1   e f g

Mostly there is one lane, number 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from caser.arrays.offsets import offsets_of
from caser.arrays.types import Int64
from caser.config import Training
from caser.data.tape import Tape
from caser.errors import ConfigError
from caser.models.base import SequenceEncoder
from caser.system.randomness import torch_generator
from caser.training.batches import Batch
from caser.training.exchange import Exchange
from caser.training.shard_batches import How, ShardBatches


class Lane(Protocol):
    """One series of batches."""

    @property
    def num_batches(self) -> int:
        """Batches per epoch. It is the same in every epoch."""

    def epoch(self, order: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch, in which every state that can train does so exactly once.

        order  the source of randomness for the cuts and the order, on the CPU
        """


@dataclass(frozen=True, eq=False)
class Lanes:
    """What training needs to know of its data.

    by_lane      the lanes that this process works through, by their numbers from 0
    num_batches  steps per epoch: the most batches of any lane, also of those of other processes
    item_counts  (I,) int64, the number of interactions of each item in the whole part that trains, index 0 for padding
    """

    by_lane: Mapping[int, Lane]
    num_batches: int
    item_counts: Int64

    def epoch(self, seed: int, number: int) -> Iterator[list[tuple[int, Batch]]]:
        """Yield the batches of each step of an epoch, with the numbers of their lanes.

        seed    the seed of the run
        number  the epoch, from 1

        A lane that has no batch left is left out.
        """
        series = {
            lane: batches.epoch(torch_generator(seed, "order", number, *([lane] if lane else [])))
            for lane, batches in self.by_lane.items()
        }
        for _ in range(self.num_batches):
            step = [(lane, next(batches, None)) for lane, batches in series.items()]
            yield [(lane, batch) for lane, batch in step if batch is not None]


def batches_of(
    part: Tape,
    network: SequenceEncoder,
    training: Training,
    *,
    num_targets: int,
    exchange: Exchange | None = None,
) -> Lanes:
    """Return the batches of a part, in as many lanes as the training has.

    part         the part to train on. Its shards are dealt out to the lanes; of a part in one piece, its users
    network      the network that trains, on its device
    training     how to train; the batch size is that of all lanes together
    num_targets  T, how many next items each state must predict
    exchange     the workers that share the lanes; None if this process works through all of them

    Raises DataError when no position of a lane trains, and ConfigError for more workers than lanes, or more lanes than
    shards.

    >>> from caser.models.caser.caser import Caser
    >>> tape = Tape.from_sequences([[3, 1, 4], [1, 5]], num_items=5)
    >>> sorted(batches_of(tape, Caser(L=2, T=1).build(2, 5, seed=0), Training(lanes=2), num_targets=1).by_lane)
    [0, 1]
    """
    exchange = exchange or Exchange()
    if training.lanes < exchange.size:
        raise ConfigError(
            f"a training must have at least one lane for each worker; got {training.lanes} for {exchange.size} "
            f"workers. Set lanes={exchange.size}, or use fewer workers."
        )
    how = How(
        window=network.window,
        max_length=network.max_length,
        num_targets=num_targets,
        batch_size=max(1, (training.batch_size or default_batch_size(len(part))) // training.lanes),
        positions=training.positions,
        with_seen=training.unseen_negatives,
        device=next(network.parameters()).device,
        mean_weight=part.mean_weight,
    )
    lanes = {lane: ShardBatches(*_lane(part, lane, training.lanes), how) for lane in exchange.share(training.lanes)}
    most = max(lane.num_batches for lane in lanes.values())
    return Lanes(lanes, max(exchange.from_all(most)), part.item_counts)


def _lane(part: Tape, lane: int, num_lanes: int) -> tuple[Tape, range]:
    """What a lane works through: a part, and which of its shards."""
    num_shards = len(part.sizes)
    if num_lanes <= num_shards:
        return part, range(lane, num_shards, num_lanes)
    if num_shards > 1:
        raise ConfigError(
            f"a log in shards must have a shard for each lane; got {num_shards} shards for {num_lanes} lanes. Use "
            "smaller shards (a smaller --memory-mb), or fewer workers and lanes."
        )
    # Of a part in one piece, a lane has every n-th user.
    is_own = part.owners % num_lanes == lane
    offsets = offsets_of(np.where(is_own, part.lengths, 0))
    own = np.repeat(is_own, part.lengths)
    kinds = None if part.kinds is None else part.kinds[own]
    return Tape(part.items[own], offsets, part.num_items, part.sequence_owners, kinds=kinds), range(1)


def default_batch_size(num_positions: int) -> int:
    """Return the largest power of two from 64 to 2048 with which an epoch has at least 250 steps.

    num_positions  number of interactions in the part to train on

    >>> default_batch_size(1_000_000), default_batch_size(10_000)
    (2048, 64)
    """
    steps_of_one = max(num_positions // 250, 1)
    return min(max(1 << (steps_of_one.bit_length() - 1), 64), 2048)
