"""Checkpoints: one safetensors file that a run continues from bit for bit, whenever it was killed.

A checkpoint holds the parameters, Adam's moments and step, the epoch, and a JSON record of the caller's. Random streams
need no saving (`randomness.py`). A checksum over everything is kept in the header, because safetensors does not notice
a flipped bit.
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
    """Write `state` and the caller's `record` (JSON values) to `path`, replacing what was there in one step."""
    tensors = {f"network/{name}": value.detach().cpu().contiguous() for name, value in state.network.named_parameters()}
    moments = state.optimiser.state_dict()["state"]
    for index, (name, _) in enumerate(state.network.named_parameters()):
        for moment in _MOMENTS if index in moments else ():
            tensors[f"adam/{moment}/{name}"] = moments[index][moment].detach().cpu().contiguous()
    header = json.dumps({"epoch": state.epoch, "record": record}, sort_keys=True)
    write_file(path, save(tensors, {"header": header, "sha256": _digest(header, tensors)}))


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], int, dict[str, Any]]:
    """Read tensors, epoch and record, or raise ArtefactError if the file is damaged."""
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
    """Put what `load_checkpoint` read into a fresh `state`, or raise ArtefactError if it is of another network."""
    shapes = {f"network/{name}": parameter.shape for name, parameter in state.network.named_parameters()}
    if shapes != {name: tensor.shape for name, tensor in tensors.items() if name.startswith("network/")}:
        raise ArtefactError(
            "a checkpoint must hold the parameters of this network; it holds those of another. Remove it to start over."
        )
    names = [name for name, _ in state.network.named_parameters()]
    state.network.load_state_dict({name: tensors[f"network/{name}"] for name in names})
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
