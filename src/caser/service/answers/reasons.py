"""Why each item of an answer has its score, as JSON values, and which of Caser's filters fired.

`caser.answering.explain` finds the reasons, for all items of the answer at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caser.answering.explain import reasons
from caser.answering.patterns import filters_fired
from caser.answering.questions import Question
from caser.answering.recommender import Recommender
from caser.arrays.types import RawId
from caser.models.caser.caser import Caser
from caser.service.answers.catalogue import Catalogue


def explain_items(recommender: Recommender, question: Question, items: Sequence[RawId]) -> list[dict[str, Any]]:
    """`parts` and `history` of each item, as JSON values; titles are added by `with_titles`."""
    artefact = recommender.artefact
    found = reasons(artefact, question, artefact.items.indices(items))
    taken = artefact.items.raw(found.read_H)
    return [
        {
            "parts": {name: float(part_K[place]) for name, part_K in found.parts.items()},
            "history": [
                {"item_id": item, "effect": float(effect_K[place])}
                for item, effect_K in zip(taken, found.effects_HK, strict=True)
            ],
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
    return {"patterns": filters_fired(recommender, history).to_dict()}
