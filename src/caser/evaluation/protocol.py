"""A protocol, and the rules of it that depend on the log. `protocols.py` has the table of protocols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from caser.arrays.types import Mask
from caser.data.filters import LogFilters
from caser.data.log import InteractionLog
from caser.data.shards import ShardedLog
from caser.data.split import Split
from caser.evaluation.ranking import Ties

Part = Literal["validation", "test"]
"""Which queries judge: `validation` judges a model trained on `fit`, `test` judges one trained on `final`."""

NO_FILTERS = LogFilters()


@dataclass(frozen=True)
class Protocol:
    """One way to judge models.

    name               the key in PROTOCOLS; a split that is made for the protocol has the same name
    summary            a description in one line
    split              turns a filtered log into a split
    metrics            names of the metrics in a report
    validation_metric  the metric that chooses the number of epochs and decides verdicts; one of `metrics`
    seen               remove: the items of a query's history are not candidates
                       keep: they are candidates
                       auto: they are removed if few training targets repeat an item (MOST_REPEATS)
    catalogue          trained: the candidates are the items with an interaction in the part that trains
                       all: the candidates are all items of the log
                       as-published: the candidates are the items whose raw id is at most the number of users; this
                       reproduces a bug in the published evaluator of Dive into Deep Learning
    ties               where candidates rank that have the same score as a target, see `ranking.Ties`
    anonymous          whether models get no user vector, because judged users never appear in training
    reads_future       whether a history may hold what came after its targets; no other protocol is like that
    owner              the word for what a query belongs to, which intervals resample
    filters            applied to the log before the split
    """

    name: str
    summary: str
    split: Callable[[InteractionLog | ShardedLog], Split]
    metrics: tuple[str, ...]
    validation_metric: str
    seen: Literal["remove", "keep", "auto"] = "auto"
    catalogue: Literal["trained", "all", "as-published"] = "trained"
    ties: Ties = "against"
    anonymous: bool = False
    reads_future: bool = False
    owner: Literal["user", "session"] = "user"
    filters: LogFilters = NO_FILTERS


@dataclass(frozen=True, eq=False)
class RankingRules:
    """The rules of a protocol for one log, after `resolve` has decided them.

    candidates   (I,) bool, the items that are ranked; index 0 is padding
    remove_seen  whether the items of a query's history are removed from its candidates
    ties         where candidates rank that have the same score as a target
    notes        sentences that a report must print
    """

    candidates: Mask
    remove_seen: bool
    ties: Ties
    notes: tuple[str, ...]
