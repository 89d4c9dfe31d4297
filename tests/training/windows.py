"""A slow and simple form of the batches, in Python: one window at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from caser.data.tape import Tape
from caser.training.batches import Batch

Window = tuple[int, tuple[int, ...], tuple[int, ...]]
"""The user, the last `window` items, and the next T items; 0 where there is no item."""


def windows_of(tape: Tape, window: int, num_targets: int, positions: str = "every") -> Counter[Window]:
    found: Counter[Window] = Counter()
    for user in range(1, tape.num_users + 1):
        items = tape.sequence(user).tolist()
        for place in range(len(items)):
            before, after = items[:place], items[place : place + num_targets]
            if positions == "full" and (len(before) < window or len(after) < num_targets):
                continue
            read = ([0] * window + before)[-window:]
            found[user, tuple(read), tuple((after + [0] * num_targets)[:num_targets])] += 1
    return found


def pieces_in(batches: Iterable[Batch]) -> list[tuple[int, list[int], list[tuple[int, ...]]]]:
    """The user, the items without the zeros on the left, and the targets of the states, for every causal chunk."""
    found = []
    for batch in batches:
        for users, tape, targets, valid in zip(
            batch.users_CW.tolist(),
            batch.tape_CX.tolist(),
            batch.targets_CWT.tolist(),
            batch.valid_CW.tolist(),
            strict=True,
        ):
            begin = valid.index(True)
            assert all(valid[begin:])
            assert not any(tape[:begin])
            assert not any(map(any, targets[:begin]))
            assert len(set(users)) == 1
            found.append((users[0], tape[begin:], [tuple(one) for one in targets[begin:]]))
    return found


def windows_in(batches: Iterable[Batch], window: int) -> Counter[Window]:
    found: Counter[Window] = Counter()
    for batch in batches:
        for chunk, place in batch.valid_CW.nonzero().tolist():
            read = batch.tape_CX[chunk, place : place + window].tolist()
            targets = batch.targets_CWT[chunk, place].tolist()
            found[int(batch.users_CW[chunk, place]), tuple(read), tuple(targets)] += 1
    return found
