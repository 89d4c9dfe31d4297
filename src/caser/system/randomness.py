"""One seed, many independent streams of random numbers, each with a name.

A stream is a function of (seed, name, counters) and of nothing else, so nothing about it needs to be saved: a run
that resumes at epoch 7 asks for the stream ("negatives", 7) and gets what the unbroken run got. Names in use:
`initialisation`, `order`, `negatives`, `dropout`, `world`, `bootstrap`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream_seed(seed: int, name: str, *counters: int) -> int:
    """Return the 63-bit seed of a named stream.

    >>> stream_seed(1, "order", 3) == stream_seed(1, "order", 3)
    True
    >>> stream_seed(1, "order", 3) == stream_seed(1, "negatives", 3)
    False
    """
    text = "/".join([str(seed), name, *map(str, counters)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def numpy_generator(seed: int, name: str, *counters: int) -> np.random.Generator:
    """Return NumPy's generator for the stream `(seed, name, counters)`."""
    return np.random.default_rng(stream_seed(seed, name, *counters))


def torch_generator(seed: int, name: str, *counters: int, device: str | torch.device = "cpu") -> torch.Generator:
    """Return torch's generator for the stream `(seed, name, counters)` on `device`."""
    import torch

    return torch.Generator(device=device).manual_seed(stream_seed(seed, name, *counters))
