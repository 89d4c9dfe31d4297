"""Fit a model further: a network from the parameters of its parent, a model that counts anew, on old and new."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caser.answering.recommender import Recommender
from caser.arrays.types import Int32, Mask
from caser.artefact.folder import Artefact
from caser.config import Training
from caser.data.log import Vocabulary
from caser.data.split import Split
from caser.fitting.checks import fittable
from caser.fitting.fit import TrainOn, counted, recommender_of
from caser.fitting.network_run import NetworkRun
from caser.fitting.progress import Tell
from caser.fitting.update_plan import update_tape, update_training
from caser.fitting.warm_start import WarmStart
from caser.models.base import Scorer
from caser.models.settings import ModelSettings, NetworkSettings


@dataclass(frozen=True, eq=False)
class NewPart:
    """What an update trains on.

    split       the log of old and new, split
    train_on    the part of the split that trains beside what the parent was trained on
    is_trained  (N,) bool, whether the new run is trained on each interaction, itself or through its parent
    is_new      (N,) bool, whether the parent was not
    """

    split: Split
    train_on: TrainOn
    is_trained: Mask
    is_new: Mask


def fit_further(
    parent: Artefact,
    model: ModelSettings,
    scorer: Scorer,
    part: NewPart,
    *,
    checkpoint: str | Path | None = None,
    tell: Tell | None = None,
) -> Recommender:
    """Fit a model on new interactions, and on those that its parent was trained on.

    parent      the run that is updated
    model       its settings, or those of one model of a blend
    scorer      the fitted model with these settings
    part        what trains
    checkpoint  a file that the training of a network continues from and writes; None for none
    tell        called with Progress while a network trains

    Returns a recommender whose manifest has the training of the update and, of a network, its number of epochs. Raises
    what `fit` raises.
    """
    split, model = part.split, fittable(model.without_unused())
    trained = split.everything.where(part.is_trained)
    facts: dict[str, Any] = {"train_on": part.train_on, "training": None, "epochs": None, "anonymous_user": None}
    facts["history"] = []
    if not isinstance(model, NetworkSettings):
        fitted: Scorer = counted(model, split, trained)
    else:
        from caser.training.lanes import default_batch_size

        recipe = Training(**parent.manifest["training"])
        is_new = part.is_new[part.is_trained]
        tape = update_tape(trained, is_new, scorer.history_length)
        training = update_training(recipe, len(tape), recipe.batch_size or default_batch_size(len(trained)))
        warm = WarmStart(
            arrays=scorer.arrays(),
            users_U=_known(split.log.user_vocabulary, parent.users, parent.trained.lengths),
            items_I=_known(split.log.item_vocabulary, parent.items, parent.trained.item_counts),
            tape=tape,
            trained=trained,
            learns_strangers=bool(training.user_dropout),
        )
        how: dict[str, Any] = {"epochs": training.epochs, "checkpoint": checkpoint, "tell": tell, "warm": warm}
        fitted, trained_facts = NetworkRun(model, split, tape, training, **how).fit()
        facts |= {**trained_facts, "replayed": len(tape) - int(is_new.sum())}
    return recommender_of(model, fitted, split, trained, facts, part.is_trained)


def _known(ours: Vocabulary, parents: Vocabulary, times_trained: Any) -> Int32:
    """The index that each of our ids has in the parent, index 0 first; 0 where the parent was not trained on it."""
    indices = parents.indices(ours.ids.to_list())
    known: Int32 = np.concatenate([[0], np.where(times_trained[indices] > 0, indices, 0)]).astype(np.int32)
    return known
