"""Where a score comes from: the parts of its sum, and what each item of the history does to it.

The parts are exact: score = short-term state . vector + user vector . vector + bias. The effect of an item of the
history is what the score would lose without it, the other items and the user vector staying as they are; effects need
not add up, because filters look at items together. Every model has effects; parts has one whose score is such a sum.
Source: ours.

Shape suffixes: K items that are explained, H items of the history, V versions of it (whole, and without each), D state
width, I catalogue + padding.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caser.answering import questions
from caser.answering.answers import AnswerSource
from caser.answering.questions import Question, UnknownUsers
from caser.answering.recommender import Recommender
from caser.arrays.types import Int32, RawId
from caser.artefact.folder import Artefact

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Effect:
    """One item of the history, and the score with it minus the score without it."""

    item_id: RawId
    title: str | None
    effect: float


@dataclass(frozen=True)
class Explanation:
    """Why an item has its score for a user.

    parts    `short-term`, `lasting taste` and `bias`, which add up to `score`; only `score` for other models
    history  the items that the model read, oldest first       source  how the user was answered
    """

    item_id: RawId
    title: str | None
    user_id: RawId | None
    source: AnswerSource
    score: float
    parts: dict[str, float]
    history: list[Effect]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def explain(
    recommender: Recommender,
    item: RawId,
    user: RawId | None = None,
    history: Iterable[RawId] | None = None,
    unknown_users: UnknownUsers = "auto",
) -> Explanation:
    """Explain the score of `item` for a user, a history, or a user with another history.

    Raises UnknownIdError for an item that the model was not trained on.

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> from caser.fitting.fit import fit
    >>> from caser.models.counting.markov import Markov
    >>> recommender = fit(Markov(), leave_one_out(chain_world(num_users=20, num_items=6, length=9, seed=0).log))
    >>> best = recommender.recommend(histories=[2, 1], k=1)[0].items[0]
    >>> found = explain(recommender, item=best, history=[2, 1])
    >>> [effect.item_id for effect in found.history], found.history[0].effect > 0  # Markov reads one item
    ([1], True)
    """
    artefact = recommender.artefact
    index = recommender.trained_item(item)
    question = recommender.question(user, history, unknown_users)
    found = reasons(artefact, question, np.array([index], dtype=np.int32))
    titles = {} if artefact.titles is None else dict(enumerate(artefact.titles.to_list(), start=1))
    return Explanation(
        item_id=artefact.items.raw([index])[0],
        title=titles.get(index),
        user_id=question.raw,
        source=question.source,
        score=float(found.scores_K[0]),
        parts={name: float(part_K[0]) for name, part_K in found.parts.items()},
        history=[
            Effect(raw, titles.get(other), float(effect_K[0]))
            for raw, other, effect_K in zip(
                artefact.items.raw(found.read_H), found.read_H.tolist(), found.effects_HK, strict=True
            )
        ],
    )


@dataclass(frozen=True, eq=False)
class Reasons:
    """Why some items have their scores in answer to one question.

    scores_K, parts  of each item, the parts adding up to the score
    read_H  the items of the history that were read, oldest first      effects_HK  what each does to each score
    """

    scores_K: Floats
    parts: dict[str, Floats]
    read_H: Int32
    effects_HK: Floats


def reasons(artefact: Artefact, question: Question, items_K: Int32) -> Reasons:
    """Explain the scores of items at once: the history, and it without each of its items, are one batch."""
    if question.source == "popularity":
        counts_K = artefact.histories.item_counts[items_K].astype(float)
        return Reasons(counts_K, {"score": counts_K}, question.history[:0], np.empty((0, len(items_K))))
    length = artefact.scorer.history_length
    read_H = question.history if length is None else question.history[-length:]
    versions = [replace(question, history=history) for history in (read_H, *_without_each(read_H))]
    scorer = artefact.state_scorer
    if scorer is None:
        scores_VK = questions.scores_of(artefact, versions)(items_K.astype(np.int64)).astype(float)
        return Reasons(scores_VK[0], {"score": scores_VK[0]}, read_H, scores_VK[0] - scores_VK[1:])
    vectors_ID, bias_I = scorer.item_vectors()
    states_VD = questions.states(scorer, versions).astype(float)
    scores_VK = states_VD @ vectors_ID[items_K].T + bias_I[items_K]
    terms_KD = states_VD[0] * vectors_ID[items_K]
    is_taste_D = np.zeros(states_VD.shape[1], dtype=bool)
    if scorer.user_columns is not None:
        is_taste_D[scorer.user_columns] = True
    parts = {
        "short-term": terms_KD[:, ~is_taste_D].sum(axis=1),
        "lasting taste": terms_KD[:, is_taste_D].sum(axis=1),
        "bias": bias_I[items_K].astype(float),
    }
    return Reasons(scores_VK[0], parts, read_H, scores_VK[0] - scores_VK[1:])


def _without_each(read_H: Int32) -> Int32:
    """The history without each of its items: padding stands in the place of it.

    >>> _without_each(np.array([7, 9], dtype=np.int32)).tolist()
    [[0, 9], [7, 0]]
    """
    return read_H * (1 - np.eye(len(read_H), dtype=np.int32))
