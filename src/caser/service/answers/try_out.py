"""Tries a model before it is served: it must answer in every way, explain, and describe itself.

Whatever goes wrong here is an ArtefactError, so that a run which fails at its first answer is refused, and the model
that is served stays.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

from caser.data.id_text import json_id, written
from caser.errors import ArtefactError, CaserError
from caser.service.answers.answer import Question, answer_questions
from caser.service.answers.loaded_model import LoadedModel
from caser.service.events.store import RecentHistory
from caser.service.request_schemas import RecommendRequest
from caser.service.response_schemas import ModelResponse, RecommendResponse


def try_out(model: LoadedModel, window: int, facts: dict[str, Any]) -> None:
    """Answer one question of each kind, and describe the model, as the service would.

    model   the model to try                            window  how many last interactions count
    facts   the description of the model, as `/v1/model` gives it

    Raises ArtefactError if any of it fails, for whatever reason.
    """
    artefact = model.recommender.artefact
    [popular] = artefact.items.raw([int(np.argmax(artefact.trained.item_counts[1:])) + 1])
    [user] = artefact.users.raw([max(1, int(artefact.trained.lengths.argmax()))])
    just_now = RecentHistory((written(popular),), (time.time(),))
    questions = [
        Question(RecommendRequest()),
        Question(RecommendRequest.model_construct(user_id=json_id(user), k=3)),
        Question(RecommendRequest.model_construct(user_id=json_id(user), k=3, exclude_seen=False), just_now),
        Question(RecommendRequest.model_construct(history=[json_id(popular)], k=3, exclude_seen=False, explain=True)),
    ]
    try:
        for answer in answer_questions(model, window, questions):
            _write(RecommendResponse, answer)
        model.recommender.similar([popular], k=3)
        _write(ModelResponse, facts)
    except Exception as error:
        reason = error if isinstance(error, CaserError) else f"it raised {type(error).__name__}."
        raise ArtefactError(f"a run must answer and describe itself; this one failed: {reason}") from None


def _write(schema: type[ModelResponse | RecommendResponse], values: dict[str, Any]) -> None:
    """Check a response against its schema, and write it as JSON."""
    json.dumps(schema.model_validate(values).model_dump(mode="json", exclude_unset=True), allow_nan=False)
