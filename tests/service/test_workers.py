"""Workers of one service: what the parent and its workers say to each other, without starting processes."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Awaitable, Callable
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from caser.errors import ConfigError
from caser.service.http import watching
from caser.service.http.watching import look, watch
from caser.service.logs import BackgroundWriter
from caser.service.settings import ServiceSettings
from caser.service.workers import hub as hub_module
from caser.service.workers.hub import Hub
from caser.service.workers.line import Line, LineEndedError
from caser.service.workers.merged_metrics import merged_text
from caser.service.workers.supervisor import check_workers, share_of
from caser.service.workers.worker import _Others
from tests.cli.terminal import refusal
from tests.service.serving import until


class FakeWorker:
    """A worker that says what it was asked for, and answers as it is told to."""

    def __init__(self, version: str, **answers: Any) -> None:
        self.version, self.answers, self.asked = version, {"load": version, **answers}, list[str]()

    async def ask(self, word: str, value: Any = None) -> Any:
        self.asked.append(word)
        answer = self.answers.get(word)
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, asyncio.Event):
            await answer.wait()
        return answer

    def tell(self, word: str, value: Any = None) -> None:
        self.asked.append(f"{word} {value}")


async def hub_of(*workers: FakeWorker, version: str = "old") -> tuple[Hub, list[FakeWorker]]:
    """A hub with workers that serve a version, and the list of those that it ends."""
    ended: list[FakeWorker] = []
    hub = Hub(0.1, ended.append)  # type: ignore[arg-type]
    for worker in workers:
        await hub.admit(worker, version)  # type: ignore[arg-type]
    return hub, ended


async def test_all_workers_change_the_model_together() -> None:
    workers = [FakeWorker("new"), FakeWorker("new")]
    hub, ended = await hub_of(*workers)
    assert await hub.reload() == hub.version == "new"
    assert [worker.asked for worker in workers] == [["load", "begin"]] * 2
    assert not ended


@pytest.mark.parametrize("status", [409, 503])
async def test_if_one_worker_cannot_load_a_run_all_keep_the_old_model(status: int) -> None:
    workers = [FakeWorker("new"), FakeWorker("new", load=HTTPException(status, "it is damaged"))]
    hub, ended = await hub_of(*workers)
    with pytest.raises(HTTPException, match="it is damaged"):
        await hub.reload()
    assert hub.version == "old"
    assert [worker.asked for worker in workers] == [["load", "abandon"]] * 2
    assert not ended


async def test_a_run_that_changes_while_it_is_loaded_is_not_served() -> None:
    workers = [FakeWorker("new"), FakeWorker("newer")]
    hub, _ = await hub_of(*workers)
    with pytest.raises(HTTPException, match="try again"):
        await hub.reload()
    assert all("begin" not in worker.asked for worker in workers)


@pytest.mark.parametrize("step", ["load", "begin"])
@pytest.mark.parametrize("how", ["gone", "hangs"])
async def test_a_worker_that_does_not_follow_is_ended_and_no_old_model_goes_on(
    step: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "STEP_SECONDS", 0.05)
    lost = FakeWorker("new", **{step: LineEndedError() if how == "gone" else asyncio.Event()})
    good = FakeWorker("new")
    hub, ended = await hub_of(good, lost)
    assert await hub.reload() == "new"
    assert good.asked == ["load", "begin"]
    assert ended == [lost]
    assert await hub.reload() == "new"  # without it
    assert lost.asked.count("load") == 1


async def test_a_worker_that_cannot_begin_is_ended() -> None:
    broken = FakeWorker("new", begin=HTTPException(500, "failed"))
    hub, ended = await hub_of(FakeWorker("new"), broken)
    assert await hub.reload() == "new"
    assert ended == [broken]


async def test_without_workers_a_reload_is_refused() -> None:
    hub, _ = await hub_of(FakeWorker("new", load=LineEndedError()))
    with pytest.raises(HTTPException) as caught:
        await hub.reload()
    assert caught.value.status_code == 503


async def test_a_new_worker_serves_what_the_others_serve() -> None:
    others = [FakeWorker("new")]
    hub, _ = await hub_of(*others)
    await hub.admit(FakeWorker("old"), "old")  # type: ignore[arg-type]
    assert others[0].asked == []
    # It found another run in the folder: the others load it too.
    hub, _ = await hub_of(*others)
    await hub.admit(FakeWorker("new"), "new")  # type: ignore[arg-type]
    assert others[0].asked == ["load", "begin"]
    assert hub.version == "new"
    # It has loaded what was there before: it must load again, and does not serve.
    late = FakeWorker("old")
    with pytest.raises(HTTPException, match="load the run again"):
        await hub.admit(late, "old")  # type: ignore[arg-type]
    await hub.reload()
    assert late.asked == []


async def test_costs_go_to_the_other_workers() -> None:
    sender, other = FakeWorker("old"), FakeWorker("old")
    hub, _ = await hub_of(sender, other)
    hub.charge(sender, {"ann": 2.0})  # type: ignore[arg-type]
    assert (sender.asked, other.asked) == ([], ["charge {'ann': 2.0}"])


async def ends_of_a_line(
    handlers: dict[str, Callable[[Any], Awaitable[Any]]],
) -> tuple[Line, Line, list[str]]:
    one, other = Pipe()
    ended: list[str] = []
    return Line(one, {}, lambda: ended.append("one")), Line(other, handlers, lambda: ended.append("other")), ended


async def test_a_line_carries_questions_answers_and_failures() -> None:
    told = asyncio.Event()

    async def double(value: int) -> int:
        return 2 * value

    async def refuse(_: None) -> None:
        raise HTTPException(409, "not now")

    async def fail(_: None) -> None:
        raise ValueError("a secret")

    async def hear(_: None) -> None:
        told.set()

    asking, answering, ended = await ends_of_a_line({"double": double, "refuse": refuse, "fail": fail, "hear": hear})
    assert await asyncio.gather(*(asking.ask("double", number) for number in range(50))) == list(range(0, 100, 2))
    with pytest.raises(HTTPException) as caught:
        await asking.ask("refuse")
    assert (caught.value.status_code, caught.value.detail) == (409, "not now")
    with pytest.raises(HTTPException) as caught:
        await asking.ask("fail")
    assert caught.value.status_code == 500
    assert "secret" not in str(caught.value.detail)
    asking.tell("hear")
    await asyncio.wait_for(told.wait(), 5)
    answering.close()
    assert ended == []


async def test_when_a_process_is_gone_whoever_waits_for_it_hears_so() -> None:
    async def wait(_: None) -> None:
        await asyncio.sleep(60)

    asking, answering, ended = await ends_of_a_line({"wait": wait})
    waiting = asyncio.ensure_future(asking.ask("wait"))
    await asyncio.sleep(0.05)
    answering.close()
    with pytest.raises(LineEndedError):
        await asyncio.wait_for(waiting, 5)
    assert ended == ["one"]
    with pytest.raises(LineEndedError):
        await asking.ask("wait")
    asking.tell("wait")  # nothing happens


def metrics_of(requests: int, writable: int, age: float, share: float) -> list[Any]:
    registry = CollectorRegistry()
    Counter("caser_requests", "Requests.", ["route"], registry=registry).labels("/a").inc(requests)
    Histogram("caser_request_seconds", "Seconds.", buckets=(0.1, 1), registry=registry).observe(0.5)
    for name, value in {
        "caser_store_writable": writable,
        "caser_model_age_seconds": age,
        "caser_event_items_unknown_share": share,
        "caser_connections": requests,
    }.items():
        Gauge(name, "A value.", registry=registry).set(value)
    return list(registry.collect())


def test_metrics_of_workers_add_up_unless_they_are_one_thing_for_all() -> None:
    text = merged_text([metrics_of(3, 1, 10.0, math.nan), metrics_of(4, 0, 30.0, 0.2), metrics_of(0, 1, 20.0, 0.4)])
    values = dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if not line.startswith("#"))
    assert float(values['caser_requests_total{route="/a"}']) == 7
    assert float(values["caser_connections"]) == 7
    assert float(values['caser_request_seconds_bucket{le="1.0"}']) == 3
    assert float(values["caser_request_seconds_sum"]) == 1.5
    assert float(values["caser_store_writable"]) == 0
    assert float(values["caser_model_age_seconds"]) == 30
    assert float(values["caser_event_items_unknown_share"]) == pytest.approx(0.3)


def test_the_metrics_of_one_worker_stay_as_they_are() -> None:
    registry = CollectorRegistry()
    Counter("caser_requests", 'With a "quote"\nand a line.', ["route"], registry=registry).labels("/a").inc()
    assert merged_text([list(registry.collect())]) == generate_latest(registry)
    nothing = merged_text([metrics_of(0, 1, 0.0, math.nan)] * 2).decode()
    assert "caser_event_items_unknown_share NaN" in nothing


async def test_what_a_client_asks_of_one_worker_counts_at_the_others() -> None:
    one, other = (_Others(end, b"key") for end in Pipe())
    limits = [others.rate_limit(rate=0.001, burst=5) for others in (one, other)]

    async def charge(costs: dict[str, float]) -> None:
        limits[1].take_from(costs)  # type: ignore[attr-defined]

    lines = [Line(one.connection, {}, lambda: None), Line(other.connection, {"charge": charge}, lambda: None)]
    limits[0].tell_with(lines[0])  # type: ignore[attr-defined]
    assert limits[0].seconds_to_wait("ann") == 0.0
    limits[0].charge("ann", 2.0)
    await until(lambda: limits[1]._buckets)
    allowed = [limits[1].seconds_to_wait("ann") == 0.0 for _ in range(4)]
    assert allowed == [True, True, False, False]
    assert limits[1].seconds_to_wait("bob") == 0.0
    for line in lines:
        line.close()


def test_what_the_service_may_take_in_all_is_shared_among_its_workers() -> None:
    settings = ServiceSettings(cache_mb=100, max_waiting_mb=1, max_waiting=1000, max_connections=3, max_cost=7)
    share = share_of(settings, 4)
    assert (share.cache_mb, share.max_waiting_mb, share.max_waiting, share.max_connections) == (25, 1, 250, 2)
    assert share.max_cost == 7
    assert share_of(ServiceSettings(), 4).max_connections is None


@pytest.mark.parametrize("num_workers", [0, -1, 257])
def test_the_number_of_workers_is_checked(num_workers: int) -> None:
    with pytest.raises(ConfigError, match=f"--workers must be from 1 to 256; got {num_workers}"):
        check_workers(num_workers, ServiceSettings(store=Path("events.db")))


def test_several_workers_need_a_store_that_they_share(run: Path) -> None:
    code, line = refusal("serve", run, "--workers", 2)
    assert code == ConfigError.exit_code
    assert "--workers 2 needs --store" in line


async def test_a_run_that_was_replaced_is_loaded_once_and_a_refused_one_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, loaded, refusals = tmp_path / "run", list[str](), [HTTPException(409, "damaged")]

    def put(content: str) -> None:
        run.mkdir(exist_ok=True)
        (run / "new").write_text(content)
        (run / "new").replace(run / "manifest.json")

    async def reload() -> None:
        loaded.append((run / "manifest.json").read_text())
        if refusals:
            raise refusals.pop()

    async def looked_four_times() -> None:
        before = len(looks)
        await until(lambda: len(looks) >= before + 4)

    looks: list[Path] = []

    def counted(path: Path) -> watching.Look:
        looks.append(path)
        return look(path)

    monkeypatch.setattr(watching, "look", counted)
    put("first")
    watching_it = asyncio.ensure_future(watch(run, look(run), reload, 0.01))
    await looked_four_times()
    assert loaded == []
    for content in ("damaged", "good"):
        put(content)
        await looked_four_times()
    (run / "manifest.json").unlink()
    await looked_four_times()
    assert loaded == ["damaged", "good"]
    put("back")
    await looked_four_times()
    assert loaded == ["damaged", "good", "back"]
    watching_it.cancel()


async def test_a_run_that_was_replaced_while_the_first_was_loaded_is_loaded_too(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "manifest.json").write_text("first")
    seen = look(run)
    (run / "manifest.json").write_text("second")
    loaded = asyncio.Event()

    async def reload() -> None:
        loaded.set()

    watching_it = asyncio.ensure_future(watch(run, seen, reload, 0.01))
    await asyncio.wait_for(loaded.wait(), 5)
    watching_it.cancel()
    assert watching.SECONDS <= 1


def test_lines_of_several_processes_on_one_pipe_do_not_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    original = os.write

    def write_and_note(file: int, content: bytes) -> int:
        sizes.append(len(content))
        return original(file, content)

    monkeypatch.setattr(os, "write", write_and_note)
    lines = [b"x" * length for length in (10, 4000, 200, 3000, 1000, 1000)]
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reading, os.fdopen(write, "w") as writing:
        monkeypatch.setattr("sys.stderr", writing)
        writer = BackgroundWriter()
        writer.put(lines)
        writer.close()
        assert os.read(reading.fileno(), 2**16) == b"\n".join(lines) + b"\n"
    assert len(sizes) > 1
    assert max(sizes) <= 4096
