"""What all benchmarks of speed share: contenders that take turns, medians, and bars that must be met.

A contender is a piece of work whose speed is compared. The machine may be shared and noisy, so contenders are measured
in rounds: each round measures every contender once. A ratio is the median over rounds of the ratios within a round, so
other load on the machine affects both sides alike. The first round warms up and does not count. A benchmark ends with
`publish`, which prints a table and one JSON line, and writes a file in benchmarks/results and a picture.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

RESULTS = Path(__file__).resolve().parents[1] / "results" / "speed"
IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images" / "speed"

Contender = Callable[[], float]
"""Does some work, and returns the number of units of work done, for example windows trained."""


@dataclass(frozen=True)
class Rates:
    """Units per second of every contender, one number per round."""

    per_round: Mapping[str, Sequence[float]]

    def median(self, name: str) -> float:
        """Return the median rate of a contender, in units per second."""
        return statistics.median(self.per_round[name])

    def ratio(self, ours: str, theirs: str) -> float:
        """Return how many times faster `ours` is than `theirs`: the median over rounds of their ratio."""
        pairs = zip(self.per_round[ours], self.per_round[theirs], strict=True)
        return statistics.median(mine / other for mine, other in pairs)


@dataclass(frozen=True)
class Bar:
    """A value that a benchmark must reach.

    name      what is measured
    value     the measured value; None for a quality that was never reached
    unit      of the value
    at_least  the value that must be reached
    aim       the better value that we want to reach
    better    whether a higher or a lower value is better
    """

    name: str
    value: float | None
    unit: str
    at_least: float
    aim: float
    better: Literal["higher", "lower"] = "higher"

    @property
    def verdict(self) -> str:
        """Whether the aim is met, only the weaker demand holds, or both are missed."""
        if self.value is None:
            return "missed"
        sign = 1 if self.better == "higher" else -1
        if sign * self.value >= sign * self.aim:
            return "aim met"
        return "holds" if sign * self.value >= sign * self.at_least else "missed"


def rates(contenders: Mapping[str, Contender], rounds: int = 7) -> Rates:
    """Measure all contenders in rounds.

    contenders  name -> contender
    rounds      the number of rounds that count; one more warms up

    >>> found = rates({"one": lambda: 1.0, "two": lambda: 2.0}, rounds=2)
    >>> len(found.per_round["one"])
    2
    """
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, contender in contenders.items():
            gc.collect()
            began = time.perf_counter()
            done = contender()
            seconds = time.perf_counter() - began
            if turn:
                found[name].append(done / seconds)
    return Rates(found)


def parser(docstring: str | None, rounds: int = 7) -> argparse.ArgumentParser:
    """Return a parser of command lines with the option that all benchmarks have, --rounds."""
    parser = argparse.ArgumentParser(description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="number of rounds that count; one more warms up")
    return parser


def machine() -> dict[str, Any]:
    """Return facts about the machine and the moment of measurement."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "load_1_minute": round(os.getloadavg()[0], 1),
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
    }


def publish(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    bars: Sequence[Bar] = (),
    draw: Callable[[Any], None] | None = None,
    folder: Path | None = None,
    **facts: Any,
) -> None:
    """Print and save the result of a benchmark.

    name    of the benchmark, and of its files
    rows    the rows of a table, all with the same keys
    bars    what the benchmark must reach
    draw    draws the picture; it gets Matplotlib's axes
    folder  where the files go, for a try that is not published; by default, where docs/performance.md takes them from
    facts   further facts to save
    """
    console = Console(width=120)
    _print_rows(console, name, rows)
    if bars:
        shown = [
            {"bar": bar.name, "measured": f"{_cell(bar.value)} {bar.unit}", "at least": f"{bar.at_least:g}",
             "aim": f"{bar.aim:g}", "": bar.verdict}
            for bar in bars
        ]  # fmt: skip
        _print_rows(console, "bars", shown)
    result = {
        "benchmark": name,
        "command": f"python tools/dev.py bench {name}",
        "machine": machine(),
        **facts,
        "rows": [dict(row) for row in rows],
        "bars": [{**asdict(bar), "verdict": bar.verdict} for bar in bars],
    }
    results, images = (folder, folder) if folder else (RESULTS, IMAGES)
    results.mkdir(parents=True, exist_ok=True)
    (results / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if draw:
        _draw(images / f"{name}.png", draw)
    print(json.dumps(result, ensure_ascii=False))


def bars_as_markdown() -> str:
    """Return all bars of all saved results as the table in docs/performance.md."""
    lines = ["| bar | at least | aim | measured | | `make bench` |", "|---|---|---|---|---|---|"]
    for path in sorted(RESULTS.glob("*.json")):
        for bar in json.loads(path.read_text(encoding="utf-8"))["bars"]:
            demands = f"{bar['at_least']:g} | {bar['aim']:g} | {_cell(bar['value'])} {bar['unit']}"
            lines.append(f"| {bar['name']} | {demands} | {bar['verdict']} | `{path.stem}` |")
    return "\n".join(lines)


def rows_as_markdown(name: str) -> str:
    """Return the rows of one saved result as a Markdown table."""
    return as_markdown(json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["rows"])


def as_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows, all with the same keys, as a Markdown table."""
    lines = [f"| {' | '.join(rows[0])} |", "|---" * len(rows[0]) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(map(_cell, row.values()))} |" for row in rows)])


def _print_rows(console: Console, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table(title=title, title_justify="left")
    for column in rows[0] if rows else ():
        table.add_column(column, justify="left" if isinstance(rows[0][column], str) else "right")
    for row in rows:
        table.add_row(*(escape(_cell(value)) for value in row.values()))
    console.print(table)


def _cell(value: Any) -> str:
    """A value as text: numbers with three significant digits, large ones without decimals; a dash for None."""
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _draw(path: Path, draw: Callable[[Any], None]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    draw(axes)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
