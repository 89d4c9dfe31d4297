"""The flags of one model: its own settings, and for a network the settings of its training.

Which flags a command has depends on `--model`, so the command is built anew for each command line.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from copy import copy
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import create_model

from caser.cli.attribute_flags import AttributeFlags
from caser.cli.flags import Command, flag_name, flat, one_of
from caser.config import Settings, Training
from caser.models.settings import ModelSettings, NetworkSettings, Preset

NETWORK_PARAMETERS: tuple[str, ...] = ("training", "attributes", "choose", "workers", "max_restarts", "track")
"""Parameters of a command that only networks use."""

BY_LOG = "chosen for the log"
"""What the help shows as the default of a setting whose default depends on the log."""

TRAINING_BY_LOG = ("loss", "epochs", "patience")
"""The settings of training whose default depends on the log (`caser.models.default_training`)."""

NETWORK_FLAGS = (
    *(
        f"--{flag_name(name)}"
        for name in (*Training.model_fields, *AttributeFlags.model_fields, *NETWORK_PARAMETERS[2:])
    ),
    "--no-choose",
)
"""The flags that models that count do not have."""


def with_model_flags(command: Command, model: type[ModelSettings]) -> Command:
    """Return a command with the flags of one model.

    command  has a parameter `settings`, and may have those of NETWORK_PARAMETERS, which have defaults
    model    its settings become flags with its defaults; so do those of its training if it is a network, and --preset
             if it has presets. For a model that counts, the command has no flags for NETWORK_PARAMETERS

    cyclopts reads the parameters of a command from its signature, so the returned function has a signature of its own.
    """
    # The flags that take the place of these parameters, and the parameters that this model does not have.
    flags: dict[str, Any] = {"settings": Annotated[_shown(model, {}, model.by_log), flat(f"Model: {model.name}")]}
    absent, presets = NETWORK_PARAMETERS, _presets(model)
    if issubclass(model, NetworkSettings):
        flags["training"], absent = training_flags(model), ()
    if not model.model_fields:
        absent = (*absent, "settings")

    signature = inspect.signature(command, eval_str=True)
    parameters = [
        parameter.replace(annotation=flags[name], default=None) if name in flags else parameter
        for name, parameter in signature.parameters.items()
        if name not in absent
    ]
    if presets:
        annotation = Annotated[str | None, one_of(presets), Parameter(help=_help_of(presets))]
        place = next(index for index, parameter in enumerate(parameters) if parameter.name in flags)
        preset = inspect.Parameter("preset", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        parameters.insert(place, preset)

    # cyclopts prefers the annotations of `run` to the signature, so these two names must be no command's parameters.
    def run(*_positional: Any, **_named: Any) -> None:
        settings, training = _chosen(model, _named.pop("preset", None), _named)
        values = {"settings": settings, "training": training}
        command(*_positional, **_named | {name: values[name] for name in values if name in signature.parameters})

    run.__doc__ = command.__doc__
    vars(run)["__signature__"] = signature.replace(parameters=parameters)
    return run


def training_flags(model: type[NetworkSettings]) -> Any:
    """Return the annotation of a parameter that takes the training of a network.

    The help shows the model's own defaults.

    >>> from typing import get_args
    >>> from caser.models.factors.bpr_mf import BPRMF
    >>> get_args(training_flags(BPRMF))[0]().loss
    'bpr'
    """
    own = model.training.model_dump(exclude_unset=True)
    return Annotated[_shown(Training, own, [name for name in TRAINING_BY_LOG if name not in own]), flat("Training")]


def _chosen(
    model: type[ModelSettings], preset: str | None, typed: Mapping[str, Settings | None]
) -> tuple[ModelSettings, Training | None]:
    """The settings of the model and of its training: those of the preset or the model's own, and what was typed."""
    settings, training = model(), None
    if issubclass(model, NetworkSettings):
        settings, training = model.preset(preset) if preset else (model(), model.training)
        training = training.replace(**_values(typed.get("training")))
    return settings.replace(**_values(typed.get("settings"))), training


def _presets(model: type[ModelSettings]) -> Mapping[str, Preset]:
    return model.presets if issubclass(model, NetworkSettings) else {}


def _values(typed: Settings | None) -> dict[str, Any]:
    return typed.model_dump(exclude_unset=True) if typed else {}


def _shown(settings: type[Settings], defaults: Mapping[str, Any], by_log: Iterable[str]) -> type[Settings]:
    """Make a class of settings with other defaults: cyclopts shows the defaults of a class in the help.

    defaults  the other defaults, by name
    by_log    the settings for which the help shows that their default depends on the log
    """
    fields: dict[str, Any] = {}
    for name, value in defaults.items():
        field = copy(settings.model_fields[name])
        field.default = value
        fields[name] = (field.annotation, field)
    for name in by_log:
        field = settings.model_fields[name]
        fields[name] = (Annotated[field.annotation, Parameter(show_default=lambda _: BY_LOG)], field)
    made: type[Settings] = create_model(settings.__name__, __base__=settings, __module__=__name__, **fields)
    return made


def _help_of(presets: Mapping[str, Preset]) -> str:
    """The help of --preset: what each is."""
    listed = "; ".join(f"{name}, {preset.about}" for name, preset in presets.items())
    return f"Begin with published settings, whatever the log: {listed}. Typed settings replace them."
