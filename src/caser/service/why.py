"""Why each item of an answer has its score, for all items of the answer at once.

The same split and the same effects as `caser.explain`: parts that add up to the score, and what the score loses without
each item of the history. All histories with one item left out are scored as one batch, for these items only.

Shape suffixes: K items of the answer, V versions of the history (whole, and without each item), H, D, E.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caser.data.log import Int32, RawId
from caser.data.tape import pad_left
from caser.models.base import StateScorer
from caser.models.caser import Caser
from caser.patterns import filters_fired
from caser.questions import Question
from caser.recommender import Recommender
from caser.service.catalogue import Catalogue

Floats = NDArray[np.float64]


def explain_items(recommender: Recommender, question: Question, items: Sequence[RawId]) -> list[dict[str, Any]]:
    """`parts` and `history` of each item, as JSON values; titles are added by `with_titles`."""
    artefact = recommender.artefact
    chosen_K = artefact.items.indices(items)
    length = artefact.scorer.history_length
    read_H = question.history if length is None else question.history[-length:]
    if question.source == "popularity":
        scores_VK = artefact.histories.item_counts[chosen_K].astype(float)[None, :]
        parts: dict[str, Floats] = {"score": scores_VK[0]}
    else:
        scores_VK, parts = _scores(recommender, question, _versions(read_H, length), chosen_K)
    taken = artefact.items.raw(read_H[: len(scores_VK) - 1])
    effects_VK = scores_VK[0] - scores_VK[1:]
    return [
        {
            "parts": {name: float(values_K[place]) for name, values_K in parts.items()},
            "history": [{"item_id": item, "effect": float(effects_VK[row, place])} for row, item in enumerate(taken)],
        }
        for place in range(len(items))
    ]


def with_titles(why: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """Add the titles of the history."""
    effects = [{**effect, "title": catalogue.title(effect["item_id"])} for effect in why["history"]]
    return {**why, "history": effects}


def patterns_of(recommender: Recommender, question: Question) -> dict[str, Any]:
    """`patterns`, which filters fired on which items of the history, for Caser; nothing for another model."""
    artefact = recommender.artefact
    if not isinstance(artefact.config, Caser) or not artefact.config.has_branches or question.source == "popularity":
        return {}
    history = artefact.items.raw(question.history[-artefact.config.L :])
    return {"patterns": filters_fired(artefact, history).to_dict()}


def _versions(read_H: Int32, length: int | None) -> Int32:
    """The history, and the history without each of its items.

    >>> _versions(np.array([7, 9], dtype=np.int32), length=3).tolist()
    [[0, 7, 9], [0, 0, 9], [0, 7, 0]]
    """
    whole = pad_left([read_H], length or max(1, len(read_H)))
    versions = np.repeat(whole, len(read_H) + 1, axis=0)
    places = np.arange(len(read_H))
    versions[places + 1, versions.shape[1] - len(read_H) + places] = 0
    return versions


def _scores(
    recommender: Recommender, question: Question, versions_VH: Int32, chosen_K: Int32
) -> tuple[Floats, dict[str, Floats]]:
    """Scores of the chosen items for each version, and the parts of those of the first."""
    scorer = recommender.artefact.scorer
    users_V = np.full(len(versions_VH), question.user, dtype=np.int32)
    if not isinstance(scorer, StateScorer):
        scores_VK = scorer.scores(users_V, versions_VH)[:, chosen_K].astype(float)
        return scores_VK, {"score": scores_VK[0]}
    vectors_ID, bias_I = scorer.item_vectors()
    vector = question.vector
    users = users_V if vector is None else np.tile(vector.astype(vectors_ID.dtype), (len(versions_VH), 1))
    states_VD = scorer.states(users, versions_VH).astype(float)
    terms_KD = states_VD[0] * vectors_ID[chosen_K]
    is_taste_D = np.zeros(states_VD.shape[1], dtype=bool)
    if scorer.user_columns is not None:
        is_taste_D[scorer.user_columns] = True
    parts = {
        "short-term": terms_KD[:, ~is_taste_D].sum(axis=1),
        "lasting taste": terms_KD[:, is_taste_D].sum(axis=1),
        "bias": bias_I[chosen_K].astype(float),
    }
    return states_VD @ vectors_ID[chosen_K].T + bias_I[chosen_K], parts
