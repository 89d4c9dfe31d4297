"""What commands print. Results go to stdout: one JSON document or tables. Progress and notes go to stderr.

All text passes `safe_text.py`, because it may come from a log, a file name or a service. None of it is markup of rich.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from caser.cli.streams import QuietConsole, abandon, encoding_of, is_of_output
from caser.data.id_text import MAX_ID_LENGTH, in_words
from caser.fitting import fit
from caser.study import engine
from caser.system.safe_text import for_json, for_terminal

FitTell: TypeAlias = fit.Tell
StudyTell: TypeAlias = engine.StepListener
Row: TypeAlias = Mapping[str, Any]
"""One row of a document: JSON values by column."""

out = QuietConsole(highlight=False)
err = QuietConsole(stderr=True, highlight=False)

METRICS_PER_TABLE = 4
"""How many metrics fit into 80 columns."""


def document(value: Mapping[str, Any]) -> None:
    """Print one JSON document on stdout, and nothing else. Where stdout is not in Unicode, the document is ASCII.

    value  JSON values; what is none is printed as text
    """
    is_unicode = encoding_of(sys.stdout).startswith("utf")
    sys.stdout.write(for_json(json.dumps(value, indent=2, ensure_ascii=not is_unicode, default=str)) + "\n")


def note(sentence: str) -> None:
    """Print a sentence for people on stderr, beside the result."""
    try:
        err.print(Text(for_terminal(sentence)), soft_wrap=True)
    except OSError as error:
        if not is_of_output(error):
            raise
        abandon(sys.stderr)  # the result matters more than what is said beside it


def remark(sentence: str) -> None:
    """Print a sentence on stdout, as a part of the result."""
    out.print(_text(f"  {sentence}"), soft_wrap=True)


def plain(text: str) -> None:
    """Print text on stdout as it is, for a program or another file to read.

    text  of this library; lines that hold anything from elsewhere go through `remark`
    """
    sys.stdout.write(f"{text}\n")


def blank_line() -> None:
    """Print an empty line on stdout."""
    out.print()


def heading(text: str) -> None:
    """Print a heading on stdout."""
    out.print(_text(text, style="bold"), soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table on stdout. Columns of numbers are right-aligned.

    title    the line above the table
    columns  names of the columns; the header is left out if all are empty
    rows     one value for each column. Ids must be text, or they are printed with thousands separators.
    """
    body = [[_cell(value) for value in row] for row in rows]
    shown = Table(show_header=any(columns), header_style="dim", box=None, pad_edge=False)
    for index, name in enumerate(columns):
        is_number = any(columns) and all(_looks_like_number(row[index]) for row in body if row[index])
        shown.add_column(_text(name), justify="right" if is_number else "left", overflow="fold")
    for row in body:
        shown.add_row(*map(_text, row))
    heading(title)
    out.print(shown)


def report(judged: Mapping[str, Any], subject: str | None = None) -> None:
    """Print a judgement: one row per model, then the verdicts and the notes.

    judged   the values of `evaluation.report.Report.to_dict`, and `test_openings` where they are counted
    subject  the model that is judged, which gets a mark
    """
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
    blank_line()
    for sentence in [*judged["verdicts"], *_on_lists(judged["beyond"]), *judged["notes"], *_openings(judged)]:
        remark(sentence)


def backtest(document: Mapping[str, Any]) -> None:
    """Print what models were worth in each window of time, and over all of them.

    document  the values of `study.backtest.Backtest.to_dict`
    """
    windows = document["windows"]
    names = [str(number) for number in range(1, len(windows) + 1)]
    rows = []
    for row in document["rows"]:
        by_window = [f"{value:.4f}" for value in row["by_window"]]
        rows.append([row["label"], *by_window, _estimate(row["over_windows"]), _difference(row["difference"])])
    title = f"{document['metric']} in {len(windows)} windows of time"
    table(title, ["model", *names, "over windows", f"to {document['reference']}"], rows)
    shown = ("protocol", "num_owners", "fingerprint")
    facts = [[name, *(one[key] for key in shown)] for name, one in zip(names, windows, strict=True)]
    table("", ["window", "split", f"{windows[0]['owner']}s", "fingerprint"], facts)
    blank_line()
    for sentence in [*document["verdicts"], *document["notes"]]:
        remark(sentence)


def answers(title: str, rows: Sequence[Row]) -> None:
    """Print recommendations: rank, item, title, score, and chance where it was asked for.

    title  the line above the table      rows  one per item, best first
    """
    items(title, ["rank", "item_id", "title", "score", "chance"], rows)


def items(title: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Print one row per item. The columns of titles and of chances are left out if no item has one.

    title  the line above the table      columns  which values of a row to show      rows  one per item
    """
    shown = [name for name in columns if name not in ("title", "chance") or any(row.get(name) for row in rows)]
    table(title, shown, [[_as_text(name, row.get(name)) for name in shown] for row in rows])


def study(values: Mapping[str, Any]) -> None:
    """Print a study: the verdicts, a row for each recipe, best first, and the notes.

    values  the values of `study.Study.to_dict`
    """
    metric = values["metric"]
    metrics = [metric, *(other for other in values["metrics"] if other != metric)][: METRICS_PER_TABLE - 2]
    best_first = sorted(values["rows"], key=lambda row: -row["metrics"][metric]["value"])
    reference = next((row["difference"]["against"] for row in values["rows"] if row["difference"]), None)
    for sentence in [*values["verdicts"], *values["advice"]]:
        heading(sentence)
    seeds = f"{len(values['seeds'])} seed{'s' if len(values['seeds']) > 1 else ''}"
    owners = f"{values['num_owners']:,} {values['owner']}s"
    title = f"{values['protocol']} · {values['part']} · {owners} · {seeds} · fingerprint {values['fingerprint']}"
    columns = ["", *metrics, *([f"to {reference}"] if reference else []), "train, s"]
    blank_line()
    table(title, columns, [_study_row(row, metrics, has_difference=reference is not None) for row in best_first])
    if reference:
        remark(
            f"to {reference}: difference in {metric}; * means that it is unlikely to be chance, after Holm's "
            f"correction for {len(best_first) - 1} comparisons; ±: half of the 95 % interval"
        )
        lost = [row["label"] for row in values["rows"] if (row["difference"] or {}).get("is_lost_to_correction")]
        if lost:
            remark(f"without that correction, the difference would count for {', '.join(lost)} too")
    for sentence in [*values["notes"], *_openings(values)]:
        remark(sentence)


def _openings(judged: Mapping[str, Any]) -> list[str]:
    """Say how often the test part has judged so far; nothing if it stayed closed, or if nobody counts."""
    number = judged.get("test_openings", 0)
    return [f"the test part was used {_counted(number, 'time')} so far"] if number and judged["part"] == "test" else []


@contextmanager
def study_progress() -> Iterator[StudyTell]:
    """Show on stderr how a study goes: a bar with the time left on a terminal, and a line for each step."""
    with _bar(TimeElapsedColumn()) as bar:
        task = bar.add_task("choosing the epochs of each model", total=None)
        began = time.perf_counter()

        def tell(step: engine.Step) -> None:
            left = "" if not step.seconds_left else f" · about {duration(step.seconds_left)} left"
            label = f"{step.done} of {step.total} steps{left}"
            bar.update(task, completed=step.done, total=step.total, description=for_terminal(label))
            seconds = time.perf_counter() - began
            done = f"{step.done:3}/{step.total}"
            line = f"{seconds:6.0f} s {done}  {step.action} {step.label}: {step.sentence}{left}"
            note(line)

        yield tell


@contextmanager
def fit_progress() -> Iterator[FitTell]:
    """Show on stderr how a fit goes: a bar with the time left on a terminal, and a line for each epoch."""
    with _bar(TimeRemainingColumn(compact=True)) as bar:
        task = bar.add_task("starting", total=None)
        began = time.perf_counter()

        def tell(progress: fit.Progress) -> None:
            label = _stage_in_words(progress)
            if progress.done is None:
                if progress.batch == 1 and progress.epoch == 1 and not err.is_terminal:
                    note(f"  {_plan_in_words(progress)}")
                batches = (progress.epoch - 1) * progress.batches + progress.batch
                bar.update(
                    task, description=for_terminal(label), completed=batches, total=progress.epochs * progress.batches
                )
                return
            judged = "" if progress.validation is None else f"  {progress.metric} {progress.validation:.4f}"
            note(
                f"{time.perf_counter() - began:6.0f} s  {label}  loss {progress.done.loss:.4f}{judged}  "
                f"{progress.done.num_states / progress.done.seconds:,.0f} positions/s"
            )

        yield tell


def duration(seconds: float) -> str:
    """Write a time span in words, rounded to what a person wants to know.

    >>> duration(42), duration(100), duration(300), duration(5000)
    ('42 s', '2 min', '5 min', '1 h 23 min')
    """
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _stage_in_words(progress: fit.Progress) -> str:
    """Return what trains now: the stage, the model if there are several, the trial and the epoch."""
    of = f" {progress.model}," if progress.model else ""
    trial = left = ""
    # A model that is not tuned has a single trial, and no time to use up.
    if progress.trial is not None and (progress.trial > 1 or progress.seconds_left):
        trial = f" trial {progress.trial},"
        left = f" · {duration(progress.seconds_left)} of its time left" if progress.seconds_left else ""
    return f"{progress.stage}{of}{trial} epoch {progress.epoch}/{progress.epochs}{left}"


def _plan_in_words(progress: fit.Progress) -> str:
    """Return how long a stage will train: at most so many epochs while they are chosen, and exactly so many after."""
    steps, epochs = _counted(progress.batches, "step"), _counted(progress.epochs, "epoch")
    of = f" {progress.model}" if progress.model else ""
    return f"{progress.stage}{of}: {steps} an epoch, {'at most ' if progress.stage == 'choosing' else ''}{epochs}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _bar(clock: ProgressColumn) -> Progress:
    """Make a progress bar on stderr, which is drawn only on a terminal; `clock` is its last column."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        clock,
    )
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def _study_row(row: Row, metrics: Sequence[str], *, has_difference: bool) -> list[str]:
    """Return the cells of one recipe: its label, its metrics, the difference to the reference, and its time."""
    cells = [row["label"], *(_estimate(row["metrics"][metric]) for metric in metrics)]
    if has_difference:
        cells.append(_difference(row["difference"]))
    return [*cells, f"{row['seconds']['training']:.1f}"]


def _as_text(column: str, value: Any) -> Any:
    """Return scores and chances with four decimals, and ids as they are written."""
    if column in ("score", "effect", "chance"):
        return "" if value is None else f"{value:.4f}"
    return in_words(value, MAX_ID_LENGTH) if column == "item_id" else value


def _estimate(estimate: Mapping[str, float | None]) -> str:
    """Return the value and half of its interval, or only the value if there is no interval."""
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    return f"{value:.4f}" if low is None or high is None else f"{value:.4f} ±{(high - low) / 2:.4f}"


def _difference(difference: Mapping[str, Any] | None) -> str:
    """Return the difference and half of its interval, with a star if it is shown after correction."""
    if difference is None:
        return ""
    shown = f"{difference['value']:+.4f} ±{(difference['high'] - difference['low']) / 2:.4f}"
    return f"{shown} *" if difference["is_shown"] else f"{shown}  "


def _on_lists(models: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Say for all models how much of the catalogue their lists hold, and how much of the lists is popular items."""
    said = {
        "coverage@10": "items in the top 10 of at least one user, of all that were ranked",
        "head_share@10": "places in the top 10s that the popular items have, the fewest with half of all interactions",
    }
    of = {key: ", ".join(f"{name} {one[key]:.1%}" for name, one in models.items()) for key in said}
    return [f"{words}: {of[key]}" for key, words in said.items()]


def _text(text: str, style: str = "") -> Text:
    """The text as stdout may show it. Signs are replaced before columns are laid out: "+-" is wider than "±"."""
    shown, encoding = for_terminal(text), encoding_of(sys.stdout)
    is_whole = shown.isascii() or encoding.startswith("utf")
    return Text(shown if is_whole else shown.encode(encoding, "caser").decode(encoding), style=style)


def _looks_like_number(text: str) -> bool:
    return text.strip("-").replace(",", "").replace(".", "")[:1].isdigit()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
