"""Saved runs of earlier versions load and give the same answers, and training ends with the same weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from caser.answering.recommender import load
from tests.parity import recorded
from tests.skips import skipped

TRACES: dict[str, Any] = json.loads(recorded.TRACES.read_text(encoding="utf-8"))
FOLDERS = sorted(path.parent for path in recorded.FOLDER.glob(f"*/{recorded.ANSWERS}"))
RUNS = [(folder, name) for folder in FOLDERS for name in json.loads((folder / recorded.ANSWERS).read_text())]


@pytest.mark.parametrize("name", recorded.TRAINED)
def test_training_ends_at_the_weights_on_record(name: str) -> None:
    losses, digest = recorded.trained(name)
    assert losses == pytest.approx(TRACES[name]["losses"], rel=1e-4)
    on_record = TRACES[name]["sha256"]
    if recorded.machine() not in on_record:
        missing = f"the losses agree, but no digest is on record for {recorded.machine()}"
        pytest.skip(skipped(missing, "python -m tests.parity.recorded traces"))
    assert digest == on_record[recorded.machine()]


@pytest.mark.parametrize(("folder", "name"), RUNS, ids=lambda part: part if isinstance(part, str) else part.name)
def test_a_run_of_an_earlier_version_answers_as_it_did(folder: Path, name: str) -> None:
    expected = json.loads((folder / recorded.ANSWERS).read_text(encoding="utf-8"))[name]
    said = json.loads(json.dumps(recorded.answers(load(folder / name))))
    assert len(said) == len(expected) == 4
    for ours, theirs in zip(said, expected, strict=True):
        assert {**ours, "items": None} == {**theirs, "items": None}
        assert [item["item_id"] for item in ours["items"]] == [item["item_id"] for item in theirs["items"]]
        scores = [[item["score"] for item in answer["items"]] for answer in (ours, theirs)]
        assert scores[0] == pytest.approx(scores[1], rel=1e-4, abs=1e-5)
