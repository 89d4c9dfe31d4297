"""The process in trouble: stop signals, a full disk, wrong paths, hostile requests, secrets."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from caser.artefact.folder import save
from caser.service.http.tokens import add_token
from tests.cli.terminal import refusal
from tests.runs import caser_run
from tests.service.clients import Client
from tests.service.serving import Process, process, until
from tests.skips import on_another_system

linux = pytest.mark.skipif(
    sys.platform != "linux", reason=on_another_system("sets a limit of another process with prlimit")
)


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A service for requests that change nothing."""
    folder = tmp_path_factory.mktemp("read-only")
    save(caser_run(), folder / "run")
    with process(folder / "run") as served:
        yield served


async def test_after_sigterm_clients_that_ignore_readiness_get_only_complete_answers(run: Path) -> None:
    with process(run, "--store", run.parent / "events.db", "--drain-seconds", "0.5") as served:
        statuses: list[int] = []
        acknowledged: list[str] = []

        async def asks(which: int) -> None:
            async with Client(served.url) as client:
                for count in range(1_000_000):
                    name = f"{which}-{count}"
                    event = {"user_id": "bob", "item_id": 20, "event_id": name}
                    try:
                        if which % 4:
                            reply = await client.ask("/v1/recommend", {"user_id": "bob"})
                        else:
                            reply = await client.ask("/v1/events", event)
                    except ConnectionError:  # the server has stopped; a BrokenAnswerError would fail the test
                        return
                    statuses.append(reply.status)
                    if not which % 4:
                        acknowledged.append(name)

        asking = [asyncio.ensure_future(asks(which)) for which in range(8)]
        await until(lambda: len(statuses) >= 50)
        served.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(asyncio.gather(*asking), 20)
        assert await asyncio.to_thread(served.process.wait, 20) == 0
    assert set(statuses) == {200}
    file = sqlite3.connect(run.parent / "events.db")
    kept = {row[0] for row in file.execute("SELECT event_id FROM events")}
    file.close()
    assert set(acknowledged) <= kept


@linux
def test_a_full_disk_refuses_events_but_loses_none_and_answers_continue(run: Path) -> None:
    store, log = run.parent / "events.db", run.parent / "answers.jsonl"
    with process(run, "--store", store, "--answer-log", log) as served, httpx.Client(base_url=served.url) as client:

        def keep(number: int) -> httpx.Response:
            events = [{"user_id": "bob", "item_id": 20, "event_id": f"{number}-{one}"} for one in range(100)]
            return client.post("/v1/events", json={"events": events})

        assert keep(0).status_code == 200
        limit = (store.with_name("events.db-wal").stat().st_size + 40_000, resource.RLIM_INFINITY)
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, limit)
        replies = [keep(number) for number in range(1, 30)]
        statuses = [reply.status_code for reply in replies]
        assert 507 in statuses
        assert str(run.parent) not in replies[statuses.index(507)].text
        assert client.post("/v1/recommend", json={"user_id": "bob"}).status_code == 200
        assert client.get("/healthz").status_code == 200
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert keep(100).status_code == 200
        assert served.kill(signal.SIGTERM) == 0
        assert "disk" in served.log.read_text()
    file = sqlite3.connect(store)
    kept = {row[0] for row in file.execute("SELECT event_id FROM events")}
    assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    file.close()
    for number, status in [(0, 200), (100, 200), *enumerate(statuses, start=1)]:
        assert (f"{number}-99" in kept) == (status == 200)


@pytest.mark.parametrize(
    "words",
    [
        ("{file}",),
        ("{folder}",),
        ("{folder}/" + "x" * 300,),
        ("{run}", "--token-file", "{folder}"),
        ("{run}", "--token-file", "{folder}/" + "x" * 300),
        ("{run}", "--items", "{folder}"),
        ("{run}", "--items", "{folder}/" + "x" * 300 + ".csv"),
        ("{run}", "--answer-log", "{folder}"),
        ("{run}", "--answer-log", "{folder}/" + "x" * 300),
        ("{run}", "--answer-log", "{file}/log"),
        ("{run}", "--store", "{file}/events.db"),
        ("{run}", "--host", "no such host"),
    ],
)
def test_a_wrong_missing_or_too_long_path_is_refused_with_one_line(run: Path, words: tuple[str, ...]) -> None:
    places = {"run": run, "file": run.parent / "file", "folder": run.parent / "folder"}
    places["file"].write_text("text")
    places["folder"].mkdir()
    code, line = refusal("serve", *(word.format(**places) for word in words))
    assert code > 1
    assert " must " in line


@pytest.mark.parametrize(
    "target",
    [
        b"/../../etc/passwd", b"/..%2f..%2fetc%2fpasswd", b"/page/..%5c..%5capp.py", b"/%00", b"/style.css%00.py",
        b"/C:/x", b"//evil.example/x", b"http://evil.example/x", b"/v1/model%2f..%2freload",
    ],
)  # fmt: skip
async def test_a_path_outside_the_page_is_refused(read_only: Process, target: bytes) -> None:
    async with Client(read_only.url) as client:
        reply = await client.send(b"GET " + target + b" HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert reply.status in (400, 404)
    assert b"root:" not in reply.body
    assert str(read_only.log.parent).encode() not in reply.body


async def test_range_headers_are_ignored(read_only: Process) -> None:
    ranges = b",".join(b"%d-%d" % (start, start + 10) for start in range(0, 5000, 2))
    async with Client(read_only.url) as client:
        whole = await client.ask("/")
        request = b"GET / HTTP/1.1\r\nhost: localhost\r\nrange: bytes="
        start = time.perf_counter()
        for some in (ranges, b"0-", b"-1", b"5-4", b"0-" + b"9" * 1000):
            reply = await client.send(request + some + b"\r\n\r\n")
            assert (reply.status, reply.body) == (200, whole.body)
        assert time.perf_counter() - start < 5  # 0.05 is normal; a busy machine may stall


def test_the_service_connects_to_no_address_that_a_request_names(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every field of the requests names the address of another service; that service must get no connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening, process(run) as served:
        listening.settimeout(0)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/x"
        with httpx.Client(base_url=served.url, headers={"referer": url, "x-forwarded-host": url}) as client:
            quoted = url.replace("/", "%2F")
            client.post("/v1/recommend", json={"user_id": url, "history": [url], "exclude": [url], "only": [url]})
            client.post("/v1/events", json={"user_id": url, "item_id": url, "event_id": url})
            for path in (f"/v1/items?query={quoted}", f"/v1/items/{quoted}/similar", f"/v1/users/{quoted}/history"):
                client.get(path)
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_secrets_in_environment_files_headers_and_queries_never_leak(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, log, store = run.parent / "tokens", run.parent / "answers.jsonl", run.parent / "events.db"
    secret = add_token(tokens, "web")
    monkeypatch.setenv("CASER_TOKEN", secret)
    monkeypatch.setenv("CASER_SECRET", secret)
    flags: tuple[Any, ...] = ("--token-file", tokens, "--answer-log", log, "--store", store, "--max-body", "4096")
    seen = []
    with process(run, *flags) as served:
        with httpx.Client(base_url=served.url, headers={"authorization": f"Bearer {secret}"}) as client:
            for method, path, content in [
                ("POST", f"/v1/recommend?key={secret}", b'{"user_id": "margaret"}'),
                ("POST", "/v1/recommend", b'{"%s": 1' % secret.encode()),
                ("POST", "/v1/recommend", b'{"k": "%s"}' % secret.encode()),
                ("POST", "/v1/recommend", b"x" * 5000),
                ("POST", "/v1/events", b'{"user_id": "margaret", "item_id": 10}'),
                ("GET", f"/{secret}", b""),
                ("PUT", "/v1/model", b""),
                ("GET", f"/v1/items?k={secret}", b""),
                ("POST", "/v1/model/reload", b""),
                ("GET", "/v1/model", b""),
                ("GET", "/openapi.json", b""),
                ("GET", "/metrics", b""),
            ]:
                headers = {"content-type": "application/json", "cookie": secret, "x-token": secret}
                seen.append(client.request(method, path, content=content, headers=headers).text)
        seen.append(httpx.get(f"{served.url}/v1/model", headers={"authorization": f"Basic {secret}"}).text)
        seen.append(httpx.get(f"{served.url}/v1/model?token={secret}").text)
        assert served.kill(signal.SIGTERM) == 0
        written = served.log.read_text() + log.read_text()
    manifest = (run / "manifest.json").read_text()
    for text in (written, manifest, *seen):
        assert secret not in text
    for text in seen:
        assert str(run.parent) not in text
    assert "margaret" not in written
