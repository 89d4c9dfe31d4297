"""Dropout that draws from a generator of its own, which torch's does not. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor


def dropout(values: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Zero a share of the values and scale the others up so that the mean stays (inverted dropout).

    The share is rounded to a multiple of 1/256: random bytes against a threshold are ten times cheaper than random
    floats.

    >>> dropout(torch.ones(2), share=0.0, generator=None)
    tensor([1., 1.])
    """
    threshold = round(share * 256)
    if threshold == 0:
        return values
    noise = torch.empty(values.shape, dtype=torch.uint8, device=values.device)
    noise.random_(generator=generator)
    return values * (noise >= threshold).to(values.dtype).mul_(256 / (256 - threshold))
