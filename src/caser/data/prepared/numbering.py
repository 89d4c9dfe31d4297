"""Numbering: number the ids of all pieces by their first appearance in time, without holding all of them in memory.

    count     ids of the same buckets are put together from all pieces, group of buckets by group of buckets: each id
              once, in the order of its first appearance
    merge     the groups are merged, range by range, so that each id gets its index; the ids are yielded in that order
    resolve   the codes of each piece are given their indices

At any time one group, or one range, is in memory.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from caser.arrays.types import Int32, Int64
from caser.data.appearance import index_by_appearance
from caser.data.ids import as_integers_if_exact, without_point_zero
from caser.data.prepared.staged import NUM_BUCKETS, Staged
from caser.errors import DataError

KEY = np.dtype([("time", "<i8"), ("row", "<i8"), ("count", "<i8")])
"""When and where an id appears first, and how often it occurs."""

ID_BYTES = 400
"""About how many bytes an id takes while it is numbered."""

MOST_IDS = 2**31 - 1

_RECORDS = 1 << 16


@dataclass(frozen=True)
class Group:
    """The ids of some buckets.

    first, end  the buckets; the last one is not among them        num_ids  how many different ids they have
    is_exact    whether each text is exactly how its integer is written
    is_whole    whether each text is a whole number with ".0"
    """

    first: int
    end: int
    num_ids: int
    is_exact: bool
    is_whole: bool


@dataclass(frozen=True, eq=False)
class Numbering:
    """The numbering of users, or of items.

    pieces  the staged pieces, in their order        role  "user" or "item"
    folder  where the work is kept        budget  bytes of memory
    """

    pieces: Sequence[Staged]
    role: str
    folder: Path
    budget: float

    def count(self) -> list[Group]:
        """Put equal ids together; return the groups of buckets.

        Raises DataError if there are more ids than indices.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for piece in self.pieces:
            (piece.folder / f"{self.role}.map").write_bytes(b"")
        groups = [self._counted(number, first, end) for number, (first, end) in enumerate(self._groups())]
        total = sum(group.num_ids for group in groups)
        if total > MOST_IDS:
            raise DataError(f"a log must have at most {MOST_IDS:,} {self.role}s; got {total:,}")
        return groups

    def merge(self, groups: Sequence[Group]) -> Iterator[tuple[pl.Series, Int64]]:
        """Give each id its index; yield the ids and their counts, (I,) int64, in the order of their indices, by parts.

        groups  as `count` returned them
        """
        keys = [np.load(self._path(number, "keys.npy"), mmap_mode="r") for number in range(len(groups))]
        for number in range(len(groups)):
            self._path(number, "index").write_bytes(b"")
        before = 0
        bounds = _ranges(keys, int(self.budget / ID_BYTES) + 1)
        for starts, ends in itertools.pairwise(bounds):
            parts = [np.array(key[start:end]) for key, start, end in zip(keys, starts, ends, strict=True)]
            found = np.concatenate(parts)
            order = np.lexsort((found["row"], found["time"]))
            indices = np.empty(len(order), np.int32)
            indices[order] = np.arange(before + 1, before + len(order) + 1, dtype=np.int32)
            frames, at = [], 0
            for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
                with self._path(number, "index").open("ab") as file:
                    indices[at : at + end - start].tofile(file)
                at += end - start
                frames.append(pl.scan_ipc(self._path(number, "ids.ipc")).slice(start, end - start).collect())
            before += len(order)
            yield pl.concat(frames)["id"].gather(order), found["count"][order].astype(np.int64)

    def resolve(self, groups: Sequence[Group]) -> None:
        """Write the index of each code of each piece: `indices_of` reads them.

        groups  as `count` returned them
        """
        for piece in self.pieces:
            (piece.folder / f"{self.role}.index").write_bytes(b"")
        for number, group in enumerate(groups):
            indices = np.fromfile(self._path(number, "index"), np.int32)
            for piece in self.pieces:
                codes = _read(piece, self.role, "map", group)
                with (piece.folder / f"{self.role}.index").open("ab") as file:
                    indices[codes].tofile(file)

    def _path(self, group: int, ending: str) -> Path:
        return self.folder / f"{self.role}-{group:05d}.{ending}"

    def _groups(self) -> Iterator[tuple[int, int]]:
        """Yield groups of buckets whose ids fit into the budget."""
        sizes = np.zeros(NUM_BUCKETS, np.int64)
        for piece in self.pieces:
            sizes += np.diff(np.array(piece.facts["offsets"][self.role]))
        first, total = 0, 0.0
        for bucket, size in enumerate(sizes.tolist()):
            if bucket > first and total + size * ID_BYTES > self.budget:
                yield first, bucket
                first, total = bucket, 0.0
            total += size * ID_BYTES
        yield first, NUM_BUCKETS

    def _counted(self, number: int, first: int, end: int) -> Group:
        """Put the equal ids of some buckets together, and write the code that each id of each piece has among them."""
        frames = [piece.ids(self.role, first, end) for piece in self.pieces]
        rows = pl.concat(frames)
        by_time = np.lexsort((rows["row"].to_numpy(), rows["time"].to_numpy()))
        index_by_time, ids = index_by_appearance(rows["id"], by_time)
        codes = np.empty(len(rows), np.int32)
        codes[by_time] = index_by_time - 1
        keys = np.empty(len(ids), KEY)
        firsts = by_time[np.flatnonzero(np.diff(np.maximum.accumulate(index_by_time), prepend=0))]
        keys["time"], keys["row"] = rows["time"].to_numpy()[firsts], rows["row"].to_numpy()[firsts]
        counts = np.zeros(len(ids), np.int64)
        np.add.at(counts, codes, rows["count"].to_numpy())
        keys["count"] = counts
        np.save(self._path(number, "keys.npy"), keys)
        ids.to_frame("id").write_ipc(self._path(number, "ids.ipc"), record_batch_size=_RECORDS)
        at = 0
        for piece, frame in zip(self.pieces, frames, strict=True):
            with (piece.folder / f"{self.role}.map").open("ab") as file:
                codes[at : at + len(frame)].tofile(file)
            at += len(frame)
        is_text = ids.dtype == pl.String
        is_exact = is_text and as_integers_if_exact(ids).dtype != pl.String
        return Group(first, end, len(ids), is_exact, is_text and without_point_zero(ids) is not None)


def indices_of(piece: Staged, role: str) -> Int32:
    """Return the index of each of the C codes of a piece, (C,) int32.

    piece  a staged piece        role  "user" or "item"
    """
    return np.fromfile(piece.folder / f"{role}.index", np.int32)


def count_of(folder: Path, role: str, raw: str) -> int:
    """Return how many events an id has, as it is written in the source; 0 for an unknown one.

    folder  that of the numbering        role  "user" or "item"        raw  the id
    """
    for path in sorted(folder.glob(f"{role}-*.ids.ipc")):
        ids = pl.read_ipc(path)["id"]
        places = (ids.cast(pl.String) == raw).arg_true()
        if len(places):
            keys = np.load(path.with_name(path.name.replace("ids.ipc", "keys.npy")), mmap_mode="r")
            return int(keys["count"][places[0]])
    return 0


def _read(piece: Staged, role: str, ending: str, group: Group) -> Int32:
    offsets = piece.facts["offsets"][role]
    begin, end = offsets[group.first], offsets[group.end]
    return np.fromfile(piece.folder / f"{role}.{ending}", np.int32, count=end - begin, offset=4 * begin)


def _ranges(keys: Sequence[np.ndarray[Any, Any]], at_once: int) -> list[list[int]]:
    """Return where sorted keys are cut so that about `at_once` of them lie between two cuts: the places in each array.

    >>> first, second = np.zeros(3, KEY), np.zeros(2, KEY)
    >>> first["row"], second["row"] = [0, 2, 4], [1, 3]
    >>> _ranges([first, second], 2)
    [[0, 0], [1, 1], [2, 2], [3, 2]]
    """
    total = sum(map(len, keys))
    step = max(1, at_once // max(1, 2 * len(keys)))
    sample = sorted((int(key["time"][row]), int(key["row"][row])) for key in keys for row in range(0, len(key), step))
    every = max(1, at_once // step)
    cuts = [sample[place] for place in range(every, len(sample), every)] if total > at_once else []
    return [[0] * len(keys), *([_place_of(cut, key) for key in keys] for cut in cuts), list(map(len, keys))]


def _place_of(cut: tuple[int, int], key: np.ndarray[Any, Any]) -> int:
    """Return how many of sorted keys are before another one."""
    return bisect.bisect_left(range(len(key)), cut, key=lambda row: (int(key["time"][row]), int(key["row"][row])))
