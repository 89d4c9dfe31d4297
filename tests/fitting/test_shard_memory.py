"""The memory of splitting, training, judging and answering does not grow with the interactions of a log in shards."""

from __future__ import annotations

import sys

import pytest

from benchmarks.speed.shards import in_a_process
from caser.system.mapped import LARGE
from tests.skips import on_another_system

STAGES = ["split", "train", "judge", "save", "all"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason=on_another_system("it measures memory"))
def test_five_times_the_interactions_take_no_more_memory() -> None:
    options = {"users": 2000, "items": 300, "d": 8, "memory_mb": 100, "stages": STAGES, "baselines": False}
    small, large = (in_a_process({"interactions": size, **options}) for size in (10**6, 5 * 10**6))
    for stage in STAGES:
        # A run that is loaded may hold three arrays of its histories in memory, each of which is not yet large.
        allowed = 3 * LARGE / 2**20 if stage == "all" else 30
        assert large[stage]["peak_mb"] < 1.1 * small[stage]["peak_mb"] + allowed, stage
    whole = in_a_process({"interactions": 5 * 10**6, **options, "memory_mb": 0, "stages": ["split"]})
    assert whole["split"]["peak_mb"] > large["split"]["peak_mb"] + 100
