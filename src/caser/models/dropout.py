"""Dropout that draws from a generator of its own, which torch's does not. Needs torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def dropout(values: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Zero a share of the values and scale the others up so that the mean stays (inverted dropout).

    The share is rounded to a multiple of 1/256: random bytes against a threshold are far cheaper than random floats.

    >>> dropout(torch.ones(2), share=0.0, generator=None)
    tensor([1., 1.])
    """
    threshold = dropout_threshold(share)
    if threshold == 0:
        return values
    noise = random_bytes(values.shape, generator, values.device)
    return values * (noise >= threshold).to(values.dtype).mul_(256 / (256 - threshold))


def dropout_threshold(share: float) -> int:
    """A value is dropped where its random byte is below this.

    >>> dropout_threshold(0.5)
    128
    """
    return round(share * 256)


def random_bytes(shape: tuple[int, ...], generator: torch.Generator | None, device: torch.device) -> Tensor:
    """Uniform bytes, uint8, eight to each draw.

    >>> random_bytes((2, 3), torch.Generator().manual_seed(0), torch.device("cpu")).shape
    torch.Size([2, 3])
    """
    number = math.prod(shape)
    words = torch.empty(-(-number // 8), dtype=torch.int64, device=device)
    return words.random_(-(2**63), None, generator=generator).view(torch.uint8)[:number].view(shape)
