"""Replay: the hit rate of what was served, and whether a service answers as its run does."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest

from caser.answering.recommender import load
from caser.artefact.folder import model_version, save
from caser.errors import ConfigError, DataError
from caser.service.http.tokens import add_token
from caser.study import replay, service_client
from caser.study.replay import compare_with_service, hit_rate
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


def test_lines_that_are_no_records_are_skipped_and_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "log", [shown("a", "1"), {"time": 1.0, "dropped_lines": 3}])
    halves = ['{"kind": "ev', "[1]", "{}", '{"kind": "answer", "user": ["a"]}', "[" * 5000, '{"dropped_lines": -1}', ""]
    event = json.dumps({"kind": "event", "user": "a", "item": "1"})
    path.write_text(path.read_text() + "\n".join([*halves, event]) + '\n{"kind": "ev')
    found = hit_rate(path, k=1)
    assert (found.answers, found.judged.hits, found.dropped, found.unreadable) == (1, 1, 3, len(halves) + 1)


def test_a_line_without_end_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "_MOST_LINE_BYTES", 300)
    path = written(tmp_path / "log", [shown("a", "1")])
    path.write_text("x" * 3000 + "\n" + "y" * 300 + "\n" + path.read_text())
    found = hit_rate(path, k=1)
    assert (found.answers, found.unreadable) == (1, 2)


def test_a_file_that_is_no_answer_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("")
    assert hit_rate(path, k=1).answers == 0  # nobody has asked yet
    for content in ("user,item\n1,2\n", "[1]\n", "{}\n", '{"user": "a", "item": "1"}\n', "\0\xff"):
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
    assert served["answers_by_model"] == {model_version(run): 1}
    said = caser("replay", run, "--log", log).out
    assert "hit rate" in said
    assert "answers are not of this run" not in said
    save(caser_run(seed=5), run)
    said = caser("replay", run, "--log", log).out
    assert f"1 of 1 answers are not of this run, whose model_version is {model_version(run)[:12]}, but of " in said


def test_a_service_of_the_same_model_that_answers_otherwise_is_reported(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with process(run) as served:
        monkeypatch.setattr(replay, "answers_in", lambda _, count, __: [([60], [0.0])] * count)
        outcome = caser("replay", run, "--against", served.url)
    assert outcome.code == DataError.exit_code
    assert f"although both have the model_version {model_version(run)[:12]}" in outcome.err


def test_a_service_answers_as_its_run_until_the_run_changes(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASER_TOKEN", add_token(run.parent / "tokens", "replay"))
    log = run.parent / "answers.jsonl"
    with process(run, "--token-file", run.parent / "tokens", "--answer-log", log) as served:
        found = document("replay", run, "--against", served.url)["against"]
        assert (found["same"] + found["ties"], found["different"]) == (3, {})
        assert not log.read_bytes(), "nobody sees the answers to a replay"
        old = model_version(run)
        save(caser_run(seed=5), run)
        code, line = refusal("replay", run, "--against", served.url)
        assert code == DataError.exit_code
        assert f"whose model_version is {model_version(run)[:12]}; it serves {old[:12]}. Name the folder" in line
        monkeypatch.delenv("CASER_TOKEN")
        assert "401" in refusal("replay", run, "--against", served.url)[1]
    assert "Is it running?" in refusal("replay", run, "--against", served.url)[1]
    assert "must be like" in refusal("replay", run, "--against", "file:///etc/passwd")[1]
    assert "got neither" in refusal("replay", run)[1]


# A hostile service


def answered(content: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(content), content)


def answer_of(items: str) -> bytes:
    return answered(b'{"answers": [{"items": %s}]}' % items.encode())


@contextmanager
def hostile(content: Iterable[bytes]) -> Iterator[str]:
    """A service that sends `content` to whoever connects, whatever is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65_536)
                    for part in content:
                        connection.sendall(part)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join(10)


WRONG = {
    "nothing": b"",
    "no HTTP": b"hello\r\n\r\n",
    "a status without end": b"HTTP/1.1 " + b"2" * 70_000,
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000,
    "a negative length": b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n",
    "a huge length": b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999\r\n\r\n{}",
    "a wrong chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "no JSON": answered(b"<html>"),
    "deep": answered(b"[" * 100_000),
    "half of a character": answered(b'{"answers": "\\ud800"}'),
    "a list": answered(b"[]"),
    "a text": answered(b'"x"', b"500 Oops"),
    "an error that is no text": answered(b'{"error": [[]]}', b"500 Oops"),
    "no answers": answered(b"{}"),
    "answers of another kind": answered(b'{"answers": 5}'),
    "too many answers": answered(b'{"answers": [{}, {}]}'),
    "an answer of another kind": answered(b'{"answers": [[]]}'),
    "no items": answered(b'{"answers": [{}]}'),
    "items of another kind": answer_of('{"item_id": 1}'),
    "an item of another kind": answer_of("[5]"),
    "no id": answer_of('[{"score": 1}]'),
    "an id that is a list": answer_of('[{"item_id": [], "score": 1}]'),
    "no score": answer_of('[{"item_id": 1}]'),
    "a score that is text": answer_of('[{"item_id": 1, "score": "high"}]'),
    "a score that is null": answer_of('[{"item_id": 1, "score": null}]'),
    "a score without end": answer_of('[{"item_id": 1, "score": 1e999}]'),
}


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_whatever_a_hostile_service_answers_is_one_sentence(content: bytes, run: Path) -> None:
    refused = pytest.raises(DataError, match=r"the service at http://127.0.0.1:\d+ must answer")
    with hostile([content]) as url, refused as caught:
        compare_with_service(load(run), url, version="v1", users=1, k=2, seed=0, token=None)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def endless(part: bytes) -> Iterator[bytes]:
    while True:
        time.sleep(0.01)
        yield part


@pytest.mark.parametrize(
    "content",
    [
        endless(b"HTTP/1.1 100 Continue\r\n\r\n"),
        chain([b"HTTP/1.1 200 OK\r\n\r\n"], endless(b" ")),
        endless(b"H"),
    ],
    ids=["continues", "blanks", "a status"],
)
def test_an_answer_without_end_ends_after_its_time(
    content: Iterable[bytes], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_client, "TIMEOUT_SECONDS", 0.2)
    with hostile(content) as url, pytest.raises(DataError, match=r"nothing complete after 0.2 s"):
        compare_with_service(load(run), url, version="v1", users=1, k=2, seed=0, token=None)


def test_an_answer_that_is_too_long_is_not_read_to_its_end(run: Path) -> None:
    content = chain([b"HTTP/1.1 200 OK\r\n\r\n"], repeat(b" " * 2**20, 40))
    with hostile(content) as url, pytest.raises(DataError, match="more than 16,777,216 bytes"):
        compare_with_service(load(run), url, version="v1", users=1, k=2, seed=0, token=None)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:port", "http://[::1", "http://a:99999", "http://a/\u00e9", "ftp://a"]
)
def test_an_address_that_is_none_is_refused(url: str, run: Path) -> None:
    with pytest.raises(ConfigError, match="the address of a service must be like"):
        compare_with_service(load(run), url, version="v1", users=1, k=2, seed=0, token=None)


def test_a_token_that_no_header_can_hold_is_refused_and_not_shown(run: Path) -> None:
    with pytest.raises(ConfigError, match="must be ASCII text in one line") as caught:
        compare_with_service(
            load(run), "http://127.0.0.1:1", version="v1", users=1, k=2, seed=0, token="secret\r\nhost: x"
        )
    assert "secret" not in str(caught.value)
