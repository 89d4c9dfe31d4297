"""Training batches: chunks of the padded tape, made by vector operations on the training device.

The padded tape is never stored. For window 2 and users (3 1 4) and (1 5) it would be

    0 0 3 1 4 0 0 1 5        a state reads two neighbouring positions and must say what comes next, so
      * * *     * *          the states (*) that train are those followed by an item of the same user

An epoch cuts the padded tape into chunks of W positions at a random phase and shuffles the chunks, so every valid
position trains exactly once and a batch holds many users. A chunk may span users: the zeros between them keep windows
apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caser.data.tape import Tape
from caser.errors import DataError


@dataclass(frozen=True)
class Batch:
    """C chunks of W states.

    users_CW  int32, user of each state       tape_CX  int32, X = W + window - 1 items, 0 where there is none
    targets_CWT  int64, the next T items, 0 where masked       valid_CW  bool, states that train
    """

    users_CW: Tensor
    tape_CX: Tensor
    targets_CWT: Tensor
    valid_CW: Tensor


class Batches:
    """All batches of a tape, one epoch at a time.

    window      tape positions a state reads           num_targets  T, next items to predict
    batch_size  states per batch (valid or not)        positions    "every", or "full": `window` items and all T targets

    Raises DataError when no position of the tape trains.
    """

    def __init__(
        self,
        tape: Tape,
        *,
        window: int,
        num_targets: int,
        batch_size: int,
        positions: Literal["every", "full"] = "every",
        device: str | torch.device = "cpu",
    ) -> None:
        self.window, self.num_targets, self.positions = window, num_targets, positions
        self.chunk_width = min(max(32, 2 * window), batch_size)
        self.chunks_per_batch = max(1, batch_size // self.chunk_width)
        users = np.flatnonzero(tape.lengths)
        lengths = tape.lengths[users]
        blocks = np.concatenate([[0], np.cumsum(lengths + window)])
        self.padded_length = int(blocks[-1])
        needed = 1 if positions == "every" else window + num_targets
        if lengths.max(initial=0) < needed:
            raise DataError(
                f"positions={positions!r} needs a user with at least {needed} interactions to train on; the most that "
                f"one has is {lengths.max(initial=0)}. Use a longer log, a smaller L or T, or positions='every'."
            )

        def put(array: NDArray[np.integer]) -> Tensor:
            return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(device)

        self._items = put(tape.items)
        self._block_starts = put(blocks[:-1])
        self._item_starts = put(tape.offsets[users])
        self._users = put(tape.owners[users])

    @property
    def num_batches(self) -> int:
        """Batches per epoch, whatever the phase."""
        return math.ceil(self._num_chunks / self.chunks_per_batch)

    @property
    def _num_chunks(self) -> int:
        return math.ceil((self.padded_length + self.chunk_width - 1) / self.chunk_width)

    def epoch(self, order: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch; `order`, a generator on the processor, decides the order of the chunks."""
        phase = int(torch.randint(self.chunk_width, (1,), generator=order))
        starts = torch.randperm(self._num_chunks, generator=order) * self.chunk_width - phase
        starts = starts.to(self._items.device)
        for first in range(0, len(starts), self.chunks_per_batch):
            yield self._batch(starts[first : first + self.chunks_per_batch])

    def _batch(self, starts_C: Tensor) -> Batch:
        before, width = self.window - 1, self.chunk_width
        span = torch.arange(-before, width + self.num_targets, device=starts_C.device)
        position = starts_C[:, None] + span
        on_tape = (position >= 0) & (position < self.padded_length)
        block = (torch.searchsorted(self._block_starts, position, right=True) - 1).clamp_(min=0)
        place = position - self._block_starts[block] - self.window  # 0 is the user's first item, below 0 is padding
        is_item = on_tape & (place >= 0)
        items = torch.where(is_item, self._items[torch.where(is_item, self._item_starts[block] + place, 0)], 0)

        here = slice(before, before + width)
        later = [slice(before + t, before + t + width) for t in range(1, self.num_targets + 1)]
        targets_CWT = torch.stack(
            [torch.where(block[:, after] == block[:, here], items[:, after], 0) for after in later], dim=-1
        )
        valid_CW = targets_CWT[..., 0] > 0
        if self.positions == "full":
            valid_CW &= (place[:, here] >= self.window - 1) & (targets_CWT[..., -1] > 0)
        return Batch(self._users[block[:, here]], items[:, : before + width], targets_CWT.long(), valid_CW)
