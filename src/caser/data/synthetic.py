"""Simulated worlds: logs whose best possible model is known, to test what a model can learn.

In every world the next item is, with probability `predictability`, a fixed function of the last `memory` items, and
otherwise uniform over the catalogue. For fixed newer items, the function is a permutation of the oldest item it reads.
So all items are equally popular, and the memory without its oldest item says nothing about the next item. All users
behave alike. Items repeat, so seen items must stay candidates.

    chain   the last n items, in order, decide (for n = 1, counts of a first-order Markov chain are the right model)
    union   the last two items decide together, in either order; one alone says nothing
    skip    the item `gap` steps back decides; the items between are noise
    noise   nothing decides; a model that beats chance here has read the test part
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from caser.arrays.types import Int64
from caser.data.log import InteractionLog
from caser.errors import ConfigError
from caser.system.randomness import numpy_generator

Rule = Callable[[Int64], Int64]
"""Maps memories (U, memory), items from 0 with the oldest first, to the item that follows each of them, (U,)."""

EPOCH_MICROSECONDS = 1_577_836_800_000_000  # 2020-01-01 UTC
SECOND = 1_000_000
MINUTES_OF_DAY = 24 * 60


@dataclass(frozen=True, eq=False)
class World:
    """A simulated log and the rule behind it.

    log          raw item ids are 1 to num_items, raw user ids 1 to num_users
    description  the rule in words        num_items  size of the catalogue
    memory       number of items that the rule reads        rule  the next item, see `Rule`
    predictability  probability that the next item follows the rule
    """

    log: InteractionLog
    description: str
    num_items: int
    memory: int
    predictability: float
    rule: Rule

    def best_hit_rate(self, k: int = 1) -> float:
        """Return the hit rate at k of the best possible model, for targets with at least `memory` items before them.

        k  length of the list, at least 1

        The value is p + (1 - p) k / num_items with p = predictability: a target that does not follow the rule is in the
        list by chance. Source: ours.

        >>> chain_world(num_users=2, num_items=10, length=5, predictability=0.9).best_hit_rate(k=1)
        0.91
        """
        chance = min(k, self.num_items) / self.num_items
        return self.predictability + (1 - self.predictability) * chance

    def next_items(self, histories: NDArray[np.integer]) -> Int64:
        """Return the raw id of the item that follows each history by the rule, (U,) int64.

        histories  (U, H) raw item ids, oldest first, with H >= memory

        >>> world = skip_world(num_users=1, num_items=5, length=9, gap=2, predictability=1.0)
        >>> items = np.array(world.log.item_vocabulary.raw(world.log.items))
        >>> bool(world.next_items(items[None, :8])[0] == items[8])
        True
        """
        return self.rule(histories[:, histories.shape[1] - self.memory :].astype(np.int64) - 1) + 1

    def in_sessions(self, length: int) -> World:
        """Return the same world, whose users return: after `length` interactions, a user pauses for a day.

        length  interactions of a session, at least 1; those of one session are a minute apart

        The items stay, so sessions play no part in the rule. Raises ConfigError for a length below 1.

        >>> world = chain_world(num_users=2, num_items=6, length=9).in_sessions(3)
        >>> (np.diff(world.log.times[:9]) // SECOND).tolist()
        [60, 60, 86460, 60, 60, 86460, 60, 60]
        """
        if length < 1:
            raise ConfigError(f"a session must have at least 1 interaction; got {length}.")
        num_users = self.log.num_users
        step = np.tile(np.arange(len(self.log) // num_users), num_users)
        minutes = step + MINUTES_OF_DAY * (step // length)
        turn = (self.log.users.astype(np.int64) - 1) * (60 * SECOND // num_users)  # users take turns within a minute
        times = EPOCH_MICROSECONDS + 60 * SECOND * minutes + turn
        provenance = {**self.log.provenance, "session_length": length}
        return replace(self, log=replace(self.log, times=times, provenance=provenance))


def chain_world(
    num_users: int = 500,
    num_items: int = 20,
    length: int = 30,
    order: int = 1,
    predictability: float = 0.9,
    seed: int = 0,
) -> World:
    """Simulate a Markov chain: the last `order` items decide, in their order; fewer items say nothing.

    num_users       number of users                 num_items  size of the catalogue
    length          interactions of each user       order      number of items that decide, at least 1
    predictability  probability that the next item follows the rule, in 0..1        seed  decides rule and log

    Raises ConfigError for a size below 1, for a predictability outside 0..1, and if num_items^order exceeds ten
    million, because the rule is a table of this size.

    >>> len(chain_world(num_users=3, num_items=4, length=7).log)
    21
    """
    if order < 1 or num_items**order > 10_000_000:
        raise ConfigError(f"order must be at least 1 and num_items^order at most 10,000,000; got {num_items}^{order}.")
    table = np.tile(np.arange(num_items), (num_items ** (order - 1), 1))
    table = numpy_generator(seed, "world", 1).permuted(table, axis=1)
    place_values = num_items ** np.arange(order - 1)[::-1]  # the newer items, read as digits, are a row of the table

    def rule(memories: Int64) -> Int64:
        following: Int64 = table[memories[:, 1:] @ place_values, memories[:, 0]]
        return following

    description = f"the last {order} items decide" if order > 1 else "the last item decides"
    return _world(description, rule, order, num_users, num_items, length, predictability, seed)


def union_world(
    num_users: int = 1000, num_items: int = 12, length: int = 30, predictability: float = 0.9, seed: int = 0
) -> World:
    """Simulate a world in which the last two items a and b decide together: next = table[(a + b) mod num_items].

    num_users, num_items, length, predictability, seed  as for `chain_world`

    One of the two items alone says nothing. Raises ConfigError as `chain_world` does.

    >>> union_world(num_users=3, num_items=4, length=7).memory
    2
    """
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
    """Simulate a world in which the item `gap` steps before the next one decides it; the items between are noise.

    gap  at least 1; 1 means that the last item decides
    num_users, num_items, length, predictability, seed  as for `chain_world`

    Raises ConfigError as `chain_world` does, and for a gap below 1.

    >>> skip_world(num_users=3, num_items=4, length=7, gap=2).description
    'the item 2 steps back decides'
    """
    if gap < 1:
        raise ConfigError(f"gap must be at least 1; got {gap}.")
    table = numpy_generator(seed, "world", 1).permutation(num_items)

    def rule(memories: Int64) -> Int64:
        following: Int64 = table[memories[:, 0]]
        return following

    description = f"the item {gap} steps back decides"
    return _world(description, rule, gap, num_users, num_items, length, predictability, seed)


def noise_world(num_users: int = 500, num_items: int = 20, length: int = 30, seed: int = 0) -> World:
    """Simulate a world in which every item is drawn uniformly: no model is better than chance, k / num_items.

    num_users, num_items, length, seed  as for `chain_world`

    Raises ConfigError as `chain_world` does.

    >>> noise_world(num_users=3, num_items=4, length=7).best_hit_rate(k=1)
    0.25
    """

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
    """Draw the sequences of all users step by step; their first `memory` items are uniform."""
    if min(num_users, num_items, length) < 1:
        raise ConfigError(f"sizes must be at least 1; got {num_users} users, {num_items} items, length {length}.")
    if not (math.isfinite(predictability) and 0 <= predictability <= 1):
        raise ConfigError(f"predictability must lie in 0..1; got {predictability}.")
    random = numpy_generator(seed, "world")
    items = random.integers(0, num_items, size=(num_users, length))
    follows = random.random((num_users, length)) < predictability
    for step in range(memory, length):
        by_rule = rule(items[:, step - memory : step])
        items[:, step] = np.where(follows[:, step], by_rule, items[:, step])
    log = _log(items, {"source": "simulated", "world": description, "seed": seed})
    return World(log, description, num_items, memory, predictability, rule)


def _log(items: Int64, provenance: dict[str, str | int]) -> InteractionLog:
    """Return (U, length) items, from 0, as a log with one event per second; users take turns, so no times are tied."""
    num_users, length = items.shape
    users = np.tile(np.arange(1, num_users + 1), length)
    times = EPOCH_MICROSECONDS + SECOND * np.arange(items.size, dtype=np.int64)
    return InteractionLog.from_columns(
        pl.Series(users), pl.Series(items.T.reshape(-1) + 1), times, provenance=provenance
    )
