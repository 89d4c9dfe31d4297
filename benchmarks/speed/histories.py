"""Memory of the histories that the service keeps for quick answers: without a limit, and with limits in bytes.

A store of a service gets users with as many events as a window holds. In a new process for each limit, every user is
asked about once, as an answer does: the store reads the user's last events, and the model joins them with its run. The
result is how much the memory of the process grows, in all and per user.

    python -m benchmarks.speed.histories --users 600
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import caser
from benchmarks.speed.serving import make_run
from caser.service.answers.loaded_model import load_model
from caser.service.events.histories import Histories
from caser.service.events.sqlite import SqliteEvents

WINDOW = 1000
LIMITS = (None, 64, 16)
"""Limits in MiB, as `caser serve --cache-mb` takes them; None is no limit."""


def fill(store: Path, users: int) -> None:
    """Give every user `WINDOW` events."""
    SqliteEvents(store).close()
    file = sqlite3.connect(store)
    rows = (
        (f"{user}-{number}", f"user {user}", f"item {number * 7 % 5000}", 1e9 + 60 * number)
        for user in range(users)
        for number in range(WINDOW)
    )
    file.executemany("INSERT INTO events (event_id, user_id, item_id, time) VALUES (?, ?, ?, ?)", rows)
    file.commit()
    file.close()


def growth(folder: Path, users: int, limit: int | None) -> float:
    """Ask about every user once; return by how many bytes the memory of this process grew."""
    max_bytes = sys.maxsize if limit is None else limit << 19  # half for the store, half for the model
    store = SqliteEvents(folder / "events.db")
    histories = Histories(store, window=WINDOW, max_bytes=max_bytes)
    model = load_model(folder / "run", None, max_cached=max_bytes)

    async def ask(users: Iterable[int]) -> None:
        for user in users:
            [recent] = await histories.recent_many([f"user {user}"])
            model.history(f"user {user}", recent, WINDOW)

    asyncio.run(ask([0]))
    gc.collect()
    before = resident()
    asyncio.run(ask(range(users)))
    gc.collect()
    grown = resident() - before
    store.close()
    return grown


def resident() -> float:
    """Return the memory of this process in bytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * float(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def main() -> None:
    """Measure each limit in a new process, and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=600)
    parser.add_argument("--alone", help="measure one limit and print it; for internal use")
    options = parser.parse_args()
    if options.alone:
        folder, limit = json.loads(options.alone)
        print(growth(Path(folder), options.users, limit))
        return
    with tempfile.TemporaryDirectory() as place:
        make_run(Path(place) / "run", caser.union_world(num_users=100, num_items=50, length=20).log)
        fill(Path(place) / "events.db", options.users)
        for limit in LIMITS:
            words = ["--users", str(options.users), "--alone", json.dumps([place, limit])]
            command = [sys.executable, "-m", "benchmarks.speed.histories", *words]
            grown = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            named = "no limit" if limit is None else f"--cache-mb {limit}"
            print(f"{named:>14}: {grown / 2**20:8.1f} MiB in all, {grown / options.users / 1000:6.1f} kB a user")


if __name__ == "__main__":
    main()
