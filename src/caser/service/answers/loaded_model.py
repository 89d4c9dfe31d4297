"""The model that the service serves: loaded from its run folder and tested before use. It never changes afterwards.

A reload makes another `LoadedModel`. Assumes that the run folder is replaced in one step, as
`caser.artefact.folder.save` does.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from caser.answering.recommender import Recommender, load
from caser.arrays.types import RawId
from caser.artefact.folder import MANIFEST, Artefact
from caser.data.log import Vocabulary
from caser.errors import ArtefactError, CaserError
from caser.exported.scorer import through_onnx
from caser.service.answers.catalogue import Catalogue, read_table
from caser.system.storage import read_file, settled

_MAX_TRIES = 3
_MAX_CACHED_USERS = 10_000


class LoadedModel:
    """A recommender that is ready to answer, with the titles and attributes of its items.

    recommender  answers questions                       catalogue   titles and attributes of the items
    version      SHA-256 digest of the run's manifest    written_at  when the run was written, in seconds since 1970
    loaded_at    when it was loaded, in seconds since 1970
    """

    def __init__(self, recommender: Recommender, catalogue: Catalogue, version: str, written_at: float) -> None:
        self.recommender = recommender
        self.catalogue = catalogue
        self.version = version
        self.written_at = written_at
        self.loaded_at = time.time()
        self.stored_history: Callable[[RawId], tuple[RawId, ...]] = lru_cache(_MAX_CACHED_USERS)(
            partial(_stored_history, recommender.artefact)
        )
        """The items of a user's history in the run, oldest first."""
        self.user_key: Callable[[RawId], str] = lru_cache(_MAX_CACHED_USERS)(partial(_key, recommender.artefact.users))
        """The text that identifies a user in the event store. The number 5 and the text "5" have the same key."""

    def item_key(self, item: RawId) -> str:
        """The text that identifies `item` in the event store."""
        return _key(self.recommender.artefact.items, item)

    def raw_item(self, key: str) -> RawId:
        """The raw id of the item with this `key`; the key itself if the run does not know the item."""
        items = self.recommender.artefact.items
        index = int(items.indices([key])[0])
        return items.raw([index])[0] if index else key

    def knows_item(self, item: RawId) -> bool:
        """Whether the model was trained on `item`."""
        artefact = self.recommender.artefact
        return bool(artefact.trained.item_counts[artefact.items.indices([item])[0]])


def load_model(run: Path, items: Path | None, onnx: Path | None = None) -> LoadedModel:
    """Load a run, and check that it can answer.

    run    the run folder           items  a table of items (.csv or .parquet), or None
    onnx   a file that was exported from this run and answers in its place, or None

    Raises ArtefactError if the run is damaged, cannot answer, or is not the run that `onnx` was exported from;
    DataError if the table of items cannot be read.
    """
    table = None if items is None else read_table(items)
    # The folder may be replaced while it is read: read again until the manifest is the same before and after.
    for _ in range(_MAX_TRIES):
        before = _read_manifest(run)
        recommender = load(run)
        manifest, written_at = _read_manifest(run)
        if manifest == before[0]:
            break
    else:
        raise ArtefactError(
            f"{run} must not change while it is read; it changed {_MAX_TRIES} times. Try again when it is complete."
        )
    if onnx is not None:
        recommender = through_onnx(recommender, onnx)
    catalogue = Catalogue.of(recommender.artefact, table)
    model = LoadedModel(recommender, catalogue, hashlib.sha256(manifest).hexdigest(), written_at)
    _check_that_it_answers(model)
    return model


def _read_manifest(run: Path) -> tuple[bytes, float]:
    """The bytes of the manifest, and when it was written."""
    try:
        path = settled(Path(run).resolve()) / MANIFEST
        if not path.parent.is_dir():
            raise ArtefactError(f"{run} must be the folder of a saved run; there is none. Check the path.")
        return read_file(path), path.stat().st_mtime
    except OSError as error:  # the name is too long, or the folder is being replaced at this moment
        raise ArtefactError(f"{run} must be the folder of a saved run; got: {error.strerror}. Try again.") from None


def _check_that_it_answers(model: LoadedModel) -> None:
    """Ask for the most popular item as a history, and for the user with the longest history; both must give items."""
    artefact = model.recommender.artefact
    lengths = artefact.trained.lengths
    try:
        popular = artefact.items.raw([int(np.argmax(artefact.trained.item_counts[1:])) + 1])
        results = [model.recommender.recommend(histories=[popular], k=3, exclude_seen=False)]
        if lengths.any():
            user = artefact.users.raw([int(lengths.argmax())])
            results.append(model.recommender.recommend(users=user, k=3, exclude_seen=False))
    except CaserError as error:
        raise ArtefactError(f"a run must answer; this one failed: {error}") from None
    if not all(result[0].items for result in results):
        raise ArtefactError("a run must answer; this one recommended nothing. Train again.")


def _key(vocabulary: Vocabulary, raw: RawId) -> str:
    index = int(vocabulary.indices([raw])[0])
    return str(vocabulary.raw([index])[0]) if index else str(raw)


def _stored_history(artefact: Artefact, user: RawId) -> tuple[RawId, ...]:
    index = int(artefact.users.indices([user])[0])
    return tuple(artefact.items.raw(artefact.histories.sequence(index)))
