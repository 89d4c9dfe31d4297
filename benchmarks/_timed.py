"""Times for any network of the library, added from outside: `time_inputs.py` measures what they are worth.

The network is given events of a log in place of items. For each event it reads the vector of the item, and vectors of
features of time that are added to it; other features are added to the states.

Shape suffixes: C chunks, X positions of a chunk, W states of a chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from caser.arrays.types import Int32, Int64
from caser.data.log import InteractionLog
from caser.data.queries import Queries
from caser.data.tape import Tape
from caser.models.base import Rows
from caser.system.randomness import numpy_generator
from caser.training.batches import Batch, Batches

REQUEST = ("gap", "hour", "weekday")
VARIANTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "order": ((), ()),
    "gaps": (("gap before",), ()),
    "gaps shuffled": (("gap of another",), ()),
    "request": ((), REQUEST),
    "request gap": ((), ("gap",)),
    "request read": (REQUEST, ()),
}
"""The features that are added to the vectors of items that are read, and those that are added to the states."""

SIZES = {"gap before": 28, "gap of another": 28, "gap": 28, "hour": 24, "weekday": 7}
"""How many vectors a feature has. The last gap is that before the first item of a user."""

HOUR = 3_600_000_000
"""Microseconds."""


@dataclass(frozen=True, eq=False)
class Events:
    """The events of a log, numbered from 1 in its order; event 0 is padding.

    items     (events + 1,) int32, the item of each
    features  the bucket of each event, (events + 1,) int64, by the name of the feature. "gap before" is about the
              event; the others are about the request after it, which happens at the time of the user's next event
    """

    items: Tensor
    features: Mapping[str, Tensor]

    @classmethod
    def of(cls, log: InteractionLog) -> Events:
        """Return the events of a log."""
        seconds = np.maximum(np.diff(log.times, prepend=0) // 1_000_000, 0)
        before = np.minimum(np.frexp(seconds)[1], SIZES["gap"] - 2).astype(np.int64)
        before[np.diff(log.users, prepend=0) != 0] = SIZES["gap"] - 1
        of_another, has_gap = before.copy(), before != SIZES["gap"] - 1
        of_another[has_gap] = numpy_generator(0, "gaps of others").permutation(before[has_gap])
        hours = log.times // HOUR
        found = {"gap": before, "hour": hours % 24, "weekday": (hours // 24 + 3) % 7}  # 1 January 1970: a Thursday
        features = {"gap before": before, "gap of another": of_another}
        features |= {name: np.append(values[1:], 0) for name, values in found.items()}
        padded = {name: torch.from_numpy(np.append(0, values)) for name, values in features.items()}
        return cls(torch.from_numpy(np.append(0, log.items).astype(np.int32)), padded)

    @property
    def numbers(self) -> Int32:
        """The numbers of all events, without padding."""
        return np.arange(1, len(self.items), dtype=np.int32)

    def tape(self, part: Tape) -> Tape:
        """Return a part of the log with events in place of items."""
        return replace(part, items=self.numbers if part.log_mask is None else self.numbers[part.log_mask])

    def queries(self, queries: Queries) -> EventQueries:
        """Return queries with events in place of the items of histories."""
        return EventQueries(**{**vars(queries), "items": self.numbers}, items_of_events=self.items.numpy())


@dataclass(frozen=True, eq=False)
class EventQueries(Queries):
    """Queries whose histories are events, while targets and seen items are items.

    items_of_events  (events + 1,) int32
    """

    items_of_events: Int32 | None = None

    def seen(self, block: slice) -> tuple[Int64, Int32]:
        """Return the pairs (row, seen item) of a block. See `Queries.seen`."""
        rows, events = super().seen(block)
        return rows, cast(Int32, self.items_of_events)[events]


@dataclass(frozen=True, eq=False)
class EventBatches:
    """Batches of events whose targets are items: a lane of training."""

    batches: Batches
    events: Events

    @property
    def num_batches(self) -> int:
        """Batches per epoch."""
        return self.batches.num_batches

    def epoch(self, order: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch. See `Batches.epoch`."""
        for batch in self.batches.epoch(order):
            yield replace(batch, targets_CWT=self.events.items[batch.targets_CWT].long())


class _Encode(nn.Module):
    """Calls a network's `encode` as `forward`, so that torch can run it with another table of items."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Any) -> Tensor:
        states: Tensor = self.network.encode(*inputs)
        return states


class Timed(nn.Module):
    """A network that reads events: their items, and features of their times. All else is that of the network inside."""

    def __init__(self, network: Any, events: Events, variant: str) -> None:
        """Add features to a fresh network.

        network  any SequenceEncoder; the first of its `item_tables` is the one that it reads
        events   what it reads
        variant  a key of VARIANTS
        """
        super().__init__()
        self.inside, self.events = _Encode(network), events
        self.table = f"network.{network.item_tables[0]}"
        widths = self.inside.get_parameter(self.table).shape[1], network.item_vectors()[0].shape[1]
        self.read, self.added = (
            nn.ParameterDict({name: nn.Parameter(torch.zeros(SIZES[name], width)) for name in names})
            for names, width in zip(VARIANTS[variant], widths, strict=True)
        )

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the network inside, if this module has none of that name."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.inside.network, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Give the source of randomness of dropout to the network inside."""
        if name == "dropout_generator":
            setattr(self.inside.network, name, value)
        else:
            super().__setattr__(name, value)

    def encode(self, users_CW: Tensor, tape_CX: Tensor, rows: Rows | None = None) -> Tensor:
        """Compute states from events, each an item of its own for the network. See `SequenceEncoder.encode`."""
        events = tape_CX.flatten().long()
        is_item = events > 0
        vectors = self.inside.get_parameter(self.table)
        own = vectors[self.events.items[events]] + self._sum(self.read, events)
        table = torch.cat([vectors[:1], own * is_item[:, None]])
        numbers_CX = torch.where(is_item, torch.arange(1, len(events) + 1), 0).view_as(tape_CX)
        states: Tensor = functional_call(self.inside, {self.table: table}, (users_CW, numbers_CX, rows))
        last_CW = tape_CX[:, self.inside.network.window - 1 :].long()
        return states + self._sum(self.added, last_CW if rows is None else last_CW[rows])

    def _sum(self, tables: nn.ParameterDict, events: Tensor) -> Tensor:
        """The sum of the vectors of some features of events; 0 without a feature."""
        return sum((table[self.events.features[name][events]] for name, table in tables.items()), torch.zeros(()))
