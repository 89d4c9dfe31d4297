"""The flags of one model: its own settings, and for a network the settings of its training.

Which flags a command has depends on `--model`, so the command is built anew for each command line.
"""

from __future__ import annotations

import inspect
from copy import copy
from typing import Annotated, Any

from pydantic import AfterValidator, create_model

from caser.cli.flags import Command, flag_name, flat
from caser.config import Training
from caser.models.settings import ModelSettings, NetworkSettings

NETWORK_PARAMETERS: tuple[str, ...] = ("training", "choose")
"""Parameters of a command that only networks use."""

NETWORK_FLAGS = (*(f"--{flag_name(name)}" for name in Training.model_fields), "--choose", "--no-choose")
"""The flags that models that count do not have."""


def with_model_flags(command: Command, model: type[ModelSettings]) -> Command:
    """Return a command with the flags of one model.

    command  has a parameter `settings`, and may have `training` and `choose`, which have defaults
    model    its settings become flags with its defaults; so do those of its training if it is a network. A model that
             counts has no training: the command then has no flags for `training` and `choose`.

    cyclopts reads the parameters of a command from its signature, so the returned function has a signature of its own.
    """
    # The values that hold when nothing is typed, and the flags of each.
    values: dict[str, Any] = {"settings": model()}
    flags: dict[str, Any] = {"settings": Annotated[model, flat(f"Model: {model.name}")]}
    absent = NETWORK_PARAMETERS
    if issubclass(model, NetworkSettings):
        values["training"], flags["training"] = model.training, training_flags(model)
        absent = ()
    if not model.model_fields:
        absent = (*absent, "settings")

    # The parameters of the command, without those that this model does not have.
    signature = inspect.signature(command, eval_str=True)
    defaults = {name: value for name, value in values.items() if name in signature.parameters}
    parameters = [
        parameter.replace(annotation=flags[name], default=values[name]) if name in flags else parameter
        for name, parameter in signature.parameters.items()
        if name not in absent
    ]

    # cyclopts prefers the annotations of `run` to the signature, so these two names must be no command's parameters.
    def run(*_positional: Any, **_named: Any) -> None:
        command(*_positional, **{**defaults, **_named})

    run.__doc__ = command.__doc__
    vars(run)["__signature__"] = signature.replace(parameters=parameters)
    return run


def training_flags(model: type[NetworkSettings]) -> Any:
    """Return the annotation of a parameter that takes the training of a network.

    The help shows the model's own defaults. The value is the model's training with what was typed in place.

    >>> from typing import get_args
    >>> from caser.models.factors.bpr_mf import BPRMF
    >>> get_args(training_flags(BPRMF))[0]().loss
    'bpr'
    """

    def onto_defaults(typed: Training) -> Training:
        return model.training.replace(**typed.model_dump(exclude_unset=True))

    return Annotated[_with_defaults(model.training), AfterValidator(onto_defaults), flat("Training")]


class _Described(Training, use_attribute_docstrings=False):
    """Training settings whose fields keep their descriptions, so that pydantic searches no source for them.

    The search goes through all calls in progress and all loaded modules. In a large process, such as one of tests, it
    is slow.
    """


def _with_defaults(training: Training) -> type[Training]:
    """Make a class of training settings with other defaults: cyclopts shows the defaults of a class in the help."""
    fields: dict[str, Any] = {}
    for name, value in training.model_dump(exclude_unset=True).items():
        field = copy(Training.model_fields[name])
        field.default = value
        fields[name] = (field.annotation, field)
    made: type[Training] = create_model("Training", __base__=_Described, __module__=__name__, **fields)
    return made
