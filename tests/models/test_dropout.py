"""Dropout drops the given share, keeps the mean, and draws from its own generator."""

from __future__ import annotations

import pytest
import torch

from caser.models.dropout import dropout
from caser.system.randomness import torch_generator


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_it_drops_its_share_and_keeps_the_mean(share: float) -> None:
    dropped = dropout(torch.ones(200_000, dtype=torch.float64), share, torch_generator(0, "dropout", 1))
    assert abs(float((dropped == 0).double().mean()) - share) < 0.01
    assert abs(float(dropped.mean()) - 1) < 0.01
    assert len(set(dropped.tolist())) == 2


def test_a_share_of_zero_changes_nothing_and_draws_nothing() -> None:
    generator = torch_generator(0, "dropout", 1)
    before = generator.get_state()
    values = torch.arange(5.0)
    assert torch.equal(dropout(values, 0.0, generator), values)
    assert torch.equal(generator.get_state(), before)


def test_the_same_seed_drops_the_same_values() -> None:
    values = torch.ones(100)
    first, same, other = (dropout(values, 0.5, torch_generator(0, "dropout", epoch)) for epoch in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
