"""Mapped arrays: pages that were read are given back, values stay, and large arrays are not held in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caser.system import mapped
from caser.system.mapped import Gathered, release, take
from caser.system.memory import peak_memory
from tests.skips import on_another_system

VALUES = np.arange(3 * 2**20, dtype=np.int64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    np.save(tmp_path / "values.npy", VALUES)
    return tmp_path / "values.npy"


def resident(path: Path) -> int:
    """The kilobytes of a mapped file that are in the memory of this process."""
    lines = Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines()
    begin = next(place for place, line in enumerate(lines) if line.endswith(str(path)))
    return next(int(line.split()[1]) for line in lines[begin:] if line.startswith("Rss:"))


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason=on_another_system("it reads /proc/self/smaps"))
def test_pages_that_were_read_are_given_back_and_can_be_read_again(path: Path) -> None:
    array = np.load(path, mmap_mode="r")
    assert int(array.sum()) == int(VALUES.sum())
    assert resident(path) > 20_000
    release(array[100:200])
    assert resident(path) == 0
    assert np.array_equal(array, VALUES)


@pytest.mark.parametrize("mode", ["c", "r+"])
def test_what_was_written_to_a_mapped_array_stays(mode: Any, path: Path) -> None:
    array = np.load(path, mmap_mode=mode)
    array[7] = -1
    release(array)
    assert array[7] == -1


@pytest.mark.parametrize("block", [1, 2, 100])
def test_entries_are_taken_in_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "_BLOCK", block)
    places = np.array([2, 0, 0, 5, 4])
    assert take(VALUES, places).tolist() == places.tolist()
    assert take(VALUES, places[:0]).tolist() == []


@pytest.mark.parametrize("large", [0, 50, 10**9])
def test_parts_are_gathered_in_memory_or_in_a_file(large: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "LARGE", large)
    gathered = Gathered(np.dtype(np.int64))
    for begin in range(0, 20, 5):
        gathered.add(VALUES[begin : begin + 5])
    array = gathered.array()
    assert array.tolist() == list(range(20))
    assert isinstance(array, np.memmap) == (large < 160)
    assert Gathered(np.dtype(np.bool_)).array().tolist() == []


def test_a_large_array_is_gathered_without_holding_it() -> None:
    gathered = Gathered(np.dtype(np.int64))
    for _ in range(3):  # so that the file has begun
        gathered.add(VALUES)
    with peak_memory() as peak:
        for _ in range(4):
            gathered.add(VALUES)
        array = gathered.array()
    assert len(array) == 7 * len(VALUES)
    assert peak.megabytes is None or peak.megabytes < 60
