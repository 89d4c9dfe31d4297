"""Training batches: chunks of the padded tape, made by vector operations on the training device.

The padded tape has `window` zeros before each user. It is never stored. For window 2 and users (3 1 4) and (1 5):

    0 0 3 1 4 0 0 1 5        There is one state per position. It reads this position and the one before, and predicts
      * * *     * *          the next item. So the states that train (*) are those with a next item of the same user.

The padded tape is cut into chunks of neighbouring states in one of two ways. In both, every state that can
train does so exactly once per epoch, and a batch holds many users.

    windowed  Chunks have W positions and start at a random phase. A chunk may hold several users; the zeros between
              them keep their windows apart.
    causal    A state reads its whole chunk up to itself, so a chunk holds one user, padded with zeros on the left. A
              long user is split at random places into the smallest number of chunks with at most `max_length` states. A
              batch holds chunks of similar length, so that little of it is padding.

Shape suffixes: C chunks, W states per chunk, X tape positions per chunk, T targets, S all chunks of an epoch.
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
from caser.training.negatives import SeenItems


@dataclass(frozen=True)
class Batch:
    """C chunks of W states.

    users_CW     (C, W) int32, the user of each state
    tape_CX      (C, X) int32, the items at X = W + window - 1 neighbouring positions, 0 where there is no item
    targets_CWT  (C, W, T) int64, the next T items of each state, 0 where there is none
    valid_CW     (C, W) bool, which states train
    weights_CWT  (C, W, T) float32, the weight of each target in the loss; None if all have the same
    seen         the items that the users of the batch have; None if negatives need not avoid them
    """

    users_CW: Tensor
    tape_CX: Tensor
    targets_CWT: Tensor
    valid_CW: Tensor
    seen: SeenItems | None = None
    weights_CWT: Tensor | None = None


class Batches:
    """All batches of a tape, one epoch at a time."""

    def __init__(
        self,
        tape: Tape,
        *,
        window: int,
        num_targets: int,
        batch_size: int,
        max_length: int | None = None,
        positions: Literal["every", "full"] = "every",
        with_seen: bool = False,
        device: str | torch.device = "cpu",
        mean_weight: float = 1.0,
    ) -> None:
        """Prepare the batches of a tape.

        tape         the part to train on
        window       how many tape positions a state reads
        num_targets  T, how many next items a state predicts
        batch_size   states per batch, valid or not; a causal chunk that is longer is a batch of its own
        max_length   the largest number of states in a chunk of a causal model; None for a windowed model
        positions    "every", or "full": only states with `window` items before them and all T targets
        with_seen    whether a batch carries the items that its users have, for negatives that avoid them
        device       where the batches are made
        mean_weight  the mean weight of a target in the whole part; weights are divided by it

        Raises DataError when no position of the tape trains.
        """
        self.window, self.num_targets, self.positions = window, num_targets, positions
        # Lay out the padded tape: one block for each user with interactions. A block begins with `window` zeros.
        users = np.flatnonzero(tape.lengths)
        lengths = tape.lengths[users]
        block_offsets = offsets_of(lengths + window)
        self.padded_length = int(block_offsets[-1])
        needed = least_length(window, num_targets, positions)
        if lengths.max(initial=0) < needed:
            raise DataError(
                f"positions={positions!r} needs a user with at least {needed} interactions to train on; the longest "
                f"history has {lengths.max(initial=0)}. Use a longer log, a smaller L or T, or positions='every'."
            )
        if tape.kinds is not None and not tape.kinds.is_target.any():
            raise DataError(
                "the part to train on must have an event of target_events (--target-events); got none: all of them are "
                "held out to judge. Use a longer log, or predict more kinds."
            )
        self._cuts = _cuts(lengths, window, batch_size, max_length)
        # Move the arrays that `_batch` reads to the device.

        def put(array: NDArray[np.integer]) -> Tensor:
            return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(device)

        self._items = put(tape.items)
        self._block_starts = put(block_offsets[:-1])
        self._item_starts = put(tape.offsets[users])
        self._users = put(tape.owners[users])
        self._codes = self._weight_of_code = None
        if tape.kinds is not None:
            self._codes = put(tape.kinds.codes)
            if tape.kinds.is_weighted:
                self._weight_of_code = torch.from_numpy(tape.kinds.by_code / mean_weight).float().to(device)
        self._seen = SeenItems(tape, device) if with_seen else None

    @property
    def num_batches(self) -> int:
        """Batches per epoch. It is the same in every epoch."""
        return self._cuts.num_batches

    def epoch(self, order: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch.

        order  the source of randomness for the cuts and the order of the chunks, on the CPU
        """
        for chunks in self._cuts.epoch(order):
            yield self._batch(chunks)

    def _batch(self, chunks: _Chunks) -> Batch:
        """Look up users, items and targets of some chunks."""
        device = self._items.device
        before, width = self.window - 1, chunks.width
        # The positions of each chunk on the padded tape: those that its states read, and those of their targets.
        span = torch.arange(-before, width + self.num_targets, device=device)
        first_C1 = chunks.first_C[:, None].to(device)
        position = chunks.start_C[:, None].to(device) + span
        on_tape = (position >= first_C1) & (position < self.padded_length)
        position = torch.maximum(position, first_C1)
        # The item at each position, 0 where there is no item.
        block = torch.searchsorted(self._block_starts, position, right=True) - 1
        place = position - self._block_starts[block] - self.window  # 0 is the user's first item, below 0 is padding
        is_item = on_tape & (place >= 0)
        row = torch.where(is_item, self._item_starts[block] + place, 0)
        items = torch.where(is_item, self._items[row], 0)
        predicted = items if self._codes is None else torch.where(self._codes[row] > 0, items, 0)

        # The targets of a state: the next items that belong to the same user, and are predicted.
        here = slice(before, before + width)
        there = [slice(here.start + t, here.stop + t) for t in range(1, self.num_targets + 1)]
        is_same_user = [on_tape[:, here] & (block[:, some] == block[:, here]) for some in there]

        def next_of(values: Tensor) -> Tensor:
            found = [torch.where(same, values[:, some], 0) for some, same in zip(there, is_same_user, strict=True)]
            return torch.stack(found, dim=-1)

        targets_CWT, weights_CWT = next_of(predicted), None
        if self._codes is not None:  # the first target of a state that trains must exist
            order = (targets_CWT == 0).byte().argsort(dim=-1, stable=True)
            targets_CWT = targets_CWT.gather(-1, order)
            if self._weight_of_code is not None:
                weights_CWT = next_of(self._weight_of_code[self._codes[row].int()]).gather(-1, order)
        # The states that train.
        valid_CW = targets_CWT[..., 0] > 0
        if self._codes is not None:  # no state lies before the last padding of its user
            valid_CW &= place[:, here] >= -1
        if self.positions == "full":
            valid_CW &= (place[:, here] >= self.window - 1) & is_same_user[-1] & (items[:, there[-1]] > 0)
        users_CW, tape_CX = self._users[block[:, here]], items[:, : before + width]
        return Batch(users_CW, tape_CX, targets_CWT.long(), valid_CW, self._seen, weights_CWT)


def least_length(window: int, num_targets: int, positions: Literal["every", "full"]) -> int:
    """Return the smallest number of interactions of a user with a state that trains.

    window, num_targets, positions  as for `Batches`
    """
    return 1 if positions == "every" else window + num_targets


def count_batches(lengths: Int64, *, window: int, batch_size: int, max_length: int | None) -> int:
    """Return how many batches per epoch `Batches` makes of a tape, which need not be loaded for it.

    lengths                         (R,) int64, the lengths of the sequences of the tape
    window, batch_size, max_length  as for `Batches`

    >>> tape = Tape.from_sequences([[3, 1, 4], [1, 5]] * 40, num_items=5)
    >>> count_batches(tape.lengths, window=2, batch_size=64, max_length=None)
    7
    """
    return _cuts(lengths[lengths > 0], window, batch_size, max_length).num_batches


def _cuts(lengths: Int64, window: int, batch_size: int, max_length: int | None) -> _WindowedChunks | _CausalChunks:
    """Choose how the padded tape of sequences with these lengths is cut into chunks."""
    block_offsets = offsets_of(lengths + window)
    if max_length is None:
        width = min(max(32, 2 * window), batch_size)  # neighbouring chunks both read window - 1 positions
        return _WindowedChunks(int(block_offsets[-1]), width, batch_size)
    return _CausalChunks(block_offsets[:-1], lengths, max_length, batch_size)


@dataclass(frozen=True)
class _Chunks:
    """Chunks of one width.

    start_C  (C,) int64, the position of each chunk's first state on the padded tape
    first_C  (C,) int64, the first position that each chunk may read; positions before it are padding
    width    states per chunk
    """

    start_C: Tensor
    first_C: Tensor
    width: int


class _WindowedChunks:
    """Cuts the whole padded tape into chunks of one width, which start at a random phase."""

    def __init__(self, padded_length: int, width: int, batch_size: int) -> None:
        self.width, self.chunks_per_batch = width, max(1, batch_size // width)
        self.num_chunks = math.ceil((padded_length + width - 1) / width)
        self.num_batches = math.ceil(self.num_chunks / self.chunks_per_batch)

    def epoch(self, order: torch.Generator) -> Iterator[_Chunks]:
        phase = int(torch.randint(self.width, (1,), generator=order))
        starts = torch.randperm(self.num_chunks, generator=order) * self.width - phase
        for start_C in torch.split(starts, self.chunks_per_batch):
            yield _Chunks(start_C, torch.zeros_like(start_C), self.width)


class _CausalChunks:
    """Splits a user's n states into ceil(n / max_length) chunks.

    All chunks of a user but the first and the last have max_length states.
    """

    def __init__(self, block_starts: Int64, lengths: Int64, max_length: int, batch_size: int) -> None:
        self.max_states = min(max_length, int(lengths.max()))
        self.block_starts, self.lengths = torch.from_numpy(block_starts), torch.from_numpy(lengths)
        # Number the chunks of each user: chunk s belongs to user_S[s], and its number among that user's chunks is
        # number_S[s], from 0. `spare` is how many states a user's chunks could hold beyond those that there are.
        num_chunks = -(-self.lengths // self.max_states)
        self.spare = num_chunks * self.max_states - self.lengths
        self.user_S = torch.repeat_interleave(num_chunks)
        self.number_S = torch.arange(len(self.user_S)) - (num_chunks.cumsum(0) - num_chunks)[self.user_S]
        # Every chunk of a user gets the same width. Chunks with fewer states are padded to it.
        self.width_S = self.lengths[self.user_S].clamp(max=self.max_states)
        # Sort the chunks by width and group them into batches. The widths, and so the groups, never change.
        widths = self.width_S.sort().values
        self.bounds = [0]
        while (begin := self.bounds[-1]) < len(widths):
            # Entry i is the size of a batch of i + 1 chunks: the last one is the widest.
            sizes = widths[begin : begin + batch_size] * torch.arange(1, min(batch_size, len(widths) - begin) + 1)
            self.bounds.append(begin + max(1, int((sizes <= batch_size).sum())))
        self.num_batches = len(self.bounds) - 1

    def epoch(self, order: torch.Generator) -> Iterator[_Chunks]:
        # Choose the cuts: of a user's `spare` places, the first chunk leaves a random number empty, and the last chunk
        # leaves the others empty.
        empty = (torch.rand(len(self.spare), generator=order) * (self.spare + 1)).long()
        begin_S = self.number_S * self.max_states - empty[self.user_S]
        end_S = torch.minimum(begin_S + self.max_states, self.lengths[self.user_S])
        first_S = self.block_starts[self.user_S] + begin_S.clamp(min=0)
        stop_S = self.block_starts[self.user_S] + end_S
        # Sort the chunks by width, in random order among equals, and yield the batches in random order.
        shuffled = torch.randperm(len(self.user_S), generator=order)
        by_width = shuffled[self.width_S[shuffled].argsort(stable=True)]
        for batch in torch.randperm(self.num_batches, generator=order).tolist():
            chunks = by_width[self.bounds[batch] : self.bounds[batch + 1]]
            width = int(self.width_S[chunks].max())
            yield _Chunks(stop_S[chunks] - width, first_S[chunks], width)
