"""A backtest: models compared on rolling windows of time, each as if it were decided at that moment.

Each window is a comparison of its own (`compare.py`), with its own split and fingerprint. Over windows, a model has one
value for each window, the mean over users and seeds, and the windows are the unit of the spread: a t interval over
them. Neighbouring windows share most of what trains, so this interval says how much a result moves with time; it does
not say how it would move on another log.

Shape suffixes: N windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from caser.data.log import InteractionLog
from caser.data.time_windows import DEFAULT_WINDOWS, time_windows
from caser.errors import ConfigError
from caser.evaluation.metrics import Values
from caser.evaluation.statistics import Difference, Estimate, corrected, mean_over_owners, paired_difference
from caser.study.arguments import Models
from caser.study.compare import compare
from caser.study.engine import Plan, StepListener
from caser.study.study import Study, facts_of_log

SPREAD = (
    "over windows: each window counts once, with the mean over its users and seeds; t intervals over the windows. "
    "Windows share what trains, so the intervals show how results move with time, not with the log"
)
"""What an interval over windows means."""


@dataclass(frozen=True, eq=False)
class Backtest:
    """The same models, compared in several windows of time.

    windows  one comparison for each window, the earliest first
    """

    windows: tuple[Study, ...]

    @property
    def metric(self) -> str:
        """The metric that chooses on validation, and that models are compared by."""
        return self.windows[0].metric

    @cached_property
    def values(self) -> dict[str, Values]:
        """The mean of the metric in each window, (N,) float64, of each model that all windows have; the best first."""
        of_all = [
            label for label in self.windows[0].report.values if all(label in one.report.values for one in self.windows)
        ]
        means = {
            label: np.array([one.report.estimate(label, self.metric).value for one in self.windows]) for label in of_all
        }
        return dict(sorted(means.items(), key=lambda pair: -pair[1].mean()))

    @cached_property
    def reference(self) -> str:
        """The best of the simple models, by its mean over windows. Raises ConfigError if no window has one."""
        simple = [label for label in self.values if not self.windows[0].recipe(label).is_neural]
        if not simple:
            raise ConfigError("a backtest needs a counting model that every window has; there is none.")
        return simple[0]

    def estimate(self, label: str) -> Estimate:
        """Return the mean over windows, with its 95 % interval over windows.

        label  a model that all windows have
        """
        return mean_over_owners(self.values[label], np.arange(len(self.windows), dtype=np.int32))

    @cached_property
    def differences(self) -> dict[str, Difference]:
        """Each model minus the reference, paired by window, with Holm's correction."""
        owners = np.arange(len(self.windows), dtype=np.int32)
        return corrected(
            {
                label: paired_difference(own, self.values[self.reference], owners)
                for label, own in self.values.items()
                if label != self.reference
            }
        )

    @property
    def verdicts(self) -> list[str]:
        """One sentence for each model but the reference, the best first."""
        return [
            difference.sentence(label, self.reference, self.metric, len(self.windows), "window")
            for label, difference in self.differences.items()
        ]

    @property
    def notes(self) -> list[str]:
        """Sentences that a reader of the numbers should see."""
        seen = dict.fromkeys(label for one in self.windows for label in one.report.values)
        missing = [label for label in seen if label not in self.values]
        left_out = [f"left out of the table over windows, because a window lacks them: {', '.join(missing)}"]
        return [SPREAD, *(left_out if missing else [])]

    def to_dict(self) -> dict[str, Any]:
        """Return every number, with those of each window, as JSON values."""
        return {
            "kind": "backtest",
            "log": facts_of_log(self.windows[0].split.log),
            "metric": self.metric,
            "reference": self.reference,
            "verdicts": self.verdicts,
            "notes": self.notes,
            "rows": [
                {
                    "label": label,
                    "by_window": own.tolist(),
                    "over_windows": self.estimate(label).to_dict(),
                    "difference": None if label == self.reference else self.differences[label].to_dict(),
                }
                for label, own in self.values.items()
            ],
            "windows": [one.to_dict() for one in self.windows],
        }


def backtest(
    log: InteractionLog,
    number: int = DEFAULT_WINDOWS,
    models: Models = (),
    plan: Plan | None = None,
    *,
    training: Mapping[str, Any] | None = None,
    tell: StepListener | None = None,
) -> Backtest:
    """Compare models in rolling windows of time.

    log       a log with times
    number    how many windows (see `caser.time_windows`)
    models    names of models, or settings, as for `compare`
    plan      as for `compare`, for each window: a budget holds for one window. Finished runs of its store are used
              again, so a backtest that was stopped goes on
    training  as for `compare`
    tell      called with a `Step` after each step; steps are counted anew in each window

    Each window opens its own test part. Raises DataError for a log without times or with too few interactions for so
    many windows, before anything is trained; and ConfigError as `compare` does.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from caser.data.synthetic import chain_world
    >>> log = chain_world(num_users=60, num_items=6, length=20, seed=0).log
    >>> with TemporaryDirectory() as folder:
    ...     result = backtest(log, 2, ["markov"], Plan(workers=1, store=Path(folder)))
    >>> result.metric, result.values["markov"].shape
    ('ndcg@10', (2,))
    """
    splits = time_windows(log, number)
    return Backtest(tuple(compare(split, models, plan, training=training, tell=tell) for split in splits))
