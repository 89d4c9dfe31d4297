"""The model that the service serves: loaded from its run folder and tested before use. It never changes afterwards.

A reload makes another `LoadedModel`. Assumes that the run folder is replaced in one step, as
`caser.artefact.folder.save` does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from caser.answering.recommender import Recommender, load
from caser.arrays.types import RawId
from caser.artefact.folder import MANIFEST, WEIGHTS, Artefact
from caser.artefact.manifest import parse, trained_digest
from caser.data.log import Vocabulary
from caser.errors import ArtefactError, CaserError
from caser.exported.scorer import through_onnx
from caser.service.answers.catalogue import Catalogue
from caser.service.answers.cost import CostRates
from caser.service.answers.one_history import Interaction, OneHistory, RunHistory, one_history, unit_of
from caser.service.events.store import RecentHistory
from caser.system.storage import read_file, settled

_MAX_TRIES = 3
_MAX_CACHED_USERS = 10_000
_MAX_CACHED_ITEMS = 100_000


class LoadedModel:
    """A recommender that is ready to answer, with the titles and attributes of its items.

    recommender  answers questions                       catalogue   titles and attributes of the items
    version      SHA-256 digest of what was trained      trained_at  when it was trained, in seconds since 1970
    loaded_at    when it was loaded, in seconds since 1970
    """

    def __init__(self, recommender: Recommender, catalogue: Catalogue, version: str, trained_at: float) -> None:
        self.recommender = recommender
        self.catalogue = catalogue
        self.version = version
        self.trained_at = trained_at
        self.loaded_at = time.time()
        self.costs = CostRates(recommender)
        self._histories: dict[tuple[RawId, int], tuple[RecentHistory, OneHistory]] = {}
        unit = unit_of(recommender.artefact.histories.times)
        self.run_history: Callable[[RawId, int], RunHistory] = lru_cache(_MAX_CACHED_USERS)(
            partial(_run_history, recommender.artefact, unit)
        )
        """The last so many interactions that the run holds of a user."""
        self.is_known: Callable[[RawId], bool] = lru_cache(_MAX_CACHED_USERS)(partial(_is_known, recommender.artefact))
        """Whether the model was trained on a user."""

        self.raw_item: Callable[[str], RawId] = lru_cache(_MAX_CACHED_ITEMS)(
            partial(_raw_item, recommender.artefact.items)
        )
        """The raw id of the item that is written as a key of the store; the key itself if the run does not know it."""

    def history(self, user: RawId, recent: RecentHistory, window: int) -> OneHistory:
        """The one history of a user: what the run holds and the events since, each interaction once.

        user  the raw id       recent  the user's stored events       window  how many last interactions count
        """
        known = self._histories.get((user, window))
        if known is not None and known[0] is recent:  # the store makes another object when anything changes
            return known[1]
        run = RunHistory() if recent.is_erased else self.run_history(user, window)
        events = [Interaction(self.raw_item(key), time) for key, time in zip(recent.items, recent.times, strict=True)]
        history = one_history(run, events, window)
        if len(self._histories) >= _MAX_CACHED_USERS:
            self._histories.clear()
        self._histories[user, window] = (recent, history)
        return history

    def stored_length(self, user: RawId) -> int:
        """How many interactions the run holds of `user`."""
        artefact = self.recommender.artefact
        return int(artefact.histories.lengths[artefact.users.lookup([user])[0]])

    def knows_item(self, item: RawId) -> bool:
        """Whether the model was trained on `item`."""
        artefact = self.recommender.artefact
        return bool(artefact.trained.item_counts[artefact.items.indices([item])[0]])


def load_model(run: Path, items: Path | None, onnx: Path | None = None) -> LoadedModel:
    """Load a run, and check that it can answer.

    run    the run folder           items  a table of items, or None
    onnx   a file that was exported from this run and answers in its place, or None

    Raises ArtefactError if the run is damaged, cannot answer, or is not the run that `onnx` was exported from;
    DataError if the table of items cannot be read or names no item of the run.
    """
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
    if items is not None:
        recommender = recommender.with_items(items)
    trained = parse(run / MANIFEST, manifest)
    version, trained_at = trained_digest(trained), trained.trained_at or written_at
    model = LoadedModel(recommender, Catalogue.of(recommender), version, trained_at)
    _check_that_it_answers(model)
    return model


def _read_manifest(run: Path) -> tuple[bytes, float]:
    """The bytes of the manifest, and when the weights were written: nothing but training and copying writes them."""
    try:
        path = settled(Path(run).resolve()) / MANIFEST
        if not path.parent.is_dir():
            raise ArtefactError(f"{run} must be the folder of a saved run; there is none. Check the path.")
        return read_file(path), path.with_name(WEIGHTS).stat().st_mtime
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
    except Exception as error:  # whatever a run does when it is tried, it must not be served
        reason = error if isinstance(error, CaserError) else f"its model raised {type(error).__name__}."
        raise ArtefactError(f"a run must answer; this one failed: {reason}") from None
    if not all(result[0].items for result in results):
        raise ArtefactError("a run must answer; this one recommended nothing. Train again.")


def _is_known(artefact: Artefact, user: RawId) -> bool:
    return bool(artefact.trained.lengths[artefact.users.lookup([user])[0]])


def _raw_item(vocabulary: Vocabulary, key: str) -> RawId:
    [index] = vocabulary.lookup([key])
    return vocabulary.raw([index])[0] if index else key


def _run_history(artefact: Artefact, unit: int, user: RawId, length: int) -> RunHistory:
    index, tape = int(artefact.users.indices([user])[0]), artefact.histories
    end = int(tape.offsets[index + 1])
    rows = slice(max(int(tape.offsets[index]), end - length), end)
    times = None if tape.times is None else tuple(tape.times[rows].tolist())
    return RunHistory(tuple(artefact.items.raw(tape.items[rows])), times, unit)
