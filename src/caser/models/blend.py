"""A blend: the weighted sum of two models' standardised scores.

For: two models that err differently, such as one that learns and one that counts. Assumes that both are fitted on the
same part. Will not find the weight; `study/auto.py` does, on validation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, field_validator

from caser.arrays.ragged import last_columns
from caser.arrays.types import Int32, Scores
from caser.data.tape import Tape
from caser.errors import ArtefactError, ConfigError
from caser.models.base import Arrays, CountingModel, Scorer
from caser.models.settings import CountingSettings


class Blend(CountingSettings):
    """Score of item j = weight z(first)_j + (1 - weight) z(second)_j.

    z(s)_j = (s_j - mean of s) / standard deviation of s, over the catalogue, for each query; where all scores are equal
    z is 0. Useful when the best model and the second best are good at different users. Source: ours; the
    standardisation is that of score fusion (Lee, SIGIR 1997).
    """

    name = "blend"
    first: str = "count-knn"
    """The first model, by name."""
    first_settings: dict[str, Any] = Field(default_factory=dict)
    """Its settings, where they are not the defaults."""
    second: str = "popularity"
    """The second model, by name."""
    second_settings: dict[str, Any] = Field(default_factory=dict)
    """Its settings, where they are not the defaults."""
    weight: float = Field(0.5, ge=0, le=1)
    """What the first model weighs; the second has the rest."""

    @field_validator("first", "second")
    @classmethod
    def _is_a_model(cls, name: str) -> str:
        from caser.models import model_class

        if name == cls.name:
            raise ConfigError("a blend must be of two models that are no blends; got blend.")
        model_class(name)
        return name

    @property
    def parts(self) -> dict[str, Any]:
        """The settings of both models, by the names that their parameters begin with."""
        from caser.models import model_settings

        return {
            "first": model_settings(self.first, self.first_settings),
            "second": model_settings(self.second, self.second_settings),
        }

    def build(self, num_users: int, num_items: int) -> BlendScorer:
        """Return a scorer that has counted nothing yet. Raises ConfigError for parts that do not just count."""
        for part in self.parts.values():
            if not isinstance(part, CountingSettings):
                raise ConfigError(
                    f"a blend that is fitted at once must be of models that count; got {part.name}, which trains. Use "
                    "--model auto, which trains its parts and finds the weight."
                )
        return BlendScorer(self, **{name: part.build(num_users, num_items) for name, part in self.parts.items()})

    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> BlendScorer:
        """Answer from the parameters of both. Raises ArtefactError if they do not fit."""
        own: dict[str, dict[str, Any]] = {name: {} for name in self.parts}
        for key, array in arrays.items():
            name, slash, parameter = key.partition("/")
            if not slash or name not in own:
                raise ArtefactError(
                    f"a blend has the parameters of its first and its second model; got {key!r}, foreign."
                )
            own[name][parameter] = array
        scorers = {name: part.scorer(own[name], num_users, num_items) for name, part in self.parts.items()}
        return BlendScorer(self, **scorers)


class BlendScorer:
    """Two fitted scorers and a weight.

    >>> scorer = Blend(first="markov", second="popularity").build(num_users=1, num_items=3)
    >>> scorer.fit(Tape.from_sequences([[1, 2, 1, 2, 3]], num_items=3))
    >>> int(scorer.scores(np.array([0]), np.array([[1]]))[0].argmax())
    2
    """

    def __init__(self, config: Blend, first: Scorer, second: Scorer) -> None:
        self.config, self.first, self.second = config, first, second
        lengths = [scorer.history_length for scorer in (first, second)]
        self.history_length: int | None = None if None in lengths else max(length or 1 for length in lengths)

    def fit(self, tape: Tape) -> None:
        """Count, with both."""
        for part in (self.first, self.second):
            if not isinstance(part, CountingModel):
                raise ConfigError(f"a blend that is fitted at once must be of models that count; got {part!r}.")
            part.fit(tape)

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """The weighted sum: (B, I)."""
        first_BI, second_BI = (_standard(scorer, users_B, histories_BH) for scorer in (self.first, self.second))
        blended: Scores = self.config.weight * first_BI + (1 - self.config.weight) * second_BI
        return blended

    def arrays(self) -> Arrays:
        """The parameters of both, under `first/` and `second/`."""
        parts = {"first": self.first, "second": self.second}
        return {f"{name}/{key}": array for name, part in parts.items() for key, array in part.arrays().items()}


def _standard(scorer: Scorer, users_B: Int32, histories_BH: Int32) -> Scores:
    length = scorer.history_length
    read_BH = histories_BH if length is None else last_columns(histories_BH, length)
    scores_BI = np.array(scorer.scores(users_B, read_BH), dtype=np.float64)
    items_BJ = scores_BI[:, 1:]
    differs_B1 = items_BJ.max(axis=1, keepdims=True) > items_BJ.min(axis=1, keepdims=True)
    spread_B1 = np.where(differs_B1, items_BJ.std(axis=1, keepdims=True), 1)
    standard: Scores = np.where(differs_B1, (scores_BI - items_BJ.mean(axis=1, keepdims=True)) / spread_B1, 0)
    return standard
