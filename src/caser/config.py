"""Settings that all models share: how to train, and with which loss.

This file is the only place where the defaults of these settings are written. The docstring of a setting is also its
`--help` text. Settings are frozen. A wrong value, an unknown name, and a setting that the chosen loss does not use
raise ConfigError.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from caser.errors import ConfigError, MissingDependencyError, did_you_mean
from caser.system.problems import first_problem
from caser.system.registry import Registry, in_one_line, instance_of

if TYPE_CHECKING:
    from torch import Tensor

Space = Mapping[str, tuple[Any, ...]]
"""The values that tuning tries for each setting, by the name of the setting."""

LossForm: TypeAlias = Literal["sampled", "full"]
"""Which scores a loss needs: those of targets and drawn negatives, or those of all items."""

Precision: TypeAlias = Literal["float32", "bfloat16"]
"""The number type of the matrix products of a loss. Parameters, gradients and sums are in float32 in any case."""


class Settings(BaseModel):
    """The base class of all settings classes. Its objects are frozen.

    Raises ConfigError when a value is wrong, a name is unknown, or a value has no name. The message is about the first
    problem only.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True, validate_default=True
    )

    def __new__(cls, /, *unnamed: Any, **_: Any) -> Self:
        """Refuse values without a name. (`__init__` cannot: its arguments are the signature that pydantic shows.)"""
        if unnamed:
            example = f"{next(iter(cls.model_fields))}=..." if cls.model_fields else ""
            raise ConfigError(
                f"{cls.__name__} takes settings by name only; got {unnamed[0]!r}. Write {cls.__name__}({example})."
            )
        return super().__new__(cls)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise first_problem(error, type(self).__name__, type(self).model_fields) from None

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse a change: settings are frozen."""
        raise ConfigError(f"{type(self).__name__} cannot be changed; make a changed copy: .replace({name}={value!r}).")

    @classmethod
    def of(cls, values: object) -> Self:
        """Return settings from a value that was read from a file.

        values  the values by name

        Raises ConfigError as the constructor does, and for anything else than values by name.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"{cls.__name__} must be values by name; got {str(values)[:40]!r}.")
        return cls(**{str(name): value for name, value in values.items()})

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some settings changed.

        changes  new values by the name of the setting

        Raises ConfigError when a new value is wrong, as the constructor does.
        """
        return type(self)(**{**self.model_dump(exclude_unset=True), **changes})


@dataclass(frozen=True)
class Loss:
    """A row of LOSSES: what training must know about a loss before it calls the function.

    function  the loss function, or where it is, as "module:attribute"; `caser.training.losses` describes the two forms
    form      "sampled": the loss needs the scores of targets and of drawn negatives; "full": it needs all items
    settings  the loss's own settings with their defaults; the function takes them as keyword arguments
    ranges    the lowest and the highest allowed value of a setting, by its name; any other setting may be any number
    corrects_for_sampling  whether the logQ correction is added to the scores of the negatives
    takes_share            whether the function takes the sampling rate as third argument: the number of negatives of a
                           target, divided by the number of items except the target
    takes_precision        whether the function takes the number type of its products, as the keyword `precision`
    sums_negatives         whether the negatives of a target count only by the log of the sum of e^score, so that one
                           number stands for them where all targets share them
    """

    function: Callable[..., Tensor] | str
    form: LossForm
    settings: Mapping[str, float] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    corrects_for_sampling: bool = False
    takes_share: bool = False
    takes_precision: bool = False
    sums_negatives: bool = False

    def __post_init__(self) -> None:
        """Raise ConfigError for an argument of the wrong kind."""
        is_place = isinstance(self.function, str) and re.fullmatch(r"[\w.]+:[\w.]+", self.function)
        if not (callable(self.function) or is_place):
            raise ConfigError(f'a loss must be a function, or text "module:attribute"; got {self.function!r}.')
        if self.form not in get_args(LossForm):
            raise ConfigError(f"the form of a loss must be 'sampled' or 'full'; got {self.form!r}.")
        for setting, default in self.settings.items():
            if isinstance(default, bool) or not isinstance(default, int | float):
                raise ConfigError(f"the default of a setting of a loss must be a number; {setting} got {default!r}.")

    def unused_settings(self, negatives: str) -> tuple[str, ...]:
        """Return the names of the settings of training that have no effect with this loss.

        negatives  the setting of that name
        """
        is_full = self.form == "full"
        has_products = self.takes_precision if is_full else self.sums_negatives and negatives == "shared"
        return (*(FOR_NEGATIVES if is_full else ()), *(() if has_products else ("precision",)))

    def load(self) -> Callable[..., Tensor]:
        """Return the loss function. This imports torch for the losses of the library.

        Raises ConfigError if the place of the function does not exist, cannot be imported or holds no function.
        """
        if not isinstance(self.function, str):
            return self.function
        advice = "Mend or remove its package."
        try:
            function: Callable[..., Tensor] = resolve_name(self.function)
        except MissingDependencyError:
            raise
        except Exception as error:  # the code of a package runs
            raise ConfigError(
                f"the function of a loss must be importable; got {self.function!r}, which is not "
                f"({in_one_line(error)}). {advice}"
            ) from error
        if not callable(function):
            raise ConfigError(f"{self.function} must be the function of a loss; got {function!r} there. {advice}")
        return function

    def check(self, name: str, values: Mapping[str, float]) -> None:
        """Check the settings of the loss that a user chose.

        name    the name of the loss, for the message
        values  the chosen values by the name of the setting

        Raises ConfigError for a setting that the loss does not have, and for a value outside its range.
        """
        for setting, value in values.items():
            if not self.settings:
                raise ConfigError(f"the loss {name} has no settings; got {setting!r} in loss_settings. Leave it out.")
            if setting not in self.settings:
                hint = did_you_mean(setting, self.settings)
                raise ConfigError(f"loss_settings must name settings of the loss {name}; got {setting!r}: {hint}")
            lowest, highest = self.ranges.get(setting, (-math.inf, math.inf))
            if not lowest <= value <= highest:
                bounds = f"from {lowest:g} to {highest:g}" if highest < math.inf else f"at least {lowest:g}"
                raise ConfigError(f"{setting} of the loss {name} must be {bounds}; got {value:g}.")


_OWN_LOSSES = {
    "bpr": Loss("caser.training.losses:bpr", "sampled"),
    "bpr-max": Loss(
        "caser.training.losses:bpr_max",
        "sampled",
        settings={"regularisation": 1.0},
        ranges={"regularisation": (0, math.inf)},
    ),
    "hinge": Loss("caser.training.losses:hinge", "sampled"),
    "bce": Loss("caser.training.losses:bce", "sampled"),
    "gbce": Loss(
        "caser.training.losses:gbce",
        "sampled",
        settings={"calibration": 0.75},
        ranges={"calibration": (0, 1)},
        takes_share=True,
    ),
    "sampled-softmax": Loss(
        "caser.training.losses:sampled_softmax", "sampled", corrects_for_sampling=True, sums_negatives=True
    ),
    "softmax": Loss("caser.training.losses:softmax", "full", takes_precision=True),
}

LOSSES: Registry[Loss] = Registry("a loss", "caser.losses", _OWN_LOSSES, instance_of(Loss))
"""The losses by name: those of this library, of installed packages, and of `register_loss`."""


def register_loss(
    name: str,
    function: Callable[..., Tensor],
    *,
    form: LossForm,
    settings: Mapping[str, float] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    corrects_for_sampling: bool = False,
    takes_share: bool = False,
    takes_precision: bool = False,
    sums_negatives: bool = False,
) -> None:
    """Add a loss of your own to LOSSES, so that `Training(loss=name)` trains with it.

    name      what the loss is called in settings, on the command line and in the manifest of a run
    function  the loss in torch. With form "sampled", it takes `(positive_M, negative_MN)`: the float scores of M
              targets and of the N negatives of each, -inf where a negative must not count. With form "full", it takes
              `(states_MD, vectors_ID, bias_I, targets_MT)`: float states, item vectors and item biases, and the int64
              indices of T targets per state, 0 where there is none. It returns a scalar: the mean over targets
    form      "sampled" or "full", as above
    settings  the loss's own settings with their defaults; the function takes them as keyword arguments, and a user
              changes them with `Training(loss_settings={...})`
    ranges    the lowest and the highest allowed value of a setting, by its name
    corrects_for_sampling  add the logQ correction to the scores of the negatives: for estimates of a full softmax
    takes_share            pass the sampling rate as third argument: the number of negatives of a target, divided by
                           the number of items except the target
    takes_precision        pass the setting `precision` as a keyword, "float32" or "bfloat16": the number type that the
                           function shall use in its matrix products. Without it, the setting is refused for the loss
    sums_negatives         the negatives of a target count only by the log of the sum of e^score. Where all targets
                           share one set of negatives, the function then gets this one number for them, N = 1

    Instead, an installed package can offer a `Loss` through the entry-point group `caser.losses`. A program that loads
    a saved run needs the loss only if it trains again. Raises ConfigError if another loss already has the name, and for
    an argument of the wrong kind.

    >>> def squared_hinge(positive_M, negative_MN, *, margin):
    ...     return ((margin - positive_M[:, None] + negative_MN).clamp(min=0) ** 2).sum() / len(positive_M)
    >>> register_loss("squared-hinge", squared_hinge, form="sampled", settings={"margin": 1.0})
    >>> Training(loss="squared-hinge", loss_settings={"margin": 2.0}).used()["loss_settings"]
    {'margin': 2.0}
    """
    calls = corrects_for_sampling, takes_share, takes_precision, sums_negatives
    row = Loss(function, form, dict(settings or {}), dict(ranges or {}), *calls)
    row.check(name, row.settings)
    LOSSES.register(name, row)


FOR_NEGATIVES = ("num_negatives", "negatives", "popularity_exponent", "unseen_negatives")
"""Settings that have an effect only with a loss of the sampled form."""


def _loss_settings_help() -> str:
    """Return the help of `loss_settings`: the settings of the library's losses, and how to type one."""
    known = [
        f"{name} of {loss} ({value:g})" for loss, row in _OWN_LOSSES.items() for name, value in row.settings.items()
    ]
    return f"Settings of the loss, with their defaults: {', '.join(known)}. Type --loss-settings.NAME VALUE."


class Training(Settings):
    """How a neural model is trained."""

    loss: str = Field(
        default="softmax", description=f"Training loss: {', '.join(sorted(_OWN_LOSSES))}, or one of your own."
    )
    loss_settings: dict[str, float] = Field(default_factory=dict, description=_loss_settings_help())
    epochs: int = Field(default=12, ge=1, le=100_000)
    """Largest number of epochs."""
    patience: int = Field(default=3, ge=0, le=100_000)
    """Early stopping: end after this many epochs without a better validation metric; 0 trains all epochs."""
    batch_size: int | None = Field(default=None, ge=1, le=100_000_000)
    """Positions per optimiser step; by default 2048, or fewer so that a small log has 250 steps in an epoch."""
    lanes: int = Field(default=1, ge=1, le=4096)
    """Series of batches, each over users of its own; a step takes one of each. At most so many workers share them."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Adam's step size."""
    schedule: Literal["constant", "linear"] = "linear"
    """How the step size changes: it stays constant, or, after a short rise, it falls linearly to 0 over all epochs."""
    averaging: float = Field(default=1.0, ge=0, le=1000)
    """Judge and keep the mean of the parameters over about this many last epochs; 0 keeps the last ones."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Adam's L2 penalty, added to the gradient."""
    positions: Literal["every", "full"] = "every"
    """Which positions train: "every" position, the first included; or only "full" windows with T targets (paper)."""
    num_negatives: int = Field(default=3, ge=1, le=1_000_000)
    """Number of negatives per target, for losses that draw negatives."""
    negatives: Literal["per-target", "shared"] = "per-target"
    """Draw negatives for each target, or draw one set that all targets of the batch share."""
    popularity_exponent: float = Field(default=0.0, ge=0, le=2)
    """Draw item i with probability proportional to its count to this power; 0 draws uniformly."""
    unseen_negatives: bool = False
    """Draw only negatives that the user does not have in the training part."""
    user_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of positions whose user is hidden, to train a vector for unknown users. Differs from the paper."""
    seed: int = Field(default=0, ge=-(2**63), le=2**63 - 1)
    """Seed of all random streams."""
    device: str = "auto"
    """Where to train: auto (a GPU when there is one), cpu, cuda or mps."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number type of the products of softmax, and of sampled-softmax with shared negatives: auto takes bfloat16 where
    it is clearly faster on this machine. Parameters and sums are in float32."""

    @property
    def loss_row(self) -> Loss:
        """The row of LOSSES that the setting `loss` names."""
        return LOSSES[self.loss]

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some settings changed.

        changes  new values by the name of the setting

        If the loss changes, the copy drops what the new one does not use. Raises ConfigError for a wrong new value.

        >>> Training(loss="bpr", num_negatives=5).replace(loss="softmax").loss
        'softmax'
        """
        kept = self.model_dump(exclude_unset=True)
        loss = changes.get("loss", self.loss)
        if loss != self.loss:
            negatives = changes.get("negatives", self.negatives)
            dropped = {"loss_settings", *(LOSSES[loss].unused_settings(negatives) if loss in LOSSES else ())}
            kept = {name: value for name, value in kept.items() if name not in dropped}
        return type(self)(**{**kept, **changes})

    def used(self) -> dict[str, Any]:
        """Return the settings that have an effect with this loss, as JSON values by name.

        `loss_settings` holds all settings of the loss. Manifests and cache keys contain this dictionary.
        """
        unused = {*self.loss_row.unused_settings(self.negatives), *(["lanes"] if self.lanes == 1 else [])}
        values = {name: value for name, value in self.model_dump(mode="json").items() if name not in unused}
        return {**values, "loss_settings": {**self.loss_row.settings, **self.loss_settings}}

    @model_validator(mode="after")
    def _refuse_what_the_loss_does_not_use(self) -> Self:
        row = self.loss_row
        row.check(self.loss, self.loss_settings)
        for name in row.unused_settings(self.negatives):
            if name in self.model_fields_set:
                why = "draws no negatives" if name in FOR_NEGATIVES else "does not choose the type of its products"
                others = [
                    other for other, loss in LOSSES.usable().items() if name not in loss.unused_settings("shared")
                ]
                advice = "set negatives='shared'" if self.loss in others else f"choose one of: {', '.join(others)}"
                raise ConfigError(
                    f"{name} must be left out where the loss {why}; got {getattr(self, name)!r} with loss {self.loss}. "
                    f"Leave it out, or {advice}."
                )
        return self
