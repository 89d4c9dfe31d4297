"""Intervals: against the textbook, against a bootstrap, for clusters, for too few owners, and in sentences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from caser.errors import ConfigError
from caser.evaluation.metrics import Values
from caser.evaluation.statistics import (
    Difference,
    corrected,
    holm,
    mean_over_owners,
    paired_difference,
)
from caser.system.randomness import numpy_generator

Owners = np.ndarray[tuple[int], np.dtype[np.int32]]


def clustered(num_owners: int, seed: int = 0) -> tuple[Values, Owners]:
    """Values of 1 to 8 queries per owner that depend strongly on each other."""
    generator = numpy_generator(seed, "world")
    sizes = generator.integers(1, 9, num_owners)
    chances = generator.random(num_owners)
    owners = np.repeat(np.arange(num_owners, dtype=np.int32), sizes)
    return (generator.random(len(owners)) < chances[owners]).astype(np.float64), owners


def bootstrap(values: Values, owners: Owners, resamples: int = 4000) -> tuple[float, float]:
    """Percentiles of the mean over queries, with whole owners drawn with replacement."""
    sums, counts = np.bincount(owners, values), np.bincount(owners)
    generator = numpy_generator(0, "bootstrap")
    drawn = generator.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=resamples)
    low, high = np.quantile((drawn @ sums) / (drawn @ counts), [0.025, 0.975])
    return float(low), float(high)


def test_one_query_per_owner_gives_the_textbook_interval() -> None:
    values = numpy_generator(1, "world").random(50)
    estimate = mean_over_owners(values, np.arange(50, dtype=np.int32))
    low, high = stats.t.interval(0.95, 49, loc=values.mean(), scale=stats.sem(values))
    assert (estimate.low, estimate.high) == pytest.approx((low, high))


@pytest.mark.parametrize("num_owners", [200, 900])
def test_the_interval_over_owners_agrees_with_a_bootstrap_of_owners(num_owners: int) -> None:
    values, owners = clustered(num_owners)
    estimate = mean_over_owners(values, owners)
    low, high = bootstrap(values, owners)
    width = high - low
    assert estimate.value == values.mean()
    assert abs(estimate.low - low) < 0.06 * width
    assert abs(estimate.high - high) < 0.06 * width


def test_queries_of_one_owner_count_as_one_observation() -> None:
    values, owners = clustered(100)
    apart = mean_over_owners(values, np.arange(len(values), dtype=np.int32))
    together = mean_over_owners(values, owners)
    assert together.high - together.low > 1.3 * (apart.high - apart.low)
    repeated = mean_over_owners(np.repeat(values, 5), np.repeat(owners, 5))
    assert repeated.high == pytest.approx(together.high)


def test_an_interval_never_leaves_the_range_of_the_values() -> None:
    values = np.zeros(50)
    values[0] = 1
    assert mean_over_owners(values, np.arange(50, dtype=np.int32)).low == 0


def test_with_one_owner_or_none_there_is_no_interval() -> None:
    one = mean_over_owners(np.array([0.25, 0.75]), np.array([7, 7], dtype=np.int32))
    assert one.to_dict() == {"value": 0.5, "low": None, "high": None}
    none = mean_over_owners(np.zeros(0), np.zeros(0, dtype=np.int32))
    assert none.to_dict() == {"value": None, "low": None, "high": None}


def test_pairing_shows_a_difference_that_unpaired_intervals_hide() -> None:
    generator = numpy_generator(2, "world")
    second = generator.random(300)
    first = second + 0.02 + 0.01 * generator.standard_normal(300)
    owners = np.arange(300, dtype=np.int32)
    assert mean_over_owners(first, owners).low < mean_over_owners(second, owners).high
    assert paired_difference(first, second, owners).is_shown


def test_equal_models_show_no_difference() -> None:
    values, owners = clustered(50)
    difference = paired_difference(values, values, owners)
    assert (difference.value, difference.is_shown, difference.smallest_detectable) == (0, False, 0)


def test_the_smallest_detectable_difference_is_shown_in_80_percent_of_draws() -> None:
    generator = numpy_generator(4, "world")
    owners = np.arange(400, dtype=np.int32)
    noise = generator.standard_normal((600, 400))
    true_difference = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) / math.sqrt(400)
    found = [paired_difference(row + true_difference, np.zeros(400), owners) for row in noise]
    assert np.mean([one.smallest_detectable for one in found]) == pytest.approx(true_difference, rel=0.02)
    assert np.mean([one.is_shown for one in found]) == pytest.approx(0.8, abs=0.05)


def test_a_difference_over_other_queries_is_refused() -> None:
    with pytest.raises(ConfigError, match="same queries"):
        paired_difference(np.zeros(3), np.zeros(4), np.zeros(3, dtype=np.int32))


@pytest.mark.parametrize(
    ("difference", "beginning"),
    [
        (
            Difference(0.01, -0.02, 0.04, 0.05),
            "hit@50: caser against count-knn: no difference that 943 users can show",
        ),
        (Difference(0.05, 0.02, 0.08, 0.04), "hit@50: caser beats count-knn"),
        (Difference(-0.05, -0.08, -0.02, 0.04), "hit@50: caser loses to count-knn"),
    ],
)
def test_a_difference_is_said_in_one_sentence(difference: Difference, beginning: str) -> None:
    assert difference.sentence("caser", "count-knn", "hit@50", 943).startswith(beginning)


def test_one_user_cannot_show_a_difference() -> None:
    difference = paired_difference(np.array([1.0, 0.0]), np.array([0.5, 0.0]), np.array([7, 7], dtype=np.int32))
    sentence = difference.sentence("caser", "markov", "hit@10", 1)
    assert sentence == "hit@10: caser against markov: 1 user is too few to show a difference (+0.2500)"
    two = Difference(0.0, -1.0, 1.0, 2.0).sentence("caser", "markov", "hit@10", 2, "session")
    assert two == "hit@10: caser against markov: 2 sessions are too few to show a difference (+0.0000)"


@pytest.mark.parametrize(("num_owners", "is_shown"), [(2, False), (3, False), (5, False), (6, True), (30, True)])
def test_few_users_who_all_agree_show_nothing(num_owners: int, is_shown: bool) -> None:
    difference = paired_difference(np.ones(num_owners), np.zeros(num_owners), np.arange(num_owners, dtype=np.int32))
    assert (difference.num_owners, difference.is_shown, difference.is_lost_to_correction) == (
        num_owners,
        is_shown,
        False,
    )
    assert ("too few" in difference.sentence("caser", "markov", "hit@10", num_owners)) is not is_shown


def test_a_size_of_zero_is_never_quoted_as_the_smallest_that_could_be_shown() -> None:
    equal = paired_difference(np.ones(50), np.ones(50), np.arange(50, dtype=np.int32))
    assert "0.0000 or more" not in equal.sentence("caser", "markov", "hit@10", 50)


def test_the_p_value_is_that_of_a_paired_t_test() -> None:
    generator = numpy_generator(5, "world")
    first, second = generator.random(40), generator.random(40)
    difference = paired_difference(first, second, np.arange(40, dtype=np.int32))
    assert difference.p_value == pytest.approx(stats.ttest_rel(first, second).pvalue)


def test_holm_equals_values_worked_out_by_hand() -> None:
    adjusted = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1, 1]
    with_gap = holm(np.array([0.01, np.nan]))
    assert with_gap[0] == 0.02
    assert np.isnan(with_gap[1])


def test_a_difference_shown_alone_may_not_be_shown_in_a_family() -> None:
    alone = {"lucky": Difference(0.1, 0.01, 0.19, 0.1, p_value=0.03)}
    assert corrected(alone) == alone
    assert alone["lucky"].is_shown
    family = corrected({**alone, "other": Difference(0.0, -0.1, 0.1, 0.1, p_value=0.9)})
    assert family["lucky"].p_adjusted == pytest.approx(0.06)
    assert not family["lucky"].is_shown
    sentence = family["lucky"].sentence("lucky", "markov", "map", 50)
    assert sentence.startswith("map: lucky against markov: no difference that 50 users can show")
    assert family["lucky"].is_lost_to_correction
    assert not family["other"].is_lost_to_correction
    why = "p 0.060 after Holm's correction for 2 comparisons, above 0.05: among so many, one interval without 0 may be"
    assert why in sentence
    assert "Holm" not in alone["lucky"].sentence("lucky", "markov", "map", 50)


def test_a_difference_becomes_json_values() -> None:
    said = paired_difference(np.array([1.0, 0.0]), np.array([0.5, 0.0]), np.array([7, 7], dtype=np.int32)).to_dict()
    assert said["value"] == 0.25
    assert [said[name] for name in ("low", "high", "smallest_detectable", "p_value", "p_adjusted")] == [None] * 5
    assert (said["family"], said["is_shown"]) == (1, False)


def test_models_with_different_numbers_of_seeds_are_not_paired_by_seed() -> None:
    generator = numpy_generator(6, "world")
    owners = np.arange(100, dtype=np.int32)
    three, two = (generator.random((seeds, 1)) + generator.random((1, 100)) for seeds in (3, 2))
    found = paired_difference(three, two, owners)
    assert found.value == pytest.approx(three.mean() - two.mean())
    error = np.hypot(*(np.std(side.mean(axis=1), ddof=1) / np.sqrt(len(side)) for side in (three, two)))
    assert (found.high - found.low) / 2 > 2 * error
