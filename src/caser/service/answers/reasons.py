"""Explains the scores of an answer as JSON values: parts of each score, effects of the history, and Caser's filters.

`caser.answering.explain` computes the explanations, for all items of an answer at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caser.answering.explain import reasons
from caser.answering.patterns import filters_fired
from caser.answering.questions import Question
from caser.answering.recommender import Recommender
from caser.arrays.types import RawId
from caser.data.id_text import json_id
from caser.models.caser.caser import Caser
from caser.service.answers.catalogue import Catalogue


def explain_items(
    recommender: Recommender, question: Question, items: Sequence[RawId], catalogue: Catalogue
) -> list[dict[str, Any]]:
    """Explain the scores of recommended items, as JSON values.

    recommender  gives the scores                             question   the question that the items answer
    items        raw ids of recommended items                 catalogue  gives the titles of the history's items

    Returns one dictionary for each item: `parts` (name to value), `history` (item_id, title and effect), `effects_of`
    (the name of the part to which the effects belong) and `rest` (what they do not explain of it).
    """
    artefact = recommender.artefact
    found = reasons(artefact, question, artefact.items.indices(items))
    history = artefact.items.raw(found.read_H)
    titles = [catalogue.title(item) for item in history]
    return [
        {
            "parts": {name: float(part_K[position]) for name, part_K in found.parts.items()},
            "history": [
                {"item_id": json_id(item), "title": title, "effect": float(effect_K[position])}
                for item, title, effect_K in zip(history, titles, found.effects_HK, strict=True)
            ],
            "effects_of": found.effects_of,
            "rest": float(found.rest[position]),
        }
        for position in range(len(items))
    ]


def patterns_of(recommender: Recommender, question: Question) -> dict[str, Any]:
    """Return `{"patterns": ...}`: which filters of Caser responded to which items of the history of `question`.

    Returns {} if the model of `recommender` is not Caser or has no filters, and if popularity answers the question.
    """
    artefact = recommender.artefact
    if not isinstance(artefact.config, Caser) or not artefact.config.has_branches or question.source == "popularity":
        return {}
    history = artefact.items.raw(question.history[-artefact.config.window :])
    return {"patterns": filters_fired(recommender, history).to_dict()}
