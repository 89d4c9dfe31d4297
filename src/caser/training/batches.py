"""Training batches: chunks of the padded tape, made by vector operations on the training device.

The padded tape is never stored. For window 2 and users (3 1 4) and (1 5) it would be

    0 0 3 1 4 0 0 1 5        a state reads two neighbouring positions and must say what comes next, so
      * * *     * *          the states (*) that train are those followed by an item of the same user

There are two ways to cut it into chunks of neighbouring states; with either, every valid position trains exactly once
an epoch, and a batch holds many users.

    windowed  chunks of W positions at a random phase; one may span users: the zeros between them keep windows apart
    causal    a state reads all of its chunk up to itself, so a chunk is a piece of one user, padded with zeros on the
              left; a user has as few pieces of at most `max_length` states as will do, cut at random places, and a
              batch holds pieces of similar users, so that little of it is padding
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

from caser.arrays.offsets import offsets_of
from caser.arrays.types import Int64
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
    max_length  most states of a chunk of a causal model; None for a windowed one

    A causal chunk longer than `batch_size` is a batch of its own. Raises DataError when no position of the tape trains.
    """

    def __init__(
        self,
        tape: Tape,
        *,
        window: int,
        num_targets: int,
        batch_size: int,
        max_length: int | None = None,
        positions: Literal["every", "full"] = "every",
        device: str | torch.device = "cpu",
    ) -> None:
        self.window, self.num_targets, self.positions = window, num_targets, positions
        users = np.flatnonzero(tape.lengths)
        lengths = tape.lengths[users]
        blocks = offsets_of(lengths + window)
        self.padded_length = int(blocks[-1])
        needed = 1 if positions == "every" else window + num_targets
        if lengths.max(initial=0) < needed:
            raise DataError(
                f"positions={positions!r} needs a user with at least {needed} interactions to train on; the most that "
                f"one has is {lengths.max(initial=0)}. Use a longer log, a smaller L or T, or positions='every'."
            )
        self._cut: _Phased | _Pieces
        if max_length is None:
            self._cut = _Phased(self.padded_length, min(max(32, 2 * window), batch_size), batch_size)
        else:
            self._cut = _Pieces(blocks[:-1], lengths, max_length, batch_size)

        def put(array: NDArray[np.integer]) -> Tensor:
            return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(device)

        self._items = put(tape.items)
        self._block_starts = put(blocks[:-1])
        self._item_starts = put(tape.offsets[users])
        self._users = put(tape.owners[users])

    @property
    def num_batches(self) -> int:
        """Batches per epoch, whatever the order."""
        return self._cut.num_batches

    def epoch(self, order: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch; `order`, a generator on the processor, decides the cuts and the order."""
        for chunks in self._cut.epoch(order):
            yield self._batch(chunks)

    def _batch(self, chunks: _Chunks) -> Batch:
        device = self._items.device
        before, width = self.window - 1, chunks.width
        span = torch.arange(-before, width + self.num_targets, device=device)
        first_C1 = chunks.first_C[:, None].to(device)
        position = chunks.start_C[:, None].to(device) + span
        on_tape = (position >= first_C1) & (position < self.padded_length)
        position = torch.maximum(position, first_C1)
        block = torch.searchsorted(self._block_starts, position, right=True) - 1
        place = position - self._block_starts[block] - self.window  # 0 is the user's first item, below 0 is padding
        is_item = on_tape & (place >= 0)
        items = torch.where(is_item, self._items[torch.where(is_item, self._item_starts[block] + place, 0)], 0)

        here = slice(before, before + width)
        later = [slice(before + t, before + t + width) for t in range(1, self.num_targets + 1)]
        own = [on_tape[:, here] & (block[:, after] == block[:, here]) for after in later]
        targets_CWT = torch.stack(
            [torch.where(is_own, items[:, after], 0) for is_own, after in zip(own, later, strict=True)], dim=-1
        )
        valid_CW = targets_CWT[..., 0] > 0
        if self.positions == "full":
            valid_CW &= (place[:, here] >= self.window - 1) & (targets_CWT[..., -1] > 0)
        return Batch(self._users[block[:, here]], items[:, : before + width], targets_CWT.long(), valid_CW)


@dataclass(frozen=True)
class _Chunks:
    """Chunks of one width: where each starts on the padded tape, and the first position that it may read."""

    start_C: Tensor
    first_C: Tensor
    width: int


class _Phased:
    """The whole padded tape in chunks of one width, at a random phase."""

    def __init__(self, padded_length: int, width: int, batch_size: int) -> None:
        self.width, self.chunks_per_batch = width, max(1, batch_size // width)
        self.num_chunks = math.ceil((padded_length + width - 1) / width)
        self.num_batches = math.ceil(self.num_chunks / self.chunks_per_batch)

    def epoch(self, order: torch.Generator) -> Iterator[_Chunks]:
        phase = int(torch.randint(self.width, (1,), generator=order))
        starts = torch.randperm(self.num_chunks, generator=order) * self.width - phase
        for start_C in torch.split(starts, self.chunks_per_batch):
            yield _Chunks(start_C, torch.zeros_like(start_C), self.width)


class _Pieces:
    """Every user in pieces: one of n states in ceil(n / max_length), those in the middle of max_length states."""

    def __init__(self, block_starts: Int64, lengths: Int64, max_length: int, batch_size: int) -> None:
        self.most = min(max_length, int(lengths.max()))
        self.block_starts, self.lengths = torch.from_numpy(block_starts), torch.from_numpy(lengths)
        num_pieces = -(-self.lengths // self.most)
        self.spare = num_pieces * self.most - self.lengths
        self.user_P = torch.repeat_interleave(num_pieces)
        self.number_P = torch.arange(len(self.user_P)) - (num_pieces.cumsum(0) - num_pieces)[self.user_P]
        self.width_P = self.lengths[self.user_P].clamp(max=self.most)
        # The sorted widths are the same in every epoch, and so are the places where they are cut into batches.
        widths = self.width_P.sort().values
        self.bounds = [0]
        while (begin := self.bounds[-1]) < len(widths):
            sizes = widths[begin : begin + batch_size] * torch.arange(1, min(batch_size, len(widths) - begin) + 1)
            self.bounds.append(begin + max(1, int((sizes <= batch_size).sum())))
        self.num_batches = len(self.bounds) - 1

    def epoch(self, order: torch.Generator) -> Iterator[_Chunks]:
        # Between 0 and `spare` states are missing from the first piece, the others of them from the last.
        missing = (torch.rand(len(self.spare), generator=order) * (self.spare + 1)).long()
        begin_P = self.number_P * self.most - missing[self.user_P]
        end_P = torch.minimum(begin_P + self.most, self.lengths[self.user_P])
        first_P = self.block_starts[self.user_P] + begin_P.clamp(min=0)
        stop_P = self.block_starts[self.user_P] + end_P
        shuffled = torch.randperm(len(self.user_P), generator=order)
        by_width = shuffled[self.width_P[shuffled].argsort(stable=True)]
        for batch in torch.randperm(self.num_batches, generator=order).tolist():
            pieces = by_width[self.bounds[batch] : self.bounds[batch + 1]]
            width = int(self.width_P[pieces].max())
            yield _Chunks(stop_P[pieces] - width, first_P[pieces], width)
