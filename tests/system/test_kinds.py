"""An argument of the wrong kind: what the error says about it."""

from __future__ import annotations

import numpy as np
import pytest

from caser.errors import ConfigError, DataError
from caser.system.kinds import must_be


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "got None."), ("x", r"got 'x' \(str\)."), (np.zeros((9, 9)), "got a value of type ndarray.")],
)
def test_a_value_of_another_kind_is_shown_briefly_with_its_type(value: object, shown: str) -> None:
    with pytest.raises(ConfigError, match=f"^size must be a number; {shown} Give one.$"):
        must_be("size", value, int | float, "a number", "Give one.")


def test_the_class_of_the_error_can_be_chosen_and_the_right_kind_passes() -> None:
    must_be("size", 3, int, "a number", error=DataError)
    with pytest.raises(DataError, match=r"^size must be a number; got None\.$"):
        must_be("size", None, int, "a number", error=DataError)
