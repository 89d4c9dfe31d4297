"""From questions to answers: what is known of the user, the ranking, the rules, the reasons.

Questions that came together are asked of the recommender together, which is what makes a busy service fast. Works on
one model, the one given; nothing here waits or knows of HTTP.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from caser.answering.answers import Answer
from caser.answering.recommender import Recommender
from caser.arrays.types import RawId
from caser.service.answers.loaded_model import Live
from caser.service.answers.reasons import explain_items, patterns_of, with_titles
from caser.service.answers.rules import MOST_TRACED, Kept, Ruling, Walk
from caser.service.events.store import EventStore
from caser.service.schemas import Recommend

API_VERSION = "1"

_LONGEST_WALK = 5_000
"""A filter so narrow that a walk would be longer is asked of the model directly; the trace then omits it."""
_GROWTH = 8

Who: TypeAlias = tuple[RawId | None, tuple[RawId, ...] | None]
"""A user the model may know, and a history in place of the one it has."""


def who(live: Live, events: EventStore, window: int, question: Recommend) -> Who:
    """Whom a question is about: the run's history of the user, followed by the events since, where there are any."""
    user = question.user_id
    if user is None:
        return None, tuple(question.history or ())
    recent = events.recent(live.user_key(user))
    known = None if recent.is_erased else user
    if question.history is not None:
        return known, tuple(question.history)
    if recent.is_erased:
        return None, recent.items
    if not recent.items:
        return user, None
    return user, (*live.stored(user), *recent.items)[-window:]


def answer(live: Live, events: EventStore, window: int, questions: Sequence[Recommend]) -> list[dict[str, Any]]:
    """Answer questions, in order, as JSON values."""
    asked = [_Asked(live, question, who(live, events, window, question)) for question in questions]
    waiting = asked
    while waiting:
        groups: defaultdict[Any, list[_Asked]] = defaultdict(list)
        for one in waiting:
            groups[one.group].append(one)
        for group in groups.values():
            _ask(live.recommender, group)
        waiting = [one for one in waiting if not one.walked.is_done]
    return [one.to_dict() for one in asked]


@dataclass(eq=False)
class _Asked:
    """A question on its way to an answer."""

    live: Live
    question: Recommend
    who: Who

    def __post_init__(self) -> None:
        question, items = self.question, self.live.recommender.artefact.items
        self.excluded: list[int] = items.indices(question.exclude).tolist() if question.exclude else []
        self.ruling = Ruling(self.live.catalogue)
        if question.exclude or question.filters or question.rules is not None:
            exclude = frozenset(items.raw([index for index in self.excluded if index]))
            self.ruling = Ruling.of(self.live.catalogue, exclude, question.filters, question.rules)
        self.only: tuple[RawId, ...] | None = None if question.only is None else tuple(question.only)
        self.fetch = question.k
        if not self.ruling.is_idle:
            self._narrow()
        self.walked = Walk([], [], is_done=False)
        self.answer: Answer | None = None

    def _narrow(self) -> None:
        """Decide how much of the ranking to read first, or to ask for the matching items only."""
        where, num_items = self.ruling.where, len(self.live.recommender.artefact.items)
        self.fetch += len(self.ruling.exclude)
        if where and self.only is None:
            matching = self.live.catalogue.matching(where)
            depth = self.fetch * num_items // max(1, len(matching))
            if depth > _LONGEST_WALK:
                self.only = tuple(matching)
            else:
                self.fetch = max(self.fetch, depth)
        if self.question.rules is not None:
            self.fetch *= 4

    @property
    def group(self) -> Any:
        """Questions of one group can be asked together."""
        user, history = self.who
        return user is None, history is None, self.only, self.question.exclude_seen

    def take(self, answer: Answer, fetched: int) -> None:
        """Walk down what the recommender has ranked."""
        self.answer = answer
        if self.ruling.is_idle:
            self.walked = Walk(list(map(Kept, answer.items[: self.fetch], answer.scores)), [], is_done=True)
            return
        ranked = list(zip(answer.items, answer.scores, strict=True))
        self.walked = self.ruling.walk(ranked, self.question.k, is_whole=len(ranked) < fetched)
        self.fetch = fetched * _GROWTH

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON values."""
        answer, kept, catalogue = self.answer, self.walked.kept, self.live.catalogue
        titles = catalogue.titles
        items: list[dict[str, Any]] = []
        for rank, one in enumerate(kept, start=1):
            item: dict[str, Any] = {
                "rank": rank,
                "item_id": one.item,
                "score": one.score,
                "title": titles.get(one.item),
            }
            if one.boosted is not None:
                item["boosted"] = one.boosted
            items.append(item)
        reasons: dict[str, Any] = {}
        if self.question.explain and kept:
            asked = self.live.recommender.question(*self.who)
            whys = explain_items(self.live.recommender, asked, [one.item for one in kept])
            for item, why in zip(items, whys, strict=True):
                item["why"] = with_titles(why, catalogue)
            reasons = patterns_of(self.live.recommender, asked)
        ignored = _different((*(answer.ignored if answer else ()), *self._unknown_excluded()))
        return {
            "api_version": API_VERSION,
            "model_version": self.live.version,
            "user_id": self.question.user_id,
            "source": answer.source if answer else "popularity",
            "items": items,
            "ignored": ignored,
            "removed": [
                {"item_id": item, "title": titles.get(item), "rule": rule}
                for item, rule in self.walked.removed[:MOST_TRACED]
            ],
            "notes": self._notes(len(items), ignored),
            **reasons,
        }

    def _unknown_excluded(self) -> list[RawId]:
        return [raw for raw, index in zip(self.question.exclude, self.excluded, strict=False) if not index]

    def _notes(self, found: int, ignored: Sequence[RawId]) -> list[str]:
        notes = [f"ignored unknown items: {', '.join(map(str, ignored[:10]))}"] if ignored else []
        if not self.ruling.is_idle and (columns := self.ruling.unknown_columns):
            notes.append(f"no item has the attribute {', '.join(columns)}")
        if found < self.question.k:
            notes.append(f"there are only {found} such items")
        return notes


def _ask(recommender: Recommender, group: list[_Asked]) -> None:
    """Ask for a group at once; a shorter answer is the start of a longer one."""
    nobody, stored, only, exclude_seen = group[0].group
    most = max(one.fetch for one in group)
    answers = recommender.recommend(
        users=None if nobody else [one.who[0] for one in group],  # type: ignore[misc]
        histories=None if stored else [list(one.who[1] or ()) for one in group],
        k=most,
        only=only,
        exclude_seen=exclude_seen,
    )
    for one, found in zip(group, answers, strict=True):
        one.take(found, most)


def _different(values: Iterable[RawId]) -> list[RawId]:
    return list(dict.fromkeys(values))
