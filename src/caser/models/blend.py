"""A blend: the weighted sum of two models' standardised scores.

Use it for two models that make different errors, such as a model that trains and one that counts. Both must be fitted
on the same part. This file does not find the weight; `study/blending.py` finds it on validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from caser.arrays.ragged import last_columns
from caser.arrays.types import Int32, Scores
from caser.data.tape import Tape
from caser.errors import ArtefactError, ConfigError
from caser.models.base import Arrays, CountingModel, Scorer
from caser.models.settings import CountingSettings, ModelSettings


class Blend(CountingSettings):
    """Score of item j = weight z(first)_j + (1 - weight) z(second)_j.

    z(s)_j = (s_j - mean of s) / standard deviation of s, over the catalogue, for each query. z is 0 where all scores
    are equal. Useful when the two models are good for different users. Source: ours; the standardisation is that of
    score fusion (Lee, SIGIR 1997).
    """

    name = "blend"
    about = "adds up the scores of two other models"
    first: str = "count-knn"
    """The first model, by name."""
    first_settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the first model that differ from its defaults."""
    second: str = "popularity"
    """The second model, by name."""
    second_settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the second model that differ from its defaults."""
    weight: float = Field(default=0.5, ge=0, le=1)
    """Weight of the first model, from 0 to 1; the second model has the rest."""

    @field_validator("first", "second")
    @classmethod
    def _is_a_model(cls, name: str) -> str:
        from caser.models import model_class

        if name == cls.name:
            raise ConfigError("a blend must combine two models that are not blends; got blend.")
        model_class(name)
        return name

    @property
    def parts(self) -> Mapping[str, ModelSettings]:
        """The settings of both models, under `first` and `second`; their parameters' names begin with these."""
        from caser.models import model_settings

        return {
            "first": model_settings(self.first, self.first_settings),
            "second": model_settings(self.second, self.second_settings),
        }

    @property
    def reads_order(self) -> bool:
        """Whether one of the two models can. See `ModelSettings.reads_order`."""
        return any(part.reads_order for part in self.parts.values())

    def used(self) -> dict[str, Any]:
        """Return the settings that have an effect: a model of weight 0 has none."""
        idle = {0.0: "first", 1.0: "second"}.get(self.weight)
        values = self.model_dump(mode="json")
        return {name: value for name, value in values.items() if name not in (idle, f"{idle}_settings")}

    @model_validator(mode="after")
    def _combines_two(self) -> Blend:
        if (self.first, self.first_settings) == (self.second, self.second_settings):
            raise ValueError(f"must combine two different models; got {self.first} twice with the same settings")
        return self

    def build(self, num_users: int, num_items: int) -> BlendScorer:
        """Make the model before it is fitted. See `CountingSettings.build`.

        Raises ConfigError if a part is a model that trains.
        """
        models = {}
        for name, part in self.parts.items():
            if not isinstance(part, CountingSettings):
                raise ConfigError(
                    f"a blend that is fitted in one pass must combine models that count; got {part.name}, which "
                    "trains. Use --model auto, which trains its parts and finds the weight."
                )
            models[name] = part.build(num_users, num_items)
        return BlendScorer(self, **models)

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> BlendScorer:
        """Make the scorer from the parameters of both models. See `ModelSettings.scorer`, also for what it raises."""
        arrays_of: dict[str, dict[str, NDArray[Any]]] = {name: {} for name in self.parts}
        for key, array in arrays.items():
            name, slash, parameter = key.partition("/")
            if not slash or name not in arrays_of:
                raise ArtefactError(
                    f"the parameters of a blend must be those of its two models; got a foreign one, {key!r}."
                )
            arrays_of[name][parameter] = array
        scorers = {name: part.scorer(arrays_of[name], num_users, num_items) for name, part in self.parts.items()}
        return BlendScorer(self, **scorers)


class BlendScorer:
    """Two scorers and a weight.

    >>> scorer = Blend(first="markov", second="popularity").build(num_users=1, num_items=3)
    >>> scorer.fit(Tape.from_sequences([[1, 2, 1, 2, 3]], num_items=3))
    >>> int(scorer.scores(np.array([0]), np.array([[1]]))[0].argmax())
    2
    """

    def __init__(self, config: Blend, first: Scorer, second: Scorer) -> None:
        """Keep the two scorers.

        config         the settings, with the weight
        first, second  the scorers
        """
        self.config, self.first, self.second = config, first, second
        lengths = [scorer.history_length for scorer in (first, second)]
        self.history_length: int | None = None if None in lengths else max(length or 1 for length in lengths)

    def fit(self, tape: Tape) -> None:
        """Fit both models.

        tape  the part to train on

        Raises ConfigError if one of them is not a model that counts.
        """
        for part in (self.first, self.second):
            if not isinstance(part, CountingModel):
                raise ConfigError(f"a blend that is fitted in one pass must combine models that count; got {part!r}.")
            part.fit(tape)

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Compute the weighted sum of the standardised scores. See `Scorer.scores`.

        users_B       (B,) int32, the user of each query
        histories_BH  (B, H) int32, left-padded with 0

        Returns float64 (B, I).
        """
        first_BI, second_BI = (_standardised(scorer, users_B, histories_BH) for scorer in (self.first, self.second))
        blended: Scores = self.config.weight * first_BI + (1 - self.config.weight) * second_BI
        return blended

    def arrays(self) -> Arrays:
        """Return the parameters of both models by name; the names begin with `first/` and `second/`."""
        parts = {"first": self.first, "second": self.second}
        return {f"{name}/{key}": array for name, part in parts.items() for key, array in part.arrays().items()}


def _standardised(scorer: Scorer, users_B: Int32, histories_BH: Int32) -> Scores:
    """Z of a model's scores, (B, I): mean 0 and standard deviation 1 over the items of each query."""
    length = scorer.history_length
    read_BH = histories_BH if length is None else last_columns(histories_BH, length)
    scores_BI = np.array(scorer.scores(users_B, read_BH), dtype=np.float64)
    items_BJ = scores_BI[:, 1:]
    differs_B1 = items_BJ.max(axis=1, keepdims=True) > items_BJ.min(axis=1, keepdims=True)
    spread_B1 = np.where(differs_B1, items_BJ.std(axis=1, keepdims=True), 1)
    z_BI: Scores = np.where(differs_B1, (scores_BI - items_BJ.mean(axis=1, keepdims=True)) / spread_B1, 0)
    return z_BI
