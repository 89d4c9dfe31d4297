"""A recipe: the model that one row of a study stands for, and how it is trained.

Nothing here trains: `runs.py` does. `keys.py` computes the key under which the result of a recipe is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from caser.config import Space, Training
from caser.errors import ConfigError, did_you_mean
from caser.models import model_settings
from caser.models.facts import LogFacts
from caser.models.settings import ModelSettings, NetworkSettings

Setting = str | int | float | bool | None
"""The value of a setting, as a report shows it."""


@dataclass(frozen=True)
class Recipe:
    """A model, and how to train it; `Recipe.of` makes one with the model's own training.

    model     settings of any model, such as `caser.Caser(L=5)`
    training  how to train a network; must be None for a counting model
    epochs    how many epochs to train; None chooses the number on validation; must be None for a counting model
    space     the values that tuning tries, by the name of a setting of the model or of its training; empty: no tuning
    view      the name of the split to train and judge on, in a study that has several splits
    group     the heading under which a report shows the row
    setting   the value, or the change, that the row stands for in a sweep or an ablation

    Raises ConfigError for a model that is no settings, for a network without `training`, and for a counting model with
    `training` or `epochs`.

    >>> from caser.models.caser.caser import Caser
    >>> Recipe(Caser(L=3), Training(epochs=5)).is_neural
    True
    """

    model: ModelSettings
    training: Training | None = None
    epochs: int | None = None
    space: Space = field(default_factory=dict)
    view: str = ""
    group: str | None = None
    setting: Setting = None

    def __post_init__(self) -> None:
        if isinstance(self.model, str):
            raise ConfigError(
                f"the model of a recipe must be settings, such as caser.Caser(); got {self.model!r}. Write "
                f"Recipe.of({self.model!r}) for the default settings."
            )
        settings_of(self.model)
        if self.training is not None and not isinstance(self.training, Training):
            raise ConfigError(
                f"the training of a recipe must be a Training, such as caser.Training(epochs=5); got {self.training!r}."
            )
        if self.is_neural and self.training is None:
            raise ConfigError(
                f"a recipe for {self.model.name} must say how it is trained; got no training. Write "
                f"Recipe.of({type(self.model).__name__}(...)) to use the model's own training."
            )
        if not self.is_neural and (self.training is not None or self.epochs is not None):
            given = "training" if self.training is not None else "epochs"
            raise ConfigError(
                f"a recipe for {self.model.name}, a model that counts, must have no {given}: it is fitted in one pass. "
                "Leave it out."
            )

    @classmethod
    def of(cls, model: ModelSettings | str | None = None, /, **changes: Any) -> Recipe:
        """Return the recipe of a model with the training that the model itself declares.

        model    settings of a model, or its name, for the default settings; may also be given as `model=...`
        changes  values for other fields of the recipe, such as `epochs=5`

        Raises ConfigError for no model, for two of them, for an unknown name of a model or of a field, and as the
        constructor does.

        >>> Recipe.of("markov").training is None, Recipe.of("bpr-mf").training.loss
        (True, 'bpr')
        """
        if model is None:
            model = changes.pop("model", None)
        elif "model" in changes:
            raise ConfigError(f"a recipe has one model; got {model!r} and model={changes['model']!r}. Leave one out.")
        settings = settings_of(model)
        known = [one.name for one in fields(cls) if one.name != "model"]
        for name in changes:
            if name not in known:
                raise ConfigError(f"a recipe of a model has no field {name!r}: {did_you_mean(name, known)}")
        training = settings.training if isinstance(settings, NetworkSettings) else None
        return cls(**{"model": settings, "training": training, **changes})

    @property
    def is_neural(self) -> bool:
        """Whether the model is a network, which has epochs and seeds."""
        return isinstance(self.model, NetworkSettings)

    @property
    def seed(self) -> int:
        """The seed of training; 0 for a counting model, which draws no random numbers."""
        return self.training.seed if self.training else 0

    def replace(self, **settings: Any) -> Recipe:
        """Return the recipe with some settings of the model, or of its training, changed and checked again.

        settings  new values by name; a name that the model and its training share means the setting of the model

        Raises ConfigError for a name that neither has, and for a wrong value.

        >>> Recipe.of("caser").replace(L=3, learning_rate=0.01).training.learning_rate
        0.01
        """
        if self.training is None:
            return replace(self, model=self.model.replace(**settings))
        of_model = {name: value for name, value in settings.items() if name in type(self.model).model_fields}
        of_training = {name: value for name, value in settings.items() if name not in of_model}
        return replace(self, model=self.model.replace(**of_model), training=self.training.replace(**of_training))

    def for_log(self, log: LogFacts) -> Recipe:
        """Return the recipe with the settings that its model and its training leave open chosen for a log.

        log  the facts of the log

        >>> Recipe.of("caser").for_log(LogFacts(num_users=1_000, num_items=500, num_interactions=8_000)).model.tied
        True
        """
        model = self.model.for_log(log)
        if not isinstance(model, NetworkSettings):
            return replace(self, model=model)
        return replace(self, model=model, training=model.training_for(log, self.training))

    def with_seed(self, seed: int) -> Recipe:
        """Return the recipe that trains with another seed; a counting model stays as it is."""
        return replace(self, training=self.training.replace(seed=seed)) if self.training else self

    def facts(self) -> dict[str, Any]:
        """Return the model, its settings and the training that has an effect, as JSON values."""
        return {
            "model": self.model.name,
            "settings": self.model.model_dump(mode="json"),
            "training": _without_device(self.training.used()) if self.training else None,
        }

    def effects(self) -> dict[str, Any]:
        """Return everything that decides the result, as JSON values.

        These are the facts and the number of epochs, but no setting that has no effect on this model. Two recipes with
        equal effects give equal results.
        """
        return {**self.facts(), "settings": self.model.used(), "epochs": self.epochs}


def settings_of(model: ModelSettings | str | None) -> ModelSettings:
    """Return the settings of a model.

    model  the settings, or the name of a model, for its default settings

    Raises ConfigError for an unknown name, and for anything else, such as None or a settings class.

    >>> settings_of("markov").name
    'markov'
    """
    if isinstance(model, str):
        return model_settings(model)
    if isinstance(model, ModelSettings):
        return model
    hint = ""
    if isinstance(model, type) and issubclass(model, ModelSettings):
        hint = f" Write {model.__name__}() for its default settings."
    raise ConfigError(f"a model must be a name or settings, such as 'caser' or caser.Caser(); got {model!r}.{hint}")


def _without_device(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out the device: a model that was trained on another device is the same model."""
    return {name: value for name, value in values.items() if name != "device"}
