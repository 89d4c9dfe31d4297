"""The settings class of a model: it builds the model, and it makes a scorer from saved parameters.

The rest of the library knows a model only by its settings class. There are two kinds: `CountingSettings` for models
that fit by counting, and `NetworkSettings` for networks that the training loop trains. Both are frozen pydantic models.
The docstrings of their fields become the `--help` of the command line.

To write a model, subclass one of the two, set `name`, add the fields, and implement the abstract methods. Then register
the class with `caser.register_model`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from caser.config import FOR_NEGATIVES, Settings, Space, Training
from caser.errors import ConfigError, did_you_mean
from caser.models.base import Arrays, CountingModel, Scorer, SequenceEncoder, StateScorer
from caser.models.default_training import default_training
from caser.models.facts import LogFacts


class ModelSettings(Settings):
    """Base of the settings of every model."""

    name: ClassVar[str]
    """The name of the model on the command line, in reports and in the manifest of a run."""
    about: ClassVar[str] = "is fitted to the log"
    """What the model does, for people: the end of a sentence that begins with "it"."""
    space: ClassVar[Space] = {}
    """The values that tuning tries, for each setting that it changes. A key is the name of a setting of the model or of
    its training. The values include the default."""

    by_log: ClassVar[tuple[str, ...]] = ()
    """The settings whose default depends on the log. `suited_to` chooses them where a caller leaves them open."""

    added: ClassVar[Mapping[str, Any]] = {}
    """Settings that runs saved by earlier versions lack, and the values with which they mean what they meant then."""

    @property
    def parts(self) -> Mapping[str, ModelSettings]:
        """The settings of the models that this model combines, by the name of the part; empty if it combines none."""
        return {}

    def used(self) -> dict[str, Any]:
        """Return the settings that have an effect on this model, as JSON values: all of them by default."""
        return self.model_dump(mode="json")

    def without_unused(self) -> Self:
        """Return the same model without settings that have no effect, such as those of a part that is left out."""
        used = self.used()
        return type(self)(
            **{name: value for name, value in self.model_dump(exclude_unset=True).items() if name in used}
        )

    def suited_to(self, log: LogFacts) -> Mapping[str, Any]:
        """Return the values that suit a log, for the settings in `by_log`, by name.

        log  the facts of the log
        """
        return {}

    def for_log(self, log: LogFacts) -> Self:
        """Return the settings with which the model is fitted on a log.

        log  the facts of the log

        A setting that the caller gave keeps its value. Raises ConfigError if that cannot be combined with the others.
        """
        suited = {name: value for name, value in self.suited_to(log).items() if name not in self.model_fields_set}
        completed = self.replace(**suited)
        idle = set(suited) - set(completed.used())  # settings of a part that the caller left out
        return self.replace(**{name: value for name, value in suited.items() if name not in idle})

    @property
    def has_user_vectors(self) -> bool:
        """Whether the model learns a vector for each user."""
        return False

    def without_user_vectors(self) -> Self | None:
        """Return the settings of the same model without user vectors, for users whom training never sees.

        Returns these settings if the model has no user vectors, and None if it cannot do without them.
        """
        return None if self.has_user_vectors else self

    @property
    def reads_order(self) -> bool:
        """Whether the model can learn what several items of a history mean together, in their order.

        If it cannot, a test with shuffled histories says nothing on effects that the model does not see. A model that
        only gives recent items more weight, or adds them up, cannot. False by default: a network that can says so.
        """
        return False

    def with_user_vectors(self) -> Self:
        """Return the same settings with user vectors, also for a log on which the model would do without them."""
        return self

    @abstractmethod
    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> Scorer:
        """Make the scorer that answers from saved parameters, without torch.

        arrays     the fitted parameters by name, as `Scorer.arrays` returned them
        num_users  number of users, without the anonymous one
        num_items  number of items, without padding

        Raises ArtefactError if the parameters are not those of such a model with these numbers of users and items.
        """


@dataclass(frozen=True)
class Preset:
    """Settings of a network under a name, whatever the log: `NetworkSettings.preset` returns them.

    about     what they are, in a sentence
    settings  the settings of the model, by name
    training  the settings of its training, by name
    """

    about: str
    settings: Mapping[str, Any]
    training: Mapping[str, Any]


class CountingSettings(ModelSettings):
    """Base of the settings of models that count: they fit in one pass, without a training loop."""

    about = "is fitted in one pass over the log"

    @abstractmethod
    def build(self, num_users: int, num_items: int) -> CountingModel:
        """Make the model before it is fitted.

        num_users  number of users, without the anonymous one
        num_items  number of items, without padding

        Raises ConfigError if the model cannot fit in memory.
        """


class NetworkSettings(ModelSettings):
    """Base of the settings of networks: they train on batches of the tape, and are validated after each epoch."""

    about = "is trained over several epochs"
    training: ClassVar[Training] = Training()
    """How the network trains by default. These are the authors' published settings where they are known to be good."""

    presets: ClassVar[Mapping[str, Preset]] = {}
    """Published settings of the network, by name."""

    @classmethod
    def preset(cls, name: str) -> tuple[Self, Training]:
        """Return published settings of the network, and of its training. They do not depend on the log.

        name  the name of the preset

        Raises ConfigError for a preset that the network does not have.

        >>> from caser.models.caser.caser import Caser
        >>> model, training = Caser.preset("paper")
        >>> model.L, model.T, training.loss
        (5, 3, 'bce')
        """
        if name not in cls.presets:
            known = did_you_mean(name, cls.presets) if cls.presets else "it has none."
            raise ConfigError(f"preset must name published settings of {cls.name}; got {name!r}: {known}")
        chosen = cls.presets[name]
        return cls(**chosen.settings), Training(**chosen.training)

    def training_for(self, log: LogFacts, given: Training | None = None, *, epochs: int = 1) -> Training:
        """Return how the network is trained on a log.

        log     the facts of the log
        given   what a caller set; the model's own training, and what suits the log, complete it
        epochs  epochs that will be trained; the plan of the learning rate is at least as long, unless its length is set

        >>> from caser.models.factors.bpr_mf import BPRMF
        >>> training = BPRMF().training_for(LogFacts(100, 50, 1_000), Training(seed=1))
        >>> training.loss, training.schedule
        ('bpr', 'linear')
        """
        chosen = self.training.replace(**(given.model_dump(exclude_unset=True) if given else {}))
        suited = default_training(log)
        suited["epochs"] = max(suited["epochs"], epochs)
        # A loss that was chosen brings its own settings of negatives.
        of_loss = {"loss", *FOR_NEGATIVES} if "loss" in chosen.model_fields_set else set()
        kept = {name: value for name, value in suited.items() if name not in of_loss}
        return Training(**{**kept, **chosen.model_dump(exclude_unset=True)})

    @property
    def num_targets(self) -> int:
        """T, how many next items each state must predict in training."""
        return 1

    @abstractmethod
    def build(self, num_users: int, num_items: int, seed: int) -> SequenceEncoder:
        """Make the network with fresh parameters. Needs torch.

        num_users  number of users, without the anonymous one
        num_items  number of items, without padding
        seed       the seed from which the parameters are drawn
        """

    @abstractmethod
    def shapes(self, num_users: int, num_items: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter by name. `build` makes these parameters, and a saved run must hold them.

        num_users  number of users, without the anonymous one
        num_items  number of items, without padding
        """

    @abstractmethod
    def scorer(self, arrays: Arrays, num_users: int, num_items: int) -> StateScorer:
        """Make the scorer that answers from saved parameters, without torch.

        arrays     the fitted parameters by name, as `Scorer.arrays` returned them
        num_users  number of users, without the anonymous one
        num_items  number of items, without padding

        Raises ArtefactError if the parameters do not belong to such a network.
        """
