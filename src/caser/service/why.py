"""Why each item of an answer has its score, for all items of the answer at once.

The same split and the same effects as `caser.explain`: parts that add up to the score, and what the score loses without
each item of the history. All histories with one item left out are scored as one batch.

Shape suffixes: H items of the history that the model reads, K items of the answer, V = H + 1 versions, I catalogue, D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from caser import questions
from caser.data.log import RawId
from caser.data.tape import pad_left
from caser.models.base import StateScorer
from caser.questions import Question
from caser.recommender import Recommender
from caser.service.catalogue import Catalogue


def explain_items(recommender: Recommender, question: Question, items: Sequence[RawId]) -> list[dict[str, Any]]:
    """`parts` and `history` of each item, as JSON values; titles are added by `with_titles`."""
    artefact = recommender.artefact
    chosen_K = artefact.items.indices(items)
    length = artefact.scorer.history_length
    read_H = question.history if length is None else question.history[-length:]
    versions = [replace(question, history=read_H)]
    if question.source != "popularity":
        for place in range(len(read_H)):
            without_H = read_H.copy()
            without_H[place] = 0
            versions.append(replace(question, history=without_H))
    scores_VK = questions.scores(artefact, versions)[:, chosen_K].astype(float)
    parts = _parts(recommender, versions[0], chosen_K)
    taken = artefact.items.raw(read_H)
    return [
        {
            "parts": {name: float(values_K[place]) for name, values_K in parts.items()}
            or {"score": float(scores_VK[0, place])},
            "history": [
                {"item_id": item, "effect": float(scores_VK[0, place] - scores_VK[1 + row, place])}
                for row, item in enumerate(taken[: len(versions) - 1])
            ],
        }
        for place in range(len(items))
    ]


def with_titles(why: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """Add the titles of the history."""
    effects = [{**effect, "title": catalogue.title(effect["item_id"])} for effect in why["history"]]
    return {**why, "history": effects}


def _parts(recommender: Recommender, question: Question, chosen_K: Any) -> dict[str, Any]:
    """Short-term, lasting taste and bias; empty for a model whose score is no such sum."""
    scorer = recommender.artefact.scorer
    if not isinstance(scorer, StateScorer) or question.source == "popularity":
        return {}
    vectors_ID, bias_I = scorer.item_vectors()
    user = np.array([question.user], dtype=np.int32) if question.vector is None else question.vector[None, :]
    state_D = scorer.states(user, pad_left([question.history], scorer.history_length or None))[0].astype(float)
    terms_KD = state_D * vectors_ID[chosen_K]
    is_taste_D = np.zeros(len(state_D), dtype=bool)
    if scorer.user_columns is not None:
        is_taste_D[scorer.user_columns] = True
    return {
        "short-term": terms_KD[:, ~is_taste_D].sum(axis=1),
        "lasting taste": terms_KD[:, is_taste_D].sum(axis=1),
        "bias": bias_I[chosen_K],
    }
