"""All models by name. A model is one file, and one row in MODELS: where its settings class is.

A settings class of a counting model builds a CountingModel, that of a neural model a network; the `scorer` of either
answers from saved parameters, without torch. Rows are loaded when asked for, so that listing models imports none.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from caser.config import ModelSettings
from caser.errors import ConfigError, did_you_mean

MODELS: Mapping[str, str] = {
    "blend": "caser.models.blend:Blend",
    "bpr-mf": "caser.models.bpr_mf:BPRMF",
    "caser": "caser.models.caser:Caser",
    "count-knn": "caser.models.count_knn:CountKNN",
    "gru4rec": "caser.models.gru4rec:GRU4Rec",
    "ease": "caser.models.ease:EASE",
    "fpmc": "caser.models.fpmc:FPMC",
    "markov": "caser.models.markov:Markov",
    "nextitnet": "caser.models.nextitnet:NextItNet",
    "popularity": "caser.models.popularity:Popularity",
    "recent-popularity": "caser.models.popularity:RecentPopularity",
    "sasrec": "caser.models.sasrec:SASRec",
    "session-knn": "caser.models.session_knn:SessionKNN",
}

COUNTING_BASELINES = ("popularity", "markov", "count-knn")
"""Models that are printed beside every other, because a report without them flatters."""


def model_class(name: str) -> type[ModelSettings]:
    """Return the settings class of a model.

    >>> model_class("markov")().name
    'markov'
    """
    if name not in MODELS:
        raise ConfigError(f"model must be one of the library's; got {name!r}: {did_you_mean(name, MODELS)}")
    module, attribute = MODELS[name].split(":")
    found: type[ModelSettings] = getattr(import_module(module), attribute)
    return found


def model_settings(name: str, values: Mapping[str, Any] | None = None) -> Any:
    """Make the settings of a model from their values: what `manifest.json` keeps."""
    return model_class(name)(**dict(values or {}))
