"""Judge models under one protocol in two steps: rank one scorer at a time, then report on the tables of several.

The steps may run in different processes: a table is saved with the facts it was made under, and `report` refuses a
table that was made under other facts. Scorers must be fitted: on `final` to be judged on `test`, on `fit` to be judged
on `validation`. This module does not train networks; it only fits the counting baselines, which every report contains.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from caser.data.log import Vocabulary
from caser.data.queries import Queries
from caser.data.split import Split
from caser.errors import ConfigError
from caser.evaluation.beyond import beyond_accuracy
from caser.evaluation.fingerprint import Facts, describe, refuse_mixed
from caser.evaluation.metrics import Values, parse_metric
from caser.evaluation.protocol import Part, Protocol, RankingRules
from caser.evaluation.protocols import parts, protocol_named, resolve
from caser.evaluation.rank_table import RankTable
from caser.evaluation.ranking import LIST_LENGTH, MEMORY_MB, ranks
from caser.evaluation.report import Report, values_of
from caser.evaluation.slices import POPULARITY, popularity_groups, slices
from caser.models import COUNTING_BASELINES, MODELS, counting_settings, model_class
from caser.models.base import Scorer
from caser.models.settings import CountingSettings
from caser.system.kinds import must_be


def rank(
    scorer: Scorer,
    split: Split,
    part: Part = "test",
    protocol: str | Protocol | None = None,
    memory_mb: int = MEMORY_MB,
) -> RankTable:
    """Rank every target of one part of a split with one scorer.

    scorer     a fitted model
    split      the split log
    part       which of its queries judge
    protocol   a protocol, or its name; by default the one the split was made for
    memory_mb  limit of the memory for scores, in megabytes

    Returns a table that holds the facts it was made under. Raises ConfigError for a split made for another protocol or
    without queries, NumericalError for a score that is NaN or +inf.

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
    *,
    metrics: Sequence[str] = (),
) -> Report:
    """Report on ranked models.

    tables     model -> its tables, one per seed
    split      the split log
    part       which of its queries judge
    protocol   a protocol, or its name; by default the one the split was made for
    baselines  the models that the others are compared with; by default those named like a counting model
    metrics    further metrics to report beside the protocol's, by name

    Raises ConfigError for a table made under other facts, naming what differs, for a model without a table, and for
    an unknown metric.
    """
    return _settle(split, part, protocol, metrics).report(tables, baselines)


def judge(
    scorers: Mapping[str, Scorer],
    split: Split,
    protocol: str | Protocol | None = None,
    part: Part = "test",
    memory_mb: int = MEMORY_MB,
    *,
    baselines: Collection[str] | None = None,
    metrics: Sequence[str] = (),
) -> Report:
    """Rank every target with every scorer, and report.

    scorers    model -> fitted scorer
    split      the split log
    protocol   a protocol, or its name; by default the one the split was made for
    part       which of its queries judge
    memory_mb  limit of the memory for scores, in megabytes
    baselines  the models that the others are compared with; by default those named like a counting model
    metrics    further metrics to report beside the protocol's, by name, such as "ndcg@5" or one of your own

    Raises ConfigError and NumericalError as `rank` does, and ConfigError for an unknown metric.

    >>> from caser.data.synthetic import chain_world
    >>> from caser.evaluation.protocols import apply
    >>> split = apply("leave-one-out", chain_world(num_users=40, num_items=6, length=9, seed=0).log)
    >>> report = judge(counting_baselines(split), split)
    >>> report.estimate("markov", "hit@10").value
    1.0
    """
    judged = _settle(split, part, protocol, metrics)
    return judged.report({name: [judged.rank(scorer, memory_mb)] for name, scorer in scorers.items()}, baselines)


def value(scorer: Scorer, queries: Queries, rules: RankingRules, metric: str, memory_mb: int = MEMORY_MB) -> float:
    """Return the mean of one metric over queries, which is what validation after an epoch needs.

    scorer     a model
    queries    the queries that judge
    rules      what `resolve` settled for them; it is the same for all epochs
    metric     the metric's full name
    memory_mb  limit of the memory for scores, in megabytes

    Raises ConfigError for an unknown metric, NumericalError for a score that is NaN or +inf.
    """
    return float(values(scorer, queries, rules, metric, memory_mb).mean())


def values(scorer: Scorer, queries: Queries, rules: RankingRules, metric: str, memory_mb: int = MEMORY_MB) -> Values:
    """Return one metric of every query: (Q,) float64.

    scorer, queries, rules, metric, memory_mb  as in `value`, which also says what is raised
    """
    if len(queries) == 0:  # the share of one of many workers
        return np.empty(0)
    return _rank(scorer, queries, rules, memory_mb, depth=0).values(parse_metric(metric))


def counting_baselines(split: Split, part: Part = "test") -> dict[str, Scorer]:
    """Fit popularity, Markov and count kNN, the models that every report contains.

    split  the split log
    part   which of its queries judge: the models are fitted on the part that trains for them

    Returns model -> fitted scorer.
    """
    check_split(split)
    tape, _ = parts(split, part)
    scorers: dict[str, Scorer] = {}
    for name in COUNTING_BASELINES:
        scorer = counting_settings(name).build(split.log.num_users, split.log.num_items)
        scorer.fit(tape)
        scorers[name] = scorer
    return scorers


@dataclass(frozen=True, eq=False)
class _JudgedPart:
    """One part of a split under a protocol, with everything settled that decides the numbers."""

    split: Split
    part: Part
    protocol: Protocol
    rules: RankingRules
    facts: Facts

    def rank(self, scorer: Scorer, memory_mb: int) -> RankTable:
        """Rank every target with one scorer. Raises ConfigError for an object without `scores`."""
        if not callable(getattr(scorer, "scores", None)):
            raise ConfigError(
                f"a scorer must have a method `scores`; got a {type(scorer).__name__}. Give a fitted model, such as "
                "recommender.artefact.scorer."
            )
        queries, users = parts(self.split, self.part)[1], self.split.log.user_vocabulary
        return _rank(scorer, queries, self.rules, memory_mb, user_vocabulary=users, facts=self.facts)

    def report(self, tables: Mapping[str, Sequence[RankTable]], baselines: Collection[str] | None = None) -> Report:
        """Report on the tables of every model."""
        self._check(tables)
        metrics = [parse_metric(name) for name in self.protocol.metrics]
        tape, queries = parts(self.split, self.part)
        is_head = popularity_groups(tape) == POPULARITY.index("head")
        is_repeat = next(iter(tables.values()))[0].is_repeat  # the same in every table
        compared_with = {name for name in tables if _is_counting(name)} if baselines is None else baselines
        return Report(
            protocol=self.protocol,
            part=self.part,
            facts=self.facts,
            values={name: values_of(seeds, metrics) for name, seeds in tables.items()},
            owners=queries.owners,
            tables=tables,
            buckets=slices(queries, tape, is_repeat),
            beyond={
                name: beyond_accuracy([table.top_QK for table in seeds], self.rules.candidates, is_head, tape)
                for name, seeds in tables.items()
            },
            baselines=tuple(name for name in tables if name in compared_with),
            notes=self.rules.notes,
        )

    def _check(self, tables: Mapping[str, Sequence[RankTable]]) -> None:
        """Raise ConfigError unless every model has a table, and all were made under the facts of this part."""
        without = [name for name, seeds in tables.items() if not seeds]
        if without or not tables:
            raise ConfigError(f"a report needs a table of every model; got none of {', '.join(without) or 'any'}.")
        made_under = {
            f"{name}, table {number}": table.facts
            for name, seeds in tables.items()
            for number, table in enumerate(seeds, start=1)
        }
        refuse_mixed({"the split": self.facts, **made_under})


def further_metrics(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of metrics as a tuple. Raises ConfigError for an unknown name, and for text in place of a list.

    names  full names of metrics, such as "ndcg@5"
    """
    wanted = "a list of names of metrics, such as ['ndcg@5']"
    must_be("metrics", names, list | tuple, wanted, "Put the names in a list.")
    for name in names:
        must_be("each of the metrics", name, str, "the name of a metric, such as 'ndcg@5'")
        parse_metric(name)
    return tuple(names)


def check_split(split: Split) -> None:
    """Raise ConfigError if `split` is anything but a split, such as a log."""
    must_be("split", split, Split, "a split of a log", "Split the log first, such as caser.leave_one_out(log).")


def _settle(split: Split, part: Part, protocol: str | Protocol | None, metrics: Sequence[str] = ()) -> _JudgedPart:
    """Settle what a protocol means for one part of a split, after checking that the two belong together."""
    further = further_metrics(metrics)
    check_split(split)
    chosen = protocol_named(protocol or split.name)
    if chosen.name != split.name:
        raise ConfigError(
            f"a split must be judged under the protocol it was made for; got a split for {split.name} and the protocol "
            f"{chosen.name}. Make the split with apply({chosen.name!r}, log)."
        )
    if len(parts(split, part)[1]) == 0:
        raise ConfigError(f"the part {part} must hold at least one query; got none. Use a longer log.")
    rules = resolve(chosen, split, part)
    # Further metrics decide nothing about the numbers, so the facts and the fingerprint stay the same.
    chosen = replace(chosen, metrics=tuple(dict.fromkeys([*chosen.metrics, *further])))
    return _JudgedPart(split, part, chosen, rules, describe(split, rules, part))


def _rank(
    scorer: Scorer,
    queries: Queries,
    rules: RankingRules,
    memory_mb: int,
    depth: int = LIST_LENGTH,
    user_vocabulary: Vocabulary | None = None,
    facts: Facts | None = None,
) -> RankTable:
    return ranks(
        scorer,
        queries,
        candidates=rules.candidates,
        remove_seen=rules.remove_seen,
        ties=rules.ties,
        depth=depth,
        memory_mb=memory_mb,
        user_vocabulary=user_vocabulary,
        facts=facts,
    )


def _is_counting(name: str) -> bool:
    """Whether a counting model has this name; a report may also hold models under free names."""
    return name in MODELS and issubclass(model_class(name), CountingSettings)
