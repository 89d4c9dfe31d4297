"""Checkpoints: a run that was killed continues bit for bit from one safetensors file.

A checkpoint holds the parameters and their averages, Adam's moments and step, the epoch, and a JSON record of the
caller. Random streams need not be saved (`system/randomness.py`). The file is sealed (`system/sealed.py`), and every
array is checked against the network before it is used: Adam's fused step writes wherever the shapes of its moments say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from caser.config import Settings
from caser.errors import ArtefactError, ConfigError
from caser.system.parsing import ArrayRule, check_arrays
from caser.system.sealed import seal_arrays, unseal_arrays
from caser.system.storage import read_file, write_file
from caser.training.loop import TrainingState

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")

_MOST_STEPS = 2.0**53
"""The largest number of steps that Adam can count."""


class Header(Settings):
    """What a checkpoint says beside its arrays."""

    model_config = ConfigDict(strict=True)

    epoch: int = Field(ge=0, le=100_000)
    """How many epochs of the stage are done."""
    record: dict[str, Any]
    """JSON values of the caller."""


def save_checkpoint(path: Path, state: TrainingState, record: dict[str, Any]) -> None:
    """Write a checkpoint. A file that exists is replaced in one step.

    path    the file to write
    state   the state of training
    record  JSON values of the caller by name
    """
    arrays = {name: value.cpu().numpy() for name, value in state.tensors().items()}
    write_file(path, seal_arrays(arrays, {"epoch": state.epoch, "record": record}))


def load_checkpoint(path: Path) -> tuple[dict[str, NDArray[Any]], int, dict[str, Any]]:
    """Read a checkpoint.

    path  the file to read

    Returns the arrays by name, the epoch, and the caller's record. Raises ArtefactError if the file is damaged, or is
    not a checkpoint.
    """
    with _naming(path):
        arrays, header = unseal_arrays(read_file(path))
        checked = Header.of(header)
        return arrays, checked.epoch, checked.record


def restore(state: TrainingState, arrays: Mapping[str, NDArray[Any]], epoch: int) -> None:
    """Continue from a checkpoint: put its contents into a fresh state.

    state   a state from `start`, changed in place
    arrays  the arrays that `load_checkpoint` returned
    epoch   the epoch that it returned

    Raises ArtefactError if the checkpoint belongs to another network, or if an array is not what such a network has.
    """
    try:
        check_arrays(arrays, _rules(state, arrays))
    except ValueError as error:
        raise ArtefactError(
            f"a checkpoint must hold the parameters of this network; got {error}. Remove it to start over."
        ) from None
    names = [name for name, _ in state.network.named_parameters()]
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    state.network.load_state_dict({name: tensors[f"network/{name}"] for name in names})
    for name, average in state.averages.tensors.items() if state.averages else ():
        average.copy_(tensors[f"average/{name}"])
    moments = {
        index: {moment: tensors[f"adam/{moment}/{name}"] for moment in _MOMENTS}
        for index, name in enumerate(names)
        if f"adam/step/{name}" in tensors
    }
    state.optimiser.load_state_dict({"state": moments, "param_groups": state.optimiser.state_dict()["param_groups"]})
    state.epoch = epoch


def _rules(state: TrainingState, arrays: Mapping[str, NDArray[Any]]) -> dict[str, ArrayRule]:
    """What each array must be. A parameter that was never trained has no moments; otherwise it has all three."""
    rules = {}
    for name, parameter in state.network.named_parameters():
        shape = tuple(parameter.shape)
        for kind in ("network", "average") if state.averages else ("network",):
            rules[f"{kind}/{name}"] = ArrayRule(np.float32, shape)
        if any(f"adam/{moment}/{name}" in arrays for moment in _MOMENTS):
            rules[f"adam/exp_avg/{name}"] = ArrayRule(np.float32, shape)
            rules[f"adam/exp_avg_sq/{name}"] = ArrayRule(np.float32, shape, least=0)
            rules[f"adam/step/{name}"] = ArrayRule(np.float32, (), least=0, most=_MOST_STEPS)
    return rules


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Within, turn what is wrong with the content of a file into an ArtefactError that names the file."""
    try:
        yield
    except (ValueError, ConfigError) as error:
        raise ArtefactError(
            f"{path} must be a checkpoint of caser; got {str(error).rstrip('.')}. Remove it to start over."
        ) from None
