"""Answers per second over HTTP, and their cost compared with a bare ASGI endpoint, on the catalogue of MovieLens-1M.

Eight clients, each with a connection of its own, send requests to one worker, and contenders take turns. The cost is
the server's processor time per request, which other load on the machine hardly changes. `commit` is SQLite alone, with
one event per commit and one thread. Weights are random, because the cost does not depend on them. Needs the extra
`serve`; nothing is trained.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from benchmarks.speed import _rounds
from caser.artefact.folder import Artefact, save
from caser.data import datasets
from caser.data.log import InteractionLog
from caser.data.tape import Tape
from caser.models.base import Scorer
from caser.models.caser.caser import Caser
from caser.models.settings import CountingSettings, NetworkSettings
from caser.service.events.sqlite import SqliteEvents
from caser.service.events.store import Event

CLIENTS = 8
SECONDS = 2.0
MakeRequest = Callable[[], tuple[str, Any]]
"""Makes the path and the body of a request."""


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """The smallest ASGI application: read a body, and answer with a constant."""
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


def make_run(
    folder: Path, log: InteractionLog | None = None, config: CountingSettings | NetworkSettings | None = None
) -> Artefact:
    """Save a run, and return its artefact.

    folder  where it is saved       log  the log; None takes that of MovieLens-1M
    config  its model; a network has random weights. None takes Caser
    """
    log, config = log or datasets.load("ml-1m"), config or Caser()
    tape = Tape.from_log(log)
    if isinstance(config, CountingSettings):
        counted = config.build(log.num_users, log.num_items)
        counted.fit(tape)
        scorer: Scorer = counted
    else:
        draw = np.random.default_rng(0)
        shapes = config.shapes(log.num_users, log.num_items)
        arrays = {name: draw.normal(scale=0.2, size=shape).astype(np.float32) for name, shape in shapes.items()}
        scorer = config.scorer(arrays, log.num_users, log.num_items)
    facts: dict[str, Any] = {
        "protocol": "leave-one-out", "fingerprint": "0" * 16, "seen": "remove", "train_on": "final", "training": None,
        "epochs": None, "history": [], "anonymous_user": "mean", "log": {"digest": log.digest}, "environment": {},
    }  # fmt: skip
    artefact = Artefact(config, scorer, log.user_vocabulary, log.item_vocabulary, log.titles, tape, facts)
    save(artefact, folder)
    return artefact


@contextmanager
def server(command: list[str], port: int) -> Iterator[int]:
    """Start a server, yield its process id once it listens, and stop it at the end."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}  # as for users
    started = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
        yield started.pid
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait(30)


async def _client(port: int, make_request: MakeRequest, end: float, seconds: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (start := time.perf_counter()) < end:
        path, body = make_request()
        content = orjson.dumps(body)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
        writer.write(f"{head}{len(content)}\r\n\r\n".encode() + content)
        answer = await reader.readuntil(b"\r\n\r\n")
        if answer[9:12] != b"200":
            raise ValueError(f"an answer must have status 200; got {answer[:60]!r}.")
        place = answer.index(b"content-length: ") + 16
        await reader.readexactly(int(answer[place : answer.index(b"\r", place)]))
        seconds.append(time.perf_counter() - start)
    writer.close()


class Load:
    """A contender: clients that send requests for a while. It keeps the cost and the latency of requests."""

    def __init__(self, pid: int, port: int, make_request: MakeRequest) -> None:
        self.pid, self.port, self.make_request = pid, port, make_request
        self.cost: list[float] = []
        self.latency: list[float] = []

    def __call__(self) -> float:
        """Send requests, and return the number of answers."""
        seconds: list[float] = []
        before, end = self._processor(), time.perf_counter() + SECONDS

        async def clients() -> None:
            await asyncio.gather(*(_client(self.port, self.make_request, end, seconds) for _ in range(CLIENTS)))

        asyncio.run(clients())
        self.cost.append((self._processor() - before) / len(seconds) * 1e6)
        self.latency += seconds
        return len(seconds)

    def _processor(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def row(self, name: str, rate: float, bare_cost: float) -> dict[str, Any]:
        """Return a row of the table that is printed."""
        cuts = statistics.quantiles(self.latency, n=100)
        return {
            "what": name,
            "a second": rate,
            "p50 ms": cuts[49] * 1e3,
            "p90 ms": cuts[89] * 1e3,
            "p99 ms": cuts[98] * 1e3,
            "processor us": statistics.median(self.cost),
            "times bare": statistics.median(self.cost) / bare_cost,
        }


def commits(folder: Path) -> float:
    """Commit 200 events one by one, as a store without group commit would; return their number."""
    store = SqliteEvents(folder / "alone.db")

    async def write() -> None:
        for _ in range(200):
            await store.append([Event(os.urandom(8).hex(), "user", "item", 1.0)])

    asyncio.run(write())
    store.close()
    return 200


def request_makers(artefact: Artefact) -> dict[str, MakeRequest]:
    """Return name -> function that makes a request of this kind."""
    draw = random.Random(0)
    users, items = artefact.users.ids.to_list(), artefact.items.ids.to_list()
    event = {"item_id": items[0]}

    def known() -> tuple[str, Any]:
        return "/v1/recommend", {"user_id": draw.choice(users)}

    def mixed() -> tuple[str, Any]:
        is_event = draw.random() < 0.1
        body = {**event, "user_id": draw.choice(users), "item_id": draw.choice(items)}
        return ("/v1/events", body) if is_event else known()

    return {
        "known user": known,
        "one in ten an event": mixed,
        "new user, 20 items": lambda: ("/v1/recommend", {"history": draw.sample(items, 20)}),
        "20 excluded": lambda: ("/v1/recommend", {"user_id": draw.choice(users), "exclude": draw.sample(items, 20)}),
        "with reasons": lambda: ("/v1/recommend", {"user_id": draw.choice(users), "explain": True}),
        "events": lambda: ("/v1/events", {"user_id": draw.choice(users), "item_id": draw.choice(items)}),
    }


def free_port() -> int:
    """Return a port that is free."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def main() -> None:
    """Measure all contenders in rounds, and print medians."""
    options = _rounds.parser(__doc__, rounds=5).parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, ports = Path(place), (free_port(), free_port())
        artefact = make_run(folder / "run")
        plain = ["uvicorn", "benchmarks.speed.serving:bare", "--port", str(ports[0]), "--no-access-log"]
        ours = ["caser", "serve", str(folder / "run"), "--port", str(ports[1]), "--store", str(folder / "events.db")]
        with (
            server([sys.executable, "-m", *plain], ports[0]) as bare_pid,
            server([sys.executable, "-m", *ours], ports[1]) as pid,
        ):
            makers = request_makers(artefact)
            loads = {"bare ASGI": Load(bare_pid, ports[0], makers["known user"])}
            loads |= {name: Load(pid, ports[1], body) for name, body in makers.items()}
            rates = _rounds.rates({**loads, "commit": lambda: commits(folder)}, options.rounds)
    bare_cost = statistics.median(loads["bare ASGI"].cost)
    rows = [load.row(name, rates.median(name), bare_cost) for name, load in loads.items()]
    mixed = rows[list(loads).index("one in ten an event")]
    bars = [
        _rounds.Bar("answers with events mixed in", mixed["a second"], "a second", 2000, 3000),
        _rounds.Bar("slowest in a hundred", mixed["p99 ms"], "ms", 10, 7, "lower"),
        _rounds.Bar("cost of an answer", rows[1]["times bare"], "x bare ASGI", 10, 4, "lower"),
        _rounds.Bar("events against commits one by one", rates.ratio("events", "commit"), "x", 1, 3),
    ]
    _rounds.publish(
        "serving",
        rows,
        bars,
        lambda axes: axes.barh([row["what"] for row in rows], [row["processor us"] for row in rows]),
        clients=CLIENTS,
        sqlite_commits_a_second=round(rates.median("commit")),
    )


if __name__ == "__main__":
    main()
