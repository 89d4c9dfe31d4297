"""The best model for a log with no settings at all: what `caser train LOG` ships.

A few models are tried with their default settings on validation: Caser; GRU4Rec where all users are sessions that
training never saw, for which it was made; and the models that count. The best of them is fitted on `final`, or a blend
of the best network and the best counting model, if validation shows that the blend is better. The test part stays
closed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from caser.answering.recommender import Recommender
from caser.config import Training
from caser.data.split import Split
from caser.errors import ConfigError
from caser.evaluation import protocols
from caser.fitting.checks import for_given_epochs
from caser.fitting.fit import Choice, Tell, TrainOn, choose, fit
from caser.models import model_settings
from caser.models.settings import ModelSettings, NetworkSettings
from caser.study.blending import blend_weight, blended

COUNTED = ("popularity", "markov", "count-knn", "session-knn", "ease")
"""The counting models that are tried. They are fitted in seconds."""


@dataclass(frozen=True, eq=False)
class Winner:
    """The model that was chosen among several.

    recommender  the fitted winner
    why          sentences that say why it won
    tried        the value of the validation metric of every model that was tried, by name, best first
    """

    recommender: Recommender
    why: tuple[str, ...]
    tried: dict[str, float]


@dataclass(frozen=True)
class _Tried:
    model: ModelSettings
    choice: Choice

    @property
    def is_network(self) -> bool:
        return isinstance(self.model, NetworkSettings)


def best(
    split: Split,
    training: Training | None = None,
    *,
    train_on: TrainOn = "final",
    checkpoints: Path | None = None,
    tell: Tell | None = None,
) -> Winner:
    """Try a few models with their default settings on validation, and fit the best one, or a blend.

    split        what the models are trained and judged on
    training     settings for the training of every network, such as `caser.Training(seed=1)`; what it leaves open is
                 chosen for the log
    train_on     the part that the winner is trained on, as for `fit`
    checkpoints  a folder for the checkpoints of the networks, from which the same call continues; None keeps none
    tell         called with Progress while a network trains

    Models that do not fit this machine are left out, and named. Raises DataError for a split without validation
    queries, and NumericalError when training diverges.

    >>> from caser.data.synthetic import chain_world
    >>> from caser.evaluation.protocols import apply
    >>> split = apply("leave-one-out", chain_world(num_users=40, num_items=6, length=9, seed=0).log)
    >>> best(split, Training(epochs=1, device="cpu")).recommender.artefact.manifest["train_on"]
    'final'
    """
    metric = protocols.protocol_named(split.name).validation_metric
    tried: list[_Tried] = []
    left_out: list[str] = []
    for model in _models(split):
        try:
            tried.append(_Tried(model, _choice(model, split, training, checkpoints, tell)))
        except ConfigError as error:
            left_out.append(f"{model.name} is left out: {error}")
    tried.sort(key=lambda one: -one.choice.value)
    first, *others = tried
    why = [f"{first.model.name} is best on validation: {metric} {first.choice.value:.4f}"]
    second = next((one for one in others if one.is_network != first.is_network), None)
    weight = None
    if second is not None:
        kind = "network" if second.is_network else "counting model"
        why.append(f"the best {kind} is {second.model.name}: {second.choice.value:.4f}")
        weight, sentence = blend_weight(split, *(_on_fit(one, split, training) for one in (first, second)))
        why.append(sentence)
    # Fit the winner.
    recommender = _fitted(first, split, training, train_on, checkpoints, tell)
    if weight is not None and second is not None:
        recommender = blended(recommender, _fitted(second, split, training, train_on, checkpoints, tell), weight)
    why += left_out
    recommender.artefact.manifest["why"] = why
    return Winner(recommender, tuple(why), {one.model.name: one.choice.value for one in tried})


def _models(split: Split) -> Iterable[ModelSettings]:
    """The models that are tried on a split."""
    yield model_settings("caser")
    if protocols.protocol_named(split.name).anonymous:
        yield model_settings("gru4rec")
    yield from map(model_settings, COUNTED)


def _choice(
    model: ModelSettings, split: Split, training: Training | None, checkpoints: Path | None, tell: Tell | None
) -> Choice:
    if not isinstance(model, NetworkSettings):
        return choose(model, split, keep=True)
    return choose(model, split, training, checkpoint=_checkpoint(model, checkpoints, "chosen"), tell=tell, keep=True)


def _on_fit(one: _Tried, split: Split, training: Training | None) -> Recommender:
    """The model as validation judged it: kept, or trained again if an interruption lost it."""
    return one.choice.kept or _fitted(one, split, training, "fit", None, None)


def _fitted(
    one: _Tried,
    split: Split,
    training: Training | None,
    train_on: TrainOn,
    checkpoints: Path | None,
    tell: Tell | None,
) -> Recommender:
    """A model that was tried, trained on a part for the number of epochs that validation chose."""
    if not isinstance(one.model, NetworkSettings):
        return fit(one.model, split, train_on=train_on)
    return fit(
        one.model,
        split,
        for_given_epochs(training) if training else None,
        epochs=one.choice.epochs,
        train_on=train_on,
        checkpoint=_checkpoint(one.model, checkpoints, "fitted"),
        tell=tell,
    )


def _checkpoint(model: ModelSettings, folder: Path | None, stage: str) -> Path | None:
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{model.name}.{stage}.checkpoint"
