"""All models by name. A model is one file and one row in MODELS, which says where its settings class is.

A row is imported when it is first used, so listing the names imports no model. You can add a model of your own to the
table with `caser.register_model`, or from an installed package with the entry-point group `caser.models`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from caser.errors import ConfigError
from caser.models.settings import CountingSettings, ModelSettings, NetworkSettings
from caser.system.registry import Registry


def _what_a_model_must_be(row: object) -> str | None:
    """Return None for the settings class of a model, and for another object what it must be."""
    if not (isinstance(row, type) and issubclass(row, CountingSettings | NetworkSettings)):
        return "a subclass of CountingSettings or of NetworkSettings"
    if not isinstance(getattr(row, "name", None), str):
        return "a class with a `name`, which is text"
    return None


MODELS: Registry[type[ModelSettings]] = Registry(
    "a model",
    "caser.models",
    {
        "blend": "caser.models.blend:Blend",
        "bpr-mf": "caser.models.factors.bpr_mf:BPRMF",
        "caser": "caser.models.caser.caser:Caser",
        "count-knn": "caser.models.counting.count_knn:CountKNN",
        "gru4rec": "caser.models.sessions.gru4rec:GRU4Rec",
        "ease": "caser.models.counting.ease:EASE",
        "esasrec": "caser.models.sessions.esasrec:ESASRec",
        "fpmc": "caser.models.factors.fpmc:FPMC",
        "markov": "caser.models.counting.markov:Markov",
        "nextitnet": "caser.models.sessions.nextitnet:NextItNet",
        "popularity": "caser.models.counting.popularity:Popularity",
        "recent-popularity": "caser.models.counting.popularity:RecentPopularity",
        "sasrec": "caser.models.sessions.sasrec:SASRec",
        "session-knn": "caser.models.counting.session_knn:SessionKNN",
    },
    _what_a_model_must_be,
)
"""The settings class of every model, by its name."""

COUNTING_BASELINES = ("popularity", "markov", "count-knn")
"""Models that every report shows beside the others, because a report without simple baselines flatters."""

Model = TypeVar("Model", bound=type[ModelSettings])


def register_model(model: Model) -> Model:
    """Add a model of your own to MODELS, under its `name`, so that it can be fitted, compared, saved and loaded.

    model  the settings class: a subclass of `CountingSettings` or `NetworkSettings`

    Returns the class, so it can be used as a decorator. A program that loads a saved run of the model must register the
    model first; importing the file with the decorator does that. Raises ConfigError when `model` is not such a class,
    or when another model has its name.

    >>> from caser.models.counting.popularity import Popularity
    >>> class Newest(Popularity):
    ...     name = "newest"
    >>> register_model(Newest)().name, "newest" in MODELS
    ('newest', True)
    """
    if needed := _what_a_model_must_be(model):
        raise ConfigError(f"a model must be {needed}; got {model!r}. See CONTRIBUTING.md, A model.")
    MODELS.register(model.name, model)
    return model


def model_class(name: str) -> type[ModelSettings]:
    """Return the settings class of a model.

    name  the name of the model

    Raises ConfigError for an unknown name.

    >>> model_class("markov")().name
    'markov'
    """
    return MODELS[name]


def model_settings(name: str, values: Mapping[str, Any] | None = None) -> ModelSettings:
    """Make the settings of a model.

    name    the name of the model
    values  settings that differ from the defaults, by name, as `manifest.json` keeps them

    Raises ConfigError for an unknown name and for a wrong value.
    """
    return model_class(name)(**dict(values or {}))


def counting_settings(name: str, values: Mapping[str, Any] | None = None) -> CountingSettings:
    """Make the settings of a model that counts.

    name    the name of the model
    values  settings that differ from the defaults, by name

    Raises ConfigError for a model of another kind, an unknown name and a wrong value.
    """
    settings = model_settings(name, values)
    if not isinstance(settings, CountingSettings):
        raise ConfigError(f"this model must be one that counts; got {name}, which does not.")
    return settings


def network_settings(name: str, values: Mapping[str, Any] | None = None) -> NetworkSettings:
    """Make the settings of a network.

    name    the name of the model
    values  settings that differ from the defaults, by name

    Raises ConfigError for a model that only counts, an unknown name and a wrong value.
    """
    settings = model_settings(name, values)
    if not isinstance(settings, NetworkSettings):
        raise ConfigError(f"this model must be a network; got {name}, which is fitted in one pass.")
    return settings
