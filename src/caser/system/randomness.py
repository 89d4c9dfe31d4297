"""Independent streams of random numbers, made from one seed; each stream has a name.

A stream depends on (seed, name, counters) and on nothing else, so no state of a generator is ever saved. A run that
resumes at epoch 7 asks for the stream ("negatives", 7) and gets the numbers that an uninterrupted run gets. Names in
use: `initialisation`, `order`, `negatives`, `dropout`, `world`, `bootstrap`, `tuning`, `new users`,
`random split`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream_seed(seed: int, name: str, *counters: int) -> int:
    """Return the seed of a named stream, an integer from 0 to 2**63 - 1.

    seed      the seed of the whole run, any integer
    name      what the numbers are for
    counters  place within the run, such as the epoch and the step

    >>> stream_seed(1, "order", 3) == stream_seed(1, "order", 3)
    True
    >>> stream_seed(1, "order", 3) == stream_seed(1, "negatives", 3)
    False
    """
    text = "/".join([str(seed), name, *map(str, counters)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def numpy_generator(seed: int, name: str, *counters: int) -> np.random.Generator:
    """Return a NumPy generator of a named stream.

    seed, name, counters  as for `stream_seed`
    """
    return np.random.default_rng(stream_seed(seed, name, *counters))


def torch_generator(seed: int, name: str, *counters: int, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a torch generator of a named stream.

    seed, name, counters  as for `stream_seed`        device  where the numbers are drawn
    """
    import torch

    return torch.Generator(device=device).manual_seed(stream_seed(seed, name, *counters))
