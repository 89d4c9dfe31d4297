"""Small files that would fill the memory are refused in one sentence, in time, by logs and by items tables alike."""

from __future__ import annotations

import os
import resource
import threading
import time
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from caser.data.item_table import read_items
from caser.data.log import Vocabulary
from caser.data.readers import read_log
from caser.errors import DataError
from tests.fuzz.hostile import HOSTILE

FREE_BYTES = 10**9


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caser.system.bounds.free_memory", lambda: float(FREE_BYTES))


@pytest.mark.parametrize("what", HOSTILE)
def test_a_file_that_would_fill_the_memory_is_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(HOSTILE[what]())
    assert path.stat().st_size < 60_000_000
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(DataError, match=r"memory|at most|must be whole"):
        read_log(path)
    with pytest.raises(DataError, match=r"memory|at most|must be whole"):
        read_items(path, Vocabulary(pl.Series([1])))
    assert time.monotonic() - start < 10
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < FREE_BYTES


@pytest.mark.parametrize("kind", ["categories", "texts", "jsonl", "csv"])
def test_columns_of_long_texts_are_bad_rows_or_passed_over_in_time(kind: str, tmp_path: Path) -> None:
    texts = pl.Series([f"{number} " + "may " * 100_000 for number in range(10)])
    rows = pl.DataFrame({"user": range(600), "item": [f"i{row % 7}" for row in range(600)]})
    frame = rows.with_columns(review=texts.gather([row % 10 for row in range(600)]))
    path = tmp_path / "log"
    if kind == "categories":
        pq.write_table(frame.with_columns(pl.col("review").cast(pl.Categorical)).to_arrow(), path, compression="zstd")
    elif kind == "texts":
        frame.write_parquet(path)
    else:
        frame = frame.head(8)
        frame.write_ndjson(path) if kind == "jsonl" else frame.write_csv(path)
    start = time.monotonic()
    assert len(read_log(path)) == len(frame)
    with pytest.raises(DataError, match=f"got rows: {len(frame)} with the id of an item of more than 1,000 characters"):
        read_log(path, item="review")
    assert time.monotonic() - start < 5


def test_a_pipe_without_a_writer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caser.data.content.WAIT_SECONDS", 0.2)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="a pipe must have a writer"):
        read_log(tmp_path / "pipe")


def test_a_pipe_whose_writer_is_slow_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caser.data.content.WAIT_SECONDS", 0.2)
    os.mkfifo(tmp_path / "pipe")

    def write() -> None:
        with (tmp_path / "pipe").open("wb", buffering=0) as pipe:
            pipe.write(b"user,item\nann,tea\n")
            time.sleep(0.5)
            pipe.write(b"bob,tea\n")

    writer = threading.Thread(target=write)
    writer.start()
    log = read_log(tmp_path / "pipe")
    writer.join()
    assert len(log) == 2


def test_an_endless_device_as_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/zero") as zero:  # noqa: PTH123 (a device)
        monkeypatch.setattr("sys.stdin", zero)
        with pytest.raises(DataError, match="got a device"):
            read_log("-")


def test_a_large_log_with_few_columns_in_use_is_read(tmp_path: Path) -> None:
    wide = pl.DataFrame({"user": [1, 2], "item": [3, 4], **{f"feature {n}": [0.5, 0.5] for n in range(5000)}})
    wide.write_csv(tmp_path / "wide.csv")
    wide.write_parquet(tmp_path / "wide.parquet")
    assert [len(read_log(tmp_path / name)) for name in ("wide.csv", "wide.parquet")] == [2, 2]
