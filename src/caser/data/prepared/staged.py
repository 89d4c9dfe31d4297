"""Staged pieces: what was read of a source so far, on disk, one folder for each piece.

    events.npy          user and item, as codes of this piece, time and code of its kind, of each row that is kept
    user.ipc, item.ipc  each id of the piece once: when and where it appears first, and how often it occurs
    facts.json          what the sentences on the whole log are made of, and where the piece ends in its source
    head.ipc, last.ipc, written.ipc, titles.ipc   rows and texts that these sentences look at

The ids are in the order of their buckets, which are made of their hashes, so that those of one bucket lie together in
every piece. The code of an id is its place in that order.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from caser.arrays.types import Int32, Int64
from caser.data.appearance import index_by_appearance
from caser.data.event_kinds import EventKinds
from caser.data.prepared.pieces import Place
from caser.data.rows import Rows
from caser.data.strays import Edges, Summaries
from caser.data.time_doubts import Strange, TimeFacts
from caser.system.sealed import seal_json, unseal_json
from caser.system.storage import discard, sync_folder

ROLES = ("user", "item")

NUM_BUCKETS = 256
"""How many buckets ids are put into. So many parts of all ids, at most, are numbered one after another."""

EVENT = np.dtype([("user", "<i4"), ("item", "<i4"), ("time", "<i8"), ("kind", "|u1")])
"""An event of a piece. The code of its kind is 0 where kinds are alike."""

_IDS_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False)
class Staged:
    """One staged piece.

    folder  its folder
    """

    folder: Path

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What is known about the piece: JSON values."""
        return unseal_json((self.folder / "facts.json").read_bytes())

    @property
    def end(self) -> Place:
        """Where the piece ends in its source."""
        return Place(*self.facts["end"])

    @property
    def first_row(self) -> int:
        """How many rows are kept before this piece."""
        return int(self.facts["first_row"])

    def events(self) -> np.ndarray[Any, np.dtype[np.void]]:
        """Read the events, (N,) of the type EVENT."""
        return np.fromfile(self.folder / "events.npy", EVENT)

    def ids(self, role: str, first: int, end: int) -> pl.DataFrame:
        """Read the ids of some buckets: the columns `id`, `time`, `row` and `count`.

        role  "user" or "item"        first, end  numbers of buckets; the last one is not read
        """
        begin, stop = self.facts["offsets"][role][first], self.facts["offsets"][role][end]
        return pl.scan_ipc(self.folder / f"{role}.ipc").slice(begin, stop - begin).collect()

    @property
    def rows(self) -> Rows:
        """What was read, with the head and the last row only."""
        facts = self.facts
        on_lists, on_ids = facts["notes_on_rows"]
        return Rows(
            pl.DataFrame(),
            facts["num_rows"],
            facts["place_name"],
            facts["time_unit"],
            facts["bad_rows"],
            facts["kinds"],
            facts["dropped"],
            (on_lists, on_ids),
        )

    @property
    def edges(self) -> Edges:
        """The ends of the piece."""
        head, last = (pl.read_ipc(self.folder / f"{name}.ipc") for name in ("head", "last"))
        facts = self.facts
        return Edges(head, last, facts["num_kept"], facts["place_name"], Summaries(**facts["summaries"]))

    @property
    def times(self) -> TimeFacts | None:
        """What is known about the times; None without times."""
        facts = self.facts["times"]
        if facts is None:
            return None
        strange = {name: Strange(**facts[name]) if facts[name] else None for name in ("early", "late")}
        path = self.folder / "written.ipc"
        written = pl.read_ipc(path) if path.exists() else None
        return TimeFacts(**{**facts, **strange, "ends": tuple(facts["ends"]), "written": written})

    @property
    def titles(self) -> pl.DataFrame | None:
        """Items and their titles, as `log_titles.title_pairs` returns them; None if there are none."""
        path = self.folder / "titles.ipc"
        return pl.read_ipc(path) if path.exists() else None


def stage(
    rows: Rows,
    kinds: EventKinds | None,
    more: Mapping[str, Any],
    titles: pl.DataFrame | None,
    first_row: int,
    folder: Path,
) -> None:
    """Write a piece into a folder, which appears only when it is complete.

    rows    what was read of the piece        kinds  the kinds of its rows, or None
    more    further facts: JSON values
    titles  items and their titles, or None        first_row  how many rows are kept before this piece
    """
    partial = folder.with_suffix(".part")
    discard(partial)
    partial.mkdir(parents=True)
    kept = rows.kept
    places = np.arange(first_row, first_row + len(kept), dtype=np.int64)
    times = kept["time"].to_numpy().astype(np.int64) if "time" in kept else places
    events = np.empty(len(kept), EVENT)
    events["time"], events["kind"] = times, 0 if kinds is None else kinds.codes
    by_time = np.argsort(times, kind="stable")
    offsets = {}
    for role in ROLES:
        codes, ids, offsets[role] = _coded(kept[role], by_time, times, places)
        events[role] = codes
        ids.write_ipc(partial / f"{role}.ipc", record_batch_size=_IDS_AT_ONCE)
    events.tofile(partial / "events.npy")
    edges = Edges.of(kept, rows.place_name)
    edges.head.write_ipc(partial / "head.ipc")
    edges.last.write_ipc(partial / "last.ipc")
    if titles is not None:
        titles.write_ipc(partial / "titles.ipc")
    facts = {
        **more,
        "first_row": first_row,
        "num_kept": len(kept),
        "num_targets": 0 if kinds is None else kinds.num_targets,
        "num_rows": rows.num_rows,
        "place_name": rows.place_name,
        "time_unit": rows.time_unit,
        "bad_rows": rows.bad_rows,
        "kinds": rows.kinds,
        "dropped": rows.dropped,
        "notes_on_rows": rows.notes,
        "summaries": edges.summaries._asdict(),
        "times": _times(rows, partial),
        "types": {role: str(kept[role].dtype) for role in ROLES},
        "offsets": offsets,
    }
    (partial / "facts.json").write_bytes(seal_json(facts))
    for path in partial.iterdir():
        sync_file(path)
    sync_folder(partial)
    partial.rename(folder)
    sync_folder(folder.parent)


def sync_file(path: Path) -> None:
    """Flush a file to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _times(rows: Rows, folder: Path) -> dict[str, Any] | None:
    """Return the facts of the times as JSON values, and write the texts that belong to them."""
    if "time" not in rows.kept:
        return None
    facts = TimeFacts.of(rows.kept, rows.place_name)
    if facts.written is not None:
        facts.written.write_ipc(folder / "written.ipc")
    named = {name: one._asdict() if one else None for name, one in (("early", facts.early), ("late", facts.late))}
    rest = {name: value for name, value in vars(facts).items() if name not in (*named, "written")}
    return {**rest, **named}


def _coded(ids: pl.Series, by_time: Int64, times: Int64, places: Int64) -> tuple[Int32, pl.DataFrame, list[int]]:
    """Give each id of a piece a code; return the codes, the ids in the order of their codes, and where buckets begin.

    by_time  (N,) the rows in the order of their times
    """
    index_by_time, distinct = index_by_appearance(ids, by_time)
    # The first event of an id is where its number, which grows with the first appearance, is a new maximum.
    first = by_time[np.flatnonzero(np.diff(np.maximum.accumulate(index_by_time), prepend=0))]
    buckets = (distinct.hash(seed=0) % NUM_BUCKETS).to_numpy()
    order = np.argsort(buckets, kind="stable")
    codes_of = np.empty(len(order), np.int32)
    codes_of[order] = np.arange(len(order), dtype=np.int32)
    codes = np.empty(len(ids), np.int32)
    codes[by_time] = codes_of[index_by_time - 1]
    counts = np.bincount(codes, minlength=len(order)).astype(np.int64)
    frame = pl.DataFrame(
        {"id": distinct[order], "time": times[first][order], "row": places[first][order], "count": counts}
    )
    offsets = np.searchsorted(buckets[order], np.arange(NUM_BUCKETS + 1))
    return codes, frame, offsets.tolist()
