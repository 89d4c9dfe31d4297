"""No bytes make a reader fail in another way than with an error of this library."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from tests.fuzz.criterion import MOST_BYTES, refusal_of
from tests.fuzz.mutations import mutated
from tests.fuzz.readers import READERS

NUM_MUTATIONS = 120
FOUND = Path(__file__).parent / "seeds"
"""For each reader a folder of inputs that once made it fail."""


@pytest.mark.parametrize("name", READERS)
def test_a_good_file_is_read(name: str, tmp_path: Path) -> None:
    read = READERS[name].open(tmp_path)
    for seed in READERS[name].seeds():
        assert refusal_of(read, seed, tmp_path) is None


@pytest.mark.parametrize("name", READERS)
def test_a_changed_file_is_read_or_refused(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    read, seeds = reader.open(tmp_path), reader.seeds()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refusals = [refusal_of(read, mutated(seeds, number), tmp_path) for number in range(NUM_MUTATIONS)]
    assert any(refusals), "the mutations change nothing that matters"
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < MOST_BYTES


@pytest.mark.parametrize("path", sorted(FOUND.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_once_failed_is_read_or_refused(path: Path, tmp_path: Path) -> None:
    refusal_of(READERS[path.parent.name].open(tmp_path), path.read_bytes(), tmp_path)
