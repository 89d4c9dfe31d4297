"""Which items a question may be answered with: those of `only`, without `exclude`, that meet filters and rules.

What removes an item whoever asks is settled here once, as candidates of the search. A caller that shows which rule
removed which item has the ranking read instead, as long as that is not much more to read (`MOST_READ_TO_LIST`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from caser.answering.asked import Ids, listed
from caser.answering.diversity import pool_size, similarity_of
from caser.answering.questions import spelling_hints
from caser.answering.rules import CompiledRules
from caser.arrays.types import Int64, RawId, Scores
from caser.artefact.folder import Artefact
from caser.data.attributes import Attributes, Condition, items_that_meet
from caser.data.item_values import NO_TEXTS
from caser.errors import ConfigError
from caser.search.exact import Candidates

MOST_READ = 100_000
"""How much of a ranking is read at most for the rules of a question; where this is not enough, a note says so."""

MOST_READ_TO_LIST = 5_000
"""How much of a ranking is read to list what filters and `without` removed; beyond it, they choose what is ranked."""

_MARGIN = 4
"""With a rule that looks at the items before an item, this many times as many items are read at first."""


class Leaves(NamedTuple):
    """What decides how many items an answer can have at most.

    what    the beginning of a sentence, such as "the filters leave"
    number  how many items
    """

    what: str
    number: int


FILTERS_LEAVE = "the filters leave"
ONLY_NAMES = "`only` names"
MODEL_KNOWS = "the model knows"


@dataclass(frozen=True, eq=False)
class WantedItems:
    """The items that an answer may have.

    artefact    the run                       attributes  the columns of its table of items
    candidates  the indices that are ranked
    rules       filters and rules
    num_first   how many items of a ranking leave about one item: at least 1
    excluded    indices that are removed while the ranking is read
    where, without  conditions that are tested while the ranking is read
    ignored     ids of `exclude` and `only` that the model does not know
    """

    artefact: Artefact
    attributes: Attributes
    candidates: Candidates
    rules: CompiledRules
    num_first: float = 1.0
    excluded: frozenset[int] = frozenset()
    where: Sequence[Condition] = ()
    without: Sequence[Condition] = ()
    ignored: tuple[RawId, ...] = ()
    _numbers: dict[tuple[int, str], int] = field(default_factory=dict)
    _columns: list[int] = field(default_factory=list)
    _values: dict[int, frozenset[int]] = field(default_factory=dict)

    @property
    def is_read(self) -> bool:
        """Whether an answer may lack one of the first items of the ranking of the candidates."""
        return bool(self.has_checks or self.rules.at_most or self.rules.diversity)

    @property
    def has_checks(self) -> bool:
        """Whether a single item of the ranking may be removed, whatever else is in the answer."""
        return bool(self.excluded or self.where or self.without)

    def num_read(self, k: int) -> int:
        """Return how much of a ranking is read at first for `k` items."""
        least = int((pool_size(k, self.rules.diversity) + len(self.excluded)) * self.num_first)
        return least * _MARGIN if self.rules.at_most else least

    @property
    def group(self) -> tuple[int, bytes | None]:
        """Questions with equal groups can be ranked together."""
        chosen = self.candidates.chosen
        return id(self.candidates.barred), None if chosen is None else chosen.tobytes()

    @cached_property
    def boosts(self) -> Scores | None:
        """What boosts add to the score of each item, (I,) float64; None without boosts."""
        if not self.rules.boosts:
            return None
        amounts_I = np.zeros(len(self.artefact.items) + 1)
        for where, amount in self.rules.boosts:
            amounts_I[_indices(self.artefact, items_that_meet(where)) if where else slice(None)] += amount
        return amounts_I

    def broken_rule(self, item: int, raw: RawId) -> str | None:
        """Return the first rule that an item breaks, whatever else is in the answer.

        item  the index        raw  the raw id
        """
        if item in self.excluded:
            return "exclude"
        for condition in self.where:
            if not condition.holds(raw):
                return f"filters {condition.attribute.name}"
        for condition in self.without:
            if condition.holds(raw):
                return f"without {condition.attribute.name}"
        return None

    def values(self, item: int) -> frozenset[int]:
        """Return the values of an item in the columns of `at_most`, as numbers that no two values share.

        item  the index
        """
        found = self._values.get(item)
        if found is None:
            [raw] = self.artefact.items.raw([item])
            found = self._values[item] = frozenset(
                self._number(column, text)
                for column, (attribute, _) in enumerate(self.rules.at_most)
                for text in attribute.values.get(raw, NO_TEXTS)
            )
        return found

    def column_of(self, value: int) -> int:
        """Return the place in `at_most` of the column of a value.

        value  a number from `values`
        """
        return self._columns[value]

    def _number(self, column: int, text: str) -> int:
        number = self._numbers.setdefault((column, text), len(self._columns))
        if number == len(self._columns):
            self._columns.append(column)
        return number

    def similarity(self, items: Sequence[int]) -> Scores:
        """Return how similar each pair of some items is, floats (P, P).

        items  P indices
        """
        return similarity_of(self.artefact, self.attributes, items)

    @cached_property
    def leaves(self) -> Leaves:
        """What decides how many items an answer can have at most."""
        is_trained = self.artefact.knows_item
        if self.rules.where:
            return Leaves(FILTERS_LEAVE, len(_indices(self.artefact, items_that_meet(self.rules.where))))
        if self.candidates.chosen is not None:
            return Leaves(ONLY_NAMES, int(is_trained[self.candidates.chosen].sum()))
        return Leaves(MODEL_KNOWS, int(is_trained.sum()))

    @cached_property
    def hints(self) -> tuple[str, ...]:
        """Sentences about ids that were probably meant, and about values in rules that no item has."""
        return (*spelling_hints(self.artefact.items, self.ignored, "item"), *self.rules.unknown_values)

    def remarks(self, num_found: int, k: int, *, is_cut: bool = False) -> tuple[str, ...]:
        """Return the sentences about the wanted items that belong to an answer.

        num_found  how many items the answer has        k  how many were asked for
        is_cut     whether the ranking goes on after what was read
        """
        if num_found >= k:
            return self.hints
        if is_cut:
            read = f"only the first {MOST_READ:,} items of the ranking were read; a filter finds items after them"
            return (*self.hints, read)
        return (*self.hints, why_few(num_found, k, self.leaves))

    def refuse_none(self) -> None:
        """Raise ConfigError if no item meets the filters."""
        if self.leaves == (FILTERS_LEAVE, 0):
            raise ConfigError(f"filters must leave some items; {'; '.join(self.hints) or 'none meets all of them'}.")


def why_few(num_found: int, k: int, leaves: Leaves) -> str:
    """Return a sentence about an answer with fewer items than asked for.

    num_found  how many items the answer has        k  how many were asked for
    leaves     how many items the filters, `only` or the model leave

    >>> why_few(2, 10, Leaves(MODEL_KNOWS, 6))
    'only 2 of 10 items: the model knows 6, and the rest is in the history, excluded or removed by a rule'
    >>> why_few(0, 10, Leaves(FILTERS_LEAVE, 0))
    'nothing is left to recommend: no item meets all filters'
    """
    begins = f"only {num_found:,} of {k:,} items" if num_found else "nothing is left to recommend"
    if leaves == (FILTERS_LEAVE, 0):
        return f"{begins}: no item meets all filters"
    rest = ", and the rest is in the history, excluded or removed by a rule" if num_found < leaves.number else ""
    return f"{begins}: {leaves.what} {leaves.number:,}{rest}"


def wanted_items(
    artefact: Artefact,
    attributes: Attributes,
    untrained: Int64,
    rules: CompiledRules,
    exclude: Ids | None,
    only: Ids | None,
    *,
    listed_for: int = 0,
) -> WantedItems:
    """Return the items that may be recommended.

    artefact    the run                                   attributes  the columns of its table of items
    untrained   (N,) indices of items that training did not see
    rules       filters and rules                         exclude     raw ids that must not be recommended, or None
    only        the only raw ids that may be recommended; None allows all
    listed_for  the number of items of an answer that also lists what was removed; 0 where nothing is listed
    """
    excluded = [] if exclude is None else listed(exclude, "exclude")
    chosen = [] if only is None else listed(only, "only")
    vocabulary = artefact.items
    named = [*excluded, *chosen]
    indices = vocabulary.lookup(named)
    ignored = tuple(raw for raw, index in zip(named, indices, strict=True) if not index)
    removed = frozenset(indices[: len(excluded)]) - {0}
    allowed = None if only is None else np.unique(indices[len(excluded) :]).astype(np.int64)
    if listed_for:
        # A search among few items is read whole. Otherwise the share of items that pass tells how much is read.
        num_first = 1.0 if only is not None else len(vocabulary) / _num_passing(artefact, rules)
        if only is not None or num_first * (listed_for + len(removed)) <= MOST_READ_TO_LIST:
            candidates = Candidates(untrained, allowed)
            return WantedItems(
                artefact, attributes, candidates, rules, num_first, removed, rules.where, rules.without, ignored
            )
    if rules.where:
        meeting = _indices(artefact, items_that_meet(rules.where))
        allowed = meeting if allowed is None else np.intersect1d(allowed, meeting)
    barred = untrained
    for condition in rules.without:
        barred = np.union1d(barred, _indices(artefact, condition.items))
    if removed and not listed_for:
        barred, removed = np.union1d(barred, list(removed)), frozenset()
    return WantedItems(artefact, attributes, Candidates(barred, allowed), rules, excluded=removed, ignored=ignored)


def _num_passing(artefact: Artefact, rules: CompiledRules) -> int:
    """About how many items filters and `without` leave; at least 1."""
    number = len(artefact.items)
    if rules.where:
        number = min(condition.most for condition in rules.where)
        if len(rules.where) > 1:
            number = len(items_that_meet(rules.where))
    return max(1, number - sum(condition.most for condition in rules.without))


def _indices(artefact: Artefact, items: Iterable[RawId]) -> Int64:
    """The indices of items of the table that the log holds, in order."""
    return np.unique(artefact.items.indices(items)).astype(np.int64)
