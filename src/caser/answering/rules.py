"""Business rules: what a person writes, and the same compiled against the columns of a table of items.

    {"without": {"genre": "Horror"}, "at_most": {"genre": 2}, "boosts": [{"where": {"year": 1999}, "amount": 0.5}],
     "diversity": 0.3}

Boosts change scores first. Then items are removed, down the ranking, until enough are left; `reading.py` does that.
Diversity comes last: it chooses among the best items that the other rules leave (`diversity.py`). HTTP, Python and the
command line all come here, so a rule has one meaning and one refusal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from caser.data.attributes import Attribute, Attributes, Condition, Wanted, column_named, conditions, unknown_values
from caser.errors import ConfigError, did_you_mean
from caser.system.kinds import must_be

MOST_BOOST = 1e6
"""The largest amount, up or down, that a boost adds to a score."""


class Boost(TypedDict):
    """Adds an amount to the scores of the items that meet all conditions.

    where   what such an item has, by column        amount  what is added, from -1,000,000 to 1,000,000
    """

    where: Mapping[str, Wanted]
    amount: float


class Rules(TypedDict, total=False):
    """Rules for an answer; each may be left out.

    without    removes the items that meet one of these conditions, by column
    at_most    by column, how many items of an answer may share a value of it
    boosts     changes of scores, before any item is removed
    diversity  from 0 (the ranking alone) to 1 (difference alone): how much an item should differ from those before it
    """

    without: Mapping[str, Wanted]
    at_most: Mapping[str, int]
    boosts: Sequence[Boost]
    diversity: float | None


@dataclass(frozen=True, eq=False)
class CompiledRules:
    """Filters and rules in a form that is quick to apply.

    where, without  conditions that an item must meet, or must not meet
    at_most         (column, number) pairs: how many items may share a value of the column
    boosts          (conditions, amount) pairs: the amount for an item that meets all conditions
    diversity       from 0 to 1; 0 changes nothing
    """

    where: Sequence[Condition] = ()
    without: Sequence[Condition] = ()
    at_most: Sequence[tuple[Attribute, int]] = ()
    boosts: Sequence[tuple[Sequence[Condition], float]] = ()
    diversity: float = 0.0

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


NO_RULES = CompiledRules()


def compiled(
    attributes: Attributes, filters: Mapping[str, Wanted] | None, rules: Rules | None, place: str = ""
) -> CompiledRules:
    """Compile filters and rules against the columns of a table of items.

    attributes  the columns that they may name
    filters     what an item must have, by column, or None
    rules       the rules, or None
    place       where the question stands in a request, for the sentence about an error, such as "questions[3]."

    Raises ConfigError for a name that is no rule, for a column that does not exist, and for a value that is not of the
    right kind.

    >>> compiled({}, None, {"at_least": {"genre": 2}})
    Traceback (most recent call last):
    caser.errors.ConfigError: rules.at_least must name a rule; did you mean at_most?
    """
    if not filters and not rules:
        return NO_RULES if filters is None or isinstance(filters, Mapping) else _refused(filters, f"{place}filters")
    where = _conditions(attributes, filters, f"{place}filters")
    place = f"{place}rules"
    given = _named(rules, place, "a dictionary, such as {'at_most': {'genre': 2}}, or None")
    if unknown := [name for name in given if name not in Rules.__annotations__]:
        raise ConfigError(f"{place}.{unknown[0]} must name a rule; {did_you_mean(unknown[0], Rules.__annotations__)}")
    return CompiledRules(
        where,
        _conditions(attributes, given.get("without"), f"{place}.without"),
        _limits(attributes, given.get("at_most"), f"{place}.at_most"),
        _boosts(attributes, given.get("boosts"), f"{place}.boosts"),
        _share(given.get("diversity"), f"{place}.diversity"),
    )


def _named(value: Any, place: str, wanted: str = "a dictionary, such as {'genre': 'Drama'}, or None") -> dict[str, Any]:
    """A dictionary whose keys are text; an empty one in place of None."""
    must_be(place, value, Mapping | None, wanted)
    for name in value or {}:
        must_be(f"a name in {place}", name, str, "text")
    return dict(value or {})


def _refused(value: Any, place: str) -> CompiledRules:
    _named(value, place)
    return NO_RULES


def _conditions(attributes: Attributes, wanted: Any, place: str) -> list[Condition]:
    return conditions(attributes, _named(wanted, place), f"{place}.")


def _limits(attributes: Attributes, wanted: Any, place: str) -> list[tuple[Attribute, int]]:
    limits = []
    for name, number in _named(wanted, place, "a dictionary, such as {'genre': 2}, or None").items():
        column = column_named(attributes, name, f"{place}.")
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
            raise ConfigError(f"{place}.{name} must be a whole number, at least 1; got {number!r}.")
        limits.append((column, int(number)))
    return limits


def _boosts(attributes: Attributes, wanted: Any, place: str) -> list[tuple[list[Condition], float]]:
    must_be(place, wanted, Sequence | None, "a list of {'where': ..., 'amount': ...}, or None")
    boosts = []
    for number, boost in enumerate(wanted or ()):
        at = f"{place}[{number}]"
        named = _named(boost, at, "a dictionary, such as {'where': {'genre': 'Drama'}, 'amount': 0.5}")
        if named.keys() != {"where", "amount"}:
            raise ConfigError(
                f"{at} must have where and amount, and nothing else; got {', '.join(named) or 'nothing'}."
            )
        amount = _number(named["amount"], f"{at}.amount")
        if not abs(amount) <= MOST_BOOST:
            raise ConfigError(f"{at}.amount must be from {-MOST_BOOST:,.0f} to {MOST_BOOST:,.0f}; got {amount}.")
        boosts.append((_conditions(attributes, named["where"], f"{at}.where"), amount))
    return boosts


def _share(value: Any, place: str) -> float:
    share = 0.0 if value is None else _number(value, place)
    if not 0 <= share <= 1:
        raise ConfigError(f"{place} must be a number from 0 to 1; got {share}.")
    return share


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
        raise ConfigError(f"{place} must be a number; got {value!r}.")
    return float(value)
