"""Judge models under one protocol: every metric with its interval, repeats and new items apart, and what it amounts to.

Assumes fitted scorers: on `final` to be judged on `test`, on `fit` for `validation`. Will not train a network; the
counting baselines, which belong into every report, are fitted here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from caser.data.log import Int32, Vocabulary
from caser.data.split import Queries, Split
from caser.errors import ConfigError
from caser.evaluation.metrics import Metric, Values, parse_metric
from caser.evaluation.protocols import Part, Protocol, Rules, fingerprint, parts, protocol_named, resolve
from caser.evaluation.ranking import MEMORY_MB, RankTable, ranks
from caser.evaluation.statistics import Difference, Estimate, mean_over_owners, paired_difference
from caser.models import COUNTING_BASELINES, model_settings
from caser.models.base import Scorer


@dataclass(frozen=True, eq=False)
class Report:
    """What models are worth under one protocol.

    values  model -> metric -> value per query, (Q,)
    owners  (Q,) int32, the user or session of each query
    apart   "repeat" and "new" -> model -> metric -> estimate, over the targets that are and are not in the history;
            empty where all targets are of one kind
    """

    protocol: Protocol
    part: Part
    fingerprint: str
    values: Mapping[str, Mapping[str, Values]]
    owners: Int32
    apart: Mapping[str, Mapping[str, Mapping[str, Estimate]]]
    notes: tuple[str, ...]

    @property
    def owner_word(self) -> str:
        """What an interval resamples: a user or a session."""
        return "session" if self.protocol.anonymous else "user"

    @property
    def num_owners(self) -> int:
        """How many users or sessions are judged."""
        return len(np.unique(self.owners))

    def estimate(self, model: str, metric: str) -> Estimate:
        """The mean of one metric with its 95 % interval."""
        return mean_over_owners(self.values[model][metric], self.owners)

    def difference(self, first: str, second: str, metric: str) -> Difference:
        """`first` minus `second`, paired over the same queries."""
        return paired_difference(self.values[first][metric], self.values[second][metric], self.owners)

    def verdicts(self) -> list[str]:
        """One sentence per model that is no baseline: it beats, ties with or loses to the best baseline."""
        metric = self.protocol.validation_metric
        baselines = [name for name in COUNTING_BASELINES if name in self.values]
        if not baselines:
            return []
        best = max(baselines, key=lambda name: self.estimate(name, metric).value)
        others = [name for name in self.values if name not in baselines]
        return [
            self.difference(name, best, metric).sentence(name, best, metric, self.num_owners, self.owner_word)
            for name in others
        ]

    def to_frame(self, users: Vocabulary) -> pl.DataFrame:
        """Every value: a row per model and query, with the raw id of its user or session, and a column per metric."""
        owners = users.ids.gather(self.owners.astype(np.int64) - 1).alias("user_id")
        query = pl.Series("query", range(len(self.owners)), dtype=pl.Int64)
        return pl.concat(
            pl.DataFrame([pl.repeat(model, len(owners), eager=True).alias("model"), query, owners]).with_columns(
                **{metric: pl.Series(column) for metric, column in values.items()}
            )
            for model, values in self.values.items()
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values; per-query values are left out."""
        return {
            "protocol": self.protocol.name,
            "part": self.part,
            "fingerprint": self.fingerprint,
            "models": {
                model: {metric: self.estimate(model, metric).to_dict() for metric in values}
                for model, values in self.values.items()
            },
            "apart": {
                kind: {
                    model: {metric: estimate.to_dict() for metric, estimate in estimates.items()}
                    for model, estimates in models.items()
                }
                for kind, models in self.apart.items()
            },
            "num_queries": len(self.owners),
            f"num_{self.owner_word}s": self.num_owners,
            "verdicts": self.verdicts(),
            "notes": list(self.notes),
        }


def judge(
    scorers: Mapping[str, Scorer],
    split: Split,
    protocol: str | Protocol | None = None,
    part: Part = "test",
    memory_mb: int = MEMORY_MB,
) -> Report:
    """Rank every target with every scorer, and measure.

    `protocol` is the split's own by default. Raises ConfigError for a split made for another protocol or without
    queries, NumericalError for a score that is no number.

    >>> from caser.data.synthetic import chain_world
    >>> from caser.evaluation.protocols import apply
    >>> split = apply("leave-one-out", chain_world(num_users=40, num_items=6, length=9, seed=0).log)
    >>> report = judge(counting_baselines(split), split)
    >>> report.estimate("markov", "hit@10").value
    1.0
    """
    chosen = protocol_named(protocol or split.name)
    if chosen.name != split.name:
        raise ConfigError(
            f"a split must be judged under the protocol it was made for; got a split for {split.name} and the protocol "
            f"{chosen.name}. Make the split with apply({chosen.name!r}, log)."
        )
    queries = parts(split, part)[1]
    if len(queries) == 0:
        raise ConfigError(f"the part {part} must hold at least one query; got none. Use a longer log.")
    rules = resolve(chosen, split, part)
    metrics = [parse_metric(name) for name in chosen.metrics]
    users = split.log.user_vocabulary
    tables = {name: _ranked(scorer, queries, rules, memory_mb, users) for name, scorer in scorers.items()}
    return Report(
        protocol=chosen,
        part=part,
        fingerprint=fingerprint(split, rules, part),
        values={name: {metric.name: table.values(metric) for metric in metrics} for name, table in tables.items()},
        owners=queries.owners,
        apart=_apart(tables, metrics),
        notes=rules.notes,
    )


def value(scorer: Scorer, queries: Queries, rules: Rules, metric: str, memory_mb: int = MEMORY_MB) -> float:
    """The mean of one metric: what validation after an epoch needs. `rules` come from `resolve`, once."""
    return float(_ranked(scorer, queries, rules, memory_mb).values(parse_metric(metric)).mean())


def counting_baselines(split: Split, part: Part = "test") -> dict[str, Scorer]:
    """Popularity, Markov and count kNN, fitted on the part that goes with the queries of `part`."""
    tape, _ = parts(split, part)
    scorers: dict[str, Scorer] = {}
    for name in COUNTING_BASELINES:
        scorer = model_settings(name).build(split.log.num_users, split.log.num_items)
        scorer.fit(tape)
        scorers[name] = scorer
    return scorers


def _ranked(
    scorer: Scorer, queries: Queries, rules: Rules, memory_mb: int, user_vocabulary: Vocabulary | None = None
) -> RankTable:
    return ranks(
        scorer,
        queries,
        candidates=rules.candidates,
        remove_seen=rules.remove_seen,
        ties=rules.ties,
        memory_mb=memory_mb,
        user_vocabulary=user_vocabulary,
    )


def _apart(tables: Mapping[str, RankTable], metrics: Sequence[Metric]) -> dict[str, dict[str, dict[str, Estimate]]]:
    """Estimates over repeated and over new targets, if there are both."""
    apart: dict[str, dict[str, dict[str, Estimate]]] = {}
    for name, table in tables.items():
        if not 0 < table.is_repeat.sum() < len(table.is_repeat):
            continue
        for kind, chosen in (("repeat", table.is_repeat), ("new", ~table.is_repeat)):
            part = table.only(chosen)
            estimates = {metric.name: mean_over_owners(part.values(metric), part.owners) for metric in metrics}
            apart.setdefault(kind, {})[name] = estimates
    return apart
