"""Attributes: the columns of a table of items, matched to the items of a run, and conditions on them.

A condition on a column is one value, several values of which an item must have one, or a range of numbers or dates:

    {"genre": "Drama"}      {"genre": ["Drama", "Comedy"]}      {"price": {"min": 10, "max": 50}}

Both ends of a range belong to it. A column or a value of the wrong kind is an error that says what the table has; a
value that no item has is no error, but `unknown_values` names it.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from caser.arrays.types import RawId
from caser.data.dates import DAY_LENGTH
from caser.data.item_values import NO_TEXTS, Kind, is_number, moment_of, number_of, text_of
from caser.errors import ConfigError, did_you_mean

Wanted: TypeAlias = str | float | date | Sequence[str | float | date] | Set[str | float | date] | Mapping[str, Any]
"""One value, several values, or a range {"min": ..., "max": ...}."""

MAX_NEAR = 3
"""How many similar values the sentence about an unknown value names."""
MAX_UNKNOWN = 5
"""How many unknown values get a sentence."""
_MAX_COMPARED = 200
"""With how many common values an unknown one is compared."""

_KINDS: Mapping[Kind, str] = {
    "text": "text",
    "number": "numbers",
    "date": "dates",
    "boolean": "true and false",
}
_NO_ITEMS: frozenset[RawId] = frozenset()


@dataclass(frozen=True, eq=False)
class Attribute:
    """One column of a table of items.

    name     the name of the column
    kind     what its values are
    values   the texts of each item's values, by raw id; items without a value are not in it
    numbers  the same values as numbers, or as microseconds since 1970; empty for text and booleans

    >>> price = Attribute("price", "number", {1: frozenset(["5"]), 2: frozenset(["80"])}, {1: (5.0,), 2: (80.0,)})
    >>> sorted(price.condition({"max": 50}).items), price.condition([80, "5.0"]).holds(2), price.range
    ([1], True, ('5', '80'))
    """

    name: str
    kind: Kind
    values: Mapping[RawId, frozenset[str]]
    numbers: Mapping[RawId, tuple[float, ...]]

    def condition(self, wanted: Wanted, place: str = "") -> Condition:
        """Return the condition that an item has a value in `wanted`.

        wanted  one value, several values, or a range
        place   how the sentence about an error begins, such as "filters.price: "

        Raises ConfigError for a value or a range that a column of this kind cannot have.
        """
        if isinstance(wanted, Mapping):
            return Condition(self, NO_TEXTS, self._ends(wanted, place))
        values = list(wanted) if isinstance(wanted, Sequence | Set) and not isinstance(wanted, str) else [wanted]
        if not values:
            raise ConfigError(f"{place}must have at least one value; got none.")
        return Condition(self, frozenset(self._text(value, place) for value in values))

    def prepare(self) -> None:
        """Build now what the first condition and the first description would build: seconds for a million items."""
        self.by_number  # noqa: B018
        self._by_count  # noqa: B018

    @cached_property
    def items_by_value(self) -> dict[str, frozenset[RawId]]:
        """The items that have a value, by the text of the value."""
        by_value: dict[str, list[RawId]] = {}
        for item, texts in self.values.items():
            for text in texts:
                by_value.setdefault(text, []).append(item)
        return {text: frozenset(items) for text, items in by_value.items()}

    @cached_property
    def by_number(self) -> tuple[np.ndarray[Any, np.dtype[np.float64]], list[RawId]]:
        """All numbers in order, (N,) float64, and the item that has each."""
        pairs = sorted(
            ((number, item) for item, numbers in self.numbers.items() for number in numbers), key=lambda pair: pair[0]
        )
        return np.array([number for number, _ in pairs], dtype=np.float64), [item for _, item in pairs]

    @cached_property
    def range(self) -> tuple[str, str] | None:
        """The texts of the smallest and the largest value of a column of numbers or dates; None for other columns."""
        if not self.numbers:
            return None
        low, high = (
            function(self.items_by_value, key=lambda text: number_of(text, self.kind)) for function in (min, max)
        )
        return low, high

    def common_values(self, limit: int, max_length: int = 200) -> list[str]:
        """Return the most common values; none for a column of numbers or dates with more than `limit` values.

        limit  how many values        max_length  longer values are left out
        """
        if self.kind in ("number", "date") and len(self._by_count) > limit:
            return []
        return list(itertools.islice((value for value in self._by_count if len(value) <= max_length), limit))

    @cached_property
    def _by_count(self) -> list[str]:
        """All values, the most common first."""
        by_value = self.items_by_value
        return sorted(by_value, key=lambda value: (-len(by_value[value]), value))

    def near(self, text: str) -> list[str]:
        """Return common values that are similar to a text: in spelling, or because they contain it.

        text  a value that no item has
        """
        plain = text.casefold().strip()
        known = self.common_values(_MAX_COMPARED)
        same = [value for value in known if value.casefold().strip() == plain]
        similar = difflib.get_close_matches(text, known, n=MAX_NEAR, cutoff=0.6)
        containing = [value for value in known if plain and plain in value.casefold()]
        return list(dict.fromkeys([*same, *similar, *containing]))[:MAX_NEAR]

    def _text(self, value: Any, place: str) -> str:
        """The text of a value that a rule names."""
        value = value.item() if isinstance(value, np.generic) else value
        if not isinstance(value, str | int | float | date):
            raise ConfigError(
                f"{place}a value must be text, a number, a date, true or false; got {type(value).__name__}."
            )
        fits = {
            "text": True,
            "number": is_number(value.strip()) if isinstance(value, str) else _is_plain_number(value),
            "date": moment_of(value) is not None,
            "boolean": isinstance(value, bool) or str(value).lower() in ("true", "false"),
        }
        if not fits[self.kind]:
            raise ConfigError(f"{place}must fit the column, which holds {self.in_words}.")
        return text_of(value.strip() if isinstance(value, str) else value, self.kind)

    @property
    def in_words(self) -> str:
        """What the column holds: its kind, and its range or its most common values."""
        words = _KINDS[self.kind]
        if self.range is not None:
            return f"{words} from {self.range[0]} to {self.range[1]}"
        common = self.common_values(MAX_NEAR, 40) if self.kind == "text" else []
        return f"{words} such as {', '.join(map(repr, common))}" if common else words

    def _ends(self, wanted: Mapping[str, Any], place: str) -> tuple[float, float]:
        """The two ends of a range, which are infinite where none is given."""
        if self.kind not in ("number", "date"):
            raise ConfigError(f"{place}a range needs numbers or dates; the column holds {self.in_words}.")
        given = {name: end for name, end in wanted.items() if end is not None}
        if not given or not given.keys() <= {"min", "max"}:
            raise ConfigError(f'{place}a range must have "min", "max" or both, and nothing else.')
        ends = {name: number_of(self._text(end, place), self.kind) for name, end in given.items()}
        last = given.get("max", "")
        if self.kind == "date" and len(str(last).strip()) == len("2020-01-01"):
            ends["max"] += DAY_LENGTH - 1  # a day ends with its last microsecond
        low, high = ends.get("min", -np.inf), ends.get("max", np.inf)
        if low > high:
            raise ConfigError(f"{place}min must not be above max.")
        return low, high


def _is_plain_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True, eq=False)
class Condition:
    """The condition that an item has one of some values, or a value within a range.

    attribute  the column            texts  the texts of the values
    ends       the smallest and the largest number of a range; None if values are given
    """

    attribute: Attribute
    texts: frozenset[str]
    ends: tuple[float, float] | None = None

    def holds(self, item: RawId) -> bool:
        """Whether an item meets the condition.

        item  a raw id
        """
        if self.ends is None:
            return not self.texts.isdisjoint(self.attribute.values.get(item, NO_TEXTS))
        low, high = self.ends
        return any(low <= number <= high for number in self.attribute.numbers.get(item, ()))

    @cached_property
    def items(self) -> frozenset[RawId]:
        """All items that meet the condition."""
        if self.ends is None:
            return _NO_ITEMS.union(*(self.attribute.items_by_value.get(text, _NO_ITEMS) for text in self.texts))
        first, after = self._place
        return frozenset(self.attribute.by_number[1][first:after])

    @property
    def most(self) -> int:
        """At most how many items meet the condition; this is quick, and exact for items with one value."""
        if self.ends is None:
            return sum(len(self.attribute.items_by_value.get(text, _NO_ITEMS)) for text in self.texts)
        first, after = self._place
        return after - first

    @property
    def _place(self) -> tuple[int, int]:
        """Where the range begins and ends in the numbers of the column."""
        low, high = self.ends or (-np.inf, np.inf)
        numbers, _ = self.attribute.by_number
        return int(np.searchsorted(numbers, low, "left")), int(np.searchsorted(numbers, high, "right"))

    def unknown(self) -> Iterator[str]:
        """Yield a sentence about each value that no item has, or about a range that holds no item."""
        name, known = self.attribute.name, self.attribute.items_by_value
        if self.ends is not None and not self.most:
            yield f"no item has {name} in this range; {name} holds {self.attribute.in_words}"
        for text in sorted(self.texts - known.keys()):
            near = self.attribute.near(text)
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it holds {self.attribute.in_words}"
            yield f"no item has {text[:60]!r} in {name}; {hint}"


Attributes: TypeAlias = Mapping[str, Attribute]
"""The columns of a table of items, by name."""


def conditions(attributes: Attributes, wanted: Mapping[str, Wanted], place: str = "filters.") -> list[Condition]:
    """Return the conditions on some columns; an item must meet all of them.

    attributes  the columns that there are
    wanted      what an item must have, by column
    place       where the conditions are written, for the sentence about an error

    Raises ConfigError for a column that does not exist, with the columns that do, and as `Attribute.condition` does.

    >>> conditions({"genre": Attribute("genre", "text", {}, {})}, {"gnre": "Drama"})
    Traceback (most recent call last):
    caser.errors.ConfigError: filters.gnre must name a column of the table of items; did you mean genre?
    """
    return [column_named(attributes, name, place).condition(wanted[name], f"{place}{name}: ") for name in wanted]


def column_named(attributes: Attributes, name: str, place: str = "filters.") -> Attribute:
    """Return the column with a name. Raises ConfigError if there is none.

    attributes  the columns that there are        name  the name of a column
    place       where the name is written, for the sentence about an error
    """
    if name in attributes:
        return attributes[name]
    where = f"{place}{name[:60]} must name a column of the table of items"
    if not attributes:
        raise ConfigError(f"{where}; there is none: give a table of items (--items FILE).")
    raise ConfigError(f"{where}; {did_you_mean(name, attributes)}")


def items_that_meet(conditions: Iterable[Condition]) -> frozenset[RawId]:
    """Return the items that meet all of some conditions, of which there is at least one.

    conditions  the conditions
    """
    first, *others = sorted(conditions, key=lambda condition: condition.most)
    if not others:
        return first.items
    return frozenset(item for item in first.items if all(condition.holds(item) for condition in others))


def unknown_values(conditions: Iterable[Condition]) -> tuple[str, ...]:
    """Return sentences about the first values in some conditions that no item has, with similar values.

    conditions  the conditions

    >>> genre = Attribute("genre", "text", {1: frozenset(["Drama"])}, {})
    >>> unknown_values([genre.condition(["drama", "Drama"])])
    ("no item has 'drama' in genre; did you mean 'Drama'?",)
    """
    sentences = itertools.chain.from_iterable(condition.unknown() for condition in conditions)
    return tuple(itertools.islice(sentences, MAX_UNKNOWN))
