"""Reads rankings from the top until rules leave enough items, for many questions at once.

Each item is kept, or removed by the first rule that it breaks, until k items are kept. So an answer has k items
wherever the catalogue allows it, and only the part of the ranking that is needed is read: a few times k items at first,
and `_GROWTH` times as many where these are not enough, up to `MOST_READ`. Every answer of the library comes from here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from caser.answering.best_items import MEMORY_MB, best_items, questions_at_once
from caser.answering.diversity import diverse, pool_size
from caser.answering.questions import Question
from caser.answering.wanted_items import MOST_READ, WantedItems
from caser.arrays.types import Scores
from caser.artefact.folder import Artefact
from caser.search.exact import TopK

_GROWTH = 8
"""When too few items pass the rules, this many times as much of the ranking is read next."""

_MOST_RESULTS = 2**20
"""How many items of rankings are held at once; one ranking may have more."""


class Reading:
    """One question, and what was found for it so far.

    question  the question        wanted  which items its answer may have        k  how many of them
    items, scores  the indices of the items of the answer, and their scores, best first
    removed        (index, rule) pairs: better-ranked items that were removed, each with the first rule that it broke
    is_cut         whether the ranking goes on after what was read
    """

    def __init__(self, question: Question, wanted: WantedItems, k: int, exclude_seen: bool | None) -> None:
        self.question, self.wanted, self.k, self.exclude_seen = question, wanted, k, exclude_seen
        self.num_read = wanted.num_read(k)
        self.items: list[int] = []
        self.scores: list[float] = []
        self.removed: list[tuple[int, str]] = []
        self.is_cut = self.is_done = False

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences about the wanted items that belong to the answer."""
        return self.wanted.remarks(len(self.items), self.k, is_cut=self.is_cut)

    def take(self, items: list[int], scores: list[float]) -> None:
        """Take the first `num_read` items of the ranking; fewer are the whole ranking.

        items, scores  indices and scores, best first
        """
        wanted, diversity = self.wanted, self.wanted.rules.diversity
        is_whole = len(items) < self.num_read
        self.is_cut = not is_whole and self.num_read >= MOST_READ
        if not wanted.is_read:
            self.items, self.scores, self.is_done = items[: self.k], scores[: self.k], True
            return
        kept, broken, is_enough = self._walk(items)
        self.is_done = is_whole or self.is_cut or is_enough
        if not self.is_done:
            self.num_read = min(self.num_read * _GROWTH, max(self.num_read, MOST_READ))
            return
        if diversity and kept:
            similarity_PP = wanted.similarity([items[place] for place in kept])
            chosen = diverse(similarity_PP, [scores[place] for place in kept], self.k, diversity)
            broken |= dict.fromkeys(kept, "diversity")
            kept = [kept[place] for place in chosen]
        self.items, self.scores = [items[place] for place in kept], [scores[place] for place in kept]
        # What ranks after the last item would not have been in the answer anyway.
        end = max(kept) if len(kept) == self.k else len(items)
        self.removed = [(items[place], broken[place]) for place in sorted(broken.keys() - kept) if place < end]

    def _walk(self, items: list[int]) -> tuple[list[int], dict[int, str], bool]:
        """Go down the ranking until k items are kept and, for diversity, the whole pool was looked at.

        Returns the places of the items that are kept, the rule that each other one broke, and whether this is enough.
        """
        wanted, limits = self.wanted, self.wanted.rules.at_most
        raws = wanted.artefact.items.raw(items) if wanted.has_checks else []
        counts: Counter[int] = Counter()
        full: set[int] = set()
        left = pool_size(self.k, wanted.rules.diversity)
        kept: list[int] = []
        broken: dict[int, str] = {}
        for place, item in enumerate(items):
            if left <= 0 and len(kept) >= self.k:
                break
            if raws and (rule := wanted.broken_rule(item, raws[place])):
                broken[place] = rule
                continue
            left -= 1
            if limits:
                own = wanted.values(item)
                if not full.isdisjoint(own):
                    column = min(wanted.column_of(value) for value in own & full)
                    broken[place] = f"at_most {limits[column][0].name}"
                    continue
                counts.update(own)
                full.update(value for value in own if counts[value] == limits[wanted.column_of(value)][1])
            kept.append(place)
        return kept, broken, left <= 0 and len(kept) >= self.k


def read(artefact: Artefact, readings: Sequence[Reading], memory_mb: int = MEMORY_MB) -> None:
    """Read rankings until every question has its answer.

    artefact   the model that ranks
    readings   the questions, which take what was found
    memory_mb  megabytes of memory for scores

    Raises NumericalError for a score that is not a number.
    """
    unfinished = list(readings)
    while unfinished:
        groups: defaultdict[object, list[Reading]] = defaultdict(list)
        for reading in unfinished:
            groups[reading.wanted.group, reading.exclude_seen].append(reading)
        for members in groups.values():
            _read_together(artefact, members, memory_mb)
        unfinished = [reading for reading in unfinished if not reading.is_done]


def best_wanted(
    artefact: Artefact,
    questions: Sequence[Question],
    wanted: WantedItems,
    k: int,
    memory_mb: int,
    *,
    exclude_seen: bool | None,
) -> TopK:
    """Answer questions that are asked alike, and return the answers as arrays.

    artefact, memory_mb  as for `read`        questions  the questions
    wanted         which items an answer may have         k          how many of them
    exclude_seen   whether to leave out the items of the history; None follows the run's protocol
    """
    if not wanted.is_read:
        boosts = [wanted.boosts] * len(questions)
        return best_items(
            artefact, questions, wanted.candidates, k, memory_mb, exclude_seen=exclude_seen, boosts=boosts
        )
    readings = [Reading(question, wanted, k, exclude_seen) for question in questions]
    read(artefact, readings, memory_mb)
    rows = np.arange(len(readings)).repeat([len(one.items) for one in readings])
    items = np.array([item for one in readings for item in one.items], dtype=np.int64)
    scores: Scores = np.array([score for one in readings for score in one.scores], dtype=np.float64)
    return TopK(rows, items, scores)


def _read_together(artefact: Artefact, members: Sequence[Reading], memory_mb: int) -> None:
    """Rank for questions of one group. A question that needs fewer items takes the first ones."""
    first = members[0]
    most = max(reading.num_read for reading in members)
    # Neither the scores nor the results of a block may take too much memory.
    size = max(1, _MOST_RESULTS // min(most, len(artefact.items) + 1))
    size = min(size, questions_at_once(artefact, memory_mb))
    for start in range(0, len(members), size):
        some = members[start : start + size]
        top = best_items(
            artefact,
            [reading.question for reading in some],
            first.wanted.candidates,
            most,
            memory_mb,
            exclude_seen=first.exclude_seen,
            boosts=[reading.wanted.boosts for reading in some],
        )
        for reading, results in zip(some, top.of(len(some)), strict=True):
            items, scores = top.items[results], top.scores[results]
            reading.take(items[: reading.num_read].tolist(), scores[: reading.num_read].tolist())
