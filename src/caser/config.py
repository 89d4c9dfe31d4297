"""Settings shared by all models: how to train, and how to draw negatives. Each default is written here, once.

A setting's docstring is its `--help`. Settings are frozen; a wrong value or an unknown name raises ConfigError.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from caser.errors import ConfigError, did_you_mean

Space = Mapping[str, tuple[Any, ...]]
"""Values worth trying, by the name of a setting."""

LossName = Literal["bpr", "bpr-max", "hinge", "bce", "gbce", "sampled-softmax", "softmax"]


class Settings(BaseModel):
    """Base of every settings class: frozen, no unknown names, one sentence per error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True, validate_default=True
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(first_problem(error, type(self).__name__, type(self).model_fields)) from None

    def but(self, **changes: Any) -> Self:
        """Return a copy with some settings changed, checked again."""
        return type(self)(**{**self.model_dump(), **changes})


class Training(Settings):
    """How a neural model is trained."""

    loss: LossName = "softmax"
    """Training loss: softmax ranks every item; the others draw negatives."""
    epochs: int = Field(30, ge=1, le=100_000)
    """Most epochs to train."""
    patience: int = Field(5, ge=0)
    """Stop choosing after this many epochs without a better validation metric; 0 trains all epochs."""
    batch_size: int | None = Field(default=None, ge=1)
    """Positions of the tape per optimiser step; by default 2048, or fewer on a small log (40 steps an epoch)."""
    learning_rate: float = Field(3e-3, gt=0)
    """Adam's step size."""
    schedule: Literal["constant", "linear"] = "constant"
    """How the step size goes: constant, or falling linearly to 0 over all epochs."""
    weight_decay: float = Field(1e-6, ge=0)
    """L2 penalty added to the gradient (Adam's)."""
    positions: Literal["every", "full"] = "every"
    """Which positions train: every one, the first included; or, as in the paper, full windows with T targets."""
    num_negatives: int = Field(3, ge=1)
    """Negatives per target, for losses that draw them."""
    negatives: Literal["per-target", "shared"] = "per-target"
    """Draw negatives for each target, or one set shared by the batch."""
    popularity_exponent: float = Field(0.0, ge=0, le=2)
    """Draw item i with probability proportional to its count to this power; 0 draws uniformly."""
    exclude_seen: bool = False
    """Never draw an item the user has in the part that trains."""
    user_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of positions whose user is hidden: teaches a vector for unknown users. Differs from the paper."""
    seed: int = 0
    """Seed of all random streams."""
    device: str = "auto"
    """Where to train: auto takes a GPU when there is one; or cpu, cuda, mps."""

    @classmethod
    def with_defaults(cls, **defaults: Any) -> type[Training]:
        """The same settings with other defaults: how a model is trained unless it is said otherwise.

        >>> Training.with_defaults(loss="bpr")().loss
        'bpr'
        """
        changed: dict[str, Any] = {}
        for name, value in defaults.items():
            field = copy(cls.model_fields[name])
            field.default = value
            changed[name] = (field.annotation, field)
        return create_model(cls.__name__, __base__=cls, __module__=cls.__module__, **changed)


class ModelSettings(Settings):
    """Base of every model's settings: what a model is called, how it learns, and what is worth trying."""

    name: ClassVar[str]
    """What it is called on the command line."""
    kind: ClassVar[Literal["counting", "neural"]]
    """Whether it fits by counting, or is a network that the training loop trains."""
    training: ClassVar[type[Training]] = Training
    """How it is trained unless it is said otherwise: as its authors published it, where that is known to be good."""
    space: ClassVar[Space] = {}
    """What tuning tries, of the settings of the model and of its training; the default is among the values."""


def first_problem(error: ValidationError, settings: str, known: Iterable[str] = ()) -> str:
    """One sentence for the first thing that is wrong with `settings`."""
    first = error.errors()[0]
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, ConfigError):
        return str(inner)
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{settings} has no setting {name!r}: {did_you_mean(name, known)}"
    must = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    got = "" if isinstance(first["input"], dict) else f"; got {first['input']!r}"
    return f"{settings} {name} {must}{got}.".replace("  ", " ")
