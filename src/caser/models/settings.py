"""Settings of a model: its name, how it is built, and how it answers again from saved parameters.

A settings class is all that the rest of the library knows of a model. There are two kinds: models that count
(`CountingSettings`) and networks that the training loop trains (`NetworkSettings`). Both are frozen pydantic models,
whose docstrings become the `--help` of the command line.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from caser.config import Settings, Space, Training
from caser.models.base import Arrays, CountingModel, Scorer, SequenceEncoder, StateScorer


class ModelSettings(Settings):
    """Base of the settings of every model."""

    name: ClassVar[str]
    """What the model is called: on the command line, in reports and in the manifest of a run."""
    space: ClassVar[Space] = {}
    """What tuning tries: values of settings of the model, and of its training. Each list holds the default."""

    @property
    def parts(self) -> Mapping[str, ModelSettings]:
        """The models that this one is made of, by name; none for a model that stands alone."""
        return {}

    def used(self) -> dict[str, Any]:
        """Return the settings that have an effect on this model, as JSON values: all of them by default."""
        return self.model_dump(mode="json")

    @property
    def has_user_vectors(self) -> bool:
        """Whether the model learns a vector for each user."""
        return False

    def without_user_vectors(self) -> Self | None:
        """The same model without user vectors, for users whom training never saw; None if there is no such model."""
        return None if self.has_user_vectors else self

    @abstractmethod
    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> Scorer:
        """Make the scorer that answers from saved parameters, without torch.

        arrays     the fitted parameters by name, as `Scorer.arrays` gave them
        num_users, num_items  sizes of the vocabulary, without the anonymous user and without padding

        Raises ArtefactError if the parameters are not those of such a model.
        """


class CountingSettings(ModelSettings):
    """Base of the settings of models that count: they fit in one pass, without a training loop."""

    @abstractmethod
    def build(self, num_users: int, num_items: int) -> CountingModel:
        """Make a model that has counted nothing yet. Raises ConfigError if it cannot fit in memory."""


class NetworkSettings(ModelSettings):
    """Base of the settings of networks: they are trained on batches of the tape, and validated after each epoch."""

    training: ClassVar[Training] = Training()
    """How the network is trained by default: as its authors published it, where that is known to be good."""

    @property
    def num_targets(self) -> int:
        """T, how many next items each state must predict in training."""
        return 1

    @abstractmethod
    def build(self, num_users: int, num_items: int, seed: int) -> SequenceEncoder:
        """Make the network with fresh parameters, drawn from the stream of `seed`. Needs torch."""

    @abstractmethod
    def shapes(self, num_users: int, num_items: int) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter by name: what `build` makes and what a saved run must hold."""

    @abstractmethod
    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> StateScorer:
        """As for every model; the scorer of a network answers by states and item vectors."""
