"""The artefact: a trained model as a folder that can be trusted, moved and read without torch.

    manifest.json         what the model is, how it came to be, and the SHA-256 of every other file
    weights.safetensors   the fitted parameters
    vocabulary.parquet    index, user_id, item_id, item_title: the raw ids of an index, null beyond the last one
    histories.parquet     user, item, order: the interactions it was trained on; seen and recent items follow from it
    index.safetensors     the cell of each item, where there is an approximate index

`load` reads each file once and parses the very bytes that it checked. Nothing is pickled. A checksum does not say who
wrote a folder: whoever can write one can write its checksums too, so every value is checked against the others as well.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

import caser
from caser.arrays.offsets import offsets_of, places_of
from caser.artefact import manifest as manifests
from caser.artefact.manifest import Manifest
from caser.data.log import Vocabulary
from caser.data.tape import Tape
from caser.errors import ArtefactError, CaserError
from caser.models import model_settings
from caser.models.base import Arrays, Scorer, StateScorer
from caser.models.settings import ModelSettings
from caser.search.cells import Index
from caser.system.storage import partial_path, read_file, refused, settled, write_file, write_folder

MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
VOCABULARY = "vocabulary.parquet"
HISTORIES = "histories.parquet"
INDEX = "index.safetensors"
_LISTED = {WEIGHTS, VOCABULARY, HISTORIES}
_MOST_MANIFEST_BYTES = 64 * 2**20


@dataclass(frozen=True, eq=False)
class Artefact:
    """A trained model with all it needs to answer in raw ids.

    config     settings of the model              scorer     what answers, with an index for each user and item
    users, items  raw ids of the indices          titles     item titles, aligned with `items.ids`, or None
    histories  the part of the log it was trained on
    manifest   how it came to be: the facts of `manifest.Manifest`, JSON values only
    index      an approximate index of the items, or None
    """

    config: ModelSettings
    scorer: Scorer
    users: Vocabulary
    items: Vocabulary
    titles: pl.Series | None
    histories: Tape
    manifest: dict[str, Any]
    index: Index | None = None

    @cached_property
    def state_scorer(self) -> StateScorer | None:
        """The scorer, if its scores are `state . vector + bias`."""
        return self.scorer if isinstance(self.scorer, StateScorer) else None


def save(artefact: Artefact, path: str | Path) -> None:
    """Write `artefact` as the folder `path`, in place of an artefact that was there.

    If the process is killed at any moment, `load` finds the old artefact or the new one. Raises ArtefactError if `path`
    holds anything else, if it cannot be written, or if the disk is full; what was there stays.
    """
    folder = _followed(path)
    _refuse_foreign(folder)
    with _naming(folder / WEIGHTS):
        weights = _weights(artefact.scorer.arrays())
    files = {
        WEIGHTS: weights,
        VOCABULARY: _parquet(_vocabulary_frame(artefact)),
        HISTORIES: _parquet(_histories_frame(artefact.histories)),
    }
    index = artefact.index
    if index is not None:
        files[INDEX] = bytes(safetensors.numpy.save({"cells": index.cells_I}))
    manifest = manifests.make(
        folder / MANIFEST,
        library_version=caser.__version__,
        model=artefact.config.name,
        settings=artefact.config.model_dump(mode="json"),
        files={name: _digest(content) for name, content in files.items()},
        index=None if index is None else {"probes": index.probes, "recall@10": index.recall},
        **artefact.manifest,
    )
    write_folder(folder, {**files, MANIFEST: manifests.render(folder / MANIFEST, manifest)})


def load(path: str | Path) -> Artefact:
    """Read the artefact in the folder `path`; its scorer needs no torch.

    Raises ArtefactError naming the file that is missing, damaged, foreign, a link, newer than this library, or at odds
    with another one.
    """
    folder = _settled(path)
    manifest = _read_manifest(folder)
    contents = {name: _read_checked(folder / name, digest) for name, digest in manifest.files.items()}
    with _naming(folder / MANIFEST):
        config = _config(manifest)
    with _naming(folder / VOCABULARY):
        users, items, titles = _vocabularies(pl.read_parquet(contents[VOCABULARY]))
    with _naming(folder / HISTORIES):
        histories = _histories(pl.read_parquet(contents[HISTORIES]), len(users), len(items))
    with _naming(folder / WEIGHTS):
        arrays = _checked(safetensors.numpy.load(contents[WEIGHTS]))
        scorer = config.scorer(arrays, len(users), len(items))
    with _naming(folder / INDEX):
        index = _index(manifest, contents, scorer, histories)
    facts = manifest.model_dump(include=set(Manifest.facts()))
    return Artefact(config, scorer, users, items, titles, histories, facts, index)


def update_manifest(path: str | Path, **changes: Any) -> None:
    """Change facts of a saved artefact, such as `metrics`, in one step; the model itself stays.

    Raises ArtefactError if a fact is unknown or the manifest is not intact.
    """
    folder = _settled(path)
    changed = manifests.changed(folder / MANIFEST, _read_manifest(folder), changes)
    write_file(folder / MANIFEST, manifests.render(folder / MANIFEST, changed))


def test_openings(path: str | Path, fingerprint: str) -> int:
    """How often the test part of this fingerprint was opened for the run at `path`; 0 if there is no intact run."""
    try:
        manifest = _read_manifest(_settled(path))
    except ArtefactError:
        return 0
    return manifest.test_openings if manifest.fingerprint == fingerprint else 0


def check_writable(path: str | Path) -> None:
    """Raise ArtefactError now, before hours of training, if `save` would refuse `path`."""
    folder = _followed(path)
    _refuse_foreign(folder)
    probe = partial_path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise refused(folder, error, 0) from None


# Folders


def _followed(path: str | Path) -> Path:
    """The path without links: a link to a run is followed; links inside a run are not."""
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{str(path)!r} must be a path; got: {error}.") from None


def _settled(path: str | Path) -> Path:
    with _naming(Path(path)):
        folder = settled(_followed(path))
        if not folder.is_dir():
            raise ArtefactError("there must be the folder of a saved run; there is none. Check the path.")
        return folder


def _foreign(folder: Path) -> list[str]:
    """Names that have no place in an artefact; what a killed `update_manifest` leaves has one, and is never read."""
    names = {entry.name for entry in folder.iterdir()} - _LISTED - {INDEX, MANIFEST}
    return sorted(name for name in names if not (name.startswith(f".{MANIFEST}.") and name.endswith(".partial")))


def _refuse_foreign(folder: Path) -> None:
    """Raise ArtefactError if there is something at `folder` that a save must not replace."""
    with _naming(folder):
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
        is_run = folder.is_dir() and (folder / MANIFEST).is_file() and not _foreign(folder)
        if not (is_run and read_file(folder / MANIFEST, _MOST_MANIFEST_BYTES).startswith(manifests.OPENING)):
            raise ArtefactError(
                "must be absent, empty or a saved run, to be written to; it is not. Choose another folder."
            )


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    with _naming(folder):
        foreign = _foreign(folder)
    if foreign:
        raise ArtefactError(f"{folder / foreign[0]} does not belong to a saved run. Remove it, or check the path.")
    manifest = manifests.parse(path, read_file(path, _MOST_MANIFEST_BYTES))
    if set(manifest.files) - {INDEX} != _LISTED or (INDEX in manifest.files) != (manifest.index is not None):
        raise ArtefactError(f"{path} must list {', '.join(sorted(_LISTED))}; got {', '.join(sorted(manifest.files))}.")
    return manifest


def _read_checked(path: Path, digest: str) -> bytes:
    content = read_file(path)
    if _digest(content) != digest:
        raise ArtefactError(f"{path} does not match its checksum: it is damaged or was changed. Train again.")
    return content


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong with a file into an ArtefactError that names it."""
    try:
        yield
    except CaserError as error:
        raise ArtefactError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except (OSError, SafetensorError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise ArtefactError(f"{path} must be readable; got: {str(error).partition(chr(10))[0]}. Train again.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"{path} must hold what a saved run holds; got: {error}. Train again.") from None


# Files


def _config(manifest: Manifest) -> Any:
    config = model_settings(manifest.model, manifest.settings)
    if missing := sorted(set(config.model_dump()) - set(manifest.settings)):
        raise ArtefactError(f"settings of {manifest.model} must have {missing[0]!r}; they have not. Train again.")
    return config


def _index(manifest: Manifest, contents: dict[str, bytes], scorer: Scorer, histories: Tape) -> Index | None:
    if manifest.index is None:
        return None
    arrays, facts = safetensors.numpy.load(contents[INDEX]), manifest.index
    if set(arrays) != {"cells"} or arrays["cells"].dtype != np.int32 or arrays["cells"].ndim != 1:
        raise ValueError("arrays other than one row of int32 cells")
    if (
        set(facts) != {"probes", "recall@10"}
        or type(facts["probes"]) is not int
        or type(facts["recall@10"]) is not float
    ):
        raise ValueError(f"facts {facts} of the index in {MANIFEST}")
    if not isinstance(scorer, StateScorer):
        raise ValueError("an index for a model without item vectors")
    if not np.array_equal(arrays["cells"] > 0, histories.item_counts > 0):
        raise ValueError("cells for other items than those that were trained on")
    return Index(arrays["cells"], *scorer.item_vectors(), facts["probes"], facts["recall@10"])


def _weights(arrays: Arrays) -> bytes:
    # safetensors writes an array's memory as it lies, whatever its strides say.
    return bytes(
        safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in _checked(arrays).items()})
    )


def _checked(arrays: Arrays) -> Arrays:
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.float64, np.int64):
            raise ArtefactError(f"{name} must be float32, float64 or int64; got {array.dtype}. Train again.")
        if not np.isfinite(array).all():
            raise ArtefactError(f"{name} must be finite; it has NaN or infinite values. Train again.")
    return arrays


def _vocabulary_frame(artefact: Artefact) -> pl.DataFrame:
    titles = pl.Series([], dtype=pl.String) if artefact.titles is None else artefact.titles
    columns = {"user_id": artefact.users.ids, "item_id": artefact.items.ids, "item_title": titles}
    height = max(map(len, columns.values()))
    index = pl.int_range(1, height + 1, dtype=pl.Int32, eager=True).alias("index")
    return pl.DataFrame(
        [index, *(column.extend_constant(None, height - len(column)).alias(name) for name, column in columns.items())]
    )


def _vocabularies(frame: pl.DataFrame) -> tuple[Vocabulary, Vocabulary, pl.Series | None]:
    if frame.columns != ["index", "user_id", "item_id", "item_title"]:
        raise ValueError(f"columns {', '.join(frame.columns)}")
    index, users, items, titles = frame.get_columns()
    if not index.equals(pl.int_range(1, len(frame) + 1, dtype=pl.Int32, eager=True)) or titles.dtype != pl.String:
        raise ValueError("an index that does not count from 1, or titles that are not text")
    users, items = _ids(users), _ids(items)
    has_titles = titles.null_count() < len(titles)
    return Vocabulary(users), Vocabulary(items), titles.head(len(items)) if has_titles else None


def _ids(column: pl.Series) -> pl.Series:
    ids = column.head(len(column) - column.null_count())
    if ids.null_count() or ids.n_unique() != len(ids):
        raise ValueError(f"{column.name} with gaps or equal ids")
    return ids


def _histories_frame(tape: Tape) -> pl.DataFrame:
    return pl.DataFrame({"user": tape.users, "item": tape.items, "order": _order(tape)})


def _order(tape: Tape) -> NDArray[np.int32]:
    """The place of each interaction in its user's history, from 0."""
    order: NDArray[np.int32] = places_of(tape.lengths).astype(np.int32)
    return order


def _histories(frame: pl.DataFrame, num_users: int, num_items: int) -> Tape:
    schema = {"user": pl.Int32, "item": pl.Int32, "order": pl.Int32}
    if dict(frame.schema) != schema or frame.null_count().sum_horizontal().item():
        raise ValueError(f"columns {dict(frame.schema)}, or rows with nothing in them")
    users, items, order = (frame[name].to_numpy() for name in frame.columns)
    for values, most in ((users, num_users), (items, num_items)):
        if len(values) and not 1 <= values.min() <= values.max() <= most:
            raise ValueError("users or items that are not in the vocabulary")
    offsets = offsets_of(np.bincount(users, minlength=num_users + 1))
    tape = Tape(items, offsets, num_items)
    if not (np.array_equal(tape.users, users) and np.array_equal(_order(tape), order)):
        raise ValueError("interactions that are not ordered by user and by their place in the user's history")
    return tape


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
