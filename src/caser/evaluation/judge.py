"""Judge models under one protocol, in two steps: rank one scorer, and report on the tables of many.

The steps may lie in different processes: a table is saved with the facts it was made under, and `report` refuses one
that was made under others. Assumes fitted scorers: on `final` to be judged on `test`, on `fit` for `validation`. Will
not train a network; the counting baselines, which belong into every report, are fitted here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from caser.data.queries import Queries
from caser.data.split import Split
from caser.errors import ConfigError
from caser.evaluation.beyond import beyond_accuracy
from caser.evaluation.metrics import parse_metric
from caser.evaluation.protocols import (
    Facts,
    Part,
    Protocol,
    RankingRules,
    describe,
    parts,
    protocol_named,
    refuse_mixed,
    resolve,
)
from caser.evaluation.rank_table import RankTable
from caser.evaluation.ranking import MEMORY_MB, ranks
from caser.evaluation.report import Report, values_of
from caser.evaluation.slices import POPULARITY, popularity_groups, slices
from caser.models import COUNTING_BASELINES, MODELS, counting_settings, model_class
from caser.models.base import Scorer
from caser.models.settings import CountingSettings


def rank(
    scorer: Scorer,
    split: Split,
    part: Part = "test",
    protocol: str | Protocol | None = None,
    memory_mb: int = MEMORY_MB,
) -> RankTable:
    """Rank every target of a part with one scorer; the table says under which facts.

    `protocol` is the split's own by default. Raises ConfigError for a split made for another protocol or without
    queries, NumericalError for a score that is no number.

    >>> from caser.data.synthetic import chain_world
    >>> from caser.evaluation.protocols import apply
    >>> split = apply("leave-one-out", chain_world(num_users=40, num_items=6, length=9, seed=0).log)
    >>> table = rank(counting_baselines(split)["markov"], split)
    >>> len(table), table.top_QK.shape, table.facts["num_queries"]
    (40, (40, 10), 40)
    """
    return _settle(split, part, protocol).rank(scorer, memory_mb)


def report(
    tables: Mapping[str, Sequence[RankTable]],
    split: Split,
    part: Part = "test",
    protocol: str | Protocol | None = None,
    baselines: Collection[str] | None = None,
) -> Report:
    """Measure what was ranked: per model one table per seed.

    `baselines` are the models that the others are compared with; by default those whose name is a counting model's.
    Raises ConfigError for a table made under other facts, naming what differs, and for a model without a table.
    """
    return _settle(split, part, protocol).report(tables, baselines)


def judge(
    scorers: Mapping[str, Scorer],
    split: Split,
    protocol: str | Protocol | None = None,
    part: Part = "test",
    memory_mb: int = MEMORY_MB,
) -> Report:
    """Rank every target with every scorer, and report.

    Raises as `rank` does.

    >>> from caser.data.synthetic import chain_world
    >>> from caser.evaluation.protocols import apply
    >>> split = apply("leave-one-out", chain_world(num_users=40, num_items=6, length=9, seed=0).log)
    >>> report = judge(counting_baselines(split), split)
    >>> report.estimate("markov", "hit@10").value
    1.0
    """
    terms = _settle(split, part, protocol)
    return terms.report({name: [terms.rank(scorer, memory_mb)] for name, scorer in scorers.items()})


def value(scorer: Scorer, queries: Queries, rules: RankingRules, metric: str, memory_mb: int = MEMORY_MB) -> float:
    """The mean of one metric: what validation after an epoch needs. `rules` come from `resolve`, once."""
    table = _ranks(scorer, queries, rules, memory_mb=memory_mb, depth=0)
    return float(table.values(parse_metric(metric)).mean())


def counting_baselines(split: Split, part: Part = "test") -> dict[str, Scorer]:
    """Popularity, Markov and count kNN, fitted on the part that goes with the queries of `part`."""
    tape, _ = parts(split, part)
    scorers: dict[str, Scorer] = {}
    for name in COUNTING_BASELINES:
        scorer = counting_settings(name).build(split.log.num_users, split.log.num_items)
        scorer.fit(tape)
        scorers[name] = scorer
    return scorers


@dataclass(frozen=True, eq=False)
class _Terms:
    """A part of a split under a protocol, with everything settled that numbers depend on."""

    split: Split
    part: Part
    protocol: Protocol
    rules: RankingRules
    facts: Facts

    @property
    def queries(self) -> Queries:
        return parts(self.split, self.part)[1]

    def rank(self, scorer: Scorer, memory_mb: int) -> RankTable:
        users = self.split.log.user_vocabulary
        return _ranks(scorer, self.queries, self.rules, memory_mb=memory_mb, user_vocabulary=users, facts=self.facts)

    def report(self, tables: Mapping[str, Sequence[RankTable]], baselines: Collection[str] | None = None) -> Report:
        empty = [name for name, seeds in tables.items() if not seeds]
        if empty or not tables:
            raise ConfigError(f"a report needs a table of every model; got none of {', '.join(empty) or 'any'}.")
        made_under = {
            f"{name}, table {place}": table.facts
            for name, seeds in tables.items()
            for place, table in enumerate(seeds, start=1)
        }
        refuse_mixed({"the split": self.facts, **made_under})
        metrics = [parse_metric(name) for name in self.protocol.metrics]
        tape, first = parts(self.split, self.part)[0], next(iter(tables.values()))[0]
        is_head = popularity_groups(tape) == POPULARITY.index("head")
        known = {name for name in tables if _is_counting(name)} if baselines is None else baselines
        return Report(
            protocol=self.protocol,
            part=self.part,
            facts=self.facts,
            values={name: values_of(own, metrics) for name, own in tables.items()},
            owners=self.queries.owners,
            tables=tables,
            buckets=slices(self.queries, tape, first.is_repeat),
            beyond={
                name: beyond_accuracy([table.top_QK for table in own], self.rules.candidates, is_head)
                for name, own in tables.items()
            },
            baselines=tuple(name for name in tables if name in known),
            notes=self.rules.notes,
        )


def _settle(split: Split, part: Part, protocol: str | Protocol | None) -> _Terms:
    """Settle what a protocol means for one part of a split, once it is sure that they go together."""
    chosen = protocol_named(protocol or split.name)
    if chosen.name != split.name:
        raise ConfigError(
            f"a split must be judged under the protocol it was made for; got a split for {split.name} and the protocol "
            f"{chosen.name}. Make the split with apply({chosen.name!r}, log)."
        )
    if len(parts(split, part)[1]) == 0:
        raise ConfigError(f"the part {part} must hold at least one query; got none. Use a longer log.")
    rules = resolve(chosen, split, part)
    return _Terms(split, part, chosen, rules, describe(split, rules, part))


def _ranks(scorer: Scorer, queries: Queries, rules: RankingRules, **options: Any) -> RankTable:
    return ranks(
        scorer, queries, candidates=rules.candidates, remove_seen=rules.remove_seen, ties=rules.ties, **options
    )


def _is_counting(name: str) -> bool:
    return name in MODELS and issubclass(model_class(name), CountingSettings)
