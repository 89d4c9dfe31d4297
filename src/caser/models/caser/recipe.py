"""Caser's defaults for a log: the settings that a caller leaves open, as a function of a few facts of the log.

How they were found, and what they are worth on each log, is in docs/recipe.md. A setting that a caller gives is used as
given. `Caser.preset` has the settings of the paper and of the guide, whatever the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caser.models.facts import LogFacts
from caser.models.settings import Preset

DENSE = 120
"""The mean length of a history from which a user has enough items for a vector of their own."""

MOST_REACH = 100
"""The most items that the vertical filters read by default."""

MANY_TARGETS = 3
"""From this many targets per query, a window learns to predict several next items: all of them are asked for."""


def suited_settings(log: LogFacts) -> dict[str, Any]:
    """Return the settings of Caser that suit a log, by name.

    log  the facts of the log

    Long histories: each user gets a vector, and items are scored with vectors of their own. Short histories: neither a
    user nor an item occurs often enough for that, so one wider table serves both for reading and for scoring, without
    user vectors, and more of it is dropped in training. Sessions of unknown users never have user vectors.

    >>> suited_settings(LogFacts(num_users=6_040, num_items=3_416, num_interactions=993_571))["user_vector"]
    True
    >>> suited_settings(LogFacts(num_users=22_363, num_items=12_101, num_interactions=153_776))["tied"]
    True
    """
    is_dense = log.mean_length >= DENSE and not log.anonymous
    # Reading twice as far back as a mean history is long reaches the beginning of most histories.
    reach = max(5, min(MOST_REACH, round(2 * log.mean_length)))
    shared = {"T": 3 if log.targets_per_query >= MANY_TARGETS else 1, "n_v": 8, "reach": reach}
    if is_dense:
        return {**shared, "d": 64, "user_vector": True, "tied": False, "item_dropout": 0.1}
    return {**shared, "d": 128, "user_vector": False, "tied": True, "item_dropout": 0.4}


_NOT_IN_THE_PAPER = {"reach": None, "item_dropout": 0.0, "user_vector": True, "tied": False}

PRESETS: Mapping[str, Preset] = {
    "paper": Preset(
        "the network, the loss and the settings of Tang & Wang (WSDM 2018) and of the author's program",
        {"L": 5, "T": 3, "d": 50, "n_v": 4, "n_h": 16, "dropout": 0.5, **_NOT_IN_THE_PAPER},
        {
            "loss": "bce",
            "num_negatives": 3,
            "positions": "full",
            "batch_size": 512,
            "learning_rate": 1e-3,
            "weight_decay": 1e-6,
            "schedule": "constant",
            "epochs": 30,
            "averaging": 0.0,
        },
    ),
    "guide": Preset(
        "the settings of the guide, Dive into Deep Learning, for MovieLens-100K",
        {"L": 5, "T": 1, "d": 10, "n_v": 4, "n_h": 16, "dropout": 0.05, **_NOT_IN_THE_PAPER},
        {
            "loss": "bpr",
            "num_negatives": 1,
            "unseen_negatives": True,
            "positions": "full",
            "epochs": 8,
            "batch_size": 4096,
            "learning_rate": 0.04,
            "weight_decay": 1e-5,
            "schedule": "constant",
            "averaging": 0.0,
        },
    ),
}
"""Published settings of Caser."""
