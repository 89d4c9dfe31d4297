"""`caser doctor`: what is installed, how fast this machine trains, and what to change."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from caser import __version__
from caser.cli import show
from caser.cli.flags import Switch
from caser.data.datasets import cache_folder
from caser.errors import DownloadError
from caser.fitting.fit import version_of
from caser.system.hints import install_line

BATCH_SIZES = (512, 2048, 8192)
"""Sizes of a batch, in positions, that are measured."""

PACKAGES = ("numpy", "polars", "scipy", "pydantic", "safetensors", "torch", "optuna", "plotly", "matplotlib", "numba")
_NUM_USERS = 200
"""Number of users that the measurement trains on, with 100 interactions each."""

_NOTICEABLE = 1.1
"""A ratio of two speeds from which the difference is noticeable."""


def doctor(*, json: Switch = False) -> None:
    """Check the installation, measure threads, number types and batch sizes for some seconds, and give advice.

    Parameters
    ----------
    json
        Print one JSON document instead of tables.

    """
    facts, advice = _installation()
    if version_of("torch") is None:
        advice.insert(0, f"torch is missing: networks can answer, but not be trained. Type: {install_line('train')}")
    else:
        measured = _measure_torch()
        facts.update(measured["facts"])
        advice = [*measured["advice"], *advice]
    if json:
        show.document({"facts": facts, "advice": advice})
        return
    show.table("this machine", ["", ""], list(facts.items()))
    for sentence in advice or ["nothing to change."]:
        show.remark(sentence)


def _installation() -> tuple[dict[str, Any], list[str]]:
    """Return facts of the installation and of the machine, and advice on them."""
    try:
        folder = cache_folder()
    except DownloadError as error:
        folder, no_cache = Path.cwd(), [str(error)]
    else:
        no_cache = []
    free = round(shutil.disk_usage(_existing(folder)).free / 1e9, 1)
    facts: dict[str, Any] = {
        "caser": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "cache": None if no_cache else str(folder),
        "free disk, GB": free,
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY"),
        **{f"version of {package}": version_of(package) for package in PACKAGES},
    }
    return facts, no_cache + ["less than 1 GB is free for the cache; move it with CASER_CACHE."] * (free < 1)


def _measure_torch() -> dict[str, Any]:
    """Measure the training of a small Caser by threads and by batch size, and products by number type, in seconds."""
    import torch

    from caser.training.loop import choose_device

    device, now = choose_device("auto"), torch.get_num_threads()
    by_threads: dict[int, float] = {}
    try:
        if device.type == "cpu":
            by_threads = _best_rates(_thread_counts(now), lambda threads: _positions_per_second(2048, threads))
        best = max(by_threads, key=lambda threads: by_threads[threads], default=now)
        by_batch = _best_rates(BATCH_SIZES, lambda size: _positions_per_second(size, best))
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
        advice.append("leave OMP_WAIT_POLICY unset, or set it to PASSIVE: idle threads then sleep.")
    return {"facts": facts, "advice": advice}


def advise_threads(rates: Mapping[int, float], now: int) -> str:
    """Return one sentence on the number of threads.

    rates  positions per second, by number of threads      now  the present number of threads

    >>> advise_threads({1: 100.0, 2: 80.0}, now=2)
    'threads: 1 trains 1.25 times as fast as the present 2; set OMP_NUM_THREADS=1.'
    """
    best = max(rates, key=lambda threads: rates[threads])
    gain = rates[best] / rates[now]
    if gain < _NOTICEABLE:
        return f"threads: keep the present {now}; no other number trains noticeably faster here."
    return f"threads: {best} trains {gain:.3g} times as fast as the present {now}; set OMP_NUM_THREADS={best}."


def advise_type(rates: Mapping[str, float]) -> str:
    """Return one sentence on the number type.

    rates  rate of matrix products, by number type

    >>> advise_type({"float32": 100.0, "bfloat16": 60.0})
    'type: float32 is right for products here; those in bfloat16 run at 0.6 times its rate.'
    """
    ratio = rates["bfloat16"] / rates["float32"]
    if ratio < _NOTICEABLE:
        return f"type: float32 is right for products here; those in bfloat16 run at {ratio:.2g} times its rate."
    return f"type: bfloat16 products run at {ratio:.2g} times the rate of float32; --precision auto takes them."


def advise_batch(rates: Mapping[int, float]) -> str:
    """Return one sentence on the batch size: the smallest that is about as fast as the fastest.

    rates  positions per second, by batch size

    >>> advise_batch({512: 60.0, 2048: 95.0, 8192: 100.0})
    'batch: 2048 positions are enough for speed here (--batch-size 2048); larger ones gain less than 10 %.'
    """
    fastest = max(rates.values())
    size = min(size for size, rate in rates.items() if rate * _NOTICEABLE >= fastest)
    return f"batch: {size} positions are enough for speed here (--batch-size {size}); larger ones gain less than 10 %."


def _thread_counts(now: int) -> list[int]:
    """Return 1, 2, 4, ... up to the number of processors, and the present number of threads."""
    processors = os.cpu_count() or 1
    return sorted({1 << power for power in range(processors.bit_length())} | {processors, now})


def _best_rates(cases: Sequence[int], rate: Callable[[int], float]) -> dict[int, float]:
    """Measure each case three times, in rounds, and return its best rate: other load then slows no case alone."""
    rounds = [[rate(case) for case in cases] for _ in range(3)]
    return dict(zip(cases, map(max, zip(*rounds, strict=True)), strict=True))


def _positions_per_second(batch_size: int, threads: int) -> float:
    """Return how many positions a small Caser trains per second, in its second epoch."""
    import torch

    from caser.config import Training
    from caser.data.tape import Tape
    from caser.models.caser.caser import Caser
    from caser.training.lanes import batches_of
    from caser.training.loop import start, train

    torch.set_num_threads(threads)
    items = np.random.default_rng(0).integers(1, 3001, (_NUM_USERS, 100), dtype=np.int32)
    tape = Tape.from_sequences(items.tolist(), num_items=3000)
    training = Training(loss="bce", batch_size=batch_size, epochs=2)
    state = start(Caser().build(tape.num_users, tape.num_items, seed=0), training)
    _, epoch = train(state, batches_of(tape, state.network, training, num_targets=3), training)
    return epoch.num_states / epoch.seconds


def _product_rate(name: str, device: str) -> float:
    """Return the best rate of matrix products in a number type, in 10^9 floating-point operations per second."""
    import torch

    left, right = (torch.randn(1024, 1024, device=device).to(getattr(torch, name)) for _ in range(2))
    seconds = []
    for _ in range(6):
        began = time.perf_counter()
        (left @ right)[0, 0].item()
        seconds.append(time.perf_counter() - began)
    return 2 * 1024**3 / min(seconds) / 1e9


def _existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    while not folder.exists():
        folder = folder.parent
    return folder
