"""Rank tables: saved as arrays, read back, and refused when the arrays are damaged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray

from caser.data.synthetic import chain_world
from caser.errors import ArtefactError
from caser.evaluation.judge import counting_baselines, rank
from caser.evaluation.protocols import apply
from caser.evaluation.rank_table import RankTable

SPLIT = apply("caser-paper", chain_world(num_users=30, num_items=8, length=20, predictability=0.7, seed=0).log)
TABLE = rank(counting_baselines(SPLIT)["markov"], SPLIT)


def test_a_table_read_from_safetensors_equals_the_table_that_was_saved() -> None:
    read = RankTable.from_arrays(safetensors.numpy.load(safetensors.numpy.save(TABLE.to_arrays())))
    for name in ("ranks", "is_repeat", "queries", "num_targets", "num_candidates", "owners", "top_QK"):
        found, expected = getattr(read, name), getattr(TABLE, name)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype
    assert read.facts == TABLE.facts
    assert read.facts["fingerprint"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ranks": None}, "no array 'ranks'"),
        ({"extra": np.zeros(1)}, "an unknown array 'extra'"),
        ({"ranks": TABLE.ranks.astype(np.float32)}, "'ranks' as float32"),
        ({"top_QK": TABLE.owners}, "'top_QK' as int32"),
        ({"ranks": TABLE.ranks[1:]}, "targets"),
        ({"ranks": np.zeros_like(TABLE.ranks)}, "a rank that is not from 1"),
        ({"ranks": np.full_like(TABLE.ranks, np.nan)}, "a rank that is not from 1"),
        ({"is_repeat": np.zeros(1, dtype=np.uint8)}, "marks of repeats"),
        ({"owners": TABLE.owners[1:]}, "queries with"),
        ({"num_targets": TABLE.num_targets * 0}, "targets"),
        ({"facts": np.frombuffer(b"[1]", dtype=np.uint8)}, "facts that are not a JSON object"),
        ({"facts": np.frombuffer(b"\xff{", dtype=np.uint8)}, "facts that are not a JSON object"),
    ],
)
def test_arrays_that_no_table_wrote_are_refused(changes: dict[str, NDArray[Any] | None], message: str) -> None:
    arrays = {**TABLE.to_arrays(), **changes}
    with pytest.raises(ArtefactError, match=f"to_arrays wrote; got .*{message}"):
        RankTable.from_arrays({name: array for name, array in arrays.items() if array is not None})
