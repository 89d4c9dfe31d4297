"""Business rules: which of the ranked items make it into the answer, and why the others do not.

Rules are a walk down the ranking: each item is kept or removed by the first rule it breaks, until k are kept. So k is
filled wherever the catalogue allows, the trace is the walk itself, and only as much of the ranking is read as is
needed. Boosts add to scores; the walk then goes on until no item further down can come before those that it keeps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from caser.arrays.types import RawId
from caser.service.answers.catalogue import Catalogue, texts
from caser.service.schemas import Conditions, Rules

MOST_TRACED = 100
"""Removed items that an answer names."""


class Kept(NamedTuple):
    """An item of the answer; `boosted` is what boosts have added to its score."""

    item: RawId
    score: float
    boosted: float | None = None


@dataclass(frozen=True)
class Walk:
    """What a walk has found: the items kept, the ones removed with the rule each broke, and whether it is done."""

    kept: list[Kept]
    removed: list[tuple[RawId, str]]
    is_done: bool


@dataclass(frozen=True, eq=False)
class Ruling:
    """The rules of one question, made ready.

    exclude  raw ids      where, without  values by column     at_most  by column       boosts  (where, amount)
    """

    catalogue: Catalogue
    exclude: frozenset[RawId] = frozenset()
    where: Mapping[str, frozenset[str]] = field(default_factory=dict)
    without: Mapping[str, frozenset[str]] = field(default_factory=dict)
    at_most: Mapping[str, int] = field(default_factory=dict)
    boosts: Sequence[tuple[Mapping[str, frozenset[str]], float]] = ()

    @classmethod
    def of(cls, catalogue: Catalogue, exclude: frozenset[RawId], filters: Conditions, rules: Rules | None) -> Ruling:
        """Make the rules of a question ready."""
        if rules is None:
            return cls(catalogue, exclude, _ready(filters))
        boosts = [(_ready(boost.where), boost.amount) for boost in rules.boosts]
        return cls(catalogue, exclude, _ready(filters), _ready(rules.without), rules.at_most, boosts)

    @property
    def is_idle(self) -> bool:
        """Whether there is no rule at all."""
        return not (self.exclude or self.where or self.without or self.at_most or self.boosts)

    @property
    def unknown_columns(self) -> list[str]:
        """Columns that the rules name and the table of items does not have."""
        named = {*self.where, *self.without, *self.at_most, *(name for where, _ in self.boosts for name in where)}
        return sorted(named - set(self.catalogue.columns))

    def walk(self, ranked: Sequence[tuple[RawId, float]], k: int, *, is_whole: bool) -> Walk:
        """Walk down a ranking, best first. `is_whole` says that there is nothing below it.

        Not done means that more of the ranking is needed.
        """
        highest = sum(amount for _, amount in self.boosts if amount > 0)
        candidates = [Kept(item, score) for item, score in ranked]
        if self.boosts:
            candidates = sorted((self._boosted(one) for one in candidates), key=lambda one: -one.score)
        bound = ranked[-1][1] + highest if ranked and self.boosts else float("-inf")
        kept: list[Kept] = []
        removed: list[tuple[RawId, str]] = []
        counts: dict[str, Counter[str]] = {column: Counter() for column in self.at_most}
        for one in candidates:
            if not is_whole and one.score < bound:
                return Walk(kept, removed, is_done=False)  # an item further down could come before this one
            broken = self._broken(one.item, counts)
            if broken:
                removed.append((one.item, broken))
                continue
            kept.append(one)
            for column, counter in counts.items():
                counter.update(self.catalogue.values(column, one.item))
            if len(kept) == k:
                return Walk(kept, removed, is_done=True)
        return Walk(kept, removed, is_done=is_whole)

    def _boosted(self, one: Kept) -> Kept:
        amounts = [amount for where, amount in self.boosts if self._matches(one.item, where)]
        return Kept(one.item, one.score + sum(amounts), sum(amounts)) if amounts else one

    def _broken(self, item: RawId, counts: Mapping[str, Counter[str]]) -> str | None:
        """The first rule that an item breaks."""
        if item in self.exclude:
            return "exclude"
        for column, wanted in self.where.items():
            if not wanted & self.catalogue.values(column, item):
                return f"filters {column}"
        for column, unwanted in self.without.items():
            if unwanted & self.catalogue.values(column, item):
                return f"without {column}"
        for column, most in self.at_most.items():
            if any(counts[column][value] >= most for value in self.catalogue.values(column, item)):
                return f"at_most {column}"
        return None

    def _matches(self, item: RawId, where: Mapping[str, frozenset[str]]) -> bool:
        return all(wanted & self.catalogue.values(column, item) for column, wanted in where.items())


def _ready(conditions: Conditions) -> dict[str, frozenset[str]]:
    return {column: texts(values) for column, values in conditions.items()}
