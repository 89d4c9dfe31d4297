"""SASRec gives the results of its equations, computed item by item and head by head."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from caser.errors import ConfigError
from caser.models.sessions.sasrec import SASRec
from tests.models.sessions.session_models import a_history, network_of, parameters_of, states_of

LENGTH = 7


def equations(config: SASRec, p: dict[str, Tensor], items: Tensor) -> Tensor:
    """The state after each item, (X, d), by the paper's equations."""
    d, width = config.d, config.d // config.num_heads
    rows = [d**0.5 * p["Q"][item] + p["P"][place] for place, item in enumerate(items)]
    for block in range(config.num_blocks):
        normal = [functional.layer_norm(row, (d,), *p["N"][block, 0]) for row in rows]
        W_Q, W_K, W_V = torch.split(p["A"][block], d, dim=1)
        for x in range(len(rows)):
            heads = []
            for head in range(config.num_heads):
                own = slice(head * width, (head + 1) * width)
                q = (normal[x] @ W_Q)[own]
                weights = torch.stack([q @ (y @ W_K)[own] / width**0.5 for y in normal[: x + 1]]).softmax(0)
                heads.append(sum(w * (y @ W_V)[own] for w, y in zip(weights, normal, strict=False)))
            rows[x] = rows[x] + torch.cat(heads)
        normal = [functional.layer_norm(row, (d,), *p["N"][block, 1]) for row in rows]
        layers = [torch.relu(y @ p["W1"][block] + p["b1"][block]) @ p["W2"][block] + p["b2"][block] for y in normal]
        rows = [row + layer for row, layer in zip(rows, layers, strict=True)]
    return torch.stack([functional.layer_norm(row, (d,), *p["n"]) for row in rows])


@pytest.mark.parametrize("num_blocks", [1, 2])
@pytest.mark.parametrize("num_heads", [1, 3])
def test_its_states_are_those_of_the_equations(num_blocks: int, num_heads: int) -> None:
    config = SASRec(d=6, num_blocks=num_blocks, num_heads=num_heads, max_length=LENGTH)
    network, items = network_of(config), a_history(LENGTH)
    found = states_of(network, items[None])[0]
    torch.testing.assert_close(found, equations(config, parameters_of(network), items), rtol=0, atol=1e-9)


def test_padding_among_the_items_changes_nothing() -> None:
    network = network_of(SASRec(d=6, max_length=LENGTH))
    with_gap, without = torch.tensor([[4, 0, 2, 7]]), torch.tensor([[4, 2, 7]])
    torch.testing.assert_close(states_of(network, with_gap)[:, -1], states_of(network, without)[:, -1])


def test_order_matters_and_so_does_an_item_far_back() -> None:
    network = network_of(SASRec(d=6, max_length=LENGTH))
    first, swapped, other = (
        states_of(network, torch.tensor([row]))[0, -1] for row in ([1, 2, 3], [2, 1, 3], [9, 2, 3])
    )
    assert not torch.allclose(first, swapped)
    assert not torch.allclose(first, other)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ConfigError, match="SASRec num_heads must divide d = 64; got 3"):
        SASRec(num_heads=3)
