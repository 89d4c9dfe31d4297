"""Where a score comes from: the parts of its sum, and what each item of the history does to it.

The parts are exact: score = short-term state . vector + user vector . vector + bias. The effect of an item of the
history is what the score would lose without it, the other items and the user vector staying as they are; effects need
not add up, because filters look at items together. Every model has effects; parts has one whose score is such a sum.
Source: ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from caser import questions
from caser.answers import Source
from caser.artefact import Artefact
from caser.data.log import RawId
from caser.questions import Question, UnknownUsers
from caser.recommender import Recommender


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
    source: Source
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
    >>> from caser.fitting import fit
    >>> from caser.models.markov import Markov
    >>> recommender = fit(Markov(), leave_one_out(chain_world(num_users=20, num_items=6, length=9, seed=0).log))
    >>> best = recommender.recommend(histories=[2, 1], k=1)[0].items[0]
    >>> found = explain(recommender, item=best, history=[2, 1])
    >>> [effect.item_id for effect in found.history], found.history[0].effect > 0  # Markov reads one item
    ([1], True)
    """
    artefact = recommender.artefact
    index = recommender.trained_item(item)
    question = recommender.question(user, history, unknown_users)
    length = artefact.scorer.history_length
    read = question.history if length is None else question.history[-length:]
    question = replace(question, history=read)
    score = _score(artefact, question, index)
    titles = {} if artefact.titles is None else dict(enumerate(artefact.titles.to_list(), start=1))
    effects = []
    for place, other in enumerate(read.tolist() if question.source != "popularity" else []):
        without = read.copy()
        without[place] = 0
        change = score - _score(artefact, replace(question, history=without), index)
        effects.append(Effect(artefact.items.raw([other])[0], titles.get(other), change))
    return Explanation(
        item_id=artefact.items.raw([index])[0],
        title=titles.get(index),
        user_id=question.raw,
        source=question.source,
        score=score,
        parts=_parts(artefact, question, index) or {"score": score},
        history=effects,
    )


def _score(artefact: Artefact, question: Question, index: int) -> float:
    return float(questions.scores_of(artefact, [question])(np.array([index]))[0, 0])


def _parts(artefact: Artefact, question: Question, index: int) -> dict[str, float]:
    scorer = artefact.state_scorer
    if scorer is None or question.source == "popularity":
        return {}
    vectors_ID, bias_I = scorer.item_vectors()
    terms_D = questions.states(scorer, [question])[0].astype(float) * vectors_ID[index]
    is_taste_D = np.zeros(len(terms_D), dtype=bool)
    if scorer.user_columns is not None:
        is_taste_D[scorer.user_columns] = True
    return {
        "short-term": float(terms_D[~is_taste_D].sum()),
        "lasting taste": float(terms_D[is_taste_D].sum()),
        "bias": float(bias_I[index]),
    }
