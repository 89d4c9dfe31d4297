"""The folder of a prepared log: what is in it, and how it is opened and checked.

    manifest.json      sealed: the format, where the log came from, its sizes, and the size and SHA-256 of other files
    users.npy          (N,) int32, items.npy (N,) int32, times.npy and rows.npy (N,) int64: as in `InteractionLog`
    user_ids.parquet   the raw ids in the order of their indices; item_ids.parquet also the titles, if there are any

All shards lie one after another in these arrays, because users are in order. So a shard is a range of them, the whole
log is one memory map, and the number of shards may be another one each time. Opening reads the manifest, compares the
size and the header of each array, and checks the order of users and the range of items, which other code relies on. The
SHA-256 of each file is compared by `verify`, and those of the ids when they are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from caser.config import Settings
from caser.data.event_kinds import EventKinds, weights_of
from caser.data.log import InteractionLog, Vocabulary
from caser.data.prepared.arrays import blocks_of, check_array, map_array
from caser.data.shards import ShardedLog
from caser.errors import ArtefactError, CaserError, ConfigError
from caser.system.kinds import must_be
from caser.system.parsing import parse_parquet
from caser.system.sealed import opening, seal_json, sha256_of, unseal_json
from caser.system.storage import read_file

FORMAT = 2
"""The newest format, of a log with kinds of events. One of another log is 1, which earlier versions read too."""

MANIFEST = "manifest.json"
SEAL = "prepared_log_sha256"
MOST_MANIFEST_BYTES = 64 * 2**20
ARRAYS = {"users.npy": "<i4", "items.npy": "<i4", "times.npy": "<i8", "rows.npy": "<i8"}
KINDS = {"kinds.npy": "|u1"}
"""The array that only a log with kinds of events has."""
IDS = {"user": "user_ids.parquet", "item": "item_ids.parquet"}
AGAIN = "Prepare the log again: caser data prepare SOURCE --out FOLDER."
TYPES: Mapping[str, pl.DataType] = {"String": pl.String(), "Int64": pl.Int64(), "UInt64": pl.UInt64()}
"""The types of ids, as the manifest names them."""


class File(Settings):
    """What the manifest says about a file."""

    bytes: int = Field(ge=0)
    """Its size."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Its SHA-256."""


class Manifest(Settings):
    """What a prepared log says about itself."""

    format: int
    """The number of the format."""
    library_version: str
    """The version of the library that wrote it."""
    interactions: int = Field(ge=1, le=2**62)
    """Number of interactions."""
    users: int = Field(ge=1, lt=2**31)
    """Number of users."""
    items: int = Field(ge=1, lt=2**31)
    """Number of items."""
    has_times: bool
    """False if the order of rows is the order of events."""
    has_titles: bool
    """Whether the items have titles."""
    id_types: dict[str, str]
    """The type of the ids of users and of items."""
    first_user: tuple[int, ...] = Field(min_length=2)
    """The first user of each shard, and the number of users + 1."""
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    """The digest of the log: see `InteractionLog.digest`."""
    provenance: dict[str, Any]
    """Where the log came from and what was done to it, as for a log in memory."""
    asked: dict[str, Any]
    """What was asked for when it was prepared, and the sizes of the source."""
    files: dict[str, File]
    """The other files."""
    target_events: tuple[str, ...] = ()
    """The kinds of events that are predicted, with their weights; absent where all events are."""

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each kind that is predicted; empty where all events are."""
        return weights_of(self.target_events)

    @property
    def arrays(self) -> dict[str, str]:
        """The type of each array, by the name of its file."""
        return arrays_with(kinds=bool(self.target_events))


def arrays_with(*, kinds: bool) -> dict[str, str]:
    """Return the type of each array of a log, by the name of its file.

    kinds  whether the log has kinds of events
    """
    return {**ARRAYS, **(KINDS if kinds else {})}


class StoredVocabulary(Vocabulary):
    """The vocabulary of a prepared log, whose ids are read when they are asked for.

    path  the Parquet file        num_ids  how many ids it holds        file  what the manifest says about it
    """

    def __init__(self, path: Path, num_ids: int, file: File, id_type: str) -> None:
        self._read = (path, num_ids, file, id_type)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, which the frozen class above refuses."""
        object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return self._read[1]

    @cached_property
    def ids(self) -> pl.Series:
        """The raw ids. Raises ArtefactError if the file is damaged."""
        return self.table["id"]

    @cached_property
    def table(self) -> pl.DataFrame:
        """The whole table of the file."""
        path, num_ids, file, id_type = self._read
        content = read_file(path)
        if len(content) != file.bytes or hashlib.sha256(content).hexdigest() != file.sha256:
            raise ArtefactError(f"{path} must be as it was written; its SHA-256 is another one. {AGAIN}")
        with _naming(path):
            table = parse_parquet(content, {"id": 40}, {"title": 60})
            if table["id"].dtype != TYPES[id_type] or len(table) != num_ids or table["id"].null_count():
                raise ValueError(f"{len(table):,} ids of type {table['id'].dtype}")
        return table

    def part(self, first: int, end: int) -> Vocabulary:
        """Return the vocabulary of the indices from `first` to `end - 1`, of which only these ids are read.

        first, end  indices from 1 to len(self) + 1
        """
        if "ids" in vars(self):
            return super().part(first, end)
        path, _, _, id_type = self._read
        with _naming(path):
            ids = pl.scan_parquet(path).select("id").slice(first - 1, end - first).collect().to_series()
            if ids.dtype != TYPES[id_type] or len(ids) != end - first:
                raise ValueError(f"{len(ids):,} ids of type {ids.dtype}")
        return Vocabulary(ids)


def is_prepared(path: str | Path) -> bool:
    """Return whether there is a prepared log at a path.

    path  any path
    """
    manifest = Path(path).expanduser() / MANIFEST
    try:
        if not manifest.is_file() or manifest.is_symlink():
            return False
        with manifest.open("rb") as file:
            return file.read(len(opening(SEAL))) == opening(SEAL)
    except (OSError, ValueError):
        return False


def is_ours(folder: Path) -> bool:
    """Return whether a folder holds a prepared log and nothing else, so that it may be replaced.

    folder  any path
    """
    known = {MANIFEST, *ARRAYS, *KINDS, *IDS.values()}
    return is_prepared(folder) and all(entry.name in known for entry in folder.iterdir())


def read_manifest(folder: Path) -> Manifest:
    """Return what a prepared log says about itself.

    folder  its folder

    Raises ArtefactError for a manifest that is damaged, is not one, or is of a newer format.
    """
    path = folder / MANIFEST
    content = read_file(path, MOST_MANIFEST_BYTES)
    with _naming(path):
        values = unseal_json(content, SEAL)
        if isinstance(values.get("format"), int) and values["format"] > FORMAT:
            raise ArtefactError(
                f"{path} must have format {FORMAT} or an older one; got {values['format']}. Install a newer caser."
            )
        manifest = Manifest.of(values)
        weights_of(manifest.target_events)
        names = {*manifest.arrays, *IDS.values()}
        if (
            set(manifest.files) != names
            or set(manifest.id_types) != set(IDS)
            or not {*manifest.id_types.values()} <= {*TYPES}
        ):
            raise ValueError("other files, or types of ids, than a prepared log has")
        first = np.array(manifest.first_user)
        if first[0] != 1 or first[-1] != manifest.users + 1 or (np.diff(first) < 1).any():
            raise ValueError("shards that do not hold each user once")
    return manifest


def seal_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of the file of a manifest.

    manifest  what a prepared log says about itself
    """
    absent = set() if manifest.target_events else {"target_events"}
    return seal_json(manifest.model_dump(mode="json", exclude=absent), SEAL)


def open_prepared(path: str | Path) -> ShardedLog:
    """Open a prepared log. Its arrays are memory-mapped, and its ids are read when they are asked for.

    path  the folder that `prepare_log` wrote

    Raises ArtefactError, with the name of the file, for a folder that is damaged, foreign, or of a newer format, and
    ConfigError for what is no path.
    """
    must_be("path", path, str | Path, "the path of a prepared log", AGAIN)
    folder = Path(path).expanduser().resolve()
    manifest = read_manifest(folder)
    for name, dtype in manifest.arrays.items():
        check_array(folder / name, dtype, manifest.interactions)
    _check_values(folder, manifest)
    arrays = {name: map_array(folder / name, dtype, manifest.interactions) for name, dtype in manifest.arrays.items()}
    users, items = (
        StoredVocabulary(folder / IDS[role], number, manifest.files[IDS[role]], manifest.id_types[role])
        for role, number in (("user", manifest.users), ("item", manifest.items))
    )
    log = InteractionLog(
        users=arrays["users.npy"],
        items=arrays["items.npy"],
        times=arrays["times.npy"],
        rows=arrays["rows.npy"],
        user_vocabulary=users,
        item_vocabulary=items,
        has_times=manifest.has_times,
        titles=items.table["title"] if manifest.has_titles else None,
        provenance=_provenance(folder, manifest),
        kinds=EventKinds(arrays["kinds.npy"], manifest.weights) if manifest.target_events else None,
    )
    vars(log)["digest"] = manifest.digest  # known, and computing it would read the whole log
    return ShardedLog(log, np.array(manifest.first_user, dtype=np.int64))


def verify(path: str | Path) -> None:
    """Raise ArtefactError unless every file of a prepared log has the SHA-256 that its manifest says.

    path  the folder
    """
    folder = Path(path).expanduser().resolve()
    for name, facts in read_manifest(folder).files.items():
        if file_facts(folder / name) != facts:
            raise ArtefactError(f"{folder / name} must be as it was written; its SHA-256 is another one. {AGAIN}")


def file_facts(path: Path) -> File:
    """Return the size and the SHA-256 of a file.

    path  the file

    Raises ArtefactError if it cannot be read.
    """
    try:
        return File(bytes=path.stat().st_size, sha256=sha256_of([path]))
    except OSError as error:
        raise ArtefactError(f"{path} must be readable; got: {(error.strerror or str(error)).lower()}.") from None


def _provenance(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """Return the provenance of the opened log: its source is the folder, and what was done before is kept."""
    before = dict(manifest.provenance)
    of_source = {name: before.pop(name) for name in ("source", "sha256", "format", "parts") if name in before}
    return {"source": str(folder), "prepared_from": of_source, **before}


def _check_values(folder: Path, manifest: Manifest) -> None:
    """Raise ArtefactError unless users are in order, without a gap, and items are indices: a wrong one could crash."""
    last = 0
    for block in blocks_of(folder / "users.npy", "<i4", manifest.interactions):
        steps = np.diff(block, prepend=np.int32(last))
        if steps.min() < 0 or steps.max() > 1 or (last == 0 and steps[0] != 1):
            raise ArtefactError(f"{folder / 'users.npy'} must hold the users in order. {AGAIN}")
        last = int(block[-1])
    if last != manifest.users:
        raise ArtefactError(f"{folder / 'users.npy'} must hold {manifest.users:,} users; got {last:,}. {AGAIN}")
    for block in blocks_of(folder / "items.npy", "<i4", manifest.interactions):
        if block.min() < 1 or block.max() > manifest.items:
            raise ArtefactError(f"{folder / 'items.npy'} must hold indices of {manifest.items:,} items. {AGAIN}")
    if manifest.target_events:
        for block in blocks_of(folder / "kinds.npy", KINDS["kinds.npy"], manifest.interactions):
            if block.max() > len(manifest.weights):
                raise ArtefactError(f"{folder / 'kinds.npy'} must hold kinds that the manifest names. {AGAIN}")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Within, turn an error about what is in a file into an ArtefactError that names it."""
    try:
        yield
    except ArtefactError:
        raise
    except (CaserError, ConfigError, ValueError, KeyError, TypeError, OSError, pl.exceptions.PolarsError) as error:
        got = str(error).partition("\n")[0].removesuffix(".")
        raise ArtefactError(f"{path} must hold what a prepared log holds; got: {got}. {AGAIN}") from None
