"""The table of a report or of a study as a file: LaTeX or Markdown for a page, or CSV and the like for a program.

In LaTeX and Markdown, a cell is the value and half of its 95 % interval. The files for programs have one row for each
model and metric, with every number in full.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from caser.errors import ConfigError
from caser.system.frames import SINKS, table_ending, write_frames
from caser.system.storage import write_file

TEXTS = (".tex", ".md")
"""Endings of files that hold a table for a page."""

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "±": r"$\pm$", "·": r"$\cdot$",
}  # fmt: skip
"""What LaTeX would obey, or does not have in every font."""

_SCHEMA = pl.Schema(
    {"model": pl.String, "metric": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64}
)


@dataclass(frozen=True)
class ResultTable:
    """What models reach under one protocol.

    title      the protocol, the part, who is judged, and the fingerprint
    metrics    the names of the columns
    estimates  for each model and metric, `value`, `low` and `high`; those two are None without an interval
    """

    title: str
    metrics: Sequence[str]
    estimates: Mapping[str, Mapping[str, Mapping[str, float | None]]]

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each model and metric: model, metric, value, low, high."""
        rows = [
            {"model": model, "metric": metric, **{name: of[metric][name] for name in ("value", "low", "high")}}
            for model, of in self.estimates.items()
            for metric in self.metrics
        ]
        return pl.DataFrame(rows, schema=_SCHEMA)

    def to_latex(self) -> str:
        r"""Return a `tabular` for the package booktabs. The best value of each column is bold.

        >>> of = {"hit@10": {"value": 0.5, "low": 0.4, "high": 0.6}}
        >>> print(ResultTable("leave-one-out", ["hit@10"], {"my_model": of}).to_latex())
        % leave-one-out
        \begin{tabular}{lr}
        \toprule
        model & hit@10 \\
        \midrule
        my\_model & \textbf{0.5000 $\pm$ 0.1000} \\
        \bottomrule
        \end{tabular}
        """
        best = {metric: self._best(metric) for metric in self.metrics}
        rows = []
        for model in self.estimates:
            cells = [latex(_cell(self.estimates[model][metric])) for metric in self.metrics]
            cells = [
                rf"\textbf{{{cell}}}" if model in best[metric] else cell
                for metric, cell in zip(self.metrics, cells, strict=True)
            ]
            rows.append(" & ".join([latex(model), *cells]))
        head = " & ".join(map(latex, ["model", *self.metrics]))
        body = [r"\toprule", rf"{head} \\", r"\midrule", *(rf"{row} \\" for row in rows), r"\bottomrule"]
        opening = rf"\begin{{tabular}}{{l{'r' * len(self.metrics)}}}"
        return "\n".join([f"% {_in_one_line(self.title)}", opening, *body, r"\end{tabular}"])

    def to_markdown(self) -> str:
        """Return a table of Markdown, with the title above it."""
        rows = [[model, *(_cell(of[metric]) for metric in self.metrics)] for model, of in self.estimates.items()]
        rule = ["---", *["---:"] * len(self.metrics)]
        lines = [
            [markdown(one) for one in ["model", *self.metrics]],
            rule,
            *([markdown(one) for one in row] for row in rows),
        ]
        return "\n".join([markdown(self.title), "", *(f"| {' | '.join(line)} |" for line in lines)])

    def _best(self, metric: str) -> set[str]:
        """The models with the highest value of a metric."""
        values = {model: of[metric]["value"] for model, of in self.estimates.items()}
        highest = max((value for value in values.values() if value is not None), default=None)
        return {model for model, value in values.items() if value is not None and value == highest}


def table_of_report(judged: Mapping[str, Any]) -> ResultTable:
    """Return the table of a report.

    judged  the values of `evaluation.report.Report.to_dict`
    """
    word = "users" if "num_users" in judged else "sessions"
    models = judged["models"]
    return ResultTable(_title(judged, f"{judged[f'num_{word}']:,} {word}"), list(next(iter(models.values()))), models)


def table_of_study(study: Mapping[str, Any]) -> ResultTable:
    """Return the table of a study, best row first.

    study  the values of `study.study.Study.to_dict`
    """
    owners = f"{study['num_owners']:,} {study['owner']}s · {len(study['seeds'])} seeds"
    rows = sorted(study["rows"], key=lambda row: -row["metrics"][study["metric"]]["value"])
    return ResultTable(_title(study, owners), list(study["metrics"]), {row["label"]: row["metrics"] for row in rows})


def check_table_file(file: Path) -> str:
    """Return the ending of the file of a table. Raises ConfigError for another one than those of TEXTS and SINKS.

    file  the file, which need not exist
    """
    if file.suffix.lower() in TEXTS:
        if file.is_dir():
            raise ConfigError(f"the file of a table must not be a folder; got {file}. Name a file in it.")
        return file.suffix.lower()
    try:
        return table_ending(file)
    except ConfigError:
        if file.is_dir():
            raise
        raise ConfigError(
            f"the file of a table must end in {', '.join([*TEXTS, *SINKS])}; got {file.name!r}."
        ) from None


def write_table(file: Path, table: ResultTable) -> None:
    """Write a table. In .csv and .tsv, a name that a spreadsheet would calculate gets a ' before it.

    file   where it goes; the ending says in which form

    Raises ConfigError for another ending, ArtefactError if the file cannot be written.
    """
    ending = check_table_file(file)
    if ending in TEXTS:
        text = table.to_latex() if ending == ".tex" else table.to_markdown()
        write_file(file, f"{text}\n".encode())
        return
    frame = table.to_frame()
    write_frames(file, [frame], frame.schema, csv_safe=ending.startswith((".csv", ".tsv")))


def latex(text: str) -> str:
    r"""Return text in which LaTeX obeys nothing.

    text  of one cell

    >>> latex("50%_of {a} \\input")
    '50\\%\\_of \\{a\\} \\textbackslash{}input'
    """
    return "".join(_LATEX.get(letter, letter) for letter in _in_one_line(text))


def markdown(text: str) -> str:
    r"""Return text in which Markdown, and HTML inside it, obeys nothing.

    text  of one cell

    >>> print(markdown("a|b *c* <i>"))
    a\|b \*c\* \<i\>
    """
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", _in_one_line(text))


def _title(values: Mapping[str, Any], owners: str) -> str:
    return f"{values['protocol']} · {values['part']} · {owners} · fingerprint {values['fingerprint']}"


def _cell(estimate: Mapping[str, float | None]) -> str:
    """The value and half of its interval."""
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    if value is None:
        return ""
    return f"{value:.4f}" if low is None or high is None else f"{value:.4f} ± {(high - low) / 2:.4f}"


def _in_one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
