"""Writing an exported file: its facts, the models that are refused, and the state after a failure."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
import pytest

from caser.artefact.folder import save
from caser.artefact.run_folder import WEIGHTS
from caser.errors import ArtefactError, ConfigError
from caser.exported import read, write
from caser.exported.write import write_onnx
from tests.exported.networks import made
from tests.runs import popularity_run


def test_the_facts_hold_the_sha256_of_the_weights_file(tmp_path: Path) -> None:
    save(made("sasrec"), tmp_path / "run")
    facts = write_onnx(made("sasrec"), tmp_path / "model.onnx")
    assert facts["weights_sha256"] == hashlib.sha256((tmp_path / "run" / WEIGHTS).read_bytes()).hexdigest()


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        write_onnx(made("caser"), tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_table_that_is_read_and_scored_is_stored_once(tmp_path: Path) -> None:
    write_onnx(made("sasrec"), tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx").graph
    assert [list(tensor.dims) for tensor in graph.initializer].count([41, 6]) == 1


def test_a_model_that_counts_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got popularity"):
        write_onnx(popularity_run(), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(k: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        write_onnx(made("caser"), tmp_path / "model.onnx", k)


def test_a_network_that_is_too_large_for_one_file_is_refused_before_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "MOST_BYTES", write.ROOM)
    with pytest.raises(ConfigError, match="must be below"):
        write_onnx(made("caser"), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_that_could_not_be_read_back_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MOST_PARTS", 100)
    with pytest.raises(ArtefactError, match="more than 100 parts"):
        write_onnx(made("caser"), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.onnx"
    write_onnx(made("caser"), path)
    before = path.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ArtefactError, match="the disk is full"):
        write_onnx(made("sasrec"), path)
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [before]
