"""Which settings have an effect on a fit. The others are refused if a caller sets them, and they are not recorded.

Nothing here trains or needs torch, so every combination of a model, a loss and the arguments of `fit` can be checked in
microseconds.
"""

from __future__ import annotations

from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caser.config import Training
from caser.data.queries import Queries
from caser.data.split import Split
from caser.errors import ConfigError, DataError
from caser.models.settings import CountingSettings, ModelSettings, NetworkSettings
from caser.system.kinds import must_be

if TYPE_CHECKING:
    from caser.training.exchange import Exchange


def fittable(model: ModelSettings) -> CountingSettings | NetworkSettings:
    """Return the model as settings of one of the two kinds. Raises ConfigError for anything else, such as a name.

    model  what a caller gave as a model
    """
    if isinstance(model, CountingSettings | NetworkSettings):
        return model
    raise ConfigError(f"a model must be settings, such as caser.Caser(); got {model!r}.")


def refuse_unused(
    model: CountingSettings | NetworkSettings,
    training: Training | None = None,
    *,
    epochs: int | None = None,
    checkpoint: str | Path | None = None,
    exchange: Exchange | None = None,
    items: object = None,
    attributes: object = None,
) -> None:
    """Check the arguments of `fit` or `choose`. Raises ConfigError for one that has no effect or is wrong.

    model       settings of any model
    training    how to train a network; None uses the training that the model itself declares
    epochs      the number of epochs to train; None chooses it on validation
    checkpoint  the file to continue from; None keeps none
    exchange    the workers that train together; None for one that is alone
    items, attributes  a table of items, and the columns of it that a network reads

    For a model that only counts, everything but `model` must be None.

    Settings of the model that have no effect are refused too, such as the activation of filters that are left out.
    Only what a caller sets is refused: a setting of `training` that repeats the model's own value is accepted.

    >>> from caser.models.counting.markov import Markov
    >>> refuse_unused(Markov(), epochs=3)
    Traceback (most recent call last):
    caser.errors.ConfigError: epochs must be left out for markov, which is fitted in one pass; got 3.
    """
    must_be("training", training, Training | None, "caser.Training(...) or None")
    must_be("checkpoint", checkpoint, str | Path | None, "the path of a file or None")
    if unused := sorted(model.model_fields_set - set(model.used())):
        raise ConfigError(
            f"{unused[0]} must be left out for this {model.name}, because the part that it belongs to is left out; got "
            f"{getattr(model, unused[0])!r}. Leave it out, or put the part back."
        )
    if isinstance(model, CountingSettings):
        own = {"training": training, "epochs": epochs, "checkpoint": checkpoint, "exchange": exchange}
        _refuse_for_counting(model, {**own, "items": items, "attributes": attributes})
    else:
        _refuse_for_network(model, training or model.training, epochs)


def used_settings(model: NetworkSettings, training: Training, epochs: int | None = None) -> dict[str, Any]:
    """Return the settings of training that have an effect on this fit, as JSON values: what the manifest records.

    model     settings of a network
    training  how it is trained
    epochs    the number of epochs if it is given; None if validation chooses it

    >>> from caser.models.sessions.gru4rec import GRU4Rec
    >>> used = used_settings(GRU4Rec(), Training(seed=1), epochs=3)
    >>> used["seed"], "patience" in used, "user_dropout" in used
    (1, False, False)
    """
    unused = set() if epochs is None else _only_for_choosing(training)
    if not model.has_user_vectors:
        unused.add("user_dropout")
    return {name: value for name, value in training.used().items() if name not in unused}


def for_given_epochs(training: Training) -> Training:
    """Return the training without the settings that only choosing the number of epochs uses.

    training  the training with which the number of epochs was chosen

    `fit` takes the result together with the chosen number of epochs.

    >>> for_given_epochs(Training(patience=2, seed=1)).model_fields_set
    {'seed'}
    """
    values = training.model_dump(exclude_unset=True)
    return Training(**{name: value for name, value in values.items() if name not in _only_for_choosing(training)})


def _only_for_choosing(training: Training) -> set[str]:
    """Settings without an effect where the number of epochs is given. A linear schedule uses `epochs` as its length."""
    return {"patience"} if training.schedule == "linear" else {"patience", "epochs"}


def _refuse_for_counting(model: CountingSettings, arguments: dict[str, Any]) -> None:
    for name, value in arguments.items():
        if value is None:
            continue
        got = "a table" if name == "items" else repr(value)
        if isinstance(value, Training):
            settings = {setting: getattr(value, setting) for setting in sorted(value.model_fields_set)}
            got = ", ".join(f"{setting}={setting_value!r}" for setting, setting_value in settings.items()) or "defaults"
        raise ConfigError(f"{name} must be left out for {model.name}, which is fitted in one pass; got {got}.")


def _refuse_for_network(model: NetworkSettings, training: Training, epochs: int | None) -> None:
    if training.user_dropout and not model.has_user_vectors:
        or_else = ", or set user_vector=True" if "user_vector" in type(model).model_fields else ""
        raise ConfigError(
            f"user_dropout must be 0 for a {model.name} without user vectors, because it hides them; got "
            f"{training.user_dropout}. Leave it out{or_else}."
        )
    if epochs is None:
        return
    if not isinstance(epochs, Integral) or isinstance(epochs, bool) or epochs < 1:
        raise ConfigError(f"epochs must be a whole number, at least 1; got {epochs!r}. Leave it out to choose it.")
    set_by_caller = {
        name
        for name in training.model_fields_set
        if name not in model.training.model_fields_set or getattr(training, name) != getattr(model.training, name)
    }
    if "patience" in set_by_caller:
        raise ConfigError(
            "patience must be left out where the number of epochs is given, because validation chooses nothing then; "
            f"got patience={training.patience} with epochs={epochs}. Leave one of them out."
        )
    has_length = "epochs" in training.model_fields_set  # otherwise the plan is as long as it must be
    if training.schedule == "linear" and has_length and epochs > training.epochs:
        raise ConfigError(
            f"epochs must be at most the length of the linear schedule, {training.epochs}, which is set by "
            f"epochs of the training; got {epochs}. Raise the length, or take the constant schedule."
        )
    if training.schedule == "constant" and "epochs" in set_by_caller and training.epochs != epochs:
        raise ConfigError(
            "epochs of the training must be left out where fit is given the number of epochs; got "
            f"{training.epochs} with epochs={epochs}. Leave one of them out."
        )


def validation_queries(split: Split) -> Queries:
    """Return the validation queries of a split. Raises DataError if there are none.

    split  the split that chooses the number of epochs
    """
    if len(split.validation) == 0:
        raise DataError(
            "choosing on validation needs a validation part with at least one query; got none. Use a longer log, name "
            "a model that only counts (--model popularity), or give the number of epochs: epochs=, or --no-choose."
        )
    return split.validation
