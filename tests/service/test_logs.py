"""Logs: what they hold, and that no request waits for them."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from caser.service.logs import MAX_WAITING_CHUNKS, BackgroundWriter, JsonLog, json_line
from tests.service.serving import ended, process, serving, wait_until


def test_lines_dropped_for_a_stalled_reader_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    monkeypatch.setattr(sys, "stderr", os.fdopen(writing, "w"))
    writer = BackgroundWriter()
    line = b"x" * 999
    for _ in range(200):
        writer.put([line])  # returns, though nobody reads: the test would hang
    received = bytearray()

    def read() -> None:
        while part := os.read(reading, 65_536):
            received.extend(part)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    wait_until(lambda: not writer._queue.qsize())
    writer.put([b"the last"])
    writer.close()
    sys.stderr.close()
    reader.join(60)
    os.close(reading)
    lines = received.decode().splitlines()
    dropped = [json.loads(one)["dropped_lines"] for one in lines if one.startswith("{")]
    whole = sum(one == line.decode() for one in lines)
    assert lines[-1] == "the last"
    assert MAX_WAITING_CHUNKS <= whole <= MAX_WAITING_CHUNKS + 5  # the queue, one being written, and four in the pipe
    assert whole + sum(dropped) == 200


def test_a_service_answers_while_nobody_reads_its_log(run: Path) -> None:
    command = [sys.executable, "-m", "caser", "serve", str(run), "--port", "0"]
    with ended(subprocess.Popen(command, stderr=subprocess.PIPE)) as process:
        assert process.stderr is not None
        fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, 4096)
        url = json.loads(process.stderr.readline())["message"].removeprefix("serving on ")
        with httpx.Client(base_url=url) as client:
            for _ in range(300):  # some 40,000 bytes of log
                assert client.get("/healthz", timeout=10).status_code == 200
        process.terminate()
        assert process.wait(30) == 0


async def test_each_request_is_logged_with_its_route_and_its_time(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with serving(run) as served:
        await served.post("/v1/recommend", {"user_id": "ann"})
        await served.client.request("BREW", "/coffee")
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    told = [(line["method"], line["route"], line["status"]) for line in lines]
    assert told == [("POST", "/v1/recommend", 200), ("other", "other", 404)]
    assert all(line["ms"] > 0 for line in lines)


async def test_a_log_that_cannot_be_written_is_reported_and_raises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = JsonLog(tmp_path / "log")

    def full(file: int, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    log.write(kind="answer")
    log.close()
    assert "a log could not be written: No space left on device" in caplog.text


def test_after_half_a_line_the_next_line_is_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.write_bytes(b'{"half')  # what a killed process left
    write = os.write
    is_full = False

    def on_a_full_disk(file: int, content: bytes) -> int:
        if is_full:
            if content.startswith(b"22222"):
                return write(file, content[:3])
            raise OSError(28, "No space left on device")
        return write(file, content)

    monkeypatch.setattr(os, "write", on_a_full_disk)
    writer = BackgroundWriter(path)
    writer.put([b"11111"])
    wait_until(lambda: path.read_bytes().endswith(b"1\n"))
    is_full = True
    writer.put([b"22222", b"33333"])
    wait_until(lambda: writer._num_dropped >= 2)
    is_full = False
    writer.put([b"44444"])
    writer.close()
    half, first, second, told, last = path.read_text().splitlines()
    assert (half, first, second, last) == ('{"half', "11111", "222", "44444")
    assert json.loads(told)["dropped_lines"] == 2


def test_a_number_of_dropped_lines_that_does_not_fit_is_told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, is_full = os.write, True

    def on_a_full_disk(file: int, content: bytes) -> int:
        if is_full:
            raise OSError(28, "No space left on device")
        return write(file, content)

    monkeypatch.setattr(os, "write", on_a_full_disk)
    writer = BackgroundWriter(tmp_path / "log")
    for number in range(1, 4):
        writer.put([b"lost"])
        while writer._num_dropped < number:
            pass
    is_full = False
    writer.put([b"kept"])
    writer.close()
    told, kept = (tmp_path / "log").read_text().splitlines()
    assert (json.loads(told)["dropped_lines"], kept) == (3, "kept")


EVERY_WAY_TO_STDERR = """
import asyncio, gc, logging, sys, threading, warnings
from caser.service.logs import log_to_stderr
log_to_stderr()
warnings.warn("a warning\\nof two lines")
logging.getLogger("asyncio").error("red \\x9b31m")
logging.getLogger("uvicorn.error").warning("Invalid %s", "request")
logging.getLogger("elsewhere").warning("two %s %s", "values")
logging.getLogger("elsewhere").warning("a file \\udcff")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
class Broken:
    def __del__(self):
        raise ValueError("nobody can catch this")
Broken()
gc.collect()
raise RuntimeError("the end \\u202e")
"""


def test_whatever_goes_to_stderr_is_one_json_object_per_line() -> None:
    done = subprocess.run([sys.executable, "-c", EVERY_WAY_TO_STDERR], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    told = ["a warning\nof two lines", "red \x9b31m", "Invalid request", "two %s %s ('values',)", "a file \udcff"]
    assert [line["message"] for line in lines[:5]] == told
    assert [line["traceback"].splitlines()[-1] for line in lines[5:]] == [
        "ZeroDivisionError: division by zero",
        "ValueError: nobody can catch this",
        "RuntimeError: the end \u202e",
    ]
    assert done.stderr.isascii()  # characters that a terminal obeys are escaped
    assert done.returncode == 1


def test_a_service_writes_json_lines_only_whoever_asks(run: Path) -> None:
    with process(run) as served:
        with socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])), timeout=60) as odd:
            odd.sendall(b"\x9b31m nonsense\r\n\r\n")
            odd.recv(1000)
        httpx.post(f"{served.url}/v1/recommend", json={"user_id": "\x9b31m"})
        wait_until(lambda: '"/v1/recommend"' in served.log.read_text())
        served.process.terminate()
        assert served.process.wait(30) == 0
    lines = [json.loads(line) for line in served.log.read_text().splitlines()]
    assert "refit" in next(line["message"] for line in lines if "to train it on everything" in line.get("message", ""))
    assert lines[-1]["message"] == "stopped"


def test_a_line_escapes_what_a_terminal_obeys_and_keeps_its_value() -> None:
    values = {"items": ["\x9b31m", "\x7f", "\u202e", "Amélie ☕", "\x1b[2J"]}
    line = json_line(values)
    assert json.loads(line) == values
    assert "Amélie ☕".encode() in line
    assert not [letter for letter in line.decode() if not letter.isprintable()]
