"""Arrange: order the events of all pieces by (user, time, row), one range of users at a time, into arrays on disk.

Each piece is first ordered by user. Then the events of a range of users lie together in every piece; they are put
together, ordered, and written to their place in the arrays of the whole log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from caser.arrays.types import Int64
from caser.data.doubts import Moments
from caser.data.prepared.arrays import create_array, write_at
from caser.data.prepared.numbering import indices_of
from caser.data.prepared.staged import Staged, sync_file

PLACED = np.dtype([("user", "<i4"), ("item", "<i4"), ("time", "<i8"), ("row", "<i8"), ("kind", "|u1")])
"""An event with its indices."""

EVENT_BYTES = 120
"""About how many bytes an event takes while the events of a range are ordered."""

COLUMNS = {
    "users.npy": "user",
    "items.npy": "item",
    "times.npy": "time",
    "rows.npy": "row",
    "kinds.npy": "kind",
}
"""The column of PLACED of each array of a log."""


def user_ranges(offsets: Int64, budget: float) -> Int64:
    """Return the first user of each range whose events fit into memory, and the number of users + 1: (R + 1,) int64.

    offsets  (num_users + 2,) as in a tape: where the events of each user begin        budget  bytes of memory

    >>> user_ranges(np.array([0, 0, 2, 3, 7]), budget=3 * EVENT_BYTES).tolist()
    [1, 3, 4]
    """
    at_once = max(1, int(budget / EVENT_BYTES))
    bounds, total = [1], int(offsets[-1])
    while int(offsets[bounds[-1]]) < total:
        most = int(offsets[bounds[-1]]) + at_once
        bounds.append(max(bounds[-1] + 1, int(np.searchsorted(offsets, most, side="right")) - 1))
    return np.array(bounds, dtype=np.int64)


def order_piece(piece: Staged, bounds: Int64) -> None:
    """Write the events of a piece in the order of users, with their indices, and where each range of users begins.

    piece  a staged piece whose codes have indices        bounds  the ranges, as from `user_ranges`
    """
    events = piece.events()
    placed = np.empty(len(events), PLACED)
    placed["user"], placed["item"] = (indices_of(piece, role)[events[role]] for role in ("user", "item"))
    placed["time"], placed["kind"] = events["time"], events["kind"]
    placed["row"] = np.arange(piece.first_row, piece.first_row + len(events))
    placed = placed[np.argsort(placed["user"], kind="stable")]
    starts = np.searchsorted(placed["user"], bounds.astype(np.int32))
    placed.tofile(piece.folder / "placed.npy")
    np.save(piece.folder / "starts.npy", starts)


def arrange(
    pieces: Sequence[Staged],
    bounds: Int64,
    offsets: Int64,
    out: Path,
    types: Mapping[str, str],
    begin: int,
    moments: Moments,
) -> Iterator[tuple[int, Moments]]:
    """Write the events of one range of users after another; yield the number of ranges that are on disk, each time.

    pieces  staged pieces that `order_piece` has ordered        bounds, offsets  as for `user_ranges`
    out     a folder for the arrays        types  the type of each, by the name of its file
    begin, moments  the ranges written before, and what was seen in them
    """
    num_events = int(offsets[-1])
    for name, dtype in types.items():
        create_array(out / name, dtype, num_events)
    starts = [np.load(piece.folder / "starts.npy") for piece in pieces]
    for number in range(begin, len(bounds) - 1):
        parts = [
            np.fromfile(
                piece.folder / "placed.npy",
                PLACED,
                count=int(own[number + 1] - own[number]),
                offset=PLACED.itemsize * int(own[number]),
            )
            for piece, own in zip(pieces, starts, strict=True)
        ]
        events = np.concatenate(parts)
        # Both sorts keep the order of rows, in which the events come.
        events = events[np.lexsort((events["time"], events["user"]))]
        for name, dtype in types.items():
            write_at(out / name, dtype, num_events, int(offsets[bounds[number]]), events[COLUMNS[name]])
        moments = moments.after(events["user"], events["time"], events["row"], events["item"])
        for name in types:
            sync_file(out / name)
        yield number + 1, moments
