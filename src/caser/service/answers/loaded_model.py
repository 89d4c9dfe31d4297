"""The model that the service serves: loaded from its run folder and tested before use. It never changes afterwards.

A reload makes another `LoadedModel`. Assumes that the run folder is replaced in one step, as
`caser.artefact.folder.save` does.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from sys import getsizeof
from threading import Lock
from typing import NamedTuple

import numpy as np

from caser.answering.questions import Question
from caser.answering.recommender import Recommender, load
from caser.arrays.types import RawId
from caser.artefact.folder import Artefact
from caser.artefact.manifest import parse, trained_digest
from caser.artefact.run_folder import MANIFEST, WEIGHTS
from caser.data.kind_rules import KindRules
from caser.data.log import Vocabulary
from caser.errors import ArtefactError, CaserError
from caser.exported.scorer import through_onnx
from caser.service.answers.catalogue import Catalogue
from caser.service.answers.cost import CostRates
from caser.service.answers.one_history import Interaction, OneHistory, RunHistory, one_history, unit_of
from caser.service.answers.rejected_items import rejected_items
from caser.service.byte_cache import ByteCache
from caser.service.events.store import RecentHistory
from caser.service.settings import DEFAULT_CACHE_MB
from caser.system.storage import read_file, settled

_MAX_TRIES = 3
_MAX_CACHED_ITEMS = 100_000
_MAX_CACHED_ID = 100
"""Characters of an item id up to which it is kept with its raw id; longer ones are looked up each time."""
_BYTES_PER_INTERACTION = 140
"""Memory of an interaction in a `RunHistory` and a `OneHistory`: tuples and numbers;
`tests/service/test_memory.py` measures it."""
_BYTES_PER_HISTORY = 2_000


class _Kept(NamedTuple):
    """The history of a user as it was computed last, what it was computed from, and the question about it."""

    recent: RecentHistory
    run: RunHistory
    history: OneHistory
    question: Question | None = None


class LoadedModel:
    """A recommender that is ready to answer, with the titles and attributes of its items.

    recommender  answers questions                       catalogue   titles and attributes of the items
    version      SHA-256 digest of what was trained      trained_at  when it was trained, in seconds since 1970
    loaded_at    when it was loaded, in seconds since 1970
    max_cached   how many bytes of histories are kept
    """

    def __init__(
        self,
        recommender: Recommender,
        catalogue: Catalogue,
        version: str,
        trained_at: float,
        max_cached: int = DEFAULT_CACHE_MB << 19,
    ) -> None:
        self.recommender = recommender
        self.catalogue = catalogue
        self.version = version
        self.trained_at = trained_at
        self.loaded_at = time.time()
        self.costs = CostRates(recommender)
        self.kinds = KindRules.of(recommender.artefact.manifest["log"])
        self._lock = Lock()
        self._histories: ByteCache[tuple[RawId, int], _Kept] = ByteCache(max_cached, _num_bytes_of)
        self._unit = unit_of(recommender.artefact.histories.times)
        self._raw_item = lru_cache(_MAX_CACHED_ITEMS)(partial(_raw_item, recommender.artefact.items))

    def raw_item(self, key: str) -> RawId:
        """The raw id of the item that is written as `key` in the store; `key` itself if the run does not know it."""
        return self._raw_item(key) if len(key) <= _MAX_CACHED_ID else self._raw_item.__wrapped__(key)

    @property
    def num_bytes_cached(self) -> int:
        """The memory of the histories that are kept."""
        return self._histories.num_bytes

    def run_history(self, user: RawId, length: int) -> RunHistory:
        """The last `length` interactions that the run holds of the user `user`."""
        return _run_history(self.recommender.artefact, self._unit, user, length)

    def history(self, user: RawId, recent: RecentHistory, window: int) -> OneHistory:
        """The one history of a user: what the run holds and the events since, each interaction once.

        user  the raw id       recent  the user's stored events       window  how many last interactions count
        """
        return self._kept(user, recent, window).history

    def history_length(self, user: RawId, recent: RecentHistory, window: int) -> int:
        """How many interactions a question about a user reads at most; the arguments are those of `history`."""
        if recent.items or recent.is_erased:
            history = self.history(user, recent, window)
            if history.is_new or recent.is_erased:
                return len(history.items)
        return self.stored_length(user)

    def question(self, user: RawId, recent: RecentHistory, window: int) -> Question:
        """The question about a user with the one history of the user; the arguments are those of `history`."""
        kept = self._kept(user, recent, window)
        if kept.question is not None:
            return kept.question
        items = kept.history.items if kept.history.is_new or recent.is_erased else None
        question = self.recommender.question(None if recent.is_erased else user, items)
        question = self.without_rejected(question, user, recent)
        with self._lock:
            self._histories[user, window] = kept._replace(question=question)
        return question

    def without_rejected(self, question: Question, user: RawId, recent: RecentHistory) -> Question:
        """A question whose answer has no item that its user does not want, by the run and the stored events together.

        question  about the user, with what the run holds
        user      the raw id        recent  the user's stored events
        """
        if not (self.kinds.negatives and recent.items):
            return question
        rejected = rejected_items(self.recommender.artefact, self.kinds, None if recent.is_erased else user, recent)
        return replace(question, rejected=rejected)

    def _kept(self, user: RawId, recent: RecentHistory, window: int) -> _Kept:
        with self._lock:  # long answers are given in a thread
            kept = self._histories.get((user, window))
        if kept is not None and kept.recent is recent:  # the store makes another object when anything changes
            return kept
        run = RunHistory() if recent.is_erased else kept.run if kept else self.run_history(user, window)
        kept = _Kept(recent, run, one_history(run, self._interactions(recent), window))
        with self._lock:
            self._histories[user, window] = kept
        return kept

    def _interactions(self, recent: RecentHistory) -> list[Interaction]:
        """The stored events of a user that are history by the rules of the run."""
        kinds = recent.kinds or (None,) * len(recent.items)
        return [
            Interaction(self.raw_item(key), time)
            for key, time, kind in zip(recent.items, recent.times, kinds, strict=True)
            if self.kinds.is_history(kind)
        ]

    def is_known(self, user: RawId) -> bool:
        """Whether the model was trained on `user`."""
        artefact = self.recommender.artefact
        return bool(artefact.trained.lengths[artefact.users.lookup([user])[0]])

    def stored_length(self, user: RawId) -> int:
        """How many interactions the run holds of `user`."""
        artefact = self.recommender.artefact
        return int(artefact.histories.lengths[artefact.users.lookup([user])[0]])

    def knows_item(self, item: RawId) -> bool:
        """Whether the model was trained on `item`."""
        artefact = self.recommender.artefact
        return bool(artefact.knows_item[artefact.items.lookup([item])[0]])


def load_model(
    run: Path, items: Path | None, onnx: Path | None = None, max_cached: int = DEFAULT_CACHE_MB << 19
) -> LoadedModel:
    """Load a run, and check that it can answer.

    run    the run folder           items  a table of items, or None
    onnx   a file that was exported from this run and answers in its place, or None
    max_cached   how many bytes of histories the model keeps

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
    model = LoadedModel(recommender, Catalogue.of(recommender), version, trained_at, max_cached)
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


def _num_bytes_of(kept: _Kept) -> int:
    """About how much memory a kept history takes; raw ids that are texts may be shared, and count each time."""
    of_text = sum(getsizeof(item) for item in kept.run.items if isinstance(item, str))
    of_text += sum(getsizeof(item) for item in kept.history.items if isinstance(item, str))
    num_interactions = len(kept.run.items) + len(kept.history.items)
    of_question = 0 if kept.question is None else kept.question.num_bytes
    others = of_text + of_question + kept.recent.num_bytes
    return _BYTES_PER_HISTORY + _BYTES_PER_INTERACTION * num_interactions + others


def _raw_item(vocabulary: Vocabulary, key: str) -> RawId:
    [index] = vocabulary.lookup([key])
    return vocabulary.raw([index])[0] if index else key


def _run_history(artefact: Artefact, unit: int, user: RawId, length: int) -> RunHistory:
    index, tape = int(artefact.users.indices([user])[0]), artefact.histories
    end = int(tape.offsets[index + 1])
    rows = slice(max(int(tape.offsets[index]), end - length), end)
    times = None if tape.times is None else tuple(tape.times[rows].tolist())
    return RunHistory(tuple(artefact.items.raw(tape.items[rows])), times, unit)
