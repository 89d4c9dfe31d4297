"""Helpers of the page tests: a service as a process, a browser, and the open page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import polars as pl
from playwright.sync_api import Browser, Page, Route, sync_playwright

from caser.artefact.folder import Artefact, save
from caser.data.log import Vocabulary
from caser.data.tape import Tape
from caser.models.caser.caser import Caser
from caser.system.randomness import numpy_generator
from tests.runs import FACTS
from tests.service.serving import ended

CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]

_PATIENCE_MS = 30_000

SCRIPT = '<script>document.title="owned"</script>'
IMAGE = "<img src=x onerror=\"document.title='owned'\">"
OVERRIDE = "\u202egnirts \"quoted\" & 'so' </li>"
USERS = ["ann", "bob", "a/b <i>?"]
ITEMS = list(range(1, 41))
TITLES = {1: SCRIPT, 2: IMAGE, 3: OVERRIDE, 4: "עברית (1999)", 5: None}
SEQUENCES = [[1, 2, 3, 6, 7, 8], [9, 10], [11, 1, 2], *([[1, 2, 3]] * 5), [1, 2], [1], ITEMS[3:20], ITEMS[20:]]


def titled(item: int) -> str | None:
    """The title of an item of the small run."""
    return TITLES.get(item, f"Title {item}")


def save_run(folder: Path) -> tuple[Path, Path]:
    """Save a small run whose titles try to inject markup, and a table of its items. Returns the two paths."""
    config = Caser(L=3, d=6, n_v=1, n_h=2)
    users = [*USERS, *(f"user {number}" for number in range(len(SEQUENCES) - len(USERS)))]
    random = numpy_generator(0, "initialisation")
    arrays = {
        name: random.normal(size=shape).astype("float32")
        for name, shape in config.shapes(len(users), len(ITEMS)).items()
    }
    run = Artefact(
        config=config,
        scorer=config.scorer(arrays, len(users), len(ITEMS)),
        users=Vocabulary(pl.Series(users)),
        items=Vocabulary(pl.Series(ITEMS)),
        titles=pl.Series([titled(item) for item in ITEMS]),
        histories=Tape.from_sequences(SEQUENCES, len(ITEMS)),
        manifest=FACTS | {"metrics": {"ndcg@10": {"value": 0.25, "low": 0.2, "high": 0.3}}},
    )
    save(run, folder / "run")
    table = folder / "items.csv"
    rows = [{"item_id": item, "genre": "even" if item % 2 == 0 else "odd", "shelf": item % 5} for item in ITEMS]
    pl.DataFrame(rows).write_csv(table)
    return folder / "run", table


@contextmanager
def serving(run: Path, *flags: str) -> Iterator[str]:
    """Serve a run in a process of its own, and yield its address."""
    command = [sys.executable, "-m", "caser", "serve", str(run), "--port", "0", *flags]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"  # not a pipe: a full pipe would stop the service
        with (
            log.open("wb") as written,
            ended(subprocess.Popen(command, stderr=written, stdout=subprocess.DEVNULL)) as process,
        ):
            try:
                yield _address(process, log)
            finally:
                process.terminate()
                process.wait(timeout=30)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait for the address of a service in its log."""
    until = time.monotonic() + _PATIENCE_MS / 1000
    while time.monotonic() < until and process.poll() is None:
        found = re.search(r"serving on (http://[\d.]+:\d+)", log.read_text(encoding="utf-8"))
        if found:
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"the service did not start: {log.read_text(encoding='utf-8')}")


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium without a window."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield opened
        opened.close()


def ask(address: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Ask the service directly, without the page."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(address + path, data, {"Content-Type": "application/json"}), timeout=30) as answer:
        return json.load(answer)


@dataclass
class Tab:
    """The open page, with its questions, the answers, and the errors that it reported."""

    page: Page
    address: str
    trouble: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    answered: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda said: self.trouble.append(said.text) if said.type != "log" else None)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("request", self._outside)
        self.page.route("**/v1/recommend", self._listen)

    def open(self) -> None:
        """Open the page and wait for its first answer."""
        self.page.goto(self.address)
        self.settle(1)

    def settle(self, answers: int) -> None:
        """Wait until the page has received so many answers and awaits no other."""
        self.page.wait_for_function("() => document.querySelector('#answers').ariaBusy !== 'true'")
        for _ in range(_PATIENCE_MS // 20):
            if len(self.answered) >= answers:
                break
            self.page.wait_for_timeout(20)
        else:
            raise AssertionError(f"the page asked {len(self.asked)} times; it should have asked {answers} times")
        self.page.wait_for_timeout(80)
        self.page.wait_for_function("() => document.querySelector('#answers').ariaBusy !== 'true'")

    def after(self, action: Any) -> None:
        """Carry out an action that asks a new question, and wait for the answer."""
        before = len(self.answered)
        action()
        self.settle(before + 1)

    def take(self, words: str) -> None:
        """Search, and click the first title."""
        self.page.fill("#search", words)
        self.page.wait_for_selector("#found [aria-selected=true]")
        self.after(lambda: self.page.keyboard.press("Enter"))

    def shown(self) -> list[str]:
        """Titles of the recommendations, best first."""
        return self.page.locator("#answers .take").all_text_contents()

    def taken(self) -> list[str]:
        """Titles of the history, newest first."""
        return self.page.locator("#history .what").all_text_contents()

    def _outside(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:")):
            self.trouble.append(f"asked {request.url}")

    def _listen(self, route: Route) -> None:
        self.asked.append(json.loads(route.request.post_data or "{}"))
        response = route.fetch()
        self.answered.append(response.json())
        route.fulfill(response=response)
