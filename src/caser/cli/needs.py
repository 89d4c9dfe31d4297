"""The optional packages that a command line needs: checked after the words are read, and before any work begins.

NEEDS has a row for each command that can need one. A study needs no package to be carried out: without the extra
`report` it writes its numbers only, and this file says so before it begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import cyclopts
from cyclopts import ArgumentCollection

from caser.cli import show
from caser.cli.flags import AUTO, DEFAULT_MODEL
from caser.cli.study_options import seconds_of
from caser.cli.unused import Typed, typed_flags
from caser.errors import MissingDependencyError
from caser.fitting.tracking import parse_place
from caser.models import MODELS, model_class
from caser.models.settings import NetworkSettings
from caser.system.extras import require

Need: TypeAlias = Callable[[Typed], None]
"""Raises MissingDependencyError if a package is missing that the words need."""

COUNTING = "name a model that counts: --model count-knn"


def always(extra: str, purpose: str) -> Need:
    """Make the need of an extra whatever the words are.

    extra  a key of EXTRAS      purpose  what needs it, in a few words
    """
    return lambda _: require(extra, purpose)


def _training(typed: Typed) -> None:
    """Networks need torch."""
    name = _last(typed, "--model", DEFAULT_MODEL)
    if name == AUTO or (name in MODELS and issubclass(model_class(name), NetworkSettings)):
        require("train", "training a network", COUNTING)


def _tuning(typed: Typed) -> None:
    """A budget needs optuna; --model auto has one by default."""
    default = "10m" if _last(typed, "--model", "") == AUTO else "0"
    if seconds_of(_last(typed, "--budget", default)) > 0:
        require("tune", "tuning", "leave the budget at 0: --budget 0")


def _engine(typed: Typed) -> None:
    """The engine ray needs Ray."""
    if _last(typed, "--engine", "") == "ray":
        require("scale", "--engine ray", "leave --engine out")


def _tracker(typed: Typed) -> None:
    """A tracker needs its package."""
    if place := _last(typed, "--track", ""):
        kind, _ = parse_place(place)
        require(kind, f"--track {kind}", "leave --track out")


def _audit(typed: Typed) -> None:
    """An audit trains a network unless it is told not to."""
    if "--no-neural" not in typed:
        require("train", "the network of an audit", "leave it out: --no-neural")


def _page(_: Typed) -> None:
    """Say before a study that only its numbers will be written."""
    try:
        require("report", "the page of a report")
    except MissingDependencyError as error:
        show.note(f"  only numbers will be written: {error}")


NEEDS: Mapping[str, Sequence[Need]] = {
    "demo": (always("train", "the demo"),),
    "train": (_training, _tuning, _engine, _tracker),
    "refit": (_tracker,),
    "compare": (_tuning, _page),
    "ablate": (always("train", "an ablation"), _page),
    "sweep": (_training, _page),
    "audit": (_audit, _page),
    "recommend": (_engine,),
    "index": (always("ann", "an index"),),
    "export": (always("export", "writing an ONNX file"),),
    "serve": (always("serve", "serving"),),
    "replay": (always("serve", "a replay"),),
}
"""The needs of each command. A command without a row needs no optional package."""


def check_needs(_: cyclopts.App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Raise MissingDependencyError if a command line needs a package that is not installed. cyclopts calls this.

    commands   the words that name the command, such as ("data", "describe")
    arguments  the parameters of the command with the words that were typed for each
    """
    typed = typed_flags(arguments)
    for need in NEEDS.get(" ".join(commands), ()):
        need(typed)


def _last(typed: Typed, flag: str, default: str) -> str:
    """The value of a flag that was typed last."""
    return typed.get(flag, [default])[-1]
