"""A report: what models are worth under one protocol, with intervals, and what that amounts to in words.

Assumes that `judge.py` made it, of tables with one fingerprint. Will not rank or train.

Shape suffixes: S seeds of a model, Q queries.
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
from caser.evaluation.metrics import Metric, Values, parse_metric
from caser.evaluation.protocols import Facts, Part, Protocol
from caser.evaluation.rank_table import RankTable
from caser.evaluation.slices import Bucket, Buckets
from caser.evaluation.statistics import Difference, Estimate, corrected, mean_over_owners, paired_difference


@dataclass(frozen=True, eq=False)
class Report:
    """What models are worth under one protocol.

    facts      what `protocols.describe` says of it, the fingerprint among it
    values     model -> metric -> value per seed and query, (S, Q)
    owners     (Q,) int32, the user or session of each query
    beyond     model -> measure -> value: what its lists are like, accuracy apart
    buckets    slice -> bucket -> which targets are in it, (P,)
    tables     model -> what was ranked, one table per seed
    baselines  the models that a verdict compares with
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

    @property
    def fingerprint(self) -> str:
        """The hash of everything that decides what the numbers mean."""
        return str(self.facts["fingerprint"])

    @property
    def owner_word(self) -> str:
        """What an interval resamples: a user or a session."""
        return "session" if self.protocol.anonymous else "user"

    @property
    def num_owners(self) -> int:
        """How many users or sessions are judged."""
        return len(np.unique(self.owners))

    def estimate(self, model: str, metric: str) -> Estimate:
        """The mean of one metric with its 95 % interval over owners and, where a model has several, over seeds."""
        return mean_over_owners(self.values[model][metric], self.owners)

    def difference(self, first: str, second: str, metric: str) -> Difference:
        """`first` minus `second`, paired over the same queries, and over seeds where both have as many."""
        return paired_difference(self.values[first][metric], self.values[second][metric], self.owners)

    def differences(self, against: str, metric: str, models: Iterable[str] | None = None) -> dict[str, Difference]:
        """Each model (every other one by default) minus `against`, judged as one family, with Holm's correction."""
        chosen = self.values if models is None else models
        return corrected({name: self.difference(name, against, metric) for name in chosen if name != against})

    def verdicts(self) -> list[str]:
        """One sentence per model that is no baseline: it beats, ties with or loses to the best baseline."""
        metric = self.protocol.validation_metric
        if not self.baselines:
            return []
        best = max(self.baselines, key=lambda name: self.values[name][metric].mean())
        others = [name for name in self.values if name not in self.baselines]
        return [
            difference.sentence(name, best, metric, self.num_owners, self.owner_word)
            for name, difference in self.differences(best, metric, others).items()
        ]

    @cached_property
    def slices(self) -> Mapping[str, Mapping[str, Bucket]]:
        """Slice -> bucket -> how many targets it holds, and what every model is worth on them alone."""
        return {
            name: {bucket: self._within(mask) for bucket, mask in buckets.items()}
            for name, buckets in self.buckets.items()
        }

    def _within(self, targets: Mask) -> Bucket:
        metrics = [parse_metric(name) for name in self.protocol.metrics]
        models = {}
        for model, seeds in self.tables.items():
            left = [table.only(targets) for table in seeds]
            values = values_of(left, metrics)
            models[model] = {name: mean_over_owners(values_SQ, left[0].owners) for name, values_SQ in values.items()}
        return Bucket(int(targets.sum()), models)

    def to_frame(self, users: Vocabulary) -> pl.DataFrame:
        """Every value: a row per model, seed and query, with the raw id of its user or session, a column per metric."""
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
        """JSON values; per-query values are left out."""
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
                name: {bucket: found.to_dict() for bucket, found in buckets.items()}
                for name, buckets in self.slices.items()
            },
            "num_queries": len(self.owners),
            f"num_{self.owner_word}s": self.num_owners,
            "verdicts": self.verdicts(),
            "notes": list(self.notes),
        }


def values_of(tables: Sequence[RankTable], metrics: Iterable[Metric]) -> dict[str, Values]:
    """Metric -> value per seed and query, (S, Q), of one table per seed."""
    return {metric.name: np.stack([table.values(metric) for table in tables]) for metric in metrics}
