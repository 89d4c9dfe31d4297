"""Attributes of items in any network: row of an item = row of its own + the sum of the vectors of its attributes.

The rule holds for every table of the network that has a row for each item (`SequenceEncoder.item_tables`): for vectors
that it reads, for vectors that it scores with, and for biases. Torch computes these tables wherever the network names
them, so no network knows of it. While it trains, some items have no row of their own in a step, drawn anew for each
table and step: the vectors of attributes learn to stand alone, as they must for an item that training never saw.

    training    row of its own, kept or not + attributes      an item without an interaction: its own row alone
    answering   row of its own + attributes                   an item without an interaction: attributes alone

`fold` puts the sums in place of the tables, and adds a row for each new item. Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from caser.arrays.types import Mask
from caser.data.attribute_values import AttributeRows
from caser.models.base import SequenceEncoder
from caser.models.dropout import dropout_threshold, random_bytes

Tables = dict[str, NDArray[np.float32]]
"""The vectors of values of attributes, (F, ...) float32, by the name of the table of items that they add to."""


def add_attributes(
    network: SequenceEncoder, rows: AttributeRows, num_vectors: int, is_trained: Mask, own_dropout: float
) -> None:
    """Let a network compute the rows of its items from their attributes too. Vectors of attributes begin at zero.

    network      a fresh network, changed in place
    rows         the values that each of its I items has; those of further items are not used
    num_vectors  F, how many values there are
    is_trained   (I,) bool, the items with an interaction in the part that trains
    own_dropout  the share of items that have no row of their own in a step
    """
    module = _module(network)
    of_network = rows.only(np.arange(len(rows.offsets) - 1) < len(is_trained))
    shared = _Shared(of_network, is_trained, own_dropout, lambda: network.dropout_generator)
    for name in item_tables(network):
        table = module.get_parameter(name)
        vectors = torch.zeros(num_vectors, *table.shape[1:])
        parametrize.register_parametrization(module, name, _WithAttributes(shared, vectors), unsafe=True)


def item_tables(network: SequenceEncoder) -> list[str]:
    """Return the names of the tables with a row per item that the network has, in order.

    network  any network
    """
    parameters = {name for name, _ in network.named_parameters()}
    return [name for name in network.item_tables if name in parameters or _is_computed(network, name)]


@torch.no_grad()
def fold(network: SequenceEncoder, rows: AttributeRows) -> Tables:
    """Make a network plain again: its tables of items hold the sums, and a row for each new item.

    network  a network with attributes, on any device, changed in place
    rows     the values that each item has: those of the network, and new ones after them

    Returns the vectors of the attributes by table; `AttributeRows.sums` makes the rows of further items from them.
    """
    module, tables = _module(network), {}
    network.train(False)
    for name in item_tables(network):
        vectors = module.get_parameter(f"parametrizations.{name}.0.vectors").cpu().numpy()
        parametrize.remove_parametrizations(module, name, leave_parametrized=True)
        folded = module.get_parameter(name)
        new = torch.from_numpy(rows.sums(vectors)[len(folded) :]).to(folded.device)
        setattr(module, name, nn.Parameter(torch.cat([folded.detach(), new])))
        tables[name] = vectors
    return tables


def _is_computed(network: SequenceEncoder, name: str) -> bool:
    return parametrize.is_parametrized(_module(network), name)


def _module(network: SequenceEncoder) -> nn.Module:
    """The network, which is a module by contract."""
    if not isinstance(network, nn.Module):
        raise TypeError(f"a network must be a torch.nn.Module; got {type(network).__name__}")
    return network


class _Shared(nn.Module):
    """What the tables of a network share: the values of its items, and which items keep a row of their own."""

    offsets: Tensor
    places: Tensor
    weights: Tensor
    is_trained: Tensor
    has_any: Tensor

    def __init__(
        self, rows: AttributeRows, is_trained: Mask, own_dropout: float, generator: Callable[[], torch.Generator | None]
    ) -> None:
        super().__init__()
        arrays = {
            "offsets": rows.offsets[:-1],
            "places": rows.places,
            "weights": rows.weights,
            "is_trained": is_trained,
            "has_any": rows.has_any,
        }
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array)), persistent=False)
        self.threshold, self.generator = dropout_threshold(own_dropout), generator

    def sums(self, vectors_FD: Tensor) -> Tensor:
        """The sums of the vectors of each item's values, (I, D)."""
        return functional.embedding_bag(
            self.places, vectors_FD, self.offsets, mode="sum", per_sample_weights=self.weights
        )

    def keeps_own(self) -> Tensor:
        """Whether each item has a row of its own, (I,) bool. A row that nothing trained stands for nothing."""
        if not self.training:
            return self.is_trained | ~self.has_any
        if not self.threshold:
            return torch.ones_like(self.is_trained)
        drawn = random_bytes(self.is_trained.shape, self.generator(), self.is_trained.device)
        return (drawn >= self.threshold) | ~(self.is_trained & self.has_any)


class _WithAttributes(nn.Module):
    """A table of items in which vectors of attributes are added to the rows of the items."""

    def __init__(self, shared: _Shared, vectors: Tensor) -> None:
        super().__init__()
        self.shared = shared
        self.vectors = nn.Parameter(vectors)

    def forward(self, own: Tensor) -> Tensor:
        own_ID = own.view(len(own), -1)
        sums_ID = self.shared.sums(self.vectors.view(len(self.vectors), -1))
        if self.training:  # an item that does not train is a negative at most: its attributes learn nothing of it
            sums_ID = sums_ID * self.shared.is_trained[:, None]
        return (own_ID * self.shared.keeps_own()[:, None] + sums_ID).view_as(own)
