"""The questions that judge a run, in raw ids, so that runs with vocabularies of their own can answer them.

Shape suffix: Q questions.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from caser.answering.recommender import Recommender
from caser.arrays.types import Int32, Int64, Mask
from caser.data.id_text import written
from caser.data.split import Split
from caser.evaluation.protocol import Part
from caser.evaluation.protocols import parts
from caser.evaluation.slices import POPULARITY, popularity_groups

_TIMED = 100
"""The number of questions that runs answer one by one, in turns, to compare their time."""


@dataclass(frozen=True, eq=False)
class RawQuestions:
    """Questions in raw ids, which two runs with vocabularies of their own can answer.

    owners, histories, targets  one entry for each question; targets are written as text, because two runs may hold the
                                same id as a number and as text
    lengths_Q                   (Q,) int64, how many interactions the user had before the targets
    moments_Q                   (Q,) int64, the time of the first target in microseconds since 1970; None without times
    tied_Q                      (Q,) int64, how many of those interactions have that same time
    owners_Q                    (Q,) int32, the user or session that each question is about
    are_known                   whether a question names its user
    popular                     the items that have half of all interactions before the targets, written as text
    """

    owners: list[Any]
    histories: list[list[Any]]
    targets: list[list[str]]
    lengths_Q: Int64
    moments_Q: Int64 | None
    tied_Q: Int64
    owners_Q: Int32
    are_known: bool
    popular: frozenset[str]

    def __len__(self) -> int:
        return len(self.owners)

    def only(self, kept_Q: Mask) -> RawQuestions:
        """Return some of the questions, (Q,) bool."""
        kept = np.flatnonzero(kept_Q)
        owners, histories, targets = (
            [column[q] for q in kept] for column in (self.owners, self.histories, self.targets)
        )
        return replace(
            self,
            owners=owners,
            histories=histories,
            targets=targets,
            lengths_Q=self.lengths_Q[kept],
            moments_Q=None if self.moments_Q is None else self.moments_Q[kept],
            tied_Q=self.tied_Q[kept],
            owners_Q=self.owners_Q[kept],
        )


def questions_of(split: Split, part: Part) -> RawQuestions:
    """Return the questions of one part of a split.

    split  the split log
    part   which of its queries judge
    """
    tape, queries = parts(split, part)
    items, pieces = split.log.item_vocabulary, queries.target_offsets[1:-1]
    is_popular_I = popularity_groups(tape) == POPULARITY.index("head")
    lengths_Q = queries.ends - queries.starts_of_seen
    # Within a user, the log is in order of time, and the first target follows what the user had before.
    places_Q = np.searchsorted(split.log.users, queries.owners) + lengths_Q
    moments_Q = split.log.times[places_Q]
    first_tied_Q = [
        np.searchsorted(split.log.times[place - length : place], moment)
        for place, length, moment in zip(places_Q, lengths_Q, moments_Q, strict=True)
    ]
    spans = zip(queries.starts.tolist(), queries.ends.tolist(), strict=True)
    return RawQuestions(
        owners=split.log.user_vocabulary.raw(queries.owners),
        histories=[items.raw(queries.items[start:end]) for start, end in spans],
        targets=[_as_text(items.raw(some)) for some in np.split(queries.targets, pieces)],
        lengths_Q=lengths_Q,
        moments_Q=moments_Q if split.log.has_times else None,
        tied_Q=lengths_Q - np.array(first_tied_Q, dtype=np.int64),
        owners_Q=queries.owners,
        are_known=bool((queries.users > 0).all()),
        popular=frozenset(_as_text(items.raw(np.flatnonzero(is_popular_I)))),
    )


def _as_text(items: Sequence[Any]) -> list[str]:
    return [written(item) for item in items]


def unseen(asked: RawQuestions, run: Recommender) -> Mask:
    """Tell of which questions a run cannot have been trained on the targets.

    asked  the questions      run  a run, of the same split or of another log

    Returns (Q,) bool: whether the run was trained on nothing of the user from the moment of the first target on, but
    for what the question's history has of that moment. Without times, whether it was trained on no more interactions of
    the user than the history has.
    """
    trained = run.artefact.trained
    known_Q = run.artefact.users.indices(asked.owners)
    if asked.moments_Q is None or trained.times is None:
        unseen_Q: Mask = trained.lengths[known_Q] <= asked.lengths_Q
        return unseen_Q
    times, bounds = trained.times, zip(trained.offsets[known_Q], trained.offsets[known_Q + 1], strict=True)
    num_later = [
        end - start - np.searchsorted(times[start:end], moment)
        for (start, end), moment in zip(bounds, asked.moments_Q, strict=True)
    ]
    return np.array(num_later, dtype=np.int64) <= asked.tied_Q


def answers_of(run: Recommender, questions: RawQuestions, k: int) -> list[list[str]]:
    """Return the items of each answer, written as text.

    run  a recommender      questions  what is asked      k  the number of items in an answer
    """
    users = questions.owners if questions.are_known else None
    return [_as_text(answer.items) for answer in run.recommend(users, questions.histories, k=k)]


def milliseconds_of(runs: Sequence[Recommender], questions: RawQuestions, k: int) -> list[float]:
    """Return the median time of one answer of each run, in milliseconds; they take turns, so that both meet one load.

    runs  the recommenders      questions  what is asked, one by one      k  the number of items in an answer
    """
    seconds: list[list[float]] = [[] for _ in runs]
    for place in range(min(len(questions), _TIMED)):
        users = [questions.owners[place]] if questions.are_known else None
        for run, taken in zip(runs, seconds, strict=True):
            begun = time.perf_counter()
            run.recommend(users, [questions.histories[place]], k=k)
            taken.append(time.perf_counter() - begun)
    return [1e3 * statistics.median(taken) for taken in seconds]
