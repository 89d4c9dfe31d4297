"""`caser doctor`: what this machine has, how fast it is, and what to change."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from caser import __version__
from caser.cli import show
from caser.cli.flags import Switch
from caser.data.datasets import cache_folder

PACKAGES = ("numpy", "polars", "scipy", "pydantic", "safetensors", "torch", "optuna", "plotly", "matplotlib")


def doctor(*, json: Switch = False) -> None:
    """Check the installation, measure threads, and give advice.

    Parameters
    ----------
    json
        Print one JSON document instead of tables.

    """
    versions = {package: _version(package) for package in PACKAGES}
    facts: dict[str, Any] = {
        "caser": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "cache": str(cache_folder()),
        "free disk, GB": round(shutil.disk_usage(_existing(cache_folder())).free / 1e9, 1),
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY"),
        **{f"version of {package}": found for package, found in versions.items()},
    }
    advice = []
    if versions["torch"] is None:
        advice.append(
            "torch is missing, so neural models cannot be trained (they can answer). Run: pip install 'caser[train]'"
        )
    else:
        measured = _measure_torch()
        facts.update(measured["facts"])
        advice.extend(measured["advice"])
    if facts["free disk, GB"] < 1:
        advice.append("less than 1 GB is free for the cache; move it with CASER_CACHE.")
    if json:
        show.document({"facts": facts, "advice": advice})
        return
    show.table("this machine", ["", ""], list(facts.items()))
    for sentence in advice or ["nothing to change."]:
        show.remark(sentence)


def _measure_torch() -> dict[str, Any]:
    """Time one training step with each number of threads."""
    import torch

    from caser.config import Training
    from caser.data.tape import Tape
    from caser.models.caser import Caser
    from caser.training.loop import choose_device, start, train

    generator = np.random.default_rng(0)
    tape = Tape.from_sequences(generator.integers(1, 3001, (200, 100)).tolist(), num_items=3000)
    training = Training(epochs=1_000, device="auto")
    before = torch.get_num_threads()
    rates = {}
    for threads in sorted({1, before}):
        torch.set_num_threads(threads)
        state = start(Caser().build(tape.num_users, tape.num_items, seed=0), training)
        epochs = train(state, tape, training, num_targets=3)
        next(epochs)
        rates[threads] = max(epoch.num_states / epoch.seconds for epoch in (next(epochs), next(epochs)))
    torch.set_num_threads(before)
    best = max(rates, key=lambda threads: rates[threads])
    device = choose_device("auto")
    facts = {
        "device": str(device),
        **{f"positions/s, {threads} threads": round(rate) for threads, rate in rates.items()},
    }
    advice = []
    if best != before and device.type == "cpu":
        advice.append(f"{best} thread(s) train faster than {before} here: set OMP_NUM_THREADS={best}.")
    if os.environ.get("OMP_WAIT_POLICY", "").upper() != "PASSIVE":
        advice.append("set OMP_WAIT_POLICY=PASSIVE before torch is imported; the caser command does it by itself.")
    return {"facts": facts, "advice": advice}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _existing(folder: Any) -> Any:
    while not folder.exists():
        folder = folder.parent
    return folder
