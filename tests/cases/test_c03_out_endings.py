"""Files of answers: every ending that is named is written, and any other is refused before the work."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from caser.system.frames import SINKS
from tests.cli import conftest
from tests.cli.terminal import caser, refusal

log, trained = conftest.log, conftest.trained
ANSWERS = 40 * 3


def rows_of(path: Path) -> list[list[str]]:
    """The rows of a file of text, without the names of its columns."""
    content = gzip.decompress(path.read_bytes()) if path.suffix.lower() == ".gz" else path.read_bytes()
    lines = content.decode("utf-8").splitlines()
    if ".jsonl" in path.name.lower():
        return [list(map(str, json.loads(line).values())) for line in lines]
    return [line.split("\t" if ".tsv" in path.name.lower() else ",") for line in lines[1:]]


@pytest.mark.parametrize("name", [f"new/dir/recs{ending}" for ending in SINKS if ending != ".parquet"] + ["RECS.CSV"])
def test_a_file_of_text_is_written_into_a_new_folder(name: str, trained: conftest.TrainedRun, tmp_path: Path) -> None:
    said = caser("recommend", trained("markov"), "--all", "--k", 3, "--out", tmp_path / name)
    assert said.code == 0, said.err
    rows = rows_of(tmp_path / name)
    assert len(rows) == ANSWERS
    assert {len(row) for row in rows} == {5}
    assert [row[0] for row in rows[:4]] == ["1", "1", "1", "2"]


@pytest.mark.parametrize("name", ["recs", "recs.txt", "recs.json", "recs.xlsx", "recs.parquet.gz", "recs.gz", "recs."])
def test_another_ending_is_refused_before_the_run_is_read(name: str, tmp_path: Path) -> None:
    for words in (["recommend", "nowhere", "--all", "--out"], ["data", "simulate", "chain", "--out"]):
        code, line = refusal(*words, tmp_path / name)
        assert code == 2
        assert line == f"the file of a table must end in {', '.join(SINKS)}; got {name!r}."
    assert not list(tmp_path.iterdir())


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recs.csv").mkdir()
    assert "must not be a folder" in refusal("recommend", "nowhere", "--all", "--out", tmp_path / "recs.csv")[1]
