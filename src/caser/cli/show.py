"""What a command prints: one JSON document for machines, or tables for people; progress and notes go to stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from caser.fitting.fit import Progress as FitProgress
from caser.fitting.fit import Tell
from caser.study.engine import Step, StepListener

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

METRICS_PER_TABLE = 4
"""As many as 80 columns hold."""


def document(value: Mapping[str, Any]) -> None:
    """Print one JSON document, and nothing else, on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def say(sentence: str) -> None:
    """Print a sentence for people on stderr."""
    err.print(Text(sentence), soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table on stdout; columns of numbers are right-aligned. Ids come as text, and are shown as they are."""
    body = [[_cell(value) for value in row] for row in rows]
    shown = Table(show_header=any(columns), header_style="dim", box=None, pad_edge=False)
    for index, name in enumerate(columns):
        is_number = all(
            row[index].strip("-").replace(",", "").replace(".", "")[:1].isdigit() for row in body if row[index]
        )
        shown.add_column(name, justify="right" if is_number and any(columns) else "left", overflow="fold")
    for row in body:
        shown.add_row(*(Text(value) for value in row))
    out.print(Text(title, style="bold"), soft_wrap=True)
    out.print(shown)


def remark(sentence: str) -> None:
    """Print a sentence below a table, on stdout."""
    out.print(Text(f"  {sentence}"), soft_wrap=True)


def report(judged: Mapping[str, Any], subject: str | None = None) -> None:
    """Print what `evaluation.judge.Report.to_dict` says: one row per model, then the verdicts and the notes."""
    models: Mapping[str, Mapping[str, Mapping[str, float]]] = judged["models"]
    metrics = list(next(iter(models.values())))
    owners = f"{judged['num_users']:,} users" if "num_users" in judged else f"{judged['num_sessions']:,} sessions"
    title = f"{judged['protocol']} · {judged['part']} · {owners} · fingerprint {judged['fingerprint']}"
    for start in range(0, len(metrics), METRICS_PER_TABLE):
        shown = metrics[start : start + METRICS_PER_TABLE]
        rows = [
            [f"{name} ◂" if name == subject else name, *(_estimate(values[metric]) for metric in shown)]
            for name, values in models.items()
        ]
        table("" if start else title, ["model", *shown], rows)
    out.print()
    for sentence in [*judged["verdicts"], _beyond(judged["beyond"]), *judged["notes"]]:
        remark(sentence)


def answers(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print recommendations: rank, item, title, score."""
    items(title, ["rank", "item_id", "title", "score"], rows)


def items(title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print one row per item; the title's column only where the log had titles."""
    shown = [name for name in columns if name != "title" or any(row.get("title") for row in rows)]
    table(title, shown, [[_as_text(name, row.get(name)) for name in shown] for row in rows])


def study(found: Mapping[str, Any]) -> None:
    """Print what `study.Study.to_dict` says: the verdicts, then a row for each recipe, best first."""
    chief = found["metric"]
    metrics = [chief, *(metric for metric in found["metrics"] if metric != chief)][: METRICS_PER_TABLE - 2]
    best_first = sorted(found["rows"], key=lambda row: -row["metrics"][found["metric"]]["value"])
    against = next((row["difference"]["against"] for row in found["rows"] if row["difference"]), None)
    for sentence in [*found["verdicts"], *found["advice"]]:
        out.print(Text(sentence, style="bold"))
    seeds = f"{len(found['seeds'])} seed{'s' if len(found['seeds']) > 1 else ''}"
    owners = f"{found['num_owners']:,} {found['owner']}s"
    title = f"{found['protocol']} · {found['part']} · {owners} · {seeds} · fingerprint {found['fingerprint']}"
    columns = ["", *metrics, *([f"to {against}"] if against else []), "train, s"]
    rows = []
    for row in best_first:
        cells = [row["label"], *(_estimate(row["metrics"][metric]) for metric in metrics)]
        if against:
            cells.append(_difference(row["difference"]))
        rows.append([*cells, f"{row['seconds']['training']:.1f}"])
    out.print()
    table(title, columns, rows)
    if against:
        remark(f"to {against}: difference in {chief}; * is shown after correction for {len(rows) - 1} comparisons")
    for note in found["notes"]:
        remark(note)


@contextmanager
def studying() -> Iterator[StepListener]:
    """Show a study as it goes: a bar with time left on a terminal, and a line for each step; both on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("choosing", total=None)
        began = time.perf_counter()

        def tell(step: Step) -> None:
            bar.update(task, completed=step.done, total=step.total, description=f"{step.done} of {step.total} steps")
            seconds = time.perf_counter() - began
            done = f"{step.done:3}/{step.total}"
            err.print(Text(f"{seconds:6.0f} s {done}  {step.action} {step.label}: {step.sentence}"), soft_wrap=True)

        yield tell


@contextmanager
def fitting() -> Iterator[Tell]:
    """Show a fit as it goes: a bar with time left on a terminal, one line per epoch elsewhere; both on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("starting", total=None)
        began = time.perf_counter()

        def tell(progress: FitProgress) -> None:
            label = f"{progress.stage} epoch {progress.epoch}/{progress.epochs}"
            if progress.done is None:
                if progress.batch == 1 and progress.epoch == 1 and not err.is_terminal:
                    say(f"  {progress.stage}: {progress.batches:,} steps an epoch, at most {progress.epochs} epochs")
                batches = (progress.epoch - 1) * progress.batches + progress.batch
                bar.update(task, description=label, completed=batches, total=progress.epochs * progress.batches)
                return
            judged = "" if progress.validation is None else f"  {progress.metric} {progress.validation:.4f}"
            err.print(
                f"{time.perf_counter() - began:6.0f} s  {label}  loss {progress.done.loss:.4f}{judged}  "
                f"{progress.done.num_states / progress.done.seconds:,.0f} positions/s",
                soft_wrap=True,
            )

        yield tell


def _as_text(column: str, value: Any) -> Any:
    """Scores to four decimals, ids as they are."""
    if column in ("score", "effect"):
        return f"{value:.4f}"
    return str(value) if column == "item_id" else value


def _estimate(estimate: Mapping[str, float | None]) -> str:
    """The value and half of its interval; the value alone where there is no interval."""
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    return f"{value:.4f}" if low is None or high is None else f"{value:.4f} ±{(high - low) / 2:.4f}"


def _difference(difference: Mapping[str, Any] | None) -> str:
    """The difference and half of its interval; a star where it is shown, after correction."""
    if difference is None:
        return ""
    shown = f"{difference['value']:+.4f} ±{(difference['high'] - difference['low']) / 2:.4f}"
    return f"{shown} *" if difference["is_shown"] else f"{shown}  "


def _beyond(models: Mapping[str, Mapping[str, float]]) -> str:
    """One sentence on coverage and head items, for all models."""
    shares = [
        f"{name} {measures['coverage@10']:.1%} · {measures['head_share@10']:.1%}" for name, measures in models.items()
    ]
    return f"candidates in any top 10 · places in top 10s that head items have: {', '.join(shares)}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
