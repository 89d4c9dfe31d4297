"""`caser audit`: what it prints, its document, and the finished parts that it keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.terminal import caser, document, refusal


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, because reports go to runs/ below the current folder by default."""
    monkeypatch.chdir(tmp_path)


def test_the_verdict_comes_first_then_a_line_per_finding_then_advice(log: Path) -> None:
    outcome = caser("audit", log, "--no-neural")
    assert outcome.code == 0
    lines = [line.strip() for line in outcome.out.splitlines() if line.strip()]
    assert lines[0].startswith("Order matters")
    assert sum(line[:2] in ("✓ ", "· ", "! ") for line in lines) == 10
    assert lines.index("advice") < lines.index("notes")
    assert "markov, true order" in outcome.err


def test_the_document_equals_the_written_file_and_a_second_audit_trains_nothing(log: Path, tmp_path: Path) -> None:
    first = document("audit", log, "--no-neural", "--out", tmp_path / "audit")
    assert json.loads((tmp_path / "audit" / "study.json").read_text(encoding="utf-8")) == first
    again = caser("audit", log, "--no-neural", "--out", tmp_path / "audit")
    assert "markov" not in again.err
    assert first["verdict"] in again.out


def test_columns_filters_protocol_and_block_can_be_named(log: Path) -> None:
    found = document("audit", log, "--no-neural", "--protocol", "global-time", "--drop-repeats", "--block", 3)
    assert found["protocol"] == "global-time"
    assert "blocks of 3 shuffled" in found["findings"][0]["chart"]["x"]


def test_a_model_that_only_counts_is_refused(log: Path) -> None:
    code, line = refusal("audit", log, "--model", "markov")
    assert code == 2
    assert "must be a network" in line


def test_a_folder_that_cannot_be_written_is_refused(log: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outcome = caser("audit", log, "--no-neural", "--out", tmp_path / "file")
    assert outcome.code == 7


def test_without_a_network_the_verdict_the_advice_the_json_and_the_page_do_not_deny_an_order(tmp_path: Path) -> None:
    union = tmp_path / "union.csv"
    document("data", "simulate", "union", "--out", union)
    found = document("audit", union, "--no-neural", "--out", tmp_path / "audit")
    limit = "as far as count-knn can use it"
    assert limit in found["verdict"].partition(": ")[0]
    assert any("Audit with a network that reads the order" in sentence for sentence in found["advice"])
    assert found["findings"][0]["facts"]["models that read the order of several items"] == "none"
    page = (tmp_path / "audit" / "report.html").read_text(encoding="utf-8")
    assert limit in page
    assert "Audit with a network that reads the order" in page
    assert "need not read their order" not in page
