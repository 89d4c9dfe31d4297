"""Training large tables by rows: a step only touches the rows that its batch uses, so its cost depends on the batch.

The rows that a step uses are copied from each large table into a small one, which is a leaf of its own in the graph of
gradients, and the inputs of the step are renumbered to match. The network reads the small table in place of the large
one. After the backward pass, Adam changes the small table and the same rows of its moments, and they are written back.

    table   a b c d e f      the batch uses 2, 5, 2 (and padding, 0)      rows  a c f      renumbered batch  1, 2, 1

The parameter itself gets no gradient, so the optimiser leaves it alone. A table with at least MANY_ROWS rows is large.
Smaller tables are updated as a whole. Differs from Adam on the whole table: a row that no batch of a step uses stays as
it is, without momentum and weight decay. A full loss uses every item, so only user tables are trained by rows then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from caser.models.base import SequenceEncoder
from caser.training.exchange import Exchange
from caser.training.objective import StepInputs

MANY_ROWS = 100_000
"""The smallest table that is trained by rows. Updating a smaller one as a whole is about as fast."""


@dataclass(frozen=True, eq=False)
class TouchedRows:
    """The rows of one large table that a step uses.

    name    the name of the parameter that holds the table
    rows    (R,) int64, the numbers of the rows, ascending; the first is 0, padding
    values  (R, ...) float32, the rows themselves, a leaf: after the backward pass its `grad` is their gradient
    """

    name: str
    rows: Tensor
    values: Tensor


class LargeTables:
    """The large tables of a network, with Adam's moments of them."""

    def __init__(
        self,
        network: SequenceEncoder,
        optimiser: torch.optim.Adam,
        *,
        uses_every_item: bool,
        moving: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> None:
        """Find the large tables, and create Adam's moments of them where they do not exist yet.

        network    the network that trains
        optimiser  its optimiser
        uses_every_item  whether every batch uses all items, as with a full loss
        moving     which rows of a table may move, (rows,) bool, by name; of a table without an entry, all may
        """
        parameters = dict(network.named_parameters())

        def large(names: Sequence[str]) -> dict[str, nn.Parameter]:
            present = {name: parameters[name] for name in names if name in parameters}
            return {name: table for name, table in present.items() if len(table) >= MANY_ROWS}

        self.optimiser, self.device = optimiser, next(network.parameters()).device
        self.of_users = large(network.user_tables)
        self.of_items = {} if uses_every_item else large(network.item_tables)
        by_rows = {**self.of_users, **self.of_items}
        self._moving = {name: (parameters[name], moves.to(self.device)) for name, moves in moving.items()}
        self.whole = [parameter for name, parameter in parameters.items() if name not in by_rows]
        """The parameters that are updated as a whole."""
        for table in by_rows.values():
            if not optimiser.state[table]:
                moments = {name: torch.zeros_like(table) for name in _MOMENTS}
                optimiser.state[table] = {"step": torch.zeros((), device=table.device), **moments}

    def touched(self, lanes: Sequence[StepInputs]) -> tuple[list[TouchedRows], list[StepInputs]]:
        """Copy the rows that a step uses.

        lanes  the inputs of the step, one for each lane

        Returns the rows of each large table, and the inputs, renumbered to match.
        """
        rows: list[TouchedRows] = []
        if self.of_users:
            users, indices = _renumbered([(inputs.users_CW,) for inputs in lanes], self.device)
            rows += [_copied(name, table, users) for name, table in self.of_users.items()]
            lanes = [replace(inputs, users_CW=users_CW) for inputs, (users_CW,) in zip(lanes, indices, strict=True)]
        if self.of_items:
            items, indices = _renumbered([(one.tape_CX, one.targets_MT, one.negatives) for one in lanes], self.device)
            rows += [_copied(name, table, items) for name, table in self.of_items.items()]
            lanes = [
                replace(inputs, tape_CX=tape_CX, targets_MT=targets_MT, negatives=negatives)
                for inputs, (tape_CX, targets_MT, negatives) in zip(lanes, indices, strict=True)
            ]
        return rows, list(lanes)

    def added_up(self, touched: Sequence[TouchedRows], exchange: Exchange) -> list[TouchedRows]:
        """Return the rows that any worker uses in this step, with the sum of their gradients.

        touched   the rows that this worker uses, after its backward passes
        exchange  the workers
        """
        if exchange.size == 1:
            return list(touched)
        added = []
        for tables in (self.of_users, self.of_items):
            if not (mine := [each for each in touched if each.name in tables]):
                continue
            # Tables with the same rows, such as the vectors and the biases of items, travel side by side.
            columns = [_gradient(one).view(len(one.rows), -1) for one in mine]
            rows, sums = exchange.add_rows(mine[0].rows, torch.cat(columns, dim=1))
            for each, part in zip(
                mine, sums.split_with_sizes([column.shape[1] for column in columns], dim=1), strict=True
            ):
                both = _copied(each.name, tables[each.name], rows)
                both.values.grad = part.reshape(both.values.shape).contiguous()  # Adam's fused step needs it
                added.append(both)
        return added

    @torch.no_grad()
    def hold(self, touched: Sequence[TouchedRows]) -> None:
        """Set the gradients of rows that must not move to 0, so that a step of Adam without weight decay leaves them.

        touched  the rows of large tables that the step uses
        """
        rows = {each.name: each for each in touched}
        for name, (parameter, moves) in self._moving.items():
            if name in rows:
                _still(rows[name].values.grad, moves[rows[name].rows])
            else:
                _still(parameter.grad, moves)

    @torch.no_grad()
    def update(self, touched: Iterable[TouchedRows]) -> None:
        """Take one step of Adam for these rows, along the gradients of their values; other rows stay as they are.

        touched  rows of large tables, at most once each table
        """
        (settings,) = self.optimiser.param_groups
        for each in touched:
            table = {**self.of_users, **self.of_items}[each.name]
            state = self.optimiser.state[table]
            moments = [state[name].index_select(0, each.rows) for name in _MOMENTS]
            beta1, beta2 = settings["betas"]
            adam(
                [each.values],
                [_gradient(each)],
                [moments[0]],
                [moments[1]],
                [],
                [state["step"]],
                fused=settings["fused"],
                amsgrad=False,
                beta1=beta1,
                beta2=beta2,
                lr=settings["lr"],
                weight_decay=settings["weight_decay"],
                eps=settings["eps"],
                maximize=False,
            )
            _put_back(table, each.rows, each.values)
            for name, moment in zip(_MOMENTS, moments, strict=True):
                _put_back(state[name], each.rows, moment)


_MOMENTS = ("exp_avg", "exp_avg_sq")


def _still(gradient: Tensor | None, moves: Tensor) -> None:
    """Set the gradient of rows that do not move to 0, in place; a gradient that is not finite stays so."""
    if gradient is not None:
        gradient.mul_(moves.view(-1, *[1] * (gradient.ndim - 1)))


def _copied(name: str, table: nn.Parameter, rows: Tensor) -> TouchedRows:
    return TouchedRows(name, rows, table.detach().index_select(0, rows).requires_grad_())


def _gradient(touched: TouchedRows) -> Tensor:
    return torch.zeros_like(touched.values) if touched.values.grad is None else touched.values.grad


def _put_back(array: Tensor, rows: Tensor, part: Tensor) -> None:
    if array.device.type == "cpu":
        array.detach().numpy()[rows.numpy()] = part.detach().numpy()  # twice as fast as index_copy_
    else:
        array.index_copy_(0, rows, part)


def _renumbered(lanes: Sequence[tuple[Tensor, ...]], device: torch.device) -> tuple[Tensor, list[list[Tensor]]]:
    """The distinct indices of all lanes in order, with 0 as the first, (R,); and each index as its place among them."""
    flat = [index.flatten() for lane in lanes for index in lane]
    padding = torch.zeros(1, dtype=torch.int64, device=device)
    rows, places = torch.unique(torch.cat([padding, *flat]), return_inverse=True)
    parts = iter(places[1:].split([len(index) for index in flat]))
    return rows, [[next(parts).view_as(index) for index in lane] for lane in lanes]
