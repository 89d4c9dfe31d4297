"""Settings that all models share: how to train, and which loss. Each default is written here, once.

The docstring of a setting is its `--help`. Settings are frozen. A wrong value, an unknown name, or a setting that the
chosen loss does not use raises ConfigError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from caser.errors import ConfigError, did_you_mean
from caser.system.registry import Registry

Space = Mapping[str, tuple[Any, ...]]
"""Values worth trying, by the name of a setting."""


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

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some settings changed, checked again. Raises ConfigError as the constructor does."""
        return type(self)(**{**self.model_dump(exclude_unset=True), **changes})


@dataclass(frozen=True)
class Loss:
    """A row of LOSSES: what the training loop must know of a loss before it calls it.

    function  the loss itself, or where it is as "module:attribute"; see `caser.training.losses` for its two forms
    form      "sampled" for a loss of targets and drawn negatives, "full" for one over the whole catalogue
    settings  the loss's own settings and their defaults: keyword arguments of the function
    corrects_for_sampling  its negatives need the logQ correction
    takes_share  it takes the share of the catalogue's negatives that is drawn, as its third argument
    """

    function: Callable[..., Any] | str
    form: Literal["sampled", "full"]
    settings: Mapping[str, float] = field(default_factory=dict)
    corrects_for_sampling: bool = False
    takes_share: bool = False

    def load(self) -> Callable[..., Any]:
        """The function; importing it needs torch."""
        if not isinstance(self.function, str):
            return self.function
        module, _, attribute = self.function.partition(":")
        found: Callable[..., Any] = getattr(import_module(module), attribute)
        return found


LOSSES: Registry[Loss] = Registry(
    "a loss",
    "caser.losses",
    {
        "bpr": Loss("caser.training.losses:bpr", "sampled"),
        "bpr-max": Loss("caser.training.losses:bpr_max", "sampled", {"regularisation": 1.0}),
        "hinge": Loss("caser.training.losses:hinge", "sampled"),
        "bce": Loss("caser.training.losses:bce", "sampled"),
        "gbce": Loss("caser.training.losses:gbce", "sampled", {"calibration": 0.75}, takes_share=True),
        "sampled-softmax": Loss("caser.training.losses:sampled_softmax", "sampled", corrects_for_sampling=True),
        "softmax": Loss("caser.training.losses:softmax", "full"),
    },
)
"""The losses by name: those of this library, of installed packages, and of `caser.register_loss`."""

FOR_NEGATIVES = ("num_negatives", "negatives", "popularity_exponent", "unseen_negatives")
"""Settings that only a loss of the sampled form uses."""


def _loss_settings_help() -> str:
    known = [f"{name} of {loss} ({value:g})" for loss, row in LOSSES.items() for name, value in row.settings.items()]
    return f"Settings of the loss itself, by name: {', '.join(known)}."


class Training(Settings):
    """How a neural model is trained."""

    loss: str = Field("softmax", description=f"Training loss, one of: {', '.join(sorted(LOSSES))}.")
    loss_settings: dict[str, float] = Field(default_factory=dict, description=_loss_settings_help())
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
    unseen_negatives: bool = False
    """Draw negatives only among items that the user does not have in the part that trains."""
    user_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of positions whose user is hidden: teaches a vector for unknown users. Differs from the paper."""
    seed: int = 0
    """Seed of all random streams."""
    device: str = "auto"
    """Where to train: auto takes a GPU when there is one; or cpu, cuda, mps."""

    @property
    def loss_row(self) -> Loss:
        """The row of LOSSES that the setting `loss` names."""
        return LOSSES[self.loss]

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some settings changed; a changed loss drops the settings that it does not use.

        >>> Training(loss="bpr", num_negatives=5).replace(loss="softmax").loss
        'softmax'
        """
        kept = self.model_dump(exclude_unset=True)
        if changes.get("loss", self.loss) != self.loss:
            kept = {name: value for name, value in kept.items() if name not in (*FOR_NEGATIVES, "loss_settings")}
            if changes["loss"] in LOSSES and LOSSES[changes["loss"]].form == "sampled":
                kept |= {name: value for name, value in self.used().items() if name in FOR_NEGATIVES}
        return type(self)(**{**kept, **changes})

    def used(self) -> dict[str, Any]:
        """The settings that have an effect with this loss, as JSON values: what a manifest and a key hold."""
        values = self.model_dump(mode="json")
        if self.loss_row.form == "full":
            values = {name: value for name, value in values.items() if name not in FOR_NEGATIVES}
        return {**values, "loss_settings": {**self.loss_row.settings, **self.loss_settings}}

    @model_validator(mode="after")
    def _uses_what_is_set(self) -> Self:
        row = self.loss_row
        unused = [name for name in FOR_NEGATIVES if name in self.model_fields_set] if row.form == "full" else []
        if unused:
            sampled = ", ".join(name for name in LOSSES if LOSSES[name].form == "sampled")
            raise ConfigError(
                f"{unused[0]} must be left out where the loss draws no negatives; got {getattr(self, unused[0])!r} "
                f"with loss {self.loss}. Leave it out, or choose one of: {sampled}."
            )
        if foreign := sorted(set(self.loss_settings) - set(row.settings)):
            raise ConfigError(
                f"loss_settings must name settings of the loss {self.loss}; got {foreign[0]!r}: "
                + (did_you_mean(foreign[0], row.settings) if row.settings else "it has none.")
            )
        return self


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
