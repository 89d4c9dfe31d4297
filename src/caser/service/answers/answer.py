"""Turns questions into answers: finds each user's history, ranks, applies business rules, and explains scores.

Questions that arrive together are ranked together; this makes a busy service fast. All questions are answered by the
one model that is given. Only what reads stored events waits. Nothing here knows about HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from caser.answering.chances import about_chances, calibration_of, chances_in
from caser.answering.questions import Question as QuestionInIndices
from caser.answering.questions import hints_about
from caser.answering.reading import Reading, read
from caser.answering.rules import NO_RULES, CompiledRules
from caser.arrays.types import RawId
from caser.data.id_text import in_words, json_id, written
from caser.service.answers.loaded_model import LoadedModel
from caser.service.answers.reasons import explain_items, patterns_of
from caser.service.events.histories import Histories
from caser.service.events.store import RecentHistory
from caser.service.request_schemas import RecommendRequest

API_VERSION = "1"

MAX_REMOVED_LISTED = 100
"""How many removed items an answer lists."""

_NO_EVENTS = RecentHistory()


class Question(NamedTuple):
    """A question, and what its answer needs of the store.

    request  the question as it was asked
    recent   the stored events of its user; none without a user; None if they were not read
    """

    request: RecommendRequest
    recent: RecentHistory | None = _NO_EVENTS


async def with_recent(histories: Histories, requests: Sequence[RecommendRequest]) -> list[Question]:
    """Read the stored events of the users of some questions, all at once.

    histories  the users' events       requests  the questions

    Raises StoreError when the store cannot be read.
    """
    users = [written(request.user_id) for request in requests if request.user_id is not None]
    recent = iter(await histories.recent_many(users) if users else ())
    return [Question(request, _NO_EVENTS if request.user_id is None else next(recent)) for request in requests]


def in_indices(model: LoadedModel, window: int, question: Question) -> QuestionInIndices:
    """Find the user and the history to recommend for.

    model     knows the users and histories of the run       window  how many last interactions count
    question  with the stored events of its user

    Without a history in the question, it is the one history of the user (see `one_history.py`).
    """
    (request, recent), ask = question, model.recommender.question
    user, recent = request.user_id, recent or _NO_EVENTS
    if user is None:
        return ask(None, request.history or ())
    if request.history is not None:
        asked = ask(None if recent.is_erased else user, request.history)
        return model.without_rejected(asked, user, recent)
    return model.question(user, recent, window) if recent.items or recent.is_erased else ask(user)


async def question_costs(
    model: LoadedModel,
    histories: Histories,
    window: int,
    requests: Sequence[RecommendRequest],
    places: Sequence[str] = ("",),
) -> list[int]:
    """Return what each question costs. The events of a user are read only where the cost depends on them.

    model      would answer them                       histories  the users' events
    window     how many last interactions count        requests   the questions
    places     where each stands in the request

    Raises as `question_cost` and `with_recent` do.
    """
    questions = [Question(request, None) for request in requests]
    needed = [number for number, request in enumerate(requests) if _costs_by_history(model, request)]
    if needed:
        for number, read in zip(needed, await with_recent(histories, [requests[n] for n in needed]), strict=True):
            questions[number] = read
    return [question_cost(model, window, one, place) for one, place in zip(questions, places, strict=True)]


def question_cost(model: LoadedModel, window: int, question: Question, place: str = "") -> int:
    """Return what a question costs (see `cost.py`). Nothing is answered.

    model     would answer it                    window  how many last interactions count
    question  with the stored events of its user, if its cost depends on them
    place     where it stands in the request, for the sentence about an error, such as "questions[3]."

    Raises ConfigError for a rule that does not fit the table of items, and for chances of a run that learned none.
    """
    request, recent = question
    if request.chance:
        calibration_of(model.recommender.artefact, place)
    rules = compiled_rules(model, request, place)
    length, folded = 0, 0
    if recent is not None:
        user = request.user_id
        if user is None or request.history is not None:
            length = len(request.history or ())
        else:
            length = model.history_length(user, recent, window)
        is_folded = model.costs.folds_in and (user is None or not model.is_known(user))
        folded = length if is_folded else 0
    return model.costs.question(request, rules, read=length, folded=folded)


def answer_questions(model: LoadedModel, window: int, questions: Sequence[Question]) -> list[dict[str, Any]]:
    """Answer questions.

    model  answers them       window  how many last interactions count       questions  with their users' stored events

    Returns one answer for each question, in order, as JSON values (see `RecommendResponse`).
    """
    pending = [PendingQuestion(model, one.request, in_indices(model, window, one)) for one in questions]
    artefact = model.recommender.artefact
    read(artefact, [question.reading for question in pending])
    if with_chance := [question for question in pending if question.request.chance]:
        found = chances_in(artefact, [question.reading for question in with_chance])
        for question, chances in zip(with_chance, found, strict=True):
            question.chances = chances
    return [question.to_dict() for question in pending]


def _costs_by_history(model: LoadedModel, request: RecommendRequest) -> bool:
    user = request.user_id
    return request.explain or (model.costs.folds_in and (user is None or not model.is_known(user)))


class PendingQuestion:
    """A question that is being answered.

    model     answers it                       request  the question as it was asked
    question  for whom, from `in_indices`
    chances   the chance of each item of the answer; None if nobody asked
    """

    def __init__(self, model: LoadedModel, request: RecommendRequest, question: QuestionInIndices) -> None:
        self.model, self.request = model, request
        rules = compiled_rules(model, request)
        wanted = model.recommender.wanted(rules, request.exclude or None, request.only, listed_for=request.k)
        self.reading = Reading(question, wanted, request.k, request.exclude_seen)
        self.chances: list[float | None] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON values (see `RecommendResponse`)."""
        reading, titles, user = self.reading, self.model.catalogue.titles, self.request.user_id
        boosts_I, raw = reading.wanted.boosts, self.model.recommender.artefact.items.raw
        items: list[dict[str, Any]] = []
        for rank, (index, one, score) in enumerate(
            zip(reading.items, raw(reading.items), reading.scores, strict=True), start=1
        ):
            item: dict[str, Any] = {"rank": rank, "item_id": json_id(one), "score": score, "title": titles.get(one)}
            if boosts_I is not None and boosts_I[index]:
                item["boosted"] = float(boosts_I[index])
            if self.chances is not None:
                item["chance"] = self.chances[rank - 1]
            items.append(item)
        ignored = list(dict.fromkeys((*reading.question.ignored, *reading.wanted.ignored)))
        removed = reading.removed[:MAX_REMOVED_LISTED]
        values = {
            "api_version": API_VERSION,
            "model_version": self.model.version,
            "user_id": None if user is None else json_id(user),
            "source": reading.question.source,
            "items": items,
            "ignored": list(map(json_id, ignored)),
            "removed": [
                {"item_id": json_id(item), "title": titles.get(item), "rule": rule}
                for item, (_, rule) in zip(raw([index for index, _ in removed]), removed, strict=True)
            ],
            "notes": self._notes(ignored),
        }
        if self.request.explain and items:
            values |= self._explain(items)
        return values

    def _explain(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        """Add `why` to each item, and return `patterns` for Caser."""
        recommender, question = self.model.recommender, self.reading.question
        ids = recommender.artefact.items.raw(self.reading.items)
        for item, why in zip(items, explain_items(recommender, question, ids, self.model.catalogue), strict=True):
            item["why"] = why
        return patterns_of(recommender, question)

    def _notes(self, ignored: Sequence[RawId]) -> list[str]:
        notes = [f"ignored unknown items: {', '.join(map(in_words, ignored[:10]))}"] if ignored else []
        notes += [*hints_about(self.model.recommender.artefact, self.reading.question), *self.reading.remarks]
        return notes if self.chances is None else [*notes, *about_chances(self.reading.question, self.chances)]


def compiled_rules(model: LoadedModel, request: RecommendRequest, place: str = "") -> CompiledRules:
    """Compile the filters and rules of a question.

    model  knows the table of items        request  the question
    place  where the question stands in the request, for the sentence about an error, such as "questions[3]."

    Raises ConfigError for a rule that does not fit the table of items.
    """
    if not request.filters and request.rules is None:
        return NO_RULES
    asked = request.model_dump(include={"filters", "rules"})
    return model.recommender.compiled(asked["filters"], asked["rules"], place)
