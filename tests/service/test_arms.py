"""An experiment: who gets the candidate, what says so, and that the candidate never takes the incumbent down."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from scipy import stats

from caser.artefact.folder import model_version, save
from caser.errors import ConfigError
from caser.service.answers.arms import Experiment, share_in
from caser.service.workers import hub as hub_module
from tests.cli.terminal import refusal
from tests.runs import caser_run, popularity_run
from tests.service.serving import process, serving, wait_until
from tests.service.test_workers import FakeWorker

HALF = Experiment(0.5, "")
CHOSEN = [user for user in map(str, range(40)) if HALF.arm_of(user) == "candidate"]
OTHERS = [user for user in map(str, range(40)) if HALF.arm_of(user) == "incumbent"]


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    """Another run of the same log."""
    save(popularity_run(), tmp_path / "candidate")
    return tmp_path / "candidate"


# --- who belongs to which arm


def test_the_arms_hold_the_share_and_experiments_are_independent() -> None:
    users = range(20_000)
    first, second = Experiment(0.05, "a"), Experiment(0.3, "b")
    of_first, of_second = ({user for user in users if one.arm_of(user) == "candidate"} for one in (first, second))
    assert stats.binomtest(len(of_first), len(users), 0.05).pvalue > 0.001
    assert stats.binomtest(len(of_second), len(users), 0.3).pvalue > 0.001
    assert stats.binomtest(len(of_first & of_second), len(of_first), 0.3).pvalue > 0.001


def test_a_larger_share_keeps_those_who_have_the_candidate() -> None:
    small, large = Experiment(0.1, "s"), Experiment(0.4, "s")
    kept = [user for user in range(2000) if small.arm_of(user) == "candidate"]
    assert kept
    assert all(large.arm_of(user) == "candidate" for user in kept)


def test_the_arm_of_a_user_never_changes() -> None:
    """These are fixed: another hash would move users between the arms of an experiment that is under way."""
    one = Experiment(0.5, "spring")
    assert [one.arm_of(user) for user in (7, "7", "007", "ann", "Zoë", None)] == FIXED


FIXED = ["candidate", "candidate", "incumbent", "candidate", "candidate", "incumbent"]


@pytest.mark.parametrize("text", ["", "0", "0%", "5", "100%", "1", "1.0", "-5%", "nan", "5 %%", "٥%", "1e-2"])
def test_an_impossible_share_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1, such as 5%"):
        share_in(text)


# --- answers, logs, metrics


async def test_each_user_gets_one_arm_and_everything_says_which(run: Path, candidate: Path, tmp_path: Path) -> None:
    log, versions = tmp_path / "answers.jsonl", {"incumbent": model_version(run), "candidate": model_version(candidate)}
    async with serving(run, candidate=candidate, share="50%", answer_log=log) as served:
        arms: dict[str, Any] = {}
        for user in map(str, range(40)):
            answer = await served.post("/v1/recommend", {"user_id": user, "history": [20]})
            assert answer["model_version"] == versions[answer["arm"]]
            arms[user] = answer["arm"]
        assert [user for user, arm in arms.items() if arm == "candidate"] == CHOSEN
        bulk = await served.post("/v1/recommend/bulk", {"questions": [{"user_id": user} for user in arms]})
        assert [answer["arm"] for answer in bulk["answers"]] == list(arms.values())
        assert [answer["user_id"] for answer in bulk["answers"]] == list(arms)
        anonymous = await served.post("/v1/recommend", {"history": [20]})
        assert anonymous["arm"] == "incumbent"
        facts = await served.get("/v1/model")
        assert facts["model_version"] == versions["incumbent"]
        assert facts["experiment"]["share"] == 0.5
        assert facts["experiment"]["candidate"]["model_version"] == versions["candidate"]
        text = (await served.client.get("/metrics")).text
        assert f'caser_arm_answers_total{{arm="candidate"}} {2 * len(CHOSEN)}.0' in text
        assert f'caser_arm_seconds_count{{arm="incumbent"}} {len(OTHERS) + 1}.0' in text
        assert f'version="{versions["candidate"]}"' in text
        await served.post("/v1/events", {"user_id": CHOSEN[0], "item_id": 30})
        assert 30 not in await served.items(user_id=CHOSEN[0], exclude_seen=True)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    answers = [line for line in lines if line["kind"] == "answer"]
    assert {line["arm"] for line in answers} == {"incumbent", "candidate"}
    assert all(line["model"] == versions[line["arm"]] for line in answers)
    assert {(line["experiment"], line["share"]) for line in answers} == {(HALF.name, 0.5)}


async def test_without_a_candidate_nothing_says_arm(run: Path, tmp_path: Path) -> None:
    log = tmp_path / "answers.jsonl"
    async with serving(run, answer_log=log) as served:
        assert "arm" not in await served.post("/v1/recommend", {"user_id": "ann"})
        assert "experiment" not in await served.get("/v1/model")
        assert "_arm_" not in (await served.client.get("/metrics")).text
        refused = await served.post("/v1/model/reload?arm=candidate", {}, status=409)
        assert "no candidate" in refused["error"]
    assert "arm" not in log.read_text()


async def test_an_error_counts_for_its_arm(run: Path, candidate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(run, candidate=candidate, share="50%") as served:
        model = served.app.state.service.arms.candidate
        monkeypatch.setattr(model.recommender, "question", lambda *_, **__: 1 / 0)
        await served.post("/v1/recommend", {"user_id": CHOSEN[0]}, status=500)
        await served.post("/v1/recommend", {"user_id": OTHERS[0]})
        await served.post("/v1/recommend", {"user_id": CHOSEN[0], "filters": {"colour": "red"}}, status=422)
        text = (await served.client.get("/metrics")).text
    assert 'caser_arm_errors_total{arm="candidate"} 1.0' in text
    assert 'caser_arm_errors_total{arm="incumbent"} 0.0' in text


# --- reload


async def test_a_reload_changes_the_arm_that_is_named(run: Path, candidate: Path) -> None:
    before = model_version(run), model_version(candidate)
    async with serving(run, candidate=candidate, share="50%") as served:
        save(caser_run(seed=7), run)
        save(caser_run(seed=8), candidate)
        after = model_version(run), model_version(candidate)

        async def versions() -> tuple[str, str]:
            answers = [await served.post("/v1/recommend", {"user_id": user}) for user in (OTHERS[0], CHOSEN[0])]
            return answers[0]["model_version"], answers[1]["model_version"]

        facts = await served.post("/v1/model/reload?arm=candidate", {})
        assert facts["experiment"]["candidate"]["model_version"] == after[1]
        assert await versions() == (before[0], after[1])
        await served.post("/v1/model/reload", {})
        assert await versions() == after


async def test_a_candidate_that_cannot_be_loaded_costs_nobody_an_answer(run: Path, candidate: Path) -> None:
    whole = (candidate / "weights.safetensors").read_bytes()
    (candidate / "weights.safetensors").write_bytes(b"damaged")
    async with serving(run, candidate=candidate, share="50%") as served:
        answer = await served.post("/v1/recommend", {"user_id": CHOSEN[0]})
        assert (answer["arm"], answer["model_version"]) == ("incumbent", model_version(run))
        experiment = (await served.get("/v1/model"))["experiment"]
        assert experiment["candidate"] is None
        assert "weights.safetensors" in experiment["problem"]
        assert str(candidate.parent) not in experiment["problem"]
        await served.post("/v1/model/reload?arm=candidate", {}, status=409)
        (candidate / "weights.safetensors").write_bytes(whole)
        facts = await served.post("/v1/model/reload?arm=candidate", {})
        assert facts["experiment"]["problem"] is None
        assert (await served.post("/v1/recommend", {"user_id": CHOSEN[0]}))["arm"] == "candidate"


def test_an_experiment_that_is_none_is_refused_before_it_starts(run: Path, candidate: Path, tmp_path: Path) -> None:
    assert "folder of a saved run" in refusal("serve", run, "--candidate", tmp_path / "none")[1]
    assert "another run" in refusal("serve", run, "--candidate", run)[1]
    assert "such as 5%" in refusal("serve", run, "--candidate", candidate, "--share", "5")[1]
    assert "only with --candidate" in refusal("serve", run, "--share", "5%")[1]
    assert "one run only" in refusal("serve", run, "--candidate", candidate, "--onnx", "model.onnx")[1]


# --- several processes


async def admitted(*versions: str, **answers: Any) -> tuple[Any, list[FakeWorker], list[str]]:
    """A hub with two arms, its workers, and what each of them was told to serve."""
    hub = hub_module.Hub(0.1, lambda _: None, ("incumbent", "candidate"))
    workers = [FakeWorker("new", **answers) for _ in versions]
    served = [await hub.admit(worker, version) for worker, version in zip(workers, versions, strict=True)]  # type: ignore[arg-type]
    return hub, workers, served


async def test_workers_change_one_arm_together() -> None:
    hub, workers, served = await admitted("a b", "a b")
    assert served == ["a b", "a b"]
    assert await hub.reload("candidate") == "a new"
    assert await hub.reload("incumbent") == "new new"
    assert workers[0].asked == ["load", "begin"] * 2


async def test_a_candidate_that_a_new_worker_cannot_load_is_withdrawn_by_all() -> None:
    from fastapi import HTTPException

    hub, workers, served = await admitted("a b", "a -", load=HTTPException(409, "damaged"))
    assert served == ["a b", "a -"]
    assert hub.version == "a -"
    assert workers[0].asked == ["load", "abandon", "withdraw"]


async def test_a_new_worker_withdraws_a_candidate_that_the_others_cannot_load() -> None:
    from fastapi import HTTPException

    _, _, served = await admitted("a -", "a b", load=HTTPException(409, "damaged"))
    assert served == ["a -", "a -"]


@pytest.mark.slow
def test_two_processes_give_a_user_one_arm_and_change_it_together(run: Path, candidate: Path, tmp_path: Path) -> None:
    flags = ("--workers", "2", "--store", str(tmp_path / "events.db"), "--candidate", candidate, "--share", "50%")
    with process(run, *flags, "--watch") as served:

        def versions() -> dict[str, set[str]]:
            found: dict[str, set[str]] = {"incumbent": set(), "candidate": set()}
            for user in [*CHOSEN, *OTHERS]:  # each on a connection of its own, so that both processes answer
                answer = httpx.post(f"{served.url}/v1/recommend", json={"user_id": user}, timeout=30).json()
                assert answer["arm"] == HALF.arm_of(user)
                found[answer["arm"]].add(answer["model_version"])
            return found

        before = versions()
        assert before == {"incumbent": {model_version(run)}, "candidate": {model_version(candidate)}}
        save(caser_run(seed=9), candidate)
        wait_until(lambda: versions()["candidate"] == {model_version(candidate)})
        assert versions()["incumbent"] == before["incumbent"]
        assert 'caser_arm_answers_total{arm="candidate"}' in httpx.get(f"{served.url}/metrics", timeout=30).text
        assert served.kill(signal.SIGTERM) == 0
