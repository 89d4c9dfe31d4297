"""`caser doctor`: what this machine has, how fast it is, and what to change."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from caser import __version__
from caser.cli import show
from caser.cli.flags import Switch
from caser.data.datasets import cache_folder

BATCH_SIZES = (512, 2048, 8192)
PACKAGES = ("numpy", "polars", "scipy", "pydantic", "safetensors", "torch", "optuna", "plotly", "matplotlib", "numba")
_NUM_USERS = 200
"""Users that the measurement trains on, of 100 items each."""
_WORTH_IT = 1.1
"""How many times as fast is noticeably faster."""


def doctor(*, json: Switch = False) -> None:
    """Check the installation, measure threads, types and batches for some seconds, and give advice.

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
    """Measure a step of a small Caser by threads and by batch, and products by type: a few seconds."""
    import torch

    from caser.training.loop import choose_device

    device, now = choose_device("auto"), torch.get_num_threads()
    by_threads: dict[int, float] = {}
    try:
        if device.type == "cpu":
            by_threads = _in_turns(_thread_counts(now), lambda threads: _positions_per_second(2048, threads))
        best = max(by_threads, key=lambda threads: by_threads[threads], default=now)
        by_batch = _in_turns(BATCH_SIZES, lambda size: _positions_per_second(size, best))
        products = {name: _product_rate(name, device.type) for name in ("float32", "bfloat16")}
    finally:
        torch.set_num_threads(now)
    facts = {
        "device": str(device),
        **{f"positions/s, {threads} threads": round(rate) for threads, rate in by_threads.items()},
        **{f"positions/s, batches of {size}": round(rate) for size, rate in by_batch.items()},
        **{f"products in {name}, GFLOP/s": round(rate) for name, rate in products.items()},
    }
    advice = [advise_threads(by_threads, now)] if by_threads else []
    advice += [advise_type(products), advise_batch(by_batch)]
    if os.environ.get("OMP_WAIT_POLICY", "").upper() != "PASSIVE":
        advice.append("set OMP_WAIT_POLICY=PASSIVE before torch is imported; the caser command does it by itself.")
    return {"facts": facts, "advice": advice}


def advise_threads(rates: Mapping[int, float], now: int) -> str:
    """One sentence on the number of threads, given positions per second by threads.

    >>> advise_threads({1: 100.0, 2: 80.0}, now=2)
    'threads: 1 trains 1.25 times as fast as the 2 of now; set OMP_NUM_THREADS=1.'
    """
    best = max(rates, key=lambda threads: rates[threads])
    gain = rates[best] / rates[now]
    if gain < _WORTH_IT:
        return f"threads: keep the {now} of now; no other number trains noticeably faster here."
    return f"threads: {best} trains {gain:.3g} times as fast as the {now} of now; set OMP_NUM_THREADS={best}."


def advise_type(rates: Mapping[str, float]) -> str:
    """One sentence on the type of numbers, given the rate of products by type.

    >>> advise_type({"float32": 100.0, "bfloat16": 60.0})
    'type: float32, in which caser trains, is right; bfloat16 products run at 0.6 times its rate.'
    """
    ratio = rates["bfloat16"] / rates["float32"]
    if ratio < _WORTH_IT:
        return f"type: float32, in which caser trains, is right; bfloat16 products run at {ratio:.2g} times its rate."
    return f"type: bfloat16 products run at {ratio:.2g} times the rate of float32, but caser trains in float32."


def advise_batch(rates: Mapping[int, float]) -> str:
    """One sentence on the batch: the smallest that is about as fast as the fastest, given positions per second by size.

    >>> advise_batch({512: 60.0, 2048: 95.0, 8192: 100.0})
    'batch: 2048 positions are enough for speed here (--batch-size 2048); larger ones gain less than 10 %.'
    """
    fastest = max(rates.values())
    size = min(size for size, rate in rates.items() if rate * _WORTH_IT >= fastest)
    return f"batch: {size} positions are enough for speed here (--batch-size {size}); larger ones gain less than 10 %."


def _thread_counts(now: int) -> list[int]:
    """1, 2, 4, ... up to all processors, and the number of now."""
    processors = os.cpu_count() or 1
    return sorted({1 << power for power in range(processors.bit_length())} | {processors, now})


def _in_turns(cases: Sequence[int], rate: Callable[[int], float]) -> dict[int, float]:
    """The best rate of each case in three turns: what else the machine does hits all alike, and not always."""
    turns = [[rate(case) for case in cases] for _ in range(3)]
    return dict(zip(cases, map(max, zip(*turns, strict=True)), strict=True))


def _positions_per_second(batch_size: int, threads: int) -> float:
    """Positions that a small Caser trains in a second, in its second epoch."""
    import torch

    from caser.config import Training
    from caser.data.tape import Tape
    from caser.models.caser.caser import Caser
    from caser.training.loop import start, train

    torch.set_num_threads(threads)
    items = np.random.default_rng(0).integers(1, 3001, (_NUM_USERS, 100), dtype=np.int32)
    tape = Tape.from_sequences(items.tolist(), num_items=3000)
    training = Training(loss="bce", batch_size=batch_size, epochs=2)
    state = start(Caser().build(tape.num_users, tape.num_items, seed=0), training)
    _, epoch = train(state, tape, training, num_targets=3)
    return epoch.num_states / epoch.seconds


def _product_rate(name: str, device: str) -> float:
    """10^9 floating-point operations a second of products in a type, at best."""
    import torch

    left, right = (torch.randn(1024, 1024, device=device).to(getattr(torch, name)) for _ in range(2))
    seconds = []
    for _ in range(6):
        began = time.perf_counter()
        (left @ right)[0, 0].item()
        seconds.append(time.perf_counter() - began)
    return 2 * 1024**3 / min(seconds) / 1e9


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _existing(folder: Any) -> Any:
    while not folder.exists():
        folder = folder.parent
    return folder
