"""Kinds of events: which interactions are predicted, of which kind each is, and how much it counts in training.

A kind is written as its name, `purchase`, or as its name and its weight, `cart=0.3`. Only the ratios of weights matter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caser.arrays.types import Floats, Int32, Int64, Mask
from caser.errors import ConfigError

LARGEST_WEIGHT = 1e6
"""The largest weight of a kind; the smallest is 1 / LARGEST_WEIGHT."""

MOST_KINDS = 255
"""The most kinds that can be predicted: a code takes one byte, and 0 is history only."""

MOST_NAMED_KINDS = 1_000
"""A log of more kinds does not say which it has."""


@dataclass(frozen=True, eq=False)
class EventKinds:
    """The kinds of N interactions.

    codes    (N,) uint8: 0 for history only, and otherwise the place of the kind in `weights`, from 1
    weights  the weight of each kind that is predicted, above 0, by its name

    >>> kinds = EventKinds(np.array([0, 1, 2], np.uint8), {"purchase": 1.0, "cart": 0.5})
    >>> kinds.is_target.tolist(), kinds.relative_weights.tolist()
    ([False, True, True], [0.0, 2.0, 1.0])
    """

    codes: NDArray[np.uint8]
    weights: Mapping[str, float]

    def __getitem__(self, index: slice | Mask | NDArray[np.integer[Any]]) -> EventKinds:
        """The kinds of some of the interactions, in any order."""
        return replace(self, codes=self.codes[index])

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds that are predicted; the kind of code c is at c - 1."""
        return tuple(self.weights)

    @cached_property
    def is_target(self) -> Mask:
        """Which interactions are predicted, (N,) bool."""
        return self.codes > 0

    @property
    def num_targets(self) -> int:
        """How many of the interactions are predicted."""
        return int(np.count_nonzero(self.codes))

    @property
    def is_weighted(self) -> bool:
        """Whether some targets count more than others."""
        return len(set(self.weights.values())) > 1

    @property
    def by_code(self) -> Floats:
        """The weight of each code, (number of kinds + 1,); history only has 0. They are as they were given."""
        return np.array([0.0, *self.weights.values()])

    @property
    def relative_weights(self) -> Floats:
        """The weight of each interaction in a count, (N,): 1 for the kind with the smallest weight, 0 for history."""
        return (self.by_code / min(self.weights.values()))[self.codes]

    @property
    def total_weight(self) -> float:
        """The sum of the weights of all interactions, as they were given."""
        return float(np.bincount(self.codes, minlength=len(self.by_code)) @ self.by_code)

    def of_distinct(self, rows: Int64, items: Int32) -> EventKinds:
        """Return one kind for each distinct pair of a row and an item, in the order of their first appearance.

        rows, items  (N,) what the interactions belong to

        An item that a row has in several kinds gets the one with the largest weight; of equal ones, the one that is
        named first.

        >>> kinds = EventKinds(np.array([2, 1, 2], np.uint8), {"purchase": 1.0, "cart": 0.5})
        >>> kinds.of_distinct(np.array([0, 0, 0]), np.array([7, 7, 8], np.int32)).codes.tolist()
        [1, 2]
        """
        pairs = np.stack([rows, items.astype(np.int64)])
        _, first, inverse = np.unique(pairs, axis=1, return_index=True, return_inverse=True)
        # Codes from the weakest to the strongest.
        weakest_first = np.lexsort((-np.arange(len(self.by_code)), self.by_code))
        strength = np.argsort(weakest_first)
        strongest = np.zeros(len(first), dtype=np.int64)
        np.maximum.at(strongest, inverse.ravel(), strength[self.codes])
        return replace(self, codes=weakest_first[strongest[np.argsort(first)]].astype(np.uint8))


def concat_kinds(pieces: Sequence[EventKinds | None]) -> EventKinds | None:
    """Return the kinds of several runs of interactions, one after another, as one; None if they have none.

    pieces  the kinds of each, with the same weights
    """
    found = [piece for piece in pieces if piece is not None]
    return replace(found[0], codes=np.concatenate([piece.codes for piece in found])) if found else None


def weights_of(words: tuple[str, ...]) -> dict[str, float]:
    """Return the weight of each kind of event; one without a weight has 1.

    words  kinds, each with a weight behind `=` or without

    Raises ConfigError for a weight that is no number above 0, for a kind that is named twice and for too many kinds.

    >>> weights_of(("purchase", "cart=0.3"))
    {'purchase': 1.0, 'cart': 0.3}
    """
    weights: dict[str, float] = {}
    for word in words:
        name, sign, text = word.rpartition("=")
        kind, weight = (name, _number(text)) if sign else (word, 1.0)
        if not 1 / LARGEST_WEIGHT <= weight <= LARGEST_WEIGHT:
            raise ConfigError(
                f"target_events (--target-events) must have weights from {1 / LARGEST_WEIGHT:f} to "
                f"{LARGEST_WEIGHT:,.0f}, as in cart=0.3; got {word!r}. Leave out a kind that is history only; write a "
                "kind whose name holds = with its weight."
            )
        if not kind or kind in weights:
            raise ConfigError(
                f"target_events (--target-events) must name each kind once; got {', '.join(map(repr, words))}. Name it."
            )
        weights[kind] = weight
    if len(weights) > MOST_KINDS:
        raise ConfigError(
            f"target_events (--target-events) must be at most {MOST_KINDS} kinds; got {len(weights):,}. Name fewer."
        )
    return weights


def _number(text: str) -> float:
    """The number that a text is; NaN for any other text."""
    try:
        return float(text)
    except ValueError:
        return math.nan
