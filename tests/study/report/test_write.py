"""A report is written completely, and an error names the missing key, the missing extra or the wrong value."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from caser.errors import ArtefactError, ConfigError, MissingDependencyError
from caser.study.report.write import write_report
from tests.runs import popularity_run
from tests.skips import NEEDS_EXTRAS
from tests.study.report import studies


def small() -> dict[str, Any]:
    """Return a study of two models without figures that take long."""
    study = studies.compare()
    rows = [{**row, "history": []} for row in study["rows"][3:5]]
    return {**study, "rows": rows, "slices": {}}


def need_extra() -> None:
    pytest.importorskip("plotly", reason=NEEDS_EXTRAS)
    pytest.importorskip("matplotlib", reason=NEEDS_EXTRAS)


def test_the_facts_of_the_study_are_written_unchanged(tmp_path: Path) -> None:
    need_extra()
    study = small()
    page = write_report(study, tmp_path)
    assert page == tmp_path / "report.html"
    assert json.loads((tmp_path / "study.json").read_bytes()) == study
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures", "report.html", "study.json"]


def test_every_figure_is_a_picture_that_shows_something(tmp_path: Path) -> None:
    need_extra()
    write_report({**studies.audit(), "title": "a"}, tmp_path)
    pictures = sorted((tmp_path / "figures").iterdir())
    assert [path.name for path in pictures] == ["finding-1.png", "finding-3.png"]
    for path in pictures:
        content = path.read_bytes()
        width, height = struct.unpack(">II", content[16:24])
        assert content.startswith(b"\x89PNG")
        assert width > 1200
        assert height > 300
        assert len(content) > 10_000


def test_the_numbers_of_the_network_are_written_too(tmp_path: Path) -> None:
    need_extra()
    artefact = studies.network()
    write_report({**studies.audit(), "findings": []}, tmp_path, artefact)
    network = json.loads((tmp_path / "study.json").read_bytes())["network"]
    assert network["vertical"] == artefact.scorer.arrays()["G"].astype(float).tolist()


def test_a_model_without_filters_adds_nothing(tmp_path: Path) -> None:
    need_extra()
    write_report({**studies.audit(), "findings": []}, tmp_path, popularity_run())
    assert "network" not in json.loads((tmp_path / "study.json").read_bytes())
    assert not (tmp_path / "figures").exists()


def test_numbers_that_json_does_not_have_become_null(tmp_path: Path) -> None:
    need_extra()
    study = small()
    study["rows"][0]["metrics"]["ndcg@10"] = {"value": 0.1, "low": float("nan"), "high": float("inf")}
    write_report(study, tmp_path)
    metric = json.loads((tmp_path / "study.json").read_bytes())["rows"][0]["metrics"]["ndcg@10"]
    assert metric == {"value": 0.1, "low": None, "high": None}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "compere"}, "did you mean compare"),
        ({"kind": None}, "must be of a known kind"),
        ({"rows": object()}, "JSON values only"),
    ],
)
def test_a_study_that_cannot_be_read_is_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        write_report({**small(), **change}, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["metric", "metrics", "rows"])
def test_a_missing_key_of_a_study_is_named(key: str, tmp_path: Path) -> None:
    study = small()
    del study[key]
    with pytest.raises(ConfigError, match=f"must have the key '{key}'"):
        write_report(study, tmp_path)


def test_a_missing_key_inside_a_part_is_named(tmp_path: Path) -> None:
    need_extra()
    study = studies.audit()
    del study["findings"][0]["chart"]["series"]
    with pytest.raises(ConfigError, match="must have the key 'series'"):
        write_report(study, tmp_path)


@pytest.mark.parametrize("package", ["plotly", "matplotlib"])
def test_a_missing_extra_is_named(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_extra()
    for name in [package, *(name for name in sys.modules if name.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=rf"needs {package}.*\[report\]"):
        write_report(small(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    need_extra()
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ArtefactError, match="must be writable"):
        write_report({**studies.audit(), "findings": []}, tmp_path / "taken")
