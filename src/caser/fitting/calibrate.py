"""Learns the chance that an item is the next one, on the validation part: what a run needs to answer with chances.

The model that is asked was trained on `fit`, so validation is new to it. The model that answers was trained on more, by
the same recipe; how well the chances hold for it is what `reliability` measures on the test part. Nothing here opens
the test part to learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from caser.data.split import Split
from caser.evaluation import protocols
from caser.evaluation.calibration import LEAST_TARGETS, MOST_TARGETS, learn, scored_lists
from caser.models.base import Scorer

if TYPE_CHECKING:
    from caser.training.exchange import Exchange


def can_calibrate(split: Split) -> bool:
    """Whether the validation part of a split has enough queries to learn chances from."""
    return len(split.validation) >= LEAST_TARGETS


def carried(calibration: dict[str, Any] | None, how: Literal["refit", "update"]) -> dict[str, Any] | None:
    """Return the calibration of a run for one that is made from it without choosing on validation.

    calibration  the entry `calibration` of the manifest of the run        how  how the other one is made

    >>> carried(None, "refit") is None
    True
    """
    return None if calibration is None else {**calibration, "carried": how}


def calibration_facts(scorer: Scorer, split: Split, exchange: Exchange | None = None) -> dict[str, Any] | None:
    """Return the entry `calibration` of a manifest, learned on the validation part of a split.

    scorer    a model that was trained on `fit`
    split     the split; of its validation queries, MOST_TARGETS at even distances are asked
    exchange  the workers that train together, each of which asks some of them; None for one that is alone

    Returns None where there are too few queries to learn from (`calibration.learn`).
    """
    num_queries = len(split.validation)
    if not can_calibrate(split):
        return None
    places = np.unique(np.linspace(0, num_queries - 1, min(num_queries, MOST_TARGETS)).astype(np.int64))
    mine = places if exchange is None else places[slice(*exchange.block(len(places)))]
    remove_seen = protocols.resolve(split.name, split, "validation").remove_seen
    lists = scored_lists(scorer, split.validation.at(mine), split.fit.item_counts > 0, remove_seen=remove_seen)
    own = [(block.scores_BN, block.is_target_BN) for block in lists]
    parts = [own] if exchange is None else exchange.from_all(own)
    scores_QN, is_target_QN = (
        np.concatenate(blocks) for blocks in zip(*(pair for part in parts for pair in part), strict=True)
    )
    learned = learn(scores_QN, is_target_QN)
    return None if learned is None else learned.to_dict()
