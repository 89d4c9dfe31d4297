"""What a fit tells while it runs, and what choosing on validation finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from caser.answering.recommender import Recommender
    from caser.training.loop import Epoch

Stage = Literal["choosing", "refitting", "updating"]
"""Choosing trains on `fit` and judges on `validation`; refitting trains the model that is returned, and updating trains
one further."""


@dataclass(frozen=True)
class Progress:
    """How far a fit has come. It is reported after every batch and after every epoch.

    stage           the stage that runs
    metric          the metric that chooses the number of epochs
    epoch, epochs   the number of the epoch, from 1, and the most epochs of this stage
    batch, batches  batches done in this epoch, and batches of an epoch; 0 in the report after an epoch
    done            the epoch that has just ended; None in a report after a batch
    validation      the metric's value after an epoch of choosing; None otherwise
    model           the name of the model, if several are tried
    trial           the number of the trial, from 1, if settings are tuned
    seconds_left    what is left of the time for tuning this model, if it is tuned
    """

    stage: Stage
    metric: str
    epoch: int
    epochs: int
    batch: int = 0
    batches: int = 0
    done: Epoch | None = None
    validation: float | None = None
    model: str | None = None
    trial: int | None = None
    seconds_left: float | None = None


Tell = Callable[[Progress], None]
"""A function that is called with the progress of a fit."""


@dataclass(frozen=True)
class Choice:
    """The validation result of a model with its settings.

    value    the protocol's validation metric, at the best epoch
    seconds  the time of training and of judging
    epochs   the number of the best epoch; None for a model that only counts
    history  one entry per epoch: number, loss, num_states, seconds, validation, validation_seconds
    kept     the model that reached the value, trained on `fit`; None if the caller did not ask to keep it, or if an
             interruption lost it
    """

    value: float
    seconds: float
    epochs: int | None = None
    history: tuple[dict[str, Any], ...] = ()
    kept: Recommender | None = field(default=None, compare=False, repr=False)
