"""Finish a prepared log: say the doubts on it, compute its digest and checksums, and give the folder its name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from caser import __version__
from caser.arrays.offsets import offsets_of
from caser.arrays.types import Int64
from caser.data.bad_rows import doubt_on_bad_rows
from caser.data.doubts import LogCounts, Moments, doubts_on_log
from caser.data.event_kinds import weights_of
from caser.data.interpret import first_row
from caser.data.prepared.arrays import blocks_of
from caser.data.prepared.folder import (
    FORMAT,
    IDS,
    MANIFEST,
    Manifest,
    arrays_with,
    file_facts,
    open_prepared,
    seal_manifest,
)
from caser.data.prepared.ids_out import IDS_PER_FRAME
from caser.data.prepared.numbering import count_of, indices_of
from caser.data.prepared.staged import sync_file
from caser.data.prepared.totals import Totals
from caser.data.prepared.work import Work
from caser.data.shards import ShardedLog, cut_users
from caser.data.strays import doubts_on_strays
from caser.data.time_doubts import doubts_on_times
from caser.errors import ConfigError
from caser.system.storage import exchange, sync_folder, write_file

SHARD_BYTES = 24
"""How many bytes the arrays of a shard take for an interaction."""

DOUBTED_BYTES = 300
"""About how many bytes an id takes while the ids of a log are searched for doubts."""


@dataclass(frozen=True, eq=False)
class Found:
    """What was found while a log was prepared.

    totals       what is known of all pieces
    user_counts  (U,) and item_counts (I,) int64: how many events each has        moments  what was seen of the times
    id_types     the types of ids        has_titles  whether items have titles
    target_events  the kinds of events that are predicted, with their weights; none if all events are
    is_typed     whether the source marks missing values itself
    """

    totals: Totals
    user_counts: Int64
    item_counts: Int64
    moments: Moments
    id_types: dict[str, str]
    has_titles: bool
    is_typed: bool
    target_events: tuple[str, ...]


def finish(
    work: Work,
    found: Found,
    provenance: Mapping[str, Any],
    asked: Mapping[str, Any],
    *,
    num_shards: int | None,
    memory: float,
) -> None:
    """Write the manifest of a prepared log whose other files are complete, and give the folder its name.

    work        the work, whose `out` becomes the prepared log        found  what was found
    provenance  the provenance of the log, to whose notes those on the finished log are added        asked  see `Work`
    num_shards  how many shards it has; None: so many that one fits into a quarter of the memory
    memory      bytes of memory

    Raises ConfigError for more shards than users.
    """
    num_users, num_events = len(found.user_counts), int(found.user_counts.sum())
    has_times = found.totals.times is not None
    if num_shards is None:
        num_shards = min(num_users, 1 + int(4 * SHARD_BYTES * num_events / memory))
    if not 1 <= num_shards <= num_users:
        raise ConfigError(
            f"the number of shards (--shards) must lie in 1..{num_users:,}, the number of users; got {num_shards:,}."
        )
    offsets = offsets_of(np.concatenate([[0], found.user_counts]))
    arrays = arrays_with(kinds=bool(found.target_events))
    for name in (*arrays, *IDS.values()):
        sync_file(work.out / name)
    manifest = Manifest(
        format=FORMAT if found.target_events else 1,
        library_version=__version__,
        interactions=num_events,
        users=num_users,
        items=len(found.item_counts),
        has_times=has_times,
        has_titles=found.has_titles,
        id_types=found.id_types,
        first_user=tuple(_first_users(offsets, num_shards).tolist()),
        digest=_digest(work.out, num_events, weights_of(found.target_events)),
        target_events=found.target_events,
        provenance=dict(provenance),
        asked=dict(asked),
        files={name: file_facts(work.out / name) for name in (*arrays, *IDS.values())},
    )
    # The last notes are on the log that is opened.
    write_file(work.out / MANIFEST, seal_manifest(manifest))
    opened = open_prepared(work.out)
    on_first = first_row(opened.log, _place_of_first_row(opened, offsets, work))
    on_bad = doubt_on_bad_rows(found.totals.rows.bad_rows, found.totals.rows.num_rows)
    notes = [*provenance["notes"], on_first, *on_bad, *_doubts(work, opened, found, memory)]
    complete = manifest.replace(provenance={**provenance, "notes": notes})
    write_file(work.out / MANIFEST, seal_manifest(complete))
    sync_folder(work.out)
    exchange(work.out, work.result)


def _first_users(offsets: Int64, num_shards: int) -> Int64:
    """Return where users are cut into shards, as `ShardedLog.of` cuts them."""
    cuts = np.arange(1, num_shards, dtype=np.int64) * int(offsets[-1]) // num_shards
    users = np.searchsorted(offsets, cuts, side="right") - 1
    return cut_users(users.astype(np.int64), cuts - offsets[users], len(offsets) - 2)


def _digest(out: Path, num_events: int, weights: Mapping[str, float]) -> str:
    """Return what `InteractionLog.digest` is for the log, without holding it in memory."""
    hasher = hashlib.sha256()
    for name in ("users.npy", "items.npy", "times.npy"):
        for block in blocks_of(out / name, arrays_with(kinds=False)[name], num_events):
            hasher.update(block.data)
    for path in IDS.values():
        table = pl.scan_parquet(out / path).select("id")
        num_ids = int(table.select(pl.len()).collect().item())
        for first in range(0, num_ids, IDS_PER_FRAME):
            ids = table.slice(first, IDS_PER_FRAME).collect().to_series()
            between = "\x1f" if first else ""
            hasher.update((between + "\x1f".join(map(str, ids.to_list()))).encode("utf-8", "surrogatepass"))
        hasher.update(b"\x1e")
    if weights:
        for block in blocks_of(out / "kinds.npy", arrays_with(kinds=True)["kinds.npy"], num_events):
            hasher.update(block.data)
        hasher.update(np.array([0.0, *weights.values()]).data)
    return hasher.hexdigest()


def _place_of_first_row(shards: ShardedLog, offsets: Int64, work: Work) -> int:
    """Return where the first row of the source is in the log: among the events of its user."""
    piece = next(piece for piece in work.staged() if piece.facts["num_kept"])
    user = int(indices_of(piece, "user")[piece.events()["user"][0]])
    begin, end = int(offsets[user]), int(offsets[user + 1])
    [place] = np.flatnonzero(shards.log.rows[begin:end] == 0)
    return begin + int(place)


def _doubts(work: Work, shards: ShardedLog, found: Found, memory: float) -> list[str]:
    """Return the doubts on the log, as for a log in memory; ids that take too much memory are not searched."""
    log, times = shards.log, found.totals.times
    doubts = [] if times is None else doubts_on_times(times, log.provenance["time_unit"])
    if DOUBTED_BYTES * (shards.num_users + shards.num_items) > memory:
        return [*doubts, "the ids are too many to be searched for doubts in the memory that is allowed"]
    moments = None if times is None else found.moments
    doubts += [] if moments is None else moments.doubts(len(log))
    counts = LogCounts(log.user_vocabulary.ids, log.item_vocabulary.ids, found.user_counts, found.item_counts, moments)
    doubts += doubts_on_log(counts, is_typed=found.is_typed, rises=0 if times is None else times.rises)
    return [*doubts, *doubts_on_strays(found.totals.edges, counts, lambda role, raw: count_of(work.ids, role, raw))]
