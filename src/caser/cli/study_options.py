"""The options that every study on the command line has, and time spans such as 10m."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field

from caser.cli.flags import flat, one_of
from caser.config import Settings, Training
from caser.errors import ConfigError
from caser.evaluation.protocols import DEFAULT_PROTOCOL, PROTOCOLS
from caser.study.engine import AS_MANY_AS_CORES, DEFAULT_SEEDS, DEFAULT_STORE, Plan
from caser.study.result_table import check_table_file

QUICK_EPOCHS = 12
"""The largest number of epochs of a model in a study with --quick."""

SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
"""How many seconds a unit of time has."""


class StudyOptions(Settings):
    """How a study is carried out."""

    protocol: Annotated[str, one_of(PROTOCOLS)] = DEFAULT_PROTOCOL
    """How the log is split and judged."""
    seeds: int = Field(default=len(DEFAULT_SEEDS), ge=1, le=100)
    """How many seeds each neural model is trained with."""
    quick: bool = Field(
        default=False,
        description=f"One seed and at most {QUICK_EPOCHS} epochs for each model: an answer in minutes, not a claim.",
    )
    jobs: int | None = Field(default=AS_MANY_AS_CORES, ge=1)
    """How many models train at the same time; by default as many as there are cores."""
    store: Path = DEFAULT_STORE
    """The folder that keeps finished runs, so that later studies use them again."""
    out: Path | None = None
    """The folder for the report; by default it is named after the study and the log."""

    table: Path | None = None
    """Also write the table to this file: .tex (LaTeX) or .md, or .csv, .parquet, ... with every number in full."""

    def plan(self, budget: str = "0") -> Plan:
        """Return the plan of the study.

        budget  the time for tuning

        Raises ConfigError if `out` is a file, because the report needs a folder, and for a wrong ending of `table`.
        """
        if self.table is not None:
            check_table_file(self.table)
        if self.out is not None and self.out.exists() and not self.out.is_dir():
            raise ConfigError(f"a report needs a folder; {self.out} is a file. Choose another --out.")
        return Plan(
            seeds=tuple(range(1 if self.quick else self.seeds)),
            budget=seconds_of(budget),
            workers=self.jobs,
            store=self.store,
        )

    @property
    def caution(self) -> tuple[str, ...]:
        """A sentence on what a quick study leaves out; none if the study is not quick."""
        if not self.quick:
            return ()
        return (
            f"This study is quick (--quick): one seed, and training ends after {QUICK_EPOCHS} epochs at most. Run it "
            "without --quick before you decide.",
        )

    def shortened(self, training: Training) -> Training:
        """Return the training, with at most QUICK_EPOCHS epochs if the study is quick."""
        return training.replace(epochs=min(training.epochs, QUICK_EPOCHS)) if self.quick else training


StudyFlags: TypeAlias = Annotated[StudyOptions, flat("The study")]


def seconds_of(text: str) -> float:
    """Read a time span. Raises ConfigError for a text that is none.

    text  a number and a unit: s, m or h; without a unit, seconds

    >>> seconds_of("10m"), seconds_of("90s"), seconds_of("1.5h"), seconds_of("0")
    (600.0, 90.0, 5400.0, 0.0)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if not match:
        raise ConfigError(
            f"a time span must be a number from 0 on, with s, m or h; got {text!r}. Write for example 10m."
        )
    return float(match[1]) * SECONDS[match[2]]
