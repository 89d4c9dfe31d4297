"""Training large tables by rows: a step only touches the rows that its batch uses, so its cost depends on the batch.

Before a step, each large table and its moments in Adam are replaced by the rows that the batch uses, and the batch is
renumbered to match. The network and the optimiser then work on a small table. After the step, the rows are written
back.

    table   a b c d e f      the batch uses 2, 5, 2 (and padding, 0)      rows  a c f      renumbered batch  1, 2, 1

A table with at least MANY_ROWS rows is large. Smaller tables are updated as a whole. Differs from Adam on the whole
table: a row that the batch does not use stays as it is, without momentum and weight decay. A full loss uses every item,
so only user tables are trained by rows then.
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
"""The smallest table that is trained by rows. Updating a smaller one as a whole is about as fast."""


class LargeTables:
    """The large tables of a network, with Adam's moments of them."""

    def __init__(self, network: SequenceEncoder, optimiser: torch.optim.Adam, *, uses_every_item: bool) -> None:
        """Find the large tables, and create Adam's moments of them where they do not exist yet.

        network    the network that trains
        optimiser  its optimiser
        uses_every_item  whether every batch uses all items, as with a full loss
        """
        parameters = dict(network.named_parameters())

        def large(names: Sequence[str]) -> list[nn.Parameter]:
            return [parameters[name] for name in names if name in parameters and len(parameters[name]) >= MANY_ROWS]

        self.optimiser = optimiser
        self.of_users = large(network.user_tables)
        self.of_items = [] if uses_every_item else large(network.item_tables)
        for parameter in self.of_users + self.of_items:
            if not optimiser.state[parameter]:
                moments = {name: torch.zeros_like(parameter) for name in _MOMENTS}
                optimiser.state[parameter] = {"step": torch.zeros((), device=parameter.device), **moments}

    @contextmanager
    def rows_of(self, inputs: StepInputs) -> Iterator[StepInputs]:
        """Within this context, the network and the optimiser hold only the rows that a step uses.

        inputs  the inputs of the step

        Yields the inputs, renumbered to match.
        """
        of_users, of_items = (inputs.users_CW,), (inputs.tape_CX, inputs.targets_MT, inputs.negatives)
        users, (users_CW,) = _renumbered(of_users) if self.of_users else (None, of_users)
        items, (tape_CX, targets_MT, negatives) = _renumbered(of_items) if self.of_items else (None, of_items)
        with self._only(users, self.of_users), self._only(items, self.of_items):
            yield replace(inputs, users_CW=users_CW, tape_CX=tape_CX, targets_MT=targets_MT, negatives=negatives)

    @contextmanager
    def _only(self, rows: Tensor | None, parameters: list[nn.Parameter]) -> Iterator[None]:
        """Within this context, the parameters and their moments consist of these rows; None leaves them whole."""
        if rows is None:
            yield
            return
        # Replace each table by the rows.
        whole = [self._arrays(parameter) for parameter in parameters]
        for parameter, arrays in zip(parameters, whole, strict=True):
            self._hold(parameter, [array.index_select(0, rows) for array in arrays])
        try:
            yield
        finally:
            # Write the rows back, and restore each table.
            for parameter, arrays in zip(parameters, whole, strict=True):
                for array, part in zip(arrays, self._arrays(parameter), strict=True):
                    _put_back(array, rows, part)
                parameter.grad = None
                self._hold(parameter, arrays)

    def _arrays(self, parameter: nn.Parameter) -> list[Tensor]:
        """The values of a parameter and its moments."""
        return [parameter.data, *(self.optimiser.state[parameter][name] for name in _MOMENTS)]

    def _hold(self, parameter: nn.Parameter, arrays: Sequence[Tensor]) -> None:
        parameter.data = arrays[0]
        self.optimiser.state[parameter].update(zip(_MOMENTS, arrays[1:], strict=True))


_MOMENTS = ("exp_avg", "exp_avg_sq")


def _put_back(array: Tensor, rows: Tensor, part: Tensor) -> None:
    if array.device.type == "cpu":
        array.numpy()[rows.numpy()] = part.numpy()  # twice as fast as index_copy_
    else:
        array.index_copy_(0, rows, part)


def _renumbered(indices: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """The distinct indices in order, with 0 as the first, (R,); and each index as its place among them."""
    padding = torch.zeros(1, dtype=torch.int64, device=indices[0].device)
    rows, places = torch.unique(torch.cat([padding, *(index.flatten() for index in indices)]), return_inverse=True)
    parts = places[1:].split([index.numel() for index in indices])
    return rows, [part.view_as(index) for part, index in zip(parts, indices, strict=True)]
