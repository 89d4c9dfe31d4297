"""Where the training of an update starts: the parameters of the parent run, and rows for new users and items.

A row is the vector or the bias of one user or one item. Rows of the parent keep their values, under the indices of the
longer log. Of these, only rows of users and items on the tape of the update move; every other parameter stays as it is.

- A new user starts with the row of user 0, with which strangers are answered.
- A new item starts with the mean of the vectors of its neighbours: the items directly before and after it on the tape,
  each as often as it is there; without any that the parent knows, with the mean of all vectors that it knows. Its bias
  is the mean of the biases of known items that are on the tape about as often (within the same power of two).

Shape suffixes: U users + the anonymous one, I items + padding, d width of a vector.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from caser.arrays.types import Int32, Mask
from caser.data.tape import Tape
from caser.errors import ConfigError
from caser.models.base import Arrays, SequenceEncoder

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class WarmStart:
    """What the training of an update starts from.

    arrays    the parameters of the parent, by name
    users_U   (U,) int32, the index that each user has in the parent; 0 where the parent was not trained on it
    items_I   (I,) int32, the same of items
    tape      what trains
    trained   all that the new run is trained on, itself or through its parent
    learns_strangers  whether user dropout trains the row of user 0
    """

    arrays: Arrays
    users_U: Int32
    items_I: Int32
    tape: Tape
    trained: Tape
    learns_strangers: bool

    @cached_property
    def digest(self) -> str:
        """A SHA-256 digest of everything that decides the training."""
        hasher = hashlib.sha256()
        columns = {**self.arrays, "": self.users_U, " ": self.items_I, "  ": self.tape.items, "   ": self.tape.offsets}
        for name in sorted(columns):
            hasher.update(f"{name} {columns[name].shape}".encode())
            hasher.update(np.ascontiguousarray(columns[name]).data)
        return hasher.hexdigest()

    def load(self, network: SequenceEncoder) -> Mapping[str, Tensor]:
        """Put the parameters into a fresh network, and fix those that are not tables of users or items.

        network  a network for the longer log; it is changed in place

        Returns which rows may move, bool, by the name of the table. Raises ConfigError for a network with another
        parameter whose size depends on the log.
        """
        import torch

        values: dict[str, NDArray[Any]] = {}
        moving: dict[str, Tensor] = {}
        for name, parameter in network.named_parameters():
            old = self.arrays[name]
            if name in network.user_tables:
                values[name], moving[name] = old[self.users_U], torch.from_numpy(self._moving_users)
            elif name in network.item_tables:
                values[name] = item_rows(old, self.items_I, self.tape)
                moving[name] = torch.from_numpy(self.tape.item_counts > 0)
            else:
                values[name] = old
                parameter.requires_grad_(False)
            if values[name].shape != tuple(parameter.shape):
                raise ConfigError(
                    f"a network that is updated must name all its tables of users and items; got {name} of shape "
                    f"{old.shape}, which is neither in user_tables nor in item_tables and needs "
                    f"{tuple(parameter.shape)} for the longer log. Train the recipe again "
                    "(--full), or name the table in the network."
                )
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in values.items()})
        return moving

    @property
    def _moving_users(self) -> Mask:
        moving = np.zeros(len(self.users_U), dtype=bool)
        moving[self.tape.owners[self.tape.lengths > 0]] = True
        moving[0] = self.learns_strangers
        return moving


def item_rows(old: NDArray[Any], known_I: Int32, tape: Tape) -> NDArray[Any]:
    """Return a table of items for a longer log: the rows of known items, and rows for new ones.

    old      (J, d) or (J,) floats, the table of the parent
    known_I  (I,) int32, the row of each item in it, 0 for padding and for a new item
    tape     where new items have their neighbours

    >>> tape = Tape.from_sequences([[1, 3, 2], [2, 3]], num_items=3)
    >>> item_rows(np.array([[0.0], [6.0], [9.0]]), np.array([0, 1, 2, 0]), tape)[3].tolist()
    [8.0]
    """
    rows = old[known_I]
    is_known = known_I > 0
    is_new = ~is_known
    is_new[0] = False
    if not is_new.any() or not is_known.any():
        return rows
    if old.ndim == 1:
        group_I = np.frexp(tape.item_counts.astype(np.float64))[1]  # the number of binary digits
        for group in np.unique(group_I[is_new]):
            alike = is_known & (group_I == group)
            rows[is_new & (group_I == group)] = rows[alike if alike.any() else is_known].mean()
        return rows
    rows[is_new] = rows[is_known].mean(axis=0)
    sequences = np.repeat(np.arange(len(tape.lengths)), tape.lengths)
    together = np.flatnonzero(sequences[1:] == sequences[:-1])
    before, after = tape.items[together], tape.items[together + 1]
    items, neighbours = np.concatenate([before, after]), np.concatenate([after, before])
    counts = is_new[items] & is_known[neighbours]
    items, neighbours = items[counts], neighbours[counts]
    number_I = np.bincount(items, minlength=len(rows))
    sums = np.zeros(rows.shape)
    np.add.at(sums, items, rows[neighbours])
    has = number_I > 0
    rows[has] = sums[has] / number_I[has].reshape(-1, *[1] * (old.ndim - 1))
    return rows
