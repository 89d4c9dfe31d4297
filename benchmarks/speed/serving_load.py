"""The service under load: rate, latency, large catalogues, too many clients, bad clients, reloads, a stop, a long run.

One worker serves the catalogue of MovieLens-1M; a bare ASGI endpoint and SQLite's own commits are measured in the same
run. Clients are `wrk` if it is installed, else Python. Large catalogues are those of the benchmark `catalogue`; they
are made in about three minutes if they do not exist. Use `--soak 600` for the full length of the long run, and
`--only NAME` for one part.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed import _rounds, catalogue
from benchmarks.speed._load import GENERATOR, Replies, RequestParts, ask, once
from benchmarks.speed._served import in_background, odd_clients, ours, served
from benchmarks.speed.serving import CLIENTS, commits, make_run, request_makers
from caser.artefact.folder import Artefact, save
from caser.service.answers.queue import MAX_BATCH_SIZE

Result = tuple[list[dict[str, Any]], list[_rounds.Bar]]
# The number of requests that may wait (`--max-waiting`), and the number of reloads.
LINE = 32
SWAPS = 20


@dataclass
class World:
    """What every part of the benchmark needs."""

    folder: Path
    artefact: Artefact
    seconds: float
    soak: float

    @property
    def run(self) -> Path:
        """The folder of the run."""
        return self.folder / "run"

    def requests(self, kind: str, number: int = 2000) -> list[RequestParts]:
        """Return requests of one kind."""
        make_request = request_makers(self.artefact)[kind]
        return [make_request() for _ in range(number)]


def rate(world: World) -> Result:
    """Eight clients at one worker, one request in ten an event; in turns with a bare endpoint; and commits alone."""
    bare = ("uvicorn", "benchmarks.speed.serving:bare", "--port", "PORT", "--no-access-log")
    requests = {name: world.requests(name) for name in ("one in ten an event", "known user")}
    cost: dict[str, list[float]] = {}
    replies: dict[str, Replies] = {}
    with served(*bare) as plain, served(*ours(world.run, "--store", world.folder / "events.db")) as service:
        turns = [("bare ASGI", plain, "known user"), *((name, service, name) for name in requests)]
        for _ in range(5):
            for name, server, kind in turns:
                before = server.processor_seconds
                turn = ask(server.port, requests[kind], CLIENTS, world.seconds / 5)
                count = sum(map(len, turn.took.values()))
                cost.setdefault(name, []).append((server.processor_seconds - before) / count * 1e6)
                total = replies.setdefault(name, Replies())
                total.seconds, total.broken = total.seconds + turn.seconds, total.broken + turn.broken
                for status, took in turn.took.items():
                    total.took.setdefault(status, []).extend(took)
        began = time.perf_counter()
        written = commits(world.folder) / (time.perf_counter() - began)
    times = {
        name: statistics.median(one / other for one, other in zip(cost[name], cost["bare ASGI"], strict=True))
        for name in cost
    }
    rows = [
        replies[name].row(name, note=f"{statistics.median(cost[name]):.0f} us of processor, {times[name]:.1f} x bare")
        for name in cost
    ]
    mixed = replies["one in ten an event"]
    return [*rows, Replies(seconds=1.0).row("SQLite, one commit an event") | {"a second": written}], [
        _rounds.Bar("answers with events mixed in", mixed.rate(), "a second", 1000, 2000),
        _rounds.Bar("half of them within", mixed.milliseconds(50), "ms", 5, 3, "lower"),
        _rounds.Bar("nine in ten within", mixed.milliseconds(90), "ms", 7, 5, "lower"),
        _rounds.Bar("99 in 100 within", mixed.milliseconds(99), "ms", 15, 10, "lower"),
        _rounds.Bar("errors among them", mixed.errors + len(mixed.took.get(503, [])), "", 0, 0, "lower"),
        _rounds.Bar("cost of an answer", times["known user"], "x bare ASGI", 10, 6, "lower"),
    ]


def catalogues(world: World) -> Result:
    """A hundred thousand items with exact search, and a million with the index."""
    rows, bars = [], []
    for size, is_exact in ((100_000, True), (1_000_000, False)):
        artefact = catalogue.run_of(size).artefact
        run = catalogue.RUNS / f"catalogue-{size}"
        if is_exact:
            run = world.folder / "exact"
            save(replace(artefact, index=None), run)
        users = np.random.default_rng(0).choice(len(artefact.users), 2000).tolist()
        requests = [("/v1/recommend", {"user_id": user + 1}) for user in users]
        how = "exactly" if is_exact else f"by the index, recall {artefact.index.recall:.3f}" if artefact.index else ""
        with served(*ours(run)) as service:
            ask(service.port, requests, 1, 2)
            for clients in (1, CLIENTS):
                found = ask(service.port, requests, clients, world.seconds / 3)
                memory = f"{service.mebibytes:,.0f} MiB"
                rows.append(found.row(f"{size:,} items {how}, {clients} client{'s'[: clients > 1]}", note=memory))
                if is_exact == (clients == 1):
                    last = found
        if is_exact:
            bars.append(
                _rounds.Bar("99 in 100 of 10^5 items, one client", last.milliseconds(99), "ms", 20, 10, "lower")
            )
        elif artefact.index:
            bars += [
                _rounds.Bar("answers from 10^6 items", last.rate(), "a second", 1000, 2000),
                _rounds.Bar("nine in ten of 10^6 items within", last.milliseconds(90), "ms", 7, 5, "lower"),
                _rounds.Bar("99 in 100 of 10^6 items within", last.milliseconds(99), "ms", 20, 10, "lower"),
                _rounds.Bar("recall at 10 of the index", artefact.index.recall, "", 0.95, 0.95),
            ]
    return rows, bars


def shedding(world: World) -> Result:
    """Eight times as many clients as there is room for, and one more that checks whether the service is alive."""
    requests, room = world.requests("known user", 200), LINE + MAX_BATCH_SIZE
    with served(*ours(world.run, "--max-waiting", str(LINE))) as service:
        ask(service.port, requests, CLIENTS, 2)
        alone, crowded, lives = [], [], []
        for _ in range(3):
            alone.append(ask(service.port, requests, CLIENTS, world.seconds / 6))
            with in_background(ask, service.port, requests, 8 * room, world.seconds / 6, 0.0, 1.0) as asking:
                while not asking.done():
                    status, seconds = asyncio.run(once(service.port, "/healthz"))
                    lives.append(seconds if status == 200 else 99.0)
                    time.sleep(0.05)
            crowded.append(asking.result())
        without_retry = ask(service.port, requests, 8 * room, world.seconds / 6)
    capacity = statistics.median(one.rate() for one in alone)
    kept = statistics.median(two.rate() / one.rate() for one, two in zip(alone, crowded, strict=True))
    slowest, refusals = (statistics.median(one.milliseconds(99, status) for one in crowded) for status in (200, 503))
    return [
        alone[-1].row("known user, 8 clients"),
        crowded[-1].row(f"{8 * room} clients that heed Retry-After", note=f"room for {LINE} + {MAX_BATCH_SIZE}"),
        without_retry.row(f"{8 * room} clients that heed nothing"),
    ], [
        _rounds.Bar("answers kept with 8 x the clients", kept, "of capacity", 0.9, 0.95),
        _rounds.Bar("99 in 100 against the whole line", slowest * capacity / room / 1e3, "x", 1.5, 1, "lower"),
        _rounds.Bar("99 in 100 refusals within", refusals, "ms", 50, 20, "lower"),
        _rounds.Bar("slowest sign of life meanwhile", max(lives) * 1e3, "ms", 100, 50, "lower"),
        _rounds.Bar("neither answered nor refused", sum(one.errors for one in crowded), "", 0, 0, "lower"),
    ]


def odd(world: World) -> Result:
    """Eight good clients, in turns with and without 200 bad ones: a byte a second, half a request, an endless body."""
    requests = world.requests("known user")
    rows: dict[str, Replies] = {}
    ratios = []
    with served(*ours(world.run)) as service:
        ask(service.port, requests, CLIENTS, 2)
        before = service.mebibytes
        for _ in range(3):
            rows["without odd clients"] = ask(service.port, requests, CLIENTS, 3)
            with odd_clients(service.port):
                rows["beside 200 odd clients"] = ask(service.port, requests, CLIENTS, 3)
                grown = service.mebibytes - before
            ratios.append(
                rows["beside 200 odd clients"].milliseconds(99) / rows["without odd clients"].milliseconds(99)
            )
    return [found.row(name) for name, found in rows.items()], [
        _rounds.Bar("99 in 100 beside odd clients", statistics.median(ratios), "x", 2, 1.2, "lower"),
        _rounds.Bar("memory that odd clients take", grown, "MiB", 64, 16, "lower"),
    ]


def reloads(world: World) -> Result:
    """Twenty reloads at about half load."""
    requests = world.requests("known user")
    run = world.folder / "swapped"
    save(world.artefact, run)
    took: list[float] = []
    with served(*ours(run)) as service:
        capacity = ask(service.port, requests, CLIENTS, 2).rate()
        with in_background(ask, service.port, requests, CLIENTS, 15, CLIENTS / (capacity / 2)) as asking:
            while not asking.done() and len(took) < SWAPS:
                save(world.artefact, run)
                status, seconds = asyncio.run(once(service.port, "/v1/model/reload", {}))
                took.append(seconds if status == 200 else 99.0)
                time.sleep(0.1)
        found = asking.result()
    others = found.errors + len(found.took.get(503, []))
    return [found.row(f"with {len(took)} reloads", note=f"a reload takes {statistics.median(took) * 1e3:.0f} ms")], [
        _rounds.Bar("swaps under load", len(took) - took.count(99.0), "", SWAPS, SWAPS),
        _rounds.Bar("answers that were none during swaps", others, "", 0, 0, "lower"),
    ]


def stop(world: World) -> Result:
    """SIGTERM under load: clients go on until the service stops listening."""
    requests = world.requests("one in ten an event")
    with served(*ours(world.run, "--store", world.folder / "stopped.db")) as service:
        with in_background(ask, service.port, requests, CLIENTS, 3) as asking:
            time.sleep(1.5)
            began = time.perf_counter()
            service.process.send_signal(signal.SIGTERM)
            unready = 0.0
            while not unready:
                if asyncio.run(once(service.port, "/readyz"))[0] == 503:
                    unready = time.perf_counter() - began
            code = service.process.wait(30)
            ended = time.perf_counter() - began
        found = asking.result()
    note = f"not ready after {unready * 1e3:.0f} ms, ended after {ended:.1f} s"
    row = found.row("with SIGTERM in the middle", note=note) | {"errors": 0}  # nobody listens at the end
    bad = sum(len(took) for status, took in found.took.items() if status != 200)
    return [row], [
        _rounds.Bar("exit code after SIGTERM", code, "", 0, 0, "lower"),
        _rounds.Bar("answers other than 200 until the end", bad, "", 0, 0, "lower"),
    ]


def soak(world: World) -> Result:
    """A long run with events and reloads: memory and open files may not grow."""
    requests = world.requests("one in ten an event")
    counts, memory, handles = [0], [], []
    log = world.folder / "answers.jsonl"
    with served(*ours(world.run, "--store", world.folder / "soaked.db", "--answer-log", log)) as service:
        for _ in range(max(6, round(world.soak / 5))):
            found = ask(service.port, requests, CLIENTS, 5)
            asyncio.run(once(service.port, "/v1/model/reload", {}))
            time.sleep(0.2)
            counts.append(counts[-1] + sum(map(len, found.took.values())))
            memory.append(service.mebibytes)
            handles.append(service.handles)
    warm = len(memory) // 3
    slope = float(np.polyfit(counts[1 + warm :], memory[warm:], 1)[0]) * 10_000
    changed = max(abs(one - first) for each in handles[warm:] for one, first in zip(each, handles[warm], strict=True))
    return [found.row(f"at the end of {counts[-1]:,} requests", note=f"{memory[0]:.0f} to {memory[-1]:.0f} MiB")], [
        _rounds.Bar("memory after warming up", slope, "MiB per 10,000 requests", 1, 0.2, "lower"),
        _rounds.Bar("files and threads more or fewer", changed, "", 0, 0, "lower"),
    ]


PARTS = {part.__name__: part for part in (rate, catalogues, shedding, odd, reloads, stop, soak)}


def main() -> None:
    """Run all parts, and print everything at the end."""
    parser = _rounds.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="seconds for which the absolute rate is measured")
    parser.add_argument("--soak", type=float, default=60.0, help="seconds of the long run")
    parser.add_argument("--only", choices=PARTS, help="run only this part")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    rows: list[dict[str, Any]] = []
    bars: list[_rounds.Bar] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        world = World(folder, make_run(folder / "run"), options.seconds, options.soak)
        for name in [options.only] if options.only else PARTS:
            print(f"{name}: {(PARTS[name].__doc__ or '').partition(chr(10))[0]}", flush=True)
            part_rows, part_bars = PARTS[name](world)
            rows += part_rows
            bars += part_bars
    _rounds.publish("serving_load", rows, bars, None, clients=GENERATOR, soak_seconds=options.soak)


if __name__ == "__main__":
    main()
