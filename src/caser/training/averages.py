"""Averaged weights: the mean of the parameters over the last epochs of training.

A constant learning rate keeps the parameters moving around a good place; their mean lies closer to it than any of them.
So the averages are validated, saved and used for answers, while training goes on from the parameters themselves. The
number of epochs need not be known in advance, as it must be for a rate that falls to 0. Source: Polyak & Juditsky,
1992; as an exponential mean over recent steps: Tarvainen & Valpola, NeurIPS 2017.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from caser.models.base import SequenceEncoder

UPDATES = 50
"""How often per epoch the parameters enter their averages. More often changes little, and large tables cost time."""

RECENT = 2.0
"""At the beginning, an update has a share of RECENT / (RECENT + the updates before it) in the averages."""


class Averages:
    """The averages of a network's parameters."""

    def __init__(self, network: SequenceEncoder, epochs: float) -> None:
        """Begin with the parameters as they are.

        network  the network that trains
        epochs   over about how many of the last epochs the averages reach
        """
        self.network, self.epochs = network, epochs
        self.tensors = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}

    @torch.no_grad()
    def after(self, epoch: int, batch: int, batches: int) -> None:
        """Let the current parameters enter the averages, if an update follows this batch.

        epoch    epochs done before this one
        batch    the number of the batch within its epoch, from 0
        batches  batches in an epoch

        An epoch has UPDATES updates, evenly spaced, or one after each batch if it has fewer batches. The share of the
        new values is 1 / (the updates in `epochs` epochs), and larger at the beginning, so that the first values are
        forgotten.
        """
        per_epoch = min(UPDATES, batches)
        done, now = (epoch * per_epoch + per_epoch * count // batches for count in (batch, batch + 1))
        if now == done:
            return
        share = max(min(1.0, 1 / (self.epochs * per_epoch)), RECENT / (RECENT + done))
        for name, parameter in self.network.named_parameters():
            self.tensors[name].lerp_(parameter, share)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Within this context, the network has the averages as its parameters."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def keep(self) -> None:
        """Give the network the averages for good. Training cannot go on from there."""
        for name, parameter in self.network.named_parameters():
            parameter.data = self.tensors[name]

    def _exchange(self) -> None:
        for name, parameter in self.network.named_parameters():
            parameter.data, self.tensors[name] = self.tensors[name], parameter.data
