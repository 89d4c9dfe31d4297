"""Dropout that draws from a given generator, which torch's own dropout cannot do. Needs torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def dropout(values: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Set a share of the values to zero and scale up the others, so that the mean stays the same (inverted dropout).

    values     floats of any shape
    share      the share of values to drop, from 0 to 255/256; rounded to a multiple of 1/256, because comparing random
               bytes with a threshold is far cheaper than drawing random floats
    generator  the source of randomness, on the device of the values; None for torch's global one

    Returns floats of the same shape.

    >>> dropout(torch.ones(2), share=0.0, generator=None)
    tensor([1., 1.])
    """
    threshold = dropout_threshold(share)
    if threshold == 0:
        return values
    noise = random_bytes(values.shape, generator, values.device)
    return values * (noise >= threshold).to(values.dtype).mul_(256 / (256 - threshold))


def dropout_threshold(share: float) -> int:
    """Return the threshold for a share: a value is dropped where its random byte is below it.

    share  the share of values to drop

    >>> dropout_threshold(0.5)
    128
    """
    return round(share * 256)


def random_bytes(shape: tuple[int, ...], generator: torch.Generator | None, device: torch.device) -> Tensor:
    """Draw uniform random bytes, eight with each draw.

    shape      the shape of the result
    generator  the source of randomness; None for torch's global one
    device     the device of the result

    Returns uint8 of the given shape.

    >>> random_bytes((2, 3), torch.Generator().manual_seed(0), torch.device("cpu")).shape
    torch.Size([2, 3])
    """
    number = math.prod(shape)
    words = torch.empty(-(-number // 8), dtype=torch.int64, device=device)
    return words.random_(-(2**63), None, generator=generator).view(torch.uint8)[:number].view(shape)
