"""Worlds whose right answer is known: made-up logs to see whether a model learns what it claims to learn.

In every world the next item is, with probability `predictability`, a fixed function of the last `memory` items, and
otherwise uniform over the catalogue. That function is a permutation of the oldest item it reads, so every item is
equally popular, and what is left of the memory without its oldest item says nothing about the next one. Users do not
differ. Items repeat, so a judge keeps seen items as candidates.

    chain   the last n items, in order, decide (n = 1: first-order Markov counts are the right model)
    union   the last two items decide together, in either order; one alone says nothing
    skip    the item `gap` steps back decides; those between are noise
    noise   nothing decides: a model that beats chance here reads its own test set
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from caser.arrays.types import Int64
from caser.data.log import InteractionLog
from caser.errors import ConfigError
from caser.system.randomness import numpy_generator

Rule = Callable[[Int64], Int64]
"""Memories (U, memory), oldest item first, items from 0 -> the item that follows each, (U,)."""

EPOCH_MICROSECONDS = 1_577_836_800_000_000  # 2020-01-01 UTC
SECOND = 1_000_000


@dataclass(frozen=True, eq=False)
class World:
    """A log and the truth behind it. Raw item ids are 1..num_items, raw user ids 1..num_users."""

    log: InteractionLog
    description: str
    num_items: int
    memory: int
    predictability: float
    rule: Rule

    def best_hit_rate(self, k: int = 1) -> float:
        """Hit rate at k of the best possible model, for a target with at least `memory` items before it.

        p + (1 - p) k / num_items: the rule's item fills one place of the list, chance the others. Source: ours.

        >>> chain_world(num_users=2, num_items=10, length=5, predictability=0.9).best_hit_rate(k=1)
        0.91
        """
        chance = min(k, self.num_items) / self.num_items
        return self.predictability + (1 - self.predictability) * chance

    def next_items(self, histories: NDArray[np.integer]) -> Int64:
        """Return the item the rule says follows each history: (U, >= memory) raw item ids -> (U,) raw item ids.

        >>> world = skip_world(num_users=1, num_items=5, length=9, gap=2, predictability=1.0)
        >>> items = np.array(world.log.item_vocabulary.raw(world.log.items))
        >>> bool(world.next_items(items[None, :8])[0] == items[8])
        True
        """
        return self.rule(histories[:, histories.shape[1] - self.memory :].astype(np.int64) - 1) + 1


def chain_world(
    num_users: int = 500,
    num_items: int = 20,
    length: int = 30,
    order: int = 1,
    predictability: float = 0.9,
    seed: int = 0,
) -> World:
    """A Markov chain of the given order: the last `order` items decide, in order; fewer than that say nothing.

    Raises ConfigError if the table of rules, num_items^order, would have more than ten million rows.

    >>> len(chain_world(num_users=3, num_items=4, length=7).log)
    21
    """
    if order < 1 or num_items**order > 10_000_000:
        raise ConfigError(f"order must be at least 1 and num_items^order at most 10,000,000; got {num_items}^{order}.")
    table = np.tile(np.arange(num_items), (num_items ** (order - 1), 1))
    table = numpy_generator(seed, "world", 1).permuted(table, axis=1)
    places = num_items ** np.arange(order - 1)[::-1]

    def rule(memories: Int64) -> Int64:
        following: Int64 = table[memories[:, 1:] @ places, memories[:, 0]]
        return following

    description = f"the last {order} items decide" if order > 1 else "the last item decides"
    return _world(description, rule, order, num_users, num_items, length, predictability, seed)


def union_world(
    num_users: int = 1000, num_items: int = 12, length: int = 30, predictability: float = 0.9, seed: int = 0
) -> World:
    """The last two items decide together, in either order: next = table[(a + b) mod num_items]; one says nothing."""
    table = numpy_generator(seed, "world", 1).permutation(num_items)

    def rule(memories: Int64) -> Int64:
        following: Int64 = table[memories.sum(axis=1) % num_items]
        return following

    return _world("the last two items decide together", rule, 2, num_users, num_items, length, predictability, seed)


def skip_world(
    num_users: int = 500,
    num_items: int = 20,
    length: int = 30,
    gap: int = 3,
    predictability: float = 0.9,
    seed: int = 0,
) -> World:
    """The item `gap` steps before the next one decides it (gap = 1: the last item); those between are noise."""
    if gap < 1:
        raise ConfigError(f"gap must be at least 1; got {gap}.")
    table = numpy_generator(seed, "world", 1).permutation(num_items)

    def rule(memories: Int64) -> Int64:
        following: Int64 = table[memories[:, 0]]
        return following

    description = f"the item {gap} steps back decides"
    return _world(description, rule, gap, num_users, num_items, length, predictability, seed)


def noise_world(num_users: int = 500, num_items: int = 20, length: int = 30, seed: int = 0) -> World:
    """Every item is drawn uniformly: no model can do better than chance, k / num_items."""

    def rule(memories: Int64) -> Int64:
        return np.zeros(len(memories), dtype=np.int64)

    return _world("nothing decides", rule, 0, num_users, num_items, length, 0.0, seed)


WORLDS: dict[str, Callable[..., World]] = {
    "chain": chain_world,
    "union": union_world,
    "skip": skip_world,
    "noise": noise_world,
}


def _world(
    description: str,
    rule: Rule,
    memory: int,
    num_users: int,
    num_items: int,
    length: int,
    predictability: float,
    seed: int,
) -> World:
    """Draw every user's sequence step by step; the first `memory` items are uniform."""
    if min(num_users, num_items, length) < 1:
        raise ConfigError(f"sizes must be at least 1; got {num_users} users, {num_items} items, length {length}.")
    if not (math.isfinite(predictability) and 0 <= predictability <= 1):
        raise ConfigError(f"predictability must lie in 0..1; got {predictability}.")
    random = numpy_generator(seed, "world")
    items = random.integers(0, num_items, size=(num_users, length))
    follows = random.random((num_users, length)) < predictability
    for step in range(memory, length):
        ruled = rule(items[:, step - memory : step])
        items[:, step] = np.where(follows[:, step], ruled, items[:, step])
    log = _log(items, {"source": "simulated", "world": description, "seed": seed})
    return World(log, description, num_items, memory, predictability, rule)


def _log(items: Int64, provenance: dict[str, str | int]) -> InteractionLog:
    """Lay out (U, length) items from 0 as a log: one event a second, users taking turns, so all times are distinct."""
    num_users, length = items.shape
    users = np.tile(np.arange(1, num_users + 1), length)
    times = EPOCH_MICROSECONDS + SECOND * np.arange(items.size, dtype=np.int64)
    return InteractionLog.from_columns(
        pl.Series(users), pl.Series(items.T.reshape(-1) + 1), times, provenance=provenance
    )
