"""A report: what models are worth under one protocol, with intervals, and the same in words.

`judge.py` makes reports, from tables with one fingerprint. This module does not rank or train.

Shape suffixes: S seeds of a model, Q queries, P targets of all queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from caser.arrays.types import Int32, Mask
from caser.data.log import Vocabulary
from caser.errors import ConfigError, did_you_mean
from caser.evaluation.fingerprint import Facts
from caser.evaluation.metrics import Metric, Values, parse_metric
from caser.evaluation.protocol import Part, Protocol
from caser.evaluation.rank_table import RankTable
from caser.evaluation.slices import Bucket, Buckets
from caser.evaluation.statistics import Difference, Estimate, corrected, mean_over_owners, paired_difference
from caser.system.notebook import table_html


@dataclass(frozen=True, eq=False)
class Report:
    """What models are worth under one protocol.

    protocol   what decided the numbers
    part       which queries of the split judged
    facts      what `fingerprint.describe` returned for the part, with the fingerprint
    values     model -> metric -> (S, Q) float64, the value per seed and query
    owners     (Q,) int32, the user or session of each query
    beyond     model -> measure -> value of `beyond.py`, about the lists and not about accuracy
    buckets    slice -> bucket -> (P,) bool, which targets are in it
    tables     model -> one table of ranks per seed
    baselines  the models that verdicts compare the others with
    notes      sentences about the protocol that are printed with the numbers
    """

    protocol: Protocol
    part: Part
    facts: Facts
    values: Mapping[str, Mapping[str, Values]]
    owners: Int32
    beyond: Mapping[str, Mapping[str, float]]
    buckets: Mapping[str, Buckets]
    tables: Mapping[str, Sequence[RankTable]]
    baselines: tuple[str, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Return one line: what was judged and how, without the values of single queries."""
        owners = f"{self.num_owners:,} {self.owner_word}s"
        return f"Report({self.protocol.name}, {self.part}, {owners}, {', '.join(self.values)}, {self.fingerprint})"

    def _repr_html_(self) -> str:
        """Show the report in a notebook: each model's metrics with their intervals, then verdicts and notes."""
        metrics = list(next(iter(self.values.values())))
        rows = []
        for model in self.values:
            estimates = [self.estimate(model, metric) for metric in metrics]
            rows.append([model, *(f"{one.value:.4f} ({one.low:.4f} to {one.high:.4f})" for one in estimates)])
        return table_html(repr(self), ["model", *metrics], rows, [*self.verdicts(), *self.notes])

    @property
    def fingerprint(self) -> str:
        """The hash of everything that decides the numbers."""
        return str(self.facts["fingerprint"])

    @property
    def owner_word(self) -> str:
        """The word for an owner of queries, "session" or "user"."""
        return self.protocol.owner

    @property
    def num_owners(self) -> int:
        """How many users or sessions are judged."""
        return len(np.unique(self.owners))

    def estimate(self, model: str, metric: str) -> Estimate:
        """Return the mean of a metric with its 95 % interval over owners and, if the model has several, over seeds.

        model   a model of the report
        metric  a metric of the report

        Raises ConfigError, with the nearest name, for a model or a metric that the report does not have.
        """
        return mean_over_owners(self._values(model, metric), self.owners)

    def difference(self, first: str, second: str, metric: str) -> Difference:
        """Return `first` minus `second`, paired over queries, and over seeds if both have equally many.

        first, second  models of the report
        metric         a metric of the report

        Raises ConfigError as `estimate` does.
        """
        return paired_difference(self._values(first, metric), self._values(second, metric), self.owners)

    def differences(self, against: str, metric: str, models: Iterable[str] | None = None) -> dict[str, Difference]:
        """Return each model minus `against`, judged as one family of comparisons, with Holm's correction.

        against  the model that is subtracted
        metric   a metric of the report
        models   the models to compare with it; by default all others

        Raises ConfigError as `estimate` does.
        """
        self._values(against, metric)
        compared = self.values if models is None else models
        return corrected({name: self.difference(name, against, metric) for name in compared if name != against})

    def verdicts(self) -> list[str]:
        """Return one sentence per model that is no baseline: it beats, ties with or loses to the best baseline.

        The metric is the one that the protocol validates by. Where there is nothing to compare, because the report has
        no baselines or nothing else, the only sentence names the model with the largest mean.
        """
        metric = self.protocol.validation_metric
        others = [name for name in self.values if name not in self.baselines]
        if not self.baselines or not others:
            return [self._largest_mean(metric)]
        best = max(self.baselines, key=lambda name: self.values[name][metric].mean())
        return [
            difference.sentence(name, best, metric, self.num_owners, self.owner_word)
            for name, difference in self.differences(best, metric, others).items()
        ]

    def _largest_mean(self, metric: str) -> str:
        """Say which model has the largest mean; of equals, the first."""
        best = max(self.values, key=lambda name: self.values[name][metric].mean())
        number = len(self.values)
        among = f"has the largest mean of {number} models" if number > 1 else "is the only model of this report"
        return f"{metric}: {best} {among} ({self.estimate(best, metric).value:.4f})"

    def _values(self, model: str, metric: str) -> Values:
        """The values of a model, (S, Q) float64. Raises ConfigError for a name that the report does not have."""
        if model not in self.values:
            raise _absent("model", model, self.values, "Judge it together with these.")
        if metric not in self.values[model]:
            raise _absent("metric", metric, self.values[model], "Add others with caser.evaluate(..., metrics=[...]).")
        return self.values[model][metric]

    @cached_property
    def slices(self) -> Mapping[str, Mapping[str, Bucket]]:
        """Slice -> bucket -> the number of its targets, and what every model is worth on them alone."""
        return {
            name: {bucket: self._bucket(mask) for bucket, mask in buckets.items()}
            for name, buckets in self.buckets.items()
        }

    def _bucket(self, targets: Mask) -> Bucket:
        """Judge every model on some of the targets."""
        metrics = [parse_metric(name) for name in self.protocol.metrics]
        models = {}
        for model, seeds in self.tables.items():
            tables = [table.only(targets) for table in seeds]
            values, owners = values_of(tables, metrics), tables[0].owners
            models[model] = {name: mean_over_owners(values_SQ, owners) for name, values_SQ in values.items()}
        return Bucket(int(targets.sum()), models)

    def to_frame(self, users: Vocabulary) -> pl.DataFrame:
        """Return every value as a table: one row per model, seed and query, one column per metric.

        users  the vocabulary of the log, for the raw id of each query's user or session
        """
        owners = users.ids.gather(self.owners.astype(np.int64) - 1).alias("user_id")
        query = pl.Series("query", range(len(self.owners)), dtype=pl.Int64)
        frames = [
            pl.DataFrame([query, owners]).select(
                pl.lit(model).alias("model"),
                pl.lit(seed, dtype=pl.Int64).alias("seed"),
                pl.all(),
                *(pl.Series(metric, values_SQ[seed]) for metric, values_SQ in values.items()),
            )
            for model, values in self.values.items()
            for seed in range(len(next(iter(values.values()))))
        ]
        return pl.concat(frames)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values, without the values of single queries."""
        return {
            "protocol": self.protocol.name,
            "part": self.part,
            "fingerprint": self.fingerprint,
            "facts": dict(self.facts),
            "models": {
                model: {metric: self.estimate(model, metric).to_dict() for metric in values}
                for model, values in self.values.items()
            },
            "by_seed": {
                model: {metric: values_SQ.mean(axis=1).tolist() for metric, values_SQ in values.items()}
                for model, values in self.values.items()
            },
            "beyond": {model: dict(measures) for model, measures in self.beyond.items()},
            "slices": {
                name: {label: bucket.to_dict() for label, bucket in buckets.items()}
                for name, buckets in self.slices.items()
            },
            "num_queries": len(self.owners),
            f"num_{self.owner_word}s": self.num_owners,
            "verdicts": self.verdicts(),
            "notes": list(self.notes),
        }


def _absent(what: str, name: str, known: Iterable[str], advice: str) -> ConfigError:
    """The error about a model or a metric that a report does not have."""
    names = list(known)
    return ConfigError(
        f"the {what} must be one of this report, which has {', '.join(names)}; got {name!r}: "
        f"{did_you_mean(str(name), names)} {advice}"
    )


def values_of(tables: Sequence[RankTable], metrics: Iterable[Metric]) -> dict[str, Values]:
    """Compute metrics for every query of every seed.

    tables   the tables of one model, one per seed
    metrics  metrics with their cut-offs

    Returns metric name -> (S, Q) float64.
    """
    return {metric.name: np.stack([table.values(metric) for table in tables]) for metric in metrics}
