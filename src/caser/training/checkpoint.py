"""Checkpoints: a run that was killed continues bit for bit from one safetensors file.

A checkpoint holds the parameters and their averages, Adam's moments and step, the epoch, and a JSON record of the
caller. Random streams need not be saved (`system/randomness.py`). The header has a checksum over everything, because
safetensors does not notice a flipped bit.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from caser.errors import ArtefactError
from caser.system.storage import write_file
from caser.training.loop import TrainingState

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def save_checkpoint(path: Path, state: TrainingState, record: dict[str, Any]) -> None:
    """Write a checkpoint. A file that exists is replaced in one step.

    path    the file to write
    state   the state of training
    record  JSON values of the caller by name
    """
    tensors = {f"network/{name}": value.detach().cpu().contiguous() for name, value in state.network.named_parameters()}
    moments = state.optimiser.state_dict()["state"]
    for index, (name, _) in enumerate(state.network.named_parameters()):
        for moment in _MOMENTS if index in moments else ():
            tensors[f"adam/{moment}/{name}"] = moments[index][moment].detach().cpu().contiguous()
    if state.averages:
        tensors |= {f"average/{name}": value.cpu().contiguous() for name, value in state.averages.tensors.items()}
    header = json.dumps({"epoch": state.epoch, "record": record}, sort_keys=True)
    write_file(path, save(tensors, {"header": header, "sha256": _digest(header, tensors)}))


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], int, dict[str, Any]]:
    """Read a checkpoint.

    path  the file to read

    Returns the tensors by name, the epoch, and the caller's record. Raises ArtefactError if the file is damaged, or is
    not a checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtefactError(f"{path} must be a checkpoint of caser; got: {error}. Remove it to start over.") from None
    if metadata.get("sha256") != _digest(metadata.get("header", ""), tensors):
        raise ArtefactError(f"{path} does not match its checksum: it is damaged. Remove it to start over.")
    header = json.loads(metadata["header"])
    return tensors, header["epoch"], header["record"]


def restore(state: TrainingState, tensors: dict[str, Tensor], epoch: int) -> None:
    """Continue from a checkpoint: put its contents into a fresh state.

    state    a state from `start`, changed in place
    tensors  the tensors that `load_checkpoint` returned
    epoch    the epoch that it returned

    Raises ArtefactError if the checkpoint belongs to another network.
    """
    kinds = ("network", "average") if state.averages else ("network",)
    shapes = {f"{kind}/{name}": value.shape for kind in kinds for name, value in state.network.named_parameters()}
    if shapes != {name: tensor.shape for name, tensor in tensors.items() if not name.startswith("adam/")}:
        raise ArtefactError(
            "a checkpoint must hold the parameters of this network; it holds those of another. Remove it to start over."
        )
    names = [name for name, _ in state.network.named_parameters()]
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


def _digest(header: str, tensors: dict[str, Tensor]) -> str:
    hasher = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        hasher.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        hasher.update(tensors[name].contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return hasher.hexdigest()
