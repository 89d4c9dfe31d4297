"""What guessing would get: every metric of a random order of the candidates, and whether a model does better."""

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


def chance(table: RankTable, metric: str) -> float:
    """The mean of a metric where the targets of every query rank anywhere among its candidates, by simulation.

    Every target is given a rank of its own, uniformly, without regard to the others of its query; the mean over draws
    and queries is as good as exact where there are hundreds of queries.

    >>> chance(RankTable.from_lists([[1.0]] * 500, num_candidates=10), "hit@5").__round__(1)
    0.5
    """
    measured = parse_metric(metric)
    random = numpy_generator(0, "chance")
    most = np.repeat(table.num_candidates, table.num_targets)
    found = np.isfinite(table.ranks)
    means = []
    for _ in range(_DRAWS):
        guessed = np.where(found, random.integers(1, most + 1), np.inf)
        means.append(float(replace(table, ranks=guessed).values(measured).mean()))
    return float(np.mean(means))


def beat_chance(estimates: Mapping[str, Estimate], by_chance: float) -> list[str]:
    """The models whose mean lies above chance, by a one-sided test at 2.5 %, corrected for how many there are (Holm).

    >>> beat_chance({"a": Estimate(0.5, 0.4, 0.6), "b": Estimate(0.11, 0.05, 0.17)}, by_chance=0.1)
    ['a']
    """
    errors = {name: max((one.high - one.low) / 3.92, 1e-12) for name, one in estimates.items()}
    p_values = [special.ndtr((by_chance - one.value) / errors[name]) for name, one in estimates.items()]
    return [name for name, p in zip(estimates, holm(np.array(p_values)), strict=True) if p < 0.025]
