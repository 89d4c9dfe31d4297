"""Every road tells the same chances, and a run that learned none refuses on every road without harm to others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from caser.answering.recommender import load
from caser.artefact.folder import save
from caser.evaluation.calibration import Calibration
from tests.cli.terminal import caser, document, refusal
from tests.runs import USERS, popularity_run
from tests.service.serving import serving

KNOWN = Calibration(1.0, 2.0, (0.5, 0.5, 0.5, 0.5), (0.1, 0.2, 0.3), targets=500, found=300)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run"
    artefact = popularity_run()
    facts = {**artefact.manifest, "seen": "keep", "calibration": KNOWN.to_dict()}
    save(replace(artefact, manifest=facts), path)
    return path


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learned no chances."""
    path = tmp_path_factory.mktemp("run") / "silent"
    save(popularity_run(), path)
    return path


def chances(items: list[dict[str, Any]]) -> list[float | None]:
    return [item["chance"] for item in items]


async def test_every_road_tells_the_same_chances(run: Path, tmp_path: Path) -> None:
    ours = [answer.chances for answer in load(run).recommend(USERS, k=3, exclude=[10], chance=True)]
    assert ours[0]
    assert ours[0][0]
    assert ours[3] == [None] * 3
    asked = [word for user in USERS for word in ("--user", user)]
    words = ("--k", 3, "--exclude", 10, "--chance")
    said = document("recommend", run, *asked, *words)["answers"]
    assert [chances(answer["items"]) for answer in said] == ours
    document("recommend", run, "--all", "--out", tmp_path / "all.csv", *words)
    frame = pl.read_csv(tmp_path / "all.csv")
    assert [frame.filter(pl.col("user_id") == user)["chance"].to_list() for user in USERS] == ours
    async with serving(run) as served:
        question = {"k": 3, "exclude": [10], "chance": True}
        alone = [await served.post("/v1/recommend", {"user_id": user, **question}) for user in USERS]
        assert [chances(answer["items"]) for answer in alone] == ours
        bulk = {"questions": [{"user_id": "ann", "k": 3}, *({"user_id": user, **question} for user in USERS)]}
        plain, *answers = (await served.post("/v1/recommend/bulk", bulk))["answers"]
        assert [chances(answer["items"]) for answer in answers] == ours
        assert all("chance" not in item for item in plain["items"])
        assert answers[3]["notes"] == said[3]["notes"] == ["no chance can be told where nothing is known of the user"]


def test_a_person_sees_the_chance_beside_the_score(run: Path) -> None:
    outcome = caser("recommend", run, "--user", "ann", "--chance")
    [answer] = load(run).recommend("ann", chance=True)
    assert answer.chances
    first = answer.chances[0]
    assert "chance" in outcome.out
    assert f"{first:.4f}" in outcome.out
    assert "chance" not in caser("recommend", run, "--user", "ann").out


async def test_a_run_that_learned_none_refuses_and_still_answers_others(silent: Path, tmp_path: Path) -> None:
    code, sentence = refusal("recommend", silent, "--user", "ann", "--chance")
    assert code == 2
    assert "chance needs a run that learned on validation how likely its answers are" in sentence
    refusal("recommend", silent, "--all", "--out", tmp_path / "all.csv", "--chance")
    assert not list(tmp_path.iterdir())
    async with serving(silent) as served:
        error = await served.post("/v1/recommend", {"user_id": "ann", "chance": True}, 422)
        assert "chance needs a run that learned on validation" in json.dumps(error)
        bulk = {"questions": [{"user_id": "ann"}, {"user_id": "bob", "chance": True}]}
        assert "questions[1].chance needs a run" in json.dumps(await served.post("/v1/recommend/bulk", bulk, 422))
        assert await served.items(user_id="ann") == [50]
        await served.post("/v1/recommend", {"user_id": "ann", "chance": "yes"}, 422)
