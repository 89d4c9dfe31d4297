"""Turns questions into answers: finds each user's history, ranks, applies business rules, and explains scores.

Questions that arrive together are ranked together; this makes a busy service fast. All questions are answered by the
one model that is given. Only what reads stored events waits. Nothing here knows about HTTP.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from caser.answering.answers import Answer
from caser.answering.questions import Question as QuestionInIndices
from caser.answering.questions import spelling_hints
from caser.answering.recommender import Recommender
from caser.answering.wanted_items import FILTERS_LEAVE, MODEL_KNOWS, ONLY_NAMES, Leaves, why_few
from caser.arrays.types import RawId
from caser.data.attributes import items_that_meet
from caser.data.id_text import in_words, json_id, written
from caser.service.answers.loaded_model import LoadedModel
from caser.service.answers.reasons import explain_items, patterns_of
from caser.service.answers.rules import MAX_REMOVED_LISTED, MOST_READ, CompiledRules, FilteredRanking, ScoredItem
from caser.service.events.histories import Histories
from caser.service.events.store import RecentHistory
from caser.service.request_schemas import RecommendRequest

API_VERSION = "1"

_MAX_READ_FOR_FILTERS = 5_000
"""If filters would need more of the ranking than this, only matching items are ranked; `removed` omits the others."""
_GROWTH = 8
"""When too few items pass the rules, this many times as much of the ranking is read next."""
_RULES_MARGIN = 4
"""With rules, this many times k items are read at first."""

_NO_EVENTS = RecentHistory()
_NOT_RANKED = FilteredRanking([], [], is_done=False)


class Question(NamedTuple):
    """A question, and what its answer needs of the store.

    request  the question as it was asked
    recent   the stored events of its user; none without a user; None if they were not read
    """

    request: RecommendRequest
    recent: RecentHistory | None = _NO_EVENTS


class _Group(NamedTuple):
    """What questions must have in common to be ranked in one call."""

    only: tuple[RawId, ...] | None
    exclude_seen: bool | None


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
        return ask(None if recent.is_erased else user, request.history)
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

    Raises ConfigError for a rule that does not fit the table of items.
    """
    request, recent = question
    rules, read, folded = None, 0, 0
    if request.filters or request.rules is not None:
        rules = CompiledRules.of(model.catalogue, frozenset(), request.filters, request.rules, place)
    if recent is not None:
        user = request.user_id
        if user is None or request.history is not None:
            read = len(request.history or ())
        else:
            read = model.history_length(user, recent, window)
        is_folded = model.costs.folds_in and (user is None or not model.is_known(user))
        folded = read if is_folded else 0
    return model.costs.question(request, rules, read=read, folded=folded)


def answer_questions(model: LoadedModel, window: int, questions: Sequence[Question]) -> list[dict[str, Any]]:
    """Answer questions.

    model  answers them       window  how many last interactions count       questions  with their users' stored events

    Returns one answer for each question, in order, as JSON values (see `RecommendResponse`).
    """
    pending = [PendingQuestion(model, one.request, in_indices(model, window, one)) for one in questions]
    unfinished = pending
    while unfinished:
        groups: defaultdict[_Group, list[PendingQuestion]] = defaultdict(list)
        for question in unfinished:
            groups[question.group].append(question)
        for group, members in groups.items():
            _rank_together(model.recommender, group, members)
        unfinished = [question for question in unfinished if not question.result.is_done]
    return [question.to_dict() for question in pending]


def _costs_by_history(model: LoadedModel, request: RecommendRequest) -> bool:
    user = request.user_id
    return request.explain or (model.costs.folds_in and (user is None or not model.is_known(user)))


class PendingQuestion:
    """A question that is being answered.

    model     answers it                       request  the question as it was asked
    question  for whom, from `in_indices`

    It asks for the first `fetch` items of the ranking, and for more if the rules leave fewer than k of them, up to
    `MOST_READ` items.
    """

    def __init__(self, model: LoadedModel, request: RecommendRequest, question: QuestionInIndices) -> None:
        self.model, self.request, self.question = model, request, question
        self.excluded: list[int] = []
        self.rules: CompiledRules | None = None
        """Its rules; None without any."""
        self.only: tuple[RawId, ...] | None = None if request.only is None else tuple(request.only)
        self.fetch = request.k
        if request.exclude or request.filters or request.rules is not None:
            items = model.recommender.artefact.items
            self.excluded = items.lookup(request.exclude)
            exclude = frozenset(items.raw([index for index in self.excluded if index]))
            rules = CompiledRules.of(model.catalogue, exclude, request.filters, request.rules)
            if not rules.is_empty:
                self.rules = rules
                self._plan_reading(rules)
        self.result = _NOT_RANKED
        self.is_cut = False
        self.answer: Answer | None = None

    def _plan_reading(self, rules: CompiledRules) -> None:
        """Decide how much of the ranking to read first, or to rank only the items that match the filters."""
        where, num_items = rules.where, self.model.costs.num_items
        self.fetch += len(rules.exclude)
        if where and self.only is None:
            most = min(condition.most for condition in where)
            num_matching = most if len(where) == 1 else len(items_that_meet(where))
            depth = self.fetch * num_items // max(1, num_matching)
            if depth > _MAX_READ_FOR_FILTERS:
                self.only = tuple(items_that_meet(where))
            else:
                self.fetch = max(self.fetch, depth)
        if self.request.rules is not None:
            self.fetch *= _RULES_MARGIN

    @property
    def group(self) -> _Group:
        """Questions with equal groups can be ranked together."""
        return _Group(self.only, self.request.exclude_seen)

    def take(self, answer: Answer, fetched: int) -> None:
        """Apply the rules to `answer`, for which the first `fetched` items of the ranking were asked."""
        self.answer = answer
        if self.rules is None:
            kept = list(map(ScoredItem, answer.items[: self.fetch], answer.scores))
            self.result = FilteredRanking(kept, [], is_done=True)
            return
        ranked = list(zip(answer.items, answer.scores, strict=True))
        is_whole = len(ranked) < fetched
        self.is_cut = not is_whole and fetched >= MOST_READ
        self.result = self.rules.apply(ranked, self.request.k, is_whole=is_whole or self.is_cut)
        self.fetch = min(fetched * _GROWTH, max(fetched, MOST_READ))

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON values (see `RecommendResponse`)."""
        answer, titles, user = self.answer, self.model.catalogue.titles, self.request.user_id
        items: list[dict[str, Any]] = []
        for rank, (raw, score, boosted) in enumerate(self.result.kept, start=1):
            item: dict[str, Any] = {"rank": rank, "item_id": json_id(raw), "score": score, "title": titles.get(raw)}
            if boosted is not None:
                item["boosted"] = boosted
            items.append(item)
        ignored = list(dict.fromkeys((*(answer.ignored if answer else ()), *self._unknown_excluded())))
        values = {
            "api_version": API_VERSION,
            "model_version": self.model.version,
            "user_id": None if user is None else json_id(user),
            "source": answer.source if answer else "popularity",
            "items": items,
            "ignored": list(map(json_id, ignored)),
            "removed": [
                {"item_id": json_id(item), "title": titles.get(item), "rule": rule}
                for item, rule in self.result.removed[:MAX_REMOVED_LISTED]
            ],
            "notes": self._notes(len(items), ignored),
        }
        if self.request.explain and items:
            values |= self._explain(items)
        return values

    def _explain(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        """Add `why` to each item, and return `patterns` for Caser."""
        recommender, question = self.model.recommender, self.question
        ids = [one.item for one in self.result.kept]
        for item, why in zip(items, explain_items(recommender, question, ids, self.model.catalogue), strict=True):
            item["why"] = why
        return patterns_of(recommender, question)

    def _unknown_excluded(self) -> list[RawId]:
        return [raw for raw, index in zip(self.request.exclude, self.excluded, strict=False) if not index]

    def _notes(self, num_found: int, ignored: Sequence[RawId]) -> list[str]:
        artefact = self.model.recommender.artefact
        notes = [f"ignored unknown items: {', '.join(map(in_words, ignored[:10]))}"] if ignored else []
        if self.request.user_id is not None and self.answer is not None and self.answer.source == "popularity":
            notes += spelling_hints(artefact.users, [self.request.user_id], "user")
        if ignored:
            notes += spelling_hints(artefact.items, ignored, "item")
        if self.rules is not None:
            notes += self.rules.unknown_values
        if num_found < self.request.k and self.is_cut:
            notes.append(
                f"only the first {MOST_READ:,} items of the ranking were read; a filter finds items after them"
            )
        elif num_found < self.request.k:
            notes.append(why_few(num_found, self.request.k, self._leaves()))
        return notes

    def _leaves(self) -> Leaves:
        """What decides how many items the answer can have at most."""
        if self.rules is not None and self.rules.where:
            return Leaves(FILTERS_LEAVE, len(items_that_meet(self.rules.where)))
        artefact = self.model.recommender.artefact
        is_trained = artefact.knows_item
        if self.request.only is None:
            return Leaves(MODEL_KNOWS, int(is_trained.sum()))
        return Leaves(ONLY_NAMES, int(is_trained[np.unique(artefact.items.indices(self.request.only))].sum()))


def _rank_together(recommender: Recommender, group: _Group, members: Sequence[PendingQuestion]) -> None:
    """Rank for all questions of a group in one call. A question that needs fewer items takes the first ones."""
    fetch = max(question.fetch for question in members)
    questions = [one.question for one in members]
    answers = recommender.answer(questions, k=fetch, only=group.only, exclude_seen=group.exclude_seen)
    for question, answer in zip(members, answers, strict=True):
        question.take(answer, fetch)
