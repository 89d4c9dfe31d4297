"""Asks a service for recommendations. Nothing in its answer is trusted: its size, its time, its types, its values."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

import orjson

from caser.answering.answers import REPLAY_HEADER
from caser.errors import ConfigError, DataError

MOST_BYTES = 16 * 2**20
"""The longest answer that is read. Ten thousand items with their titles take about a megabyte."""

TIMEOUT_SECONDS = 60.0
"""The time for one request and its answer."""

_CHUNK_BYTES = 2**20
_MOST_CHARACTERS = 200

Ranked = tuple[list[str | int], list[float]]
"""The items of an answer, and their scores."""


def ask(url: str, path: str, body: Any, token: str | None) -> dict[str, Any]:
    """Send JSON to a service, and return the JSON object that it answers.

    url    the address of the service        path   what to ask, such as /v1/recommend/bulk
    body   a JSON value                      token  for a service that asks for one; None otherwise

    Raises ConfigError for a text that is no URL and a token that no header can hold; DataError if the service does not
    answer within TIMEOUT_SECONDS, or answers more than MOST_BYTES or anything else than an object with status 200.
    """
    parts = _parts_of(url)
    headers = {"content-type": "application/json", REPLAY_HEADER: "1", **_authorization(token)}
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.connect()
        with _closed_after(connection.sock):
            connection.request("POST", parts.path.rstrip("/") + path, orjson.dumps(body), headers)
            with connection.getresponse() as response:
                answer = orjson.loads(_content(response))
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = _few(str(error) or type(error).__name__)
        raise DataError(
            f"the service at {url} must answer in JSON, within {TIMEOUT_SECONDS:g} s; got: {reason}. Is it running?"
        ) from None
    finally:
        connection.close()
    if response.status != 200 or not isinstance(answer, dict):
        said = answer.get("error") if isinstance(answer, dict) else answer
        raise DataError(
            f"the service at {url} must answer with an object and status 200; it said {response.status}: {_few(said)}"
        )
    return answer


def answers_in(document: dict[str, Any], count: int, url: str) -> list[Ranked]:
    """Return the items and scores of the answers in a document.

    document  what the service answered        count  how many questions it was asked
    url       its address, for the sentence

    Raises DataError, which names the first wrong value, if the document is anything else than `count` answers.

    >>> answers_in({"answers": [{"items": [{"item_id": 7, "score": 0.5}]}]}, 1, "http://127.0.0.1:8000")
    [([7], [0.5])]
    """
    answers = document.get("answers")
    if not isinstance(answers, list) or len(answers) != count:
        got = f"{len(answers)} of them" if isinstance(answers, list) else _few(answers)
        raise _wrong(url, f"answers must be a list of {count}; got {got}")
    return [_ranked(answer, f"answers[{number}]", url) for number, answer in enumerate(answers)]


def refuse_other_model(document: dict[str, Any], version: str, url: str) -> None:
    """Raise DataError unless a service answered with the model of a run.

    document  what the service answered
    version   the version of the model in the run folder
    url       the address of the service, for the sentence
    """
    served = document.get("model_version")
    if served == version:
        return
    raise DataError(
        f"the service at {url} must serve the run that it is compared with, whose model_version is {version[:12]}; it "
        f"serves {_few(served)[:12]}. Name the folder of the run that it serves, or save this run there and reload it: "
        "POST /v1/model/reload."
    )


def _ranked(answer: Any, where: str, url: str) -> Ranked:
    items = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(items, list):
        raise _wrong(url, f"{where} must be an object with a list of items; got {_few(answer)}")
    for rank, item in enumerate(items):
        at = f"{where}.items[{rank}]"
        if not isinstance(item, dict):
            raise _wrong(url, f"{at} must be an object; got {_few(item)}")
        if type(item.get("item_id")) not in (str, int):
            raise _wrong(url, f"{at}.item_id must be text or a whole number; got {_few(item.get('item_id'))}")
        if type(item.get("score")) not in (int, float) or not abs(item["score"]) < _INFINITE:
            raise _wrong(url, f"{at}.score must be a number; got {_few(item.get('score'))}")
    return [item["item_id"] for item in items], [float(item["score"]) for item in items]


_INFINITE = float("inf")


def _wrong(url: str, sentence: str) -> DataError:
    return DataError(f"the service at {url} must answer with recommendations: {sentence}. Is it a service of caser?")


def _few(value: Any) -> str:
    """The beginning of a value, as a sentence shows it."""
    if isinstance(value, dict | list | None):
        return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else "nothing"
    return " ".join(str(value)[:_MOST_CHARACTERS].split())


def _parts_of(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        is_right = is_right and f"{parts.hostname}{parts.path}".isascii() and url.isprintable() and " " not in url
    except ValueError:  # a port or an IPv6 address that is none
        is_right = False
    if not is_right:
        raise ConfigError(f"the address of a service must be like http://127.0.0.1:8000; got {url!r}.")
    return parts


def _authorization(token: str | None) -> dict[str, str]:
    if not token:
        return {}
    if not (token.isascii() and token.isprintable()):
        raise ConfigError("the token of a service must be ASCII text in one line; it is not. Set CASER_TOKEN again.")
    return {"authorization": f"Bearer {token}"}


def _content(response: http.client.HTTPResponse) -> bytes:
    """The content of an answer. Raises ValueError for one that is too long."""
    chunks, size = [], 0
    while chunk := response.read(_CHUNK_BYTES):
        chunks.append(chunk)
        size += len(chunk)
        if size > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES:,} bytes")
    return b"".join(chunks)


@contextmanager
def _closed_after(opened: socket.socket) -> Iterator[None]:
    """Within, a socket is closed after TIMEOUT_SECONDS, however often something small arrives.

    Raises TimeoutError if it was.
    """
    is_late = threading.Event()

    def close() -> None:
        is_late.set()
        with suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(TIMEOUT_SECONDS, close)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError):
        if is_late.is_set():
            raise TimeoutError(f"nothing complete after {TIMEOUT_SECONDS:g} s") from None
        raise
    finally:
        timer.cancel()
