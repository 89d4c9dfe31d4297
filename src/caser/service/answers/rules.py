"""Business rules: which of the ranked items go into the answer, and which rule removed the others.

The rules are applied down the ranking. Each item is kept, or removed by the first rule that it breaks, until k items
are kept. So an answer has k items wherever the catalogue allows it, and only the part of the ranking that is needed is
read. Boosts change scores first; then reading goes on until no later item can rank above the items that are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from caser.arrays.types import RawId
from caser.data.attributes import Condition, column_named, conditions, unknown_values
from caser.service.answers.catalogue import Catalogue
from caser.service.request_schemas import AnswerRules, Conditions, Range

MAX_REMOVED_LISTED = 100
"""How many removed items an answer lists."""


MOST_READ = 100_000
"""How much of a ranking is read at most for the rules of a question; where this is not enough, a note says so."""


class ScoredItem(NamedTuple):
    """An item and its score; `boosted` is the amount that boosts added to the score."""

    item: RawId
    score: float
    boosted: float | None = None


class FilteredRanking(NamedTuple):
    """A ranking after the rules.

    kept     the items of the answer, best first
    removed  (item, rule) pairs: the items that were removed, each with the first rule that it broke
    is_done  whether the answer is final; otherwise more of the ranking must be read
    """

    kept: list[ScoredItem]
    removed: list[tuple[RawId, str]]
    is_done: bool


@dataclass(frozen=True, eq=False)
class CompiledRules:
    """The rules of one question, in a form that is quick to apply.

    catalogue       the attributes of the items      exclude  raw ids that must not be in the answer
    where, without  conditions that an item must meet, or must not meet
    at_most         by column, how many items may share a value
    boosts          (conditions, amount) pairs: the amount for an item that meets all conditions
    """

    catalogue: Catalogue
    exclude: frozenset[RawId] = frozenset()
    where: Sequence[Condition] = ()
    without: Sequence[Condition] = ()
    at_most: Mapping[str, int] = field(default_factory=dict)
    boosts: Sequence[tuple[Sequence[Condition], float]] = ()

    @classmethod
    def of(
        cls,
        catalogue: Catalogue,
        exclude: frozenset[RawId],
        filters: Conditions,
        rules: AnswerRules | None,
        place: str = "",
    ) -> CompiledRules:
        """Compile the `exclude`, `filters` and `rules` of a request against the attributes in `catalogue`.

        place  where the question stands in the request, for the sentence about an error, such as "questions[3]."

        Raises ConfigError for a column that does not exist, and for a value that does not fit its column.
        """
        where = _compiled(catalogue, filters, f"{place}filters.")
        if rules is None:
            return cls(catalogue, exclude, where)
        for column in rules.at_most:
            column_named(catalogue.attributes, column, f"{place}rules.at_most.")
        return cls(
            catalogue,
            exclude,
            where,
            _compiled(catalogue, rules.without, f"{place}rules.without."),
            rules.at_most,
            [
                (_compiled(catalogue, boost.where, f"{place}rules.boosts[{number}].where."), boost.amount)
                for number, boost in enumerate(rules.boosts)
            ],
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is no rule at all."""
        return not (self.exclude or self.where or self.without or self.at_most or self.boosts)

    @property
    def all_conditions(self) -> list[Condition]:
        """The conditions of filters, of `without` and of boosts."""
        return [*self.where, *self.without, *(condition for where, _ in self.boosts for condition in where)]

    @property
    def num_conditions(self) -> int:
        """How many tests an item may have to pass."""
        return len(self.at_most) + len(self.all_conditions)

    @property
    def num_unknown_values(self) -> int:
        """How many values in the rules no item has."""
        return sum(len(one.texts - one.attribute.items_by_value.keys()) for one in self.all_conditions)

    @property
    def unknown_values(self) -> tuple[str, ...]:
        """Sentences about values in the rules that no item has."""
        return unknown_values(self.all_conditions)

    def apply(self, ranked: Sequence[tuple[RawId, float]], k: int, *, is_whole: bool) -> FilteredRanking:
        """Apply the rules to the start of a ranking.

        ranked    (item, score) pairs, best first       k  how many items the answer has
        is_whole  whether `ranked` is the whole ranking
        """
        candidates = [ScoredItem(item, score) for item, score in ranked]
        # No item after `ranked` can score above this bound, not even with every positive boost.
        bound = float("-inf")
        if self.boosts:
            candidates = sorted((self._boosted(candidate) for candidate in candidates), key=lambda one: -one.score)
            if ranked:
                bound = ranked[-1][1] + sum(amount for _, amount in self.boosts if amount > 0)
        kept: list[ScoredItem] = []
        removed: list[tuple[RawId, str]] = []
        counts: dict[str, Counter[str]] = {column: Counter() for column in self.at_most}
        for candidate in candidates:
            if not is_whole and candidate.score < bound:
                return FilteredRanking(kept, removed, is_done=False)  # an item after `ranked` may rank above this one
            rule = self._broken_rule(candidate.item, counts)
            if rule:
                removed.append((candidate.item, rule))
                continue
            kept.append(candidate)
            for column, counter in counts.items():
                counter.update(self.catalogue.values(column, candidate.item))
            if len(kept) == k:
                return FilteredRanking(kept, removed, is_done=True)
        return FilteredRanking(kept, removed, is_done=is_whole)

    def _boosted(self, candidate: ScoredItem) -> ScoredItem:
        amounts = [
            amount for where, amount in self.boosts if all(condition.holds(candidate.item) for condition in where)
        ]
        if not amounts:
            return candidate
        return ScoredItem(candidate.item, candidate.score + sum(amounts), sum(amounts))

    def _broken_rule(self, item: RawId, counts: Mapping[str, Counter[str]]) -> str | None:
        """The first rule that an item breaks; `counts` holds, by column, the values of the items kept so far."""
        if item in self.exclude:
            return "exclude"
        for condition in self.where:
            if not condition.holds(item):
                return f"filters {condition.attribute.name}"
        for condition in self.without:
            if condition.holds(item):
                return f"without {condition.attribute.name}"
        for column, limit in self.at_most.items():
            if any(counts[column][value] >= limit for value in self.catalogue.values(column, item)):
                return f"at_most {column}"
        return None


def _compiled(catalogue: Catalogue, wanted: Conditions, place: str) -> list[Condition]:
    if not wanted:
        return []
    plain = {name: one.model_dump() if isinstance(one, Range) else one for name, one in wanted.items()}
    return conditions(catalogue.attributes, plain, place)
