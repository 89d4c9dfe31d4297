"""Chance: the value of a metric when the candidates are in random order, and which models are better than that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy import special

from caser.evaluation.metrics import parse_metric
from caser.evaluation.rank_table import RankTable
from caser.evaluation.statistics import Estimate, holm
from caser.system.randomness import numpy_generator

_DRAWS = 20
"""Random orders that are averaged."""


def chance(table: RankTable, metric: str) -> float:
    """Return the mean of a metric when every target has a random rank, by simulation.

    table   the queries, with their numbers of candidates and of targets; its own ranks are not used, but a target that
            no model can find (rank inf) stays so
    metric  such as "ndcg@10"

    The rank of each target is uniform over the candidates and independent of the other targets of its query. The mean
    over draws and queries is close to exact when there are hundreds of queries. Raises ConfigError for an unknown
    metric.

    >>> chance(RankTable.from_lists([[1.0]] * 500, num_candidates=10), "hit@5").__round__(1)
    0.5
    """
    measured = parse_metric(metric)
    random = numpy_generator(0, "chance")
    num_candidates = np.repeat(table.num_candidates, table.num_targets)
    can_be_found = np.isfinite(table.ranks)
    num_candidates = np.maximum(num_candidates, 1)  # a user who has taken every item has no candidates, nor a target
    means = []
    for _ in range(_DRAWS):
        random_ranks = np.where(can_be_found, random.integers(1, num_candidates + 1), np.inf)
        means.append(float(replace(table, ranks=random_ranks).values(measured).mean()))
    return float(np.mean(means))


def beat_chance(estimates: Mapping[str, Estimate], by_chance: float) -> list[str]:
    """Return the names of the models whose mean is shown to lie above chance.

    estimates  the mean of each model with its 95 % interval
    by_chance  the value that `chance` returned

    Each model has a one-sided test at 2.5 %, corrected for the number of models (Holm).

    >>> beat_chance({"a": Estimate(0.5, 0.4, 0.6), "b": Estimate(0.11, 0.05, 0.17)}, by_chance=0.1)
    ['a']
    """
    errors = {name: max((one.high - one.low) / 3.92, 1e-12) for name, one in estimates.items()}
    p_values = [special.ndtr((by_chance - one.value) / errors[name]) for name, one in estimates.items()]
    return [name for name, p in zip(estimates, holm(np.array(p_values)), strict=True) if p < 0.025]
