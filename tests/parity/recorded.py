"""Recorded results of earlier versions, to compare with: loss traces, digests of weights, and saved runs.

`python -m tests.parity.recorded traces` trains anew and adds the digests of this kind of machine; where the traces
differ from those on record, it says so and writes nothing. `... runs FOLDER` saves one run of every model, with its
answers, as a new version of the library would record them; `... runs FOLDER MODEL` adds the run of one new model.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caser.answering.recommender import Recommender
from caser.config import Training
from caser.data.split import leave_one_out
from caser.data.synthetic import chain_world
from caser.data.tape import Tape
from caser.models import MODELS, model_settings, network_settings
from caser.training.loop import start
from tests.runs import fitted
from tests.training.runs import train_on

FOLDER = Path(__file__).parent / "data" / "recorded"
TRACES = FOLDER / "traces.json"
ANSWERS = "answers.json"

LOG = chain_world(num_users=60, num_items=30, length=14, seed=3).log
TAPE = Tape.from_log(LOG)
TRAINED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "caser, softmax": ("caser", {"L": 3, "T": 2, "d": 8, "n_v": 2, "n_h": 3, "dropout": 0.25}, {}),
    "caser, as in the paper": (
        "caser",
        {"L": 5, "T": 3, "d": 8, "n_v": 2, "n_h": 3},
        {"loss": "bce", "positions": "full", "learning_rate": 1e-3, "unseen_negatives": True},
    ),
    "gru4rec": ("gru4rec", {"d": 8, "max_length": 8}, {}),
    "sasrec": ("sasrec", {"d": 8, "num_blocks": 1, "max_length": 8}, {}),
    "bpr-mf": ("bpr-mf", {"d": 8}, {"loss": "bpr", "num_negatives": 1, "unseen_negatives": True}),
}
"""By name: the model, its settings, and how it is trained where that is not the default."""

SMALL: dict[str, dict[str, Any]] = {
    "blend": {"first": "markov", "weight": 0.9},
    "bpr-mf": {"d": 4},
    "caser": {"L": 3, "T": 1, "d": 4, "n_v": 1, "n_h": 2},
    "esasrec": {"d": 4, "num_blocks": 1, "expansion": 2, "max_length": 8},
    "fpmc": {"d": 4},
    "gru4rec": {"d": 4, "max_length": 8},
    "nextitnet": {"d": 4, "dilations": (1,), "kernel": 2, "max_length": 8},
    "sasrec": {"d": 4, "num_blocks": 1, "max_length": 8},
}
"""Settings that keep a saved run small."""


def trained(name: str) -> tuple[list[float], str]:
    """The loss of each epoch, and the SHA-256 of the weights after the last, on one thread."""
    model, settings, how = TRAINED[name]
    config = network_settings(model, settings)
    plain = {"schedule": "constant", "averaging": 0, "weight_decay": 1e-6}
    training = Training(**{"epochs": 3, "batch_size": 128, "device": "cpu", "seed": 5, **plain, **how})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        state = start(config.build(LOG.num_users, LOG.num_items, training.seed), training)
        losses = [epoch.loss for epoch in train_on(state, TAPE, training, num_targets=config.num_targets)]
    finally:
        torch.set_num_threads(threads)
    hasher = hashlib.sha256()
    for parameter, tensor in sorted(state.network.named_parameters()):
        hasher.update(parameter.encode())
        hasher.update(np.ascontiguousarray(tensor.detach().numpy()).tobytes())
    return losses, hasher.hexdigest()


def machine() -> str:
    """The processor and the version of torch, on which the last digit of a product depends."""
    facts: dict[str, str] = {}
    path = Path("/proc/cpuinfo")
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    processor = [facts.get(key, "?") for key in ("vendor_id", "cpu family", "model")]
    return " ".join([*processor, torch.backends.cpu.get_cpu_capability(), "torch", torch.__version__.partition("+")[0]])


def answers(recommender: Recommender) -> list[dict[str, Any]]:
    """The answers of a run for three known users and for the history of an unknown user."""
    users = recommender.artefact.users.raw([1, 2, 7])
    items = recommender.artefact.items.raw([3, 5, 8])
    return [
        *recommender.recommend(users=users, k=5).to_dicts(),
        *recommender.recommend(histories=[items], k=5).to_dicts(),
    ]


def record_traces() -> None:
    """Add the digests of this machine to the traces on record."""
    kept = json.loads(TRACES.read_text(encoding="utf-8")) if TRACES.exists() else {}
    for name in TRAINED:
        losses, digest = trained(name)
        known = kept.setdefault(name, {"losses": losses, "sha256": {}})
        if losses != pytest.approx(known["losses"], rel=1e-4):
            sys.exit(f"{name}: the losses {losses} are not those on record, {known['losses']}; nothing was written")
        known["sha256"][machine()] = digest
    TRACES.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def record_runs(folder: Path, names: Iterable[str]) -> None:
    """Save a run of each model, and add its answers to those in the folder."""
    split = leave_one_out(chain_world(num_users=20, num_items=12, length=9, seed=4).log)
    path = folder / ANSWERS
    said = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name in names:
        training = Training(epochs=2, batch_size=64, device="cpu", seed=5)
        recommender = fitted(model_settings(name, SMALL.get(name)), split, training, epochs=2)
        recommender.save(folder / name)
        said[name] = answers(recommender)
    path.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record_traces() if sys.argv[1] == "traces" else record_runs(Path(sys.argv[2]), sys.argv[3:] or MODELS)
