"""The model that is being served: read from its run folder, tried out, and never changed; a reload makes another one.

Assumes that whoever replaces the folder does so as `caser.artefact.folder.save` does, in one step.
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

_TRIES = 3
_USERS_KEPT = 10_000


class Live:
    """A model that answers.

    version  the digest of its manifest      loaded, made  when it was read, and written, in seconds since 1970
    """

    def __init__(self, recommender: Recommender, catalogue: Catalogue, version: str, made: float) -> None:
        self.recommender = recommender
        self.catalogue = catalogue
        self.version = version
        self.made = made
        self.loaded = time.time()
        self.stored: Callable[[RawId], tuple[RawId, ...]] = lru_cache(_USERS_KEPT)(
            partial(_stored, recommender.artefact)
        )
        """A user's history in the run, oldest first."""
        self.user_key: Callable[[RawId], str] = lru_cache(_USERS_KEPT)(partial(_key, recommender.artefact.users))
        """The one text for a user: as the run has it, whatever form it came in."""

    def item_key(self, item: RawId) -> str:
        """The one text for an item."""
        return _key(self.recommender.artefact.items, item)

    def raw_item(self, key: str) -> RawId:
        """An item as the run has it; the text itself for one that it does not know."""
        items = self.recommender.artefact.items
        index = int(items.indices([key])[0])
        return items.raw([index])[0] if index else key

    def knows_item(self, item: RawId) -> bool:
        """Whether the model was trained on an item."""
        artefact = self.recommender.artefact
        return bool(artefact.histories.item_counts[artefact.items.indices([item])[0]])


def read_live(run: Path, items: Path | None, onnx: Path | None = None) -> Live:
    """Load a run and its table of items, and try it out; `onnx` is what was exported from it, to answer through.

    Raises ArtefactError if the run is not intact or gives no answer, and for another run's file; DataError for a table
    that is none.
    """
    table = None if items is None else read_table(items)
    for _ in range(_TRIES):  # the folder may be exchanged between two reads
        before = _manifest(run)
        recommender = load(run)
        content, made = _manifest(run)
        if content == before[0]:
            break
    else:
        raise ArtefactError(f"{run} must hold still while it is read; it changed {_TRIES} times. Try again.")
    if onnx is not None:
        recommender = through_onnx(recommender, onnx)
    live = Live(recommender, Catalogue.of(recommender.artefact, table), hashlib.sha256(content).hexdigest(), made)
    _try_out(live)
    return live


def _manifest(run: Path) -> tuple[bytes, float]:
    try:
        path = settled(Path(run).resolve()) / MANIFEST
        if not path.parent.is_dir():
            raise ArtefactError(f"{run} must be the folder of a saved run; there is none. Check the path.")
        return read_file(path), path.stat().st_mtime
    except OSError as error:  # a name too long, or a folder that is exchanged in this moment
        raise ArtefactError(f"{run} must be the folder of a saved run; got: {error.strerror}. Try again.") from None


def _try_out(live: Live) -> None:
    """Ask for nobody, for a history, and for a user; an answer must have items."""
    artefact = live.recommender.artefact
    lengths = artefact.histories.lengths
    try:
        popular = artefact.items.raw([int(np.argmax(artefact.histories.item_counts[1:])) + 1])
        asked = [live.recommender.recommend(histories=[popular], k=3, exclude_seen=False)]
        if lengths.any():
            user = artefact.users.raw([int(lengths.argmax())])
            asked.append(live.recommender.recommend(users=user, k=3, exclude_seen=False))
    except CaserError as error:
        raise ArtefactError(f"a run must answer; this one failed: {error}") from None
    if not all(answers[0].items for answers in asked):
        raise ArtefactError("a run must answer; this one recommended nothing. Train again.")


def _key(vocabulary: Vocabulary, raw: RawId) -> str:
    index = int(vocabulary.indices([raw])[0])
    return str(vocabulary.raw([index])[0]) if index else str(raw)


def _stored(artefact: Artefact, user: RawId) -> tuple[RawId, ...]:
    index = int(artefact.users.indices([user])[0])
    return tuple(artefact.items.raw(artefact.histories.sequence(index)))
