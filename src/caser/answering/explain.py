"""Explain a score: the parts that add up to it, and the effect of each item of the history.

Parts: a model with states scores an item by `state . item vector + bias`. The state has short-term columns, computed
from the history, and it may have columns that hold the user vector. So the score is an exact sum of three parts. For a
model without states, the score itself is the only part.

Effects: the effect of an item of the history is the score minus the score without that item. The other items and the
user vector stay the same, so an effect belongs to one part: to `short-term`, or to the score itself. Every model has
effects; of a long history, the last 500 items have one. They need not add up to their part, because a model may read
several items together, and may give an item some score without any history. The rest says how much is missing: part =
sum of effects + rest. Source: ours.

Shape suffixes: K items that are explained, H items of the history that have an effect, V = H + 1 versions of the
history (the whole one, then one without each item), D state width, I catalogue + padding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from caser.answering.answers import AnswerSource
from caser.answering.best_items import MEMORY_MB, questions_at_once
from caser.answering.questions import Question, UnknownUsers, scores_of, states_of
from caser.answering.recommender import Recommender
from caser.arrays.types import Floats, Int32, RawId
from caser.artefact.folder import Artefact
from caser.data.id_text import json_id
from caser.system.kinds import must_be

MOST_EFFECTS = 500
"""At most so many items of a history get an effect: the last ones. The effects of earlier ones are in the rest."""

_MOST_VERSIONS = 64
"""Most versions of a history that are scored at once; the states of a network need memory too."""


@dataclass(frozen=True)
class Effect:
    """The effect of one item of the history.

    item_id  the item's raw id
    title    its title; None if it has none
    effect   the score with the item minus the score without it
    """

    item_id: RawId
    title: str | None
    effect: float

    def to_dict(self) -> dict[str, Any]:
        """Return the effect as JSON values, the id as `id_text.json_id` gives it."""
        return {"item_id": json_id(self.item_id), "title": self.title, "effect": self.effect}


@dataclass(frozen=True)
class Explanation:
    """Why an item has its score for a user or a history.

    item_id     the item's raw id
    title       its title; None if it has none
    user_id     the user's raw id; None for a history without a user
    source      how the user or the history was represented, such as "known user" or "fold-in"
    score       the item's score
    parts       `short-term`, `lasting taste` and `bias`, which add up to `score`. A model without user vectors has no
                `lasting taste`; a model without states has one part, `score`
    history     the effects of the last 500 items that the model read, oldest first
    effects_of  the name of the part to which the effects belong: `short-term`, or `score`
    rest        what the effects do not explain of that part: the effects and the rest add up to it
    """

    item_id: RawId
    title: str | None
    user_id: RawId | None
    source: AnswerSource
    score: float
    parts: dict[str, float]
    history: list[Effect]
    effects_of: str
    rest: float

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as JSON values, ids as `id_text.json_id` gives them."""
        return {
            "item_id": json_id(self.item_id),
            "title": self.title,
            "user_id": None if self.user_id is None else json_id(self.user_id),
            "source": self.source,
            "score": self.score,
            "parts": self.parts,
            "history": [effect.to_dict() for effect in self.history],
            "effects_of": self.effects_of,
            "rest": self.rest,
        }


def explain(
    recommender: Recommender,
    *,
    item: RawId,
    user: RawId | None = None,
    history: Iterable[RawId] | None = None,
    unknown_users: UnknownUsers = "auto",
) -> Explanation:
    """Explain the score of an item for a user, for a history, or for a user with another history.

    recommender    the model that gives the score
    item           the item's raw id
    user           the user's raw id, or None
    history        raw ids of items, oldest first; None takes the user's stored history
    unknown_users  what replaces the user vector of a user who was not in the training data

    Everything but the recommender is named, because an item and a user that are swapped would both be ids. Raises
    UnknownIdError for an item that was not in the training data. Raises ConfigError for an argument of the wrong
    kind, such as a list of items, for an unknown value of `unknown_users`, and for "learned" if the run did not learn
    an anonymous user vector.

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> from caser.fitting.fit import fit
    >>> from caser.models.counting.markov import Markov
    >>> recommender = fit(Markov(), leave_one_out(chain_world(num_users=20, num_items=6, length=9, seed=0).log))
    >>> best = recommender.recommend(histories=[2, 1], k=1)[0].items[0]
    >>> explanation = explain(recommender, item=best, history=[2, 1])
    >>> [effect.item_id for effect in explanation.history], explanation.history[0].effect > 0  # Markov reads one item
    ([1], True)
    """
    must_be("recommender", recommender, Recommender, "a recommender, which caser.fit and caser.load return")
    artefact = recommender.artefact
    index = recommender.trained_item(item)
    question = recommender.question(user, history, unknown_users)
    why = reasons(artefact, question, np.array([index], dtype=np.int32))
    titles = {} if artefact.titles is None else dict(enumerate(artefact.titles.to_list(), start=1))
    return Explanation(
        item_id=artefact.items.raw([index])[0],
        title=titles.get(index),
        user_id=question.raw,
        source=question.source,
        score=float(why.scores_K[0]),
        parts={name: float(part_K[0]) for name, part_K in why.parts.items()},
        history=[
            Effect(raw, titles.get(read_item), float(effect_K[0]))
            for raw, read_item, effect_K in zip(
                artefact.items.raw(why.read_H), why.read_H.tolist(), why.effects_HK, strict=True
            )
        ],
        effects_of=why.effects_of,
        rest=float(why.rest[0]),
    )


@dataclass(frozen=True, eq=False)
class Reasons:
    """Why K items have their scores in the answer to one question.

    scores_K    (K,) float64, the score of each item
    parts       (K,) float64 by the name of the part; the parts of an item add up to its score. The effects belong to
                the first
    read_H      (H,) int32, the last items of the history that the model read, at most `MOST_EFFECTS`, oldest first
    effects_HK  (H, K) float64, the effect of each item of the history on each score
    """

    scores_K: Floats
    parts: dict[str, Floats]
    read_H: Int32
    effects_HK: Floats

    @property
    def effects_of(self) -> str:
        """The name of the part to which the effects belong, which is the first."""
        return next(iter(self.parts))

    @property
    def rest(self) -> Floats:
        """What the effects do not explain of that part, (K,) float64."""
        rest_K: Floats = self.parts[self.effects_of] - self.effects_HK.sum(axis=0)
        return rest_K


def reasons(artefact: Artefact, question: Question, items_K: Int32) -> Reasons:
    """Explain the scores of several items at once.

    artefact  the model that gives the scores
    question  the user and the history
    items_K   (K,) int32, the indices of the items

    The whole history is scored, and the H histories that lack one of the last items each.
    """
    # A question without a history is answered by popularity. There is no item that could have an effect.
    if question.source == "popularity":
        counts_K = artefact.trained.item_counts[items_K].astype(float)
        return Reasons(counts_K, {"score": counts_K}, question.history[:0], np.empty((0, len(items_K))))
    length = artefact.scorer.history_length
    read = question.history if length is None else question.history[-length:]
    read_H = read[-MOST_EFFECTS:]
    scorer = artefact.state_scorer
    # A model without states has effects, and one part: the score.
    if scorer is None:
        columns_K = items_K.astype(np.int64)
        scores_VK = np.concatenate(
            [scores_of(artefact, block)(columns_K) for block in _versions(artefact, question, read)]
        ).astype(float)
        return Reasons(scores_VK[0], {"score": scores_VK[0]}, read_H, scores_VK[0] - scores_VK[1:])
    # A model with states: split the dot product of state and item vector into the columns of each part.
    vectors_ID, bias_I = scorer.item_vectors()
    states_VD = np.concatenate([states_of(scorer, block) for block in _versions(artefact, question, read)]).astype(
        float
    )
    scores_VK = states_VD @ vectors_ID[items_K].T + bias_I[items_K]
    terms_KD = states_VD[0] * vectors_ID[items_K]
    is_user_column_D = np.zeros(states_VD.shape[1], dtype=bool)
    if scorer.user_columns is not None:
        is_user_column_D[scorer.user_columns] = True
    parts = {"short-term": terms_KD[:, ~is_user_column_D].sum(axis=1)}
    if scorer.user_columns is not None:
        parts["lasting taste"] = terms_KD[:, is_user_column_D].sum(axis=1)
    parts["bias"] = bias_I[items_K].astype(float)
    return Reasons(scores_VK[0], parts, read_H, scores_VK[0] - scores_VK[1:])


def _versions(artefact: Artefact, question: Question, read: Int32) -> Iterator[list[Question]]:
    """Yield the V versions of a question, some at a time, so that their scores fit into the memory for answering.

    The first has the whole history. Each other has padding in place of one item, so the others keep their places.
    """
    size = min(questions_at_once(artefact, MEMORY_MB, every_score=True), _MOST_VERSIONS)
    places = [0, *range(max(0, len(read) - MOST_EFFECTS) + 1, len(read) + 1)]
    for start in range(0, len(places), size):
        yield [replace(question, history=_without(read, place)) for place in places[start : start + size]]


def _without(read: Int32, place: int) -> Int32:
    """Return the history with padding in place of its item number `place`, counted from 1; 0 takes nothing out.

    >>> [_without(np.array([7, 9], dtype=np.int32), place).tolist() for place in (0, 1, 2)]
    [[7, 9], [0, 9], [7, 0]]
    """
    history = read.copy()
    history[place - 1 : place] = 0
    return history
