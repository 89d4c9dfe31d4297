"""Large tables by rows: a step touches the rows that its batch names, and its cost follows the batch.

Before a step, these rows of every large table, and of Adam's moments of it, take the table's place, and the batch is
renumbered to match; the network and the optimiser see a small table and need to know nothing. Afterwards they are put
back where they came from.

    table   a b c d e f      batch names 2, 5, 2 (and padding, 0)      rows  a c f      batch, renumbered  1, 2, 1

A table is large from MANY_ROWS rows on; smaller ones are stepped whole. Differs from Adam on the whole table: a row
that no batch names keeps still, without momentum or weight decay, until one does. A full loss names every item, so that
only its user tables are ever trained by rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from caser.models.base import SequenceEncoder
from caser.training.objective import StepInputs

MANY_ROWS = 100_000
"""Rows from which on a table is trained by rows: with fewer, stepping all of them is about as quick."""


class LargeTables:
    """The large tables of a network, and Adam's moments of them, which exist from the start."""

    def __init__(self, network: SequenceEncoder, optimiser: torch.optim.Adam, *, names_every_item: bool) -> None:
        parameters = dict(network.named_parameters())

        def large(names: Sequence[str]) -> list[nn.Parameter]:
            return [parameters[name] for name in names if name in parameters and len(parameters[name]) >= MANY_ROWS]

        self.optimiser = optimiser
        self.of_users = large(network.user_tables)
        self.of_items = [] if names_every_item else large(network.item_tables)
        for parameter in self.of_users + self.of_items:
            if not optimiser.state[parameter]:
                moments = {name: torch.zeros_like(parameter) for name in _MOMENTS}
                optimiser.state[parameter] = {"step": torch.zeros((), device=parameter.device), **moments}

    @contextmanager
    def rows_of(self, question: StepInputs) -> Iterator[StepInputs]:
        """Within, the network and the optimiser hold only the rows of a question, which is renumbered."""
        asked = question.users_CW, question.tape_CX, question.targets_MT, question.negatives
        users, (users_CW,) = _renumbered(asked[:1]) if self.of_users else (None, asked[:1])
        items, (tape_CX, targets_MT, negatives) = _renumbered(asked[1:]) if self.of_items else (None, asked[1:])
        with self._only(users, self.of_users), self._only(items, self.of_items):
            yield replace(question, users_CW=users_CW, tape_CX=tape_CX, targets_MT=targets_MT, negatives=negatives)

    @contextmanager
    def _only(self, rows: Tensor | None, parameters: list[nn.Parameter]) -> Iterator[None]:
        """Within, the parameters and their moments are these rows."""
        if rows is None:
            yield
            return
        whole = [self._arrays(parameter) for parameter in parameters]
        for parameter, arrays in zip(parameters, whole, strict=True):
            self._hold(parameter, [array.index_select(0, rows) for array in arrays])
        try:
            yield
        finally:
            for parameter, arrays in zip(parameters, whole, strict=True):
                for array, part in zip(arrays, self._arrays(parameter), strict=True):
                    _put_back(array, rows, part)
                parameter.grad = None
                self._hold(parameter, arrays)

    def _arrays(self, parameter: nn.Parameter) -> list[Tensor]:
        """What is held of a parameter: its values and its moments."""
        return [parameter.data, *(self.optimiser.state[parameter][name] for name in _MOMENTS)]

    def _hold(self, parameter: nn.Parameter, arrays: Sequence[Tensor]) -> None:
        parameter.data = arrays[0]
        self.optimiser.state[parameter].update(zip(_MOMENTS, arrays[1:], strict=True))


_MOMENTS = ("exp_avg", "exp_avg_sq")


def _put_back(array: Tensor, rows: Tensor, part: Tensor) -> None:
    if array.device.type == "cpu":
        array.numpy()[rows.numpy()] = part.numpy()  # in half the time of index_copy_
    else:
        array.index_copy_(0, rows, part)


def _renumbered(indices: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """The rows that are named, in order, 0 the first of them; and every index as its place among them."""
    padding = torch.zeros(1, dtype=torch.int64, device=indices[0].device)
    rows, places = torch.unique(torch.cat([padding, *(index.flatten() for index in indices)]), return_inverse=True)
    parts = places[1:].split([index.numel() for index in indices])
    return rows, [part.view_as(index) for part, index in zip(parts, indices, strict=True)]
