"""Worlds: the promises of each, measured on a simulated log."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from caser.data.synthetic import SECOND, WORLDS, World, chain_world, noise_world, skip_world, union_world
from caser.errors import ConfigError

Sequences = NDArray[np.int64]


def sequences(world: World) -> Sequences:
    """Raw item ids, one row per user (all users have the same length)."""
    items = np.array(world.log.item_vocabulary.raw(world.log.items))
    return items.reshape(world.log.num_users, -1)


def oracle_hit_rate(world: World) -> float:
    rows = sequences(world)
    hits = [world.next_items(rows[:, :end]) == rows[:, end] for end in range(world.memory, rows.shape[1])]
    return float(np.mean(hits))


def markov_hit_rate(world: World, back: int = 1) -> float:
    """Count pairs `back` steps apart on all but each user's last item; guess the last item by the highest count."""
    rows = sequences(world)
    counts = np.zeros((world.num_items + 1, world.num_items + 1))
    np.add.at(counts, (rows[:, : -1 - back].ravel(), rows[:, back:-1].ravel()), 1)
    return float(np.mean(counts.argmax(axis=1)[rows[:, -1 - back]] == rows[:, -1]))


@pytest.mark.parametrize("make", WORLDS.values(), ids=WORLDS)
def test_the_same_seed_makes_the_same_world_and_another_seed_another(make: Callable[..., World]) -> None:
    assert make(num_users=20, seed=1).log.digest == make(num_users=20, seed=1).log.digest
    assert make(num_users=20, seed=1).log.digest != make(num_users=20, seed=2).log.digest


@pytest.mark.parametrize(
    "world",
    [chain_world(), chain_world(order=2, predictability=0.5), union_world(), skip_world(gap=4), skip_world(gap=1)],
    ids=["chain", "chain of order 2", "union", "skip", "skip of one"],
)
def test_the_oracle_reaches_the_best_possible_hit_rate_and_not_more(world: World) -> None:
    assert oracle_hit_rate(world) == pytest.approx(world.best_hit_rate(), abs=0.015)


def test_first_order_counts_solve_the_chain() -> None:
    world = chain_world()
    assert markov_hit_rate(world) == pytest.approx(world.best_hit_rate(), abs=0.04)


@pytest.mark.parametrize(
    ("world", "back"),
    [
        (union_world(), 1),
        (union_world(), 2),
        (chain_world(num_users=1000, order=2), 1),
        (skip_world(gap=3), 1),
        (skip_world(gap=3), 2),
        (noise_world(), 1),
    ],
)
def test_an_item_that_does_not_decide_predicts_no_better_than_chance(world: World, back: int) -> None:
    assert markov_hit_rate(world, back) == pytest.approx(1 / world.num_items, abs=0.04)


def test_the_deciding_item_of_the_skip_world_gives_the_best_hit_rate() -> None:
    world = skip_world(gap=3)
    assert markov_hit_rate(world, back=3) == pytest.approx(world.best_hit_rate(), abs=0.04)


def test_the_union_does_not_depend_on_the_order_of_the_pair() -> None:
    world = union_world(num_users=5)
    pairs = np.array([[1, 2], [3, 7], [5, 5]])
    assert world.next_items(pairs).tolist() == world.next_items(pairs[:, ::-1]).tolist()


@pytest.mark.parametrize("num_users", [1, 7, 100])
def test_users_in_sessions_pause_for_a_day_and_take_the_same_items(num_users: int) -> None:
    plain = skip_world(num_users=num_users, length=10)
    made = plain.in_sessions(4)
    assert np.array_equal(sequences(made), sequences(plain))
    minutes = np.diff(made.log.times.reshape(num_users, 10)) / (60 * SECOND)
    assert (minutes == [1, 1, 1, 1441, 1, 1, 1, 1441, 1]).all()
    in_time = np.argsort(made.log.times, kind="stable")
    assert len(set(made.log.times.tolist())) == len(made.log)
    assert np.array_equal(in_time, np.argsort(made.log.rows))  # rows are in order of time, as without sessions
    assert made.log.digest != plain.log.digest


def test_a_session_without_interactions_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 interaction; got 0"):
        skip_world(num_users=2).in_sessions(0)


@pytest.mark.parametrize("make", WORLDS.values(), ids=WORLDS)
def test_every_item_is_equally_popular(make: Callable[..., World]) -> None:
    world = make(num_users=3000)
    shares = np.bincount(world.log.items)[1:] / len(world.log)
    assert len(shares) == world.num_items
    assert shares == pytest.approx(1 / world.num_items, rel=0.15)


def test_the_best_hit_rate_grows_with_k_to_one() -> None:
    world = noise_world(num_items=20)
    assert [world.best_hit_rate(k) for k in (1, 10, 20, 50)] == [0.05, 0.5, 1.0, 1.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: chain_world(num_items=0),
        lambda: chain_world(order=0),
        lambda: chain_world(num_items=1000, order=3),
        lambda: skip_world(gap=0),
        lambda: union_world(predictability=1.5),
        lambda: union_world(predictability=float("nan")),
        lambda: noise_world(length=0),
    ],
)
def test_impossible_parameters_are_refused(make: Callable[[], World]) -> None:
    with pytest.raises(ConfigError):
        make()
