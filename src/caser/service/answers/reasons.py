"""Explains the scores of an answer as JSON values: parts of each score, effects of the history, and Caser's filters.

`caser.answering.explain` computes the explanations, for all items of an answer at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caser.answering.explain import reasons
from caser.answering.patterns import patterns_in
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
    history = [(json_id(item), catalogue.title(item)) for item in artefact.items.raw(found.read_H)]
    parts = zip(*(part_K.tolist() for part_K in found.parts.values()), strict=True)
    return [
        {
            "parts": dict(zip(found.parts, values, strict=True)),
            "history": [
                {"item_id": item, "title": title, "effect": effect}
                for (item, title), effect in zip(history, effects, strict=True)
            ],
            "effects_of": found.effects_of,
            "rest": rest,
        }
        for values, effects, rest in zip(parts, found.effects_HK.T.tolist(), found.rest.tolist(), strict=True)
    ]


def patterns_of(recommender: Recommender, question: Question) -> dict[str, Any]:
    """Return `{"patterns": ...}`: which filters of Caser responded to which items of the history of `question`.

    Returns {} if the model of `recommender` is not Caser or has no filters, and if popularity answers the question.
    """
    artefact = recommender.artefact
    if not isinstance(artefact.config, Caser) or not artefact.config.has_branches or question.source == "popularity":
        return {}
    return {"patterns": patterns_in(recommender, artefact.config, question.history).to_dict()}
