"""The bootstrap: against the formula, against worlds of known variance, paired, and with groups of owners."""

from __future__ import annotations

import numpy as np
import pytest

from caser.evaluation import bootstrap
from caser.evaluation.bootstrap import DRAWS, owner_draws, seed_draws
from caser.evaluation.metrics import Values
from caser.evaluation.statistics import mean_over_owners, paired_difference
from caser.system.randomness import numpy_generator

OWNERS = np.arange(200, dtype=np.int32)


def crossed(seeds: float, owners: float, interaction: float, seed: int, num_seeds: int = 3) -> Values:
    """(S, 200) values around 0, with effects of seeds, of owners, and of each seed with each owner (interaction)."""
    generator = numpy_generator(seed, "world")
    of_seeds = generator.standard_normal((num_seeds, 1))
    of_owners = generator.standard_normal((1, len(OWNERS)))
    return seeds * of_seeds + owners * of_owners + interaction * generator.standard_normal((num_seeds, len(OWNERS)))


def test_one_seed_gives_the_interval_of_the_formula() -> None:
    generator = numpy_generator(0, "world")
    owners = np.repeat(OWNERS, generator.integers(1, 9, len(OWNERS)))
    values = generator.random(len(owners)) < generator.random(len(OWNERS))[owners]
    draws = owner_draws(values.astype(np.float64), owners)
    estimate = mean_over_owners(values.astype(np.float64), owners)
    assert draws.shape == (DRAWS,)
    low, high = np.quantile(draws, [0.025, 0.975])
    assert (low, high) == pytest.approx((estimate.low, estimate.high), abs=0.06 * (high - low))


def test_the_difference_of_two_draws_is_the_draw_of_the_difference() -> None:
    first, second = crossed(0, 1, 1, seed=0), crossed(0, 1, 1, seed=1)
    apart = owner_draws(first[0], OWNERS) - owner_draws(second[0], OWNERS)
    np.testing.assert_allclose(apart, owner_draws(first[0] - second[0], OWNERS), atol=1e-12)


def test_draws_of_seeds_have_the_variance_of_the_mean_over_seeds() -> None:
    values = np.repeat([[0.1], [0.2], [0.6], [0.5]], len(OWNERS), axis=1)  # the same for every owner: no interaction
    assert seed_draws(values, OWNERS).var() == pytest.approx(np.var(values[:, 0], ddof=1) / 4, rel=0.1)


def test_the_interaction_of_seeds_and_owners_is_not_counted_as_variance_of_seeds() -> None:
    errors = [seed_draws(crossed(0, 1, 1, seed), OWNERS).var() for seed in range(100)]
    assert np.mean(errors) < 0.5 / (3 * len(OWNERS))  # with the interaction it would be 1 / (S n)
    errors = [seed_draws(crossed(0.2, 1, 1, seed), OWNERS).var() for seed in range(200)]
    assert np.mean(errors) == pytest.approx(0.2**2 / 3, rel=0.25)


@pytest.mark.parametrize(("seeds", "owners", "interaction"), [(0, 1, 0), (0, 0, 1), (0, 1, 1), (0.1, 1, 1), (1, 1, 0)])
def test_95_percent_of_intervals_over_users_and_seeds_contain_the_true_value(
    seeds: float, owners: float, interaction: float
) -> None:
    zeros = np.zeros((1, len(OWNERS)))
    found = [paired_difference(crossed(seeds, owners, interaction, seed), zeros, OWNERS) for seed in range(200)]
    assert np.mean([one.low <= 0 <= one.high for one in found]) == pytest.approx(0.95, abs=0.045)
    assert np.mean([one.p_value <= 0.05 for one in found]) == pytest.approx(0.05, abs=0.045)


def test_many_owners_are_dealt_into_groups_with_the_same_variance(monkeypatch: pytest.MonkeyPatch) -> None:
    values = crossed(0, 1, 0, seed=3)[0]
    error = owner_draws(values, OWNERS).std()
    monkeypatch.setattr(bootstrap, "MOST_OWNERS", 60)
    assert owner_draws(values, OWNERS).std() == pytest.approx(error, rel=0.25)
    assert owner_draws(values, OWNERS).mean() == pytest.approx(values.mean(), abs=0.01)


def test_draws_are_the_same_twice_and_depend_on_the_seed() -> None:
    values = crossed(1, 1, 1, seed=4)
    np.testing.assert_array_equal(owner_draws(values[0], OWNERS), owner_draws(values[0], OWNERS))
    np.testing.assert_array_equal(seed_draws(values, OWNERS), seed_draws(values, OWNERS))
    assert (owner_draws(values[0], OWNERS, seed=1) != owner_draws(values[0], OWNERS)).any()
