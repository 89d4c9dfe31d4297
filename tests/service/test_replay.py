"""Replay: the hit rate of what was served, and whether a service answers as its run does."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from caser.artefact.folder import save
from caser.errors import DataError
from caser.service.http.tokens import add_token
from caser.study.replay import hit_rate
from tests.cli.terminal import caser, document, refusal
from tests.runs import caser_run
from tests.service.serving import process, serving


def written(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def shown(user: str | None, *items: str, model: str = "m1") -> dict[str, Any]:
    return {"kind": "answer", "user": user, "items": list(items), "model": model, "source": "fold-in"}


def took(user: str, item: str) -> dict[str, Any]:
    return {"kind": "event", "user": user, "item": item}


def test_an_event_is_judged_by_the_last_answer_before_it(tmp_path: Path) -> None:
    lines = [
        took("a", "1"),  # nothing was shown before
        shown("a", "1", "2", "3"),
        shown(None, "9"),
        took("a", "2"),  # a hit
        took("a", "3"),  # beyond the first two
        shown("a", "7", model="m2"),
        took("a", "1"),  # no longer shown
        took("b", "9"),
    ]
    found = hit_rate(written(tmp_path / "log", lines), k=2)
    assert (found.answers, found.unjudged, found.judged.events, found.judged.hits) == (3, 2, 3, 1)
    assert found.by["model m1"].rate == 0.5
    assert found.by["model m2"].rate == 0.0


def test_a_half_written_last_line_is_no_error_and_another_file_is(tmp_path: Path) -> None:
    path = written(tmp_path / "log", [shown("a", "1")])
    path.write_text(path.read_text() + '{"kind": "ev')
    assert hit_rate(path, k=1).answers == 1
    for content in ("user,item\n1,2\n", "[1]\n", "{}\n"):
        path.write_text(content)
        with pytest.raises(DataError, match="log"):
            hit_rate(path, k=1)
    with pytest.raises(DataError, match="readable"):
        hit_rate(tmp_path / "none", k=1)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A saved run of Caser, with users ann, bob, eve and zoe, and items 10 to 60."""
    save(caser_run(), tmp_path / "run")
    return tmp_path / "run"


async def answer_and_take(run: Path, log: Path) -> None:
    """Serve an answer, and events of two users; start the service again, and serve the events only."""
    best: Any = None
    for is_first in (True, False):
        async with serving(run, answer_log=log) as served:
            if is_first:
                best = (await served.items(user_id="bob", k=1))[0]
            await served.post("/v1/events", {"user_id": "bob", "item_id": best})
            await served.post("/v1/events", {"user_id": "eve", "item_id": best})


def test_replay_reads_the_log_that_the_service_writes(run: Path, tmp_path: Path) -> None:
    log = tmp_path / "log" / "answers.jsonl"
    asyncio.run(answer_and_take(run, log))
    served = document("replay", run, "--log", log)["served"]
    # Users keep their pseudonyms when the service starts again: bob has two hits, eve had no answer.
    assert (served["answers"], served["events"], served["hits"], served["events_without_answer"]) == (1, 2, 2, 2)
    assert "hit rate" in caser("replay", run, "--log", log).out


def test_a_service_answers_as_its_run_until_the_run_changes(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASER_TOKEN", add_token(run.parent / "tokens", "replay"))
    with process(run, "--token-file", run.parent / "tokens") as served:
        found = document("replay", run, "--against", served.url)["against"]
        assert (found["same"] + found["ties"], found["different"]) == (3, {})
        save(caser_run(seed=5), run)
        outcome = caser("replay", run, "--against", served.url)
        assert outcome.code == DataError.exit_code
        assert "must answer as the run does" in outcome.err
        monkeypatch.delenv("CASER_TOKEN")
        assert "401" in refusal("replay", run, "--against", served.url)[1]
    assert "Is it running?" in refusal("replay", run, "--against", served.url)[1]
    assert "must be like" in refusal("replay", run, "--against", "file:///etc/passwd")[1]
    assert "got neither" in refusal("replay", run)[1]
