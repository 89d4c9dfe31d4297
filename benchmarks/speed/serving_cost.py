"""The most expensive requests that the service accepts: their time, their answers, and `/healthz` meanwhile.

Each kind of question is asked as often in one request as the service allows (`--max-cost`): the refusal of a larger
request says how often. One worker serves the catalogue of MovieLens-1M, with random weights for networks. Processor
time and memory are those of the server.
"""

from __future__ import annotations

import http.client
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from benchmarks.speed import _rounds
from benchmarks.speed._served import Served, ours, served
from benchmarks.speed.serving import make_run
from caser.artefact.folder import Artefact
from caser.models.caser.caser import Caser
from caser.models.counting.ease import EASE
from caser.models.sessions.sasrec import SASRec
from caser.models.settings import CountingSettings, NetworkSettings

MODELS: tuple[CountingSettings | NetworkSettings, ...] = (Caser(), EASE(), SASRec())
MOST_QUESTIONS = 1000
_COST = re.compile(r"costs ([\d,]+) .*at most ([\d,]+)")


def kinds(artefact: Artefact) -> dict[str, list[dict[str, Any]]]:
    """Return name -> questions of this kind; each begins with those that cost most time.

    artefact  whose users and items are asked about
    """
    lengths = artefact.histories.lengths
    users = artefact.users.raw(np.argsort(-lengths, kind="stable")[:MOST_QUESTIONS])
    items = artefact.items.ids.to_list()
    rules = {
        "without": {"genre": ["a1", "a2"], "year": {"max": 1900}},
        "at_most": {"genre": 1},
        "boosts": [{"where": {"genre": ["a3", "a4"], "year": {"min": 1950}}, "amount": 1e6}] * 10,
    }
    each: dict[str, dict[str, Any]] = {
        "plain": {},
        "k 1000": {"k": 1000},
        "explained": {"explain": True},
        "k 1000, explained": {"k": 1000, "explain": True},
        "rules": {"k": 1000, "rules": rules},
        "unknown values": {"filters": {"genre": [f"none-{number}" for number in range(100)]}},
        "1000 excluded": {"exclude": items[:1000]},
    }
    asked = {name: [{"user_id": user, **more} for user in users] for name, more in each.items()}
    history = items[:50]
    return asked | {"new users": [{"history": history[number % 40 :]} for number in range(MOST_QUESTIONS)]}


def exchange(port: int, path: str, body: Any = None) -> tuple[int, bytes]:
    """Send a request on a new connection; return the status and the body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    content = None if body is None else orjson.dumps(body)
    connection.request("GET" if body is None else "POST", path, content, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    return response.status, answer


@contextmanager
def signs_of_life(port: int) -> Iterator[list[float]]:
    """Ask `/healthz` every 10 ms in the background, and give the seconds that it took."""
    took: list[float] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.01):
            start = time.perf_counter()
            exchange(port, "/healthz")
            took.append(time.perf_counter() - start)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield took
    finally:
        stop.set()
        asking.join()


def most_expensive(service: Served, questions: list[dict[str, Any]]) -> dict[str, Any]:
    """Ask as many of some questions in one request as the service accepts, and return what it took."""
    number, status, answer = len(questions), 0, b""
    while True:
        before, memory, start = service.processor_seconds, service.mebibytes, time.perf_counter()
        with signs_of_life(service.port) as took:
            status, answer = exchange(service.port, "/v1/recommend/bulk", {"questions": questions[:number]})
        seconds, grown = time.perf_counter() - start, service.mebibytes - memory
        if status == 413:  # too many bytes
            number = number * 9 // 10
            continue
        refused = _COST.search(answer.decode()) if status == 422 else None
        if refused is None:
            break
        cost, most = (int(text.replace(",", "")) for text in refused.groups())
        number = min(number - 1, number * most // cost)
    return {
        "questions": number,
        "status": status,
        "seconds": seconds,
        "processor s": service.processor_seconds - before,
        "answer MB": len(answer) / 1e6,
        "memory MiB": grown,
        "healthz ms": max(took, default=0.0) * 1e3,
    }


def write_items(artefact: Artefact, path: Path) -> None:
    """Write a table of items with 200 genres and the years 1900 to 1999."""
    rows = [f"{item},a{place % 200}|b{place % 7},{1900 + place % 100}" for place, item in enumerate(artefact.items.ids)]
    path.write_text("\n".join(["item_id,genre,year", *rows]) + "\n", encoding="utf-8")


def main() -> None:
    """Measure every kind of question on every model, and print the table."""
    _rounds.parser(__doc__).parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for model in MODELS:
            artefact = make_run(folder / model.name, config=model)
            write_items(artefact, folder / "items.csv")
            with served(*ours(folder / model.name, "--items", folder / "items.csv")) as service:
                for name, questions in kinds(artefact).items():
                    rows.append({"what": f"{model.name}, {name}", **most_expensive(service, questions)})
    bars = [
        _rounds.Bar("slowest sign of life beside them", max(row["healthz ms"] for row in rows), "ms", 100, 50, "lower"),
        _rounds.Bar("processor time of one request", max(row["processor s"] for row in rows), "s", 10, 2, "lower"),
        _rounds.Bar("longest answer", max(row["answer MB"] for row in rows), "MB", 20, 10, "lower"),
        _rounds.Bar("memory that one request takes", max(row["memory MiB"] for row in rows), "MiB", 200, 100, "lower"),
    ]
    _rounds.publish("serving_cost", rows, bars)


if __name__ == "__main__":
    main()
