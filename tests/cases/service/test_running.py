"""Cases d05, d07, d08, d12, d17 and d18: addresses, signals, reloads, a robot's history, and a proxy with a prefix."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from caser.artefact.folder import load, save, update_manifest
from caser.artefact.run_folder import MANIFEST
from caser.errors import ConfigError
from caser.service.http.listening import bound_sockets, shown
from tests.cli.terminal import refusal
from tests.runs import caser_run
from tests.service.serving import ended, process, serving
from tests.skips import skipped

HAS_IPV6 = socket.has_ipv6 and Path("/proc/net/if_inet6").exists() and Path("/proc/net/if_inet6").read_text() != ""


# d05: addresses


def test_a_port_in_use_is_one_line_before_the_run_is_read(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, line = refusal("serve", tmp_path / "no run", "--port", str(port))
    assert code == ConfigError.exit_code
    assert line.count("\n") <= 1
    assert f"--port must be free on 127.0.0.1; another program listens on {port}" in line


def test_a_port_is_taken_before_anybody_listens() -> None:
    with bound_sockets("127.0.0.1", 0) as [first]:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match="--port must be free"), bound_sockets("127.0.0.1", port):
            pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
    with bound_sockets("127.0.0.1", port):
        pass


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("203.0.113.7", "--host must be an address of this machine"),
        ("no such host", "--host must be a name or an address"),
        ("a" * 70 + ".example", "--host must be a name or an address"),
    ],
)
def test_a_host_that_is_none_of_this_machine_is_refused(host: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence), bound_sockets(host, 0):
        pass


def test_a_name_with_several_addresses_gets_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", 0)), (socket.AF_INET, 1, 6, "", ("127.0.0.2", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with bound_sockets("two", 0) as sockets:
        assert [each.getsockname()[0] for each in sockets] == ["127.0.0.1", "127.0.0.2"]
        assert len({each.getsockname()[1] for each in sockets}) == 1


@pytest.mark.skipif(not HAS_IPV6, reason=skipped("this machine has no IPv6", "sysctl net.ipv6.conf.all.disable_ipv6=0"))
def test_an_ipv6_address_is_shown_in_brackets() -> None:
    with bound_sockets("::1", 0) as [listening]:
        assert shown(listening) == f"http://[::1]:{listening.getsockname()[1]}"


def test_a_unix_socket_is_served_logged_and_removed(run: Path) -> None:
    path = run.parent / "caser.sock"
    command = [sys.executable, "-m", "caser", "serve", str(run), "--uds", str(path), "--json"]
    with ended(subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)) as served:
        assert served.stderr is not None
        assert served.stdout is not None
        line = json.loads(served.stderr.readline())
        assert line["message"] == f"serving on the Unix socket {path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost") as client:
            assert client.get("/readyz").json() == {"status": "ready", "store": "ok"}
        served.terminate()
        document = json.loads(served.stdout.read())
        assert document["addresses"] == [f"the Unix socket {path}"]
        assert len(document["model_version"]) == 64
        messages = [json.loads(line)["message"] for line in served.stderr if b'"message"' in line]
        assert served.wait(20) == 0
    assert any(message.startswith("stopping after SIGTERM") for message in messages)
    assert not path.exists()


def test_a_unix_socket_in_use_or_another_file_is_refused_and_a_stale_one_replaced(tmp_path: Path) -> None:
    path = tmp_path / "caser.sock"
    with bound_sockets("", 0, path) as [listening]:
        listening.listen()
        with pytest.raises(ConfigError, match="another program listens"), bound_sockets("", 0, path):
            pass
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    with bound_sockets("", 0, path):
        assert path.is_socket()
    path.write_text("a text")
    with pytest.raises(ConfigError, match="something else"), bound_sockets("", 0, path):
        pass
    with pytest.raises(ConfigError, match="--uds must be"), bound_sockets("", 0, tmp_path / "none" / "x.sock"):
        pass
    assert path.read_text() == "a text"


def test_a_unix_socket_stands_alone(run: Path) -> None:
    assert "--uds must stand alone" in refusal("serve", run, "--uds", "x.sock", "--port", "8001")[1]


async def test_health_checks_answer_whatever_the_host_and_others_say_what_to_do(run: Path) -> None:
    async with serving(run) as served:
        for host in ("10.1.2.3:8000", "shop.example", "", "[fd00::1]:80"):
            for path in ("/healthz", "/readyz"):
                assert (await served.client.get(path, headers={"host": host})).status_code == 200
            refused = await served.client.get("/v1/model", headers={"host": host})
            assert (refused.status_code, "--allowed-host" in refused.json()["error"]) == (421, True)
        for method in ("POST", "OPTIONS"):
            headers = {"origin": "https://shop.example", "content-type": "application/json"}
            refused = await served.client.request(method, "/v1/recommend", headers=headers, content=b"{}")
            assert (refused.status_code, "proxy" in refused.json()["error"]) == (403, True)


# d07 and d18: signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_service_that_is_still_starting(run: Path, number: signal.Signals) -> None:
    fifo = run.parent / "tokens"
    os.mkfifo(fifo)
    command = [sys.executable, "-m", "caser", "serve", str(run), "--token-file", str(fifo)]
    with ended(subprocess.Popen(command, stderr=subprocess.PIPE)) as starting:
        until = time.monotonic() + 60
        while True:  # until the service waits for the file of tokens
            try:
                writing = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
                break
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.02)
        _stops_at_once(starting, number)
        os.close(writing)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_service_whose_main_thread_waits_where_no_handler_runs(number: signal.Signals) -> None:
    """As in a long call of a library, or when a signal comes just before a wait begins."""
    code = (
        "import ctypes; from caser.service import early_stop; early_stop.install()\n"
        "mutex, lock = ctypes.create_string_buffer(64), ctypes.CDLL(None).pthread_mutex_lock\n"
        "lock(mutex); print('waits', flush=True); lock(mutex)"
    )
    command = [sys.executable, "-c", code]
    with ended(subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)) as starting:
        assert starting.stdout is not None
        assert starting.stdout.readline() == b"waits\n"
        _stops_at_once(starting, number)


def _stops_at_once(starting: subprocess.Popen[bytes], number: signal.Signals) -> None:
    begun = time.monotonic()
    starting.send_signal(number)
    assert starting.wait(20) == 0
    assert time.monotonic() - begun < 5
    assert starting.stderr is not None
    assert f"stopped by {number.name}" in json.loads(starting.stderr.read())["message"]


def test_sigint_drains_as_sigterm_does_and_leaves_log_lines(run: Path) -> None:
    with process(run, "--drain-seconds", "0.2", "--rate", "1000") as served:
        begun = time.monotonic()
        assert served.kill(signal.SIGINT) == 0
        assert time.monotonic() - begun < 8
        messages = [json.loads(line)["message"] for line in served.log.read_text().splitlines() if '"message"' in line]
        assert messages[-2].startswith("stopping after SIGINT: /readyz says so, and answers go on for 0.2 s")
        assert messages[-1] == "stopped"


# d08: reloads


def _cut_weights(run: Path) -> None:
    (run / "weights.safetensors").write_bytes(b"cut")


def _text_histories(run: Path) -> None:
    (run / "histories.parquet").write_text("user,item\n")


def _no_vocabulary(run: Path) -> None:
    (run / "vocabulary.parquet").unlink()


def _stray(run: Path) -> None:
    (run / "notes.txt").write_text("mine")


def _cut_manifest(run: Path) -> None:
    (run / MANIFEST).write_text("{}")


@pytest.mark.parametrize(
    ("harm", "name"),
    [
        (_cut_weights, "weights.safetensors"),
        (_text_histories, "histories.parquet"),
        (_no_vocabulary, "vocabulary.parquet"),
        (_stray, "notes.txt"),
        (_cut_manifest, "manifest.json"),
        (shutil.rmtree, "run"),
    ],
)
async def test_a_refused_reload_names_the_file_and_no_folder(
    run: Path, harm: Callable[[Path], None], name: str
) -> None:
    async with serving(run) as served:
        harm(run)
        refused = await served.post("/v1/model/reload", status=409)
        assert name in refused["error"]
        assert str(run.parent) not in refused["error"]
        assert len(await served.items(user_id="bob")) > 0


async def test_reloads_at_the_same_time_all_answer_and_no_question_fails(run: Path) -> None:
    async with serving(run) as served:
        save(caser_run(seed=5), run)
        asked = [served.post("/v1/recommend", {"user_id": "bob"}) for _ in range(50)]
        reloads = [served.post("/v1/model/reload") for _ in range(8)]
        facts = (await asyncio.gather(*reloads, *asked))[:8]
        assert len({one["model_version"] for one in facts}) == 1


# D16: what was trained


async def test_an_evaluation_makes_an_old_model_no_newer(run: Path) -> None:
    async with serving(run) as served:
        before = await served.get("/v1/model")
        update_manifest(run, metrics={"ndcg@10": {"value": 0.1, "low": 0.0, "high": 0.2}}, test_openings=1)
        os.utime(run / "weights.safetensors")
        after = await served.post("/v1/model/reload")
        assert (after["model_version"], after["trained"]) == (before["model_version"], before["trained"])
        assert after["metrics"] != before["metrics"]
        assert after["trained"] == load(run).manifest["trained_at"] == 1_700_000_000.0
        text = (await served.client.get("/metrics")).text
        age = next(float(line.split()[1]) for line in text.splitlines() if line.startswith("caser_model_age_seconds "))
        assert age == pytest.approx(time.time() - 1_700_000_000, abs=60)
        save(caser_run(seed=5), run)
        assert (await served.post("/v1/model/reload"))["model_version"] != before["model_version"]


# d12: a robot


async def test_the_history_of_a_robot_is_cut_to_the_window_and_answered_quickly(run: Path, tmp_path: Path) -> None:
    async with serving(run, store=tmp_path / "events.db", window=50) as served:
        store = served.app.state.service.events._writer
        rows = ((f"{number}", "robot", str(10 + number % 3 * 10), number / 100) for number in range(100_000))
        store.execute("BEGIN")
        store.executemany("INSERT INTO events (event_id, user_id, item_id, time) VALUES (?, ?, ?, ?)", rows)
        store.execute("COMMIT")
        begun = time.process_time()
        answer = await served.post("/v1/recommend", {"user_id": "robot", "k": 3})
        assert time.process_time() - begun < 1
        assert [item["item_id"] for item in answer["items"]] == [50]
        rest = "and the rest is in the history, excluded or removed by a rule"
        assert answer["notes"] == [f"only 1 of 3 items: the model knows 4, {rest}"]
        assert len((await served.get("/v1/users/robot/history"))["interactions"]) == 50
        await served.post("/v1/events", {"user_id": "robot", "item_id": 50})
        answer = await served.post("/v1/recommend", {"user_id": "robot", "k": 3})
        assert answer["items"] == []
        assert answer["notes"] == [f"nothing is left to recommend: the model knows 4, {rest}"]


# d17: a prefix


@pytest.mark.parametrize("is_cut", [True, False], ids=["the proxy cuts it off", "the proxy passes it on"])
async def test_behind_a_prefix_all_paths_work_and_the_documentation_names_it(run: Path, is_cut: bool) -> None:
    prefix = "" if is_cut else "/rec"
    async with serving(run, root_path="/rec") as served:
        assert "v1/recommend" in (await served.client.get(f"{prefix}/request.js")).text
        assert (await served.client.get(f"{prefix}/")).status_code == 200
        assert (await served.get(f"{prefix}/v1/users/a%2Fb/history"))["user_id"] == "a/b"
        assert await served.post(f"{prefix}/v1/recommend", {"user_id": "bob"})
        document = await served.get(f"{prefix}/openapi.json")
        assert document["servers"] == [{"url": "/rec"}]
        assert "/v1/recommend" in document["paths"]
        assert (await served.get("/record/v1/model", 404))["error"]


def test_a_root_path_must_be_one(run: Path) -> None:
    for path in ("rec", "/rec/", "//x", "/a b"):
        assert "--root-path must" in refusal("serve", run, "--root-path", path)[1]
