"""Statistics of any values: constant differences, equal seeds, the order of models, Holm's correction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from caser.evaluation.metrics import Values
from caser.evaluation.statistics import holm, mean_over_owners, paired_difference

some_values = arrays.arrays(np.float64, st.tuples(st.integers(1, 4), st.just(12)), elements=st.floats(0, 1, width=16))
p_values = arrays.arrays(np.float64, st.integers(1, 12), elements=st.floats(0, 1))
OWNERS = np.repeat(np.arange(6, dtype=np.int32), 2)


@settings(max_examples=30)
@given(some_values, st.sampled_from([-0.5, -0.125, 0.25]))
def test_a_constant_difference_has_an_interval_of_no_width(values: Values, constant: float) -> None:
    difference = paired_difference(values + constant, values, OWNERS)
    assert (difference.value, difference.low, difference.high) == pytest.approx((constant,) * 3, abs=1e-12)
    assert difference.is_shown
    assert difference.p_value < 1e-6


@settings(max_examples=30)
@given(some_values)
def test_a_model_does_not_differ_from_itself(values: Values) -> None:
    difference = paired_difference(values, values, OWNERS)
    assert (difference.value, difference.low, difference.high, difference.p_value) == (0, 0, 0, 1)


@settings(max_examples=30)
@given(some_values, some_values)
def test_swapping_the_models_changes_the_sign_of_the_difference(first: Values, second: Values) -> None:
    one, other = paired_difference(first, second, OWNERS), paired_difference(second, first, OWNERS)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))
    assert one.p_value == pytest.approx(other.p_value)


@settings(max_examples=30)
@given(some_values)
def test_the_value_lies_in_its_interval_and_the_interval_in_the_range_of_values(values: Values) -> None:
    found = mean_over_owners(values, OWNERS)
    assert values.min() <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= values.max()
    assert found.value == pytest.approx(values.mean())


@settings(max_examples=30)
@given(some_values)
def test_equal_seeds_give_the_interval_of_one_seed(values: Values) -> None:
    one = mean_over_owners(values[:1], OWNERS)
    three = mean_over_owners(np.repeat(values[:1], 3, axis=0), OWNERS)
    assert three.value == pytest.approx(one.value)
    assert three.high - three.low == pytest.approx(one.high - one.low, rel=0.2)


@given(p_values)
def test_holm_keeps_the_order_of_p_values_and_lies_between_them_and_bonferroni(p: Values) -> None:
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(p * len(p), 1) + 1e-15).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


@given(p_values, st.integers(0, 11), st.floats(0, 1))
def test_a_smaller_p_value_never_raises_an_adjusted_one(p: Values, place: int, factor: float) -> None:
    smaller = p.copy()
    smaller[place % len(p)] *= factor
    assert (holm(smaller) <= holm(p) + 1e-12).all()
