"""eSASRec gives the results of its equations, with torch's own attention, and a gate can close a branch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from caser.errors import ConfigError
from caser.models.sessions.esasrec import ESASRec
from tests.models.sessions.session_models import Network, a_history, network_of, parameters_of, states_of

LENGTH = 7


def attention(config: ESASRec, p: dict[str, Tensor], block: int, y: Tensor) -> Tensor:
    """Torch's causal attention, (X, d), which also has biases of keys and values."""
    torch.manual_seed(block)
    theirs = torch.nn.MultiheadAttention(config.d, config.num_heads, dtype=torch.float64).eval()
    bias_of_keys, bias_of_values = torch.randn(2, config.d, dtype=torch.float64)
    weights = {
        "in_proj_weight": p["A"][block].T,
        "in_proj_bias": torch.cat([p["bQ"][block], bias_of_keys, bias_of_values]),
        "out_proj.weight": p["WO"][block].T,
        "out_proj.bias": p["bO"][block] - bias_of_values @ p["WO"][block],
    }
    theirs.load_state_dict(weights)
    later = torch.ones(len(y), len(y), dtype=torch.bool).triu(1)
    with torch.no_grad():
        attended, _ = theirs(y, y, y, attn_mask=later, need_weights=False)
    assert isinstance(attended, Tensor)
    return attended


def equations(config: ESASRec, p: dict[str, Tensor], items: Tensor) -> Tensor:
    """The state after each item, (X, d), block by block."""
    d, hidden = config.d, config.expansion * config.d
    x = p["Q"][items] + p["P"][: len(items)]
    for block in range(config.num_blocks):
        gate = torch.sigmoid(functional.linear(x, p["G"][block, 0].T, p["bG"][block, 0]))
        x = x + gate * attention(config, p, block, functional.layer_norm(x, (d,), *p["N"][block, 0]))
        gate = torch.sigmoid(functional.linear(x, p["G"][block, 1].T, p["bG"][block, 1]))
        y = functional.layer_norm(x, (d,), *p["N"][block, 1])
        swiglu = functional.silu(y @ p["W1"][block, :, :hidden]) * (y @ p["W1"][block, :, hidden:])
        x = x + gate * (swiglu @ p["W2"][block])
    return x


@pytest.mark.parametrize("num_blocks", [1, 2])
@pytest.mark.parametrize(("num_heads", "expansion"), [(1, 1), (3, 4)])
def test_its_states_are_those_of_the_equations(num_blocks: int, num_heads: int, expansion: int) -> None:
    config = ESASRec(d=6, num_blocks=num_blocks, num_heads=num_heads, expansion=expansion, max_length=LENGTH)
    network, items = network_of(config), a_history(LENGTH)
    found = states_of(network, items[None])[0]
    torch.testing.assert_close(found, equations(config, parameters_of(network), items), rtol=0, atol=1e-9)


def test_one_block_of_width_one_by_hand() -> None:
    # A vector of one number is always normalised to 0, so each branch gives its shift or its bias alone.
    config = ESASRec(d=1, num_blocks=1, expansion=1, max_length=2)
    network = network_of(config)
    values: dict[str, Any] = {
        "Q": [[0], [2]],
        "P": [[1], [5]],
        "A": [[[1, 1, 1]]],
        "bQ": [[0]],
        "WO": [[[4]]],
        "bO": [[1]],
        "W1": [[[1, 3]]],
        "W2": [[[2]]],
        "G": [[[[0]], [[0]]]],
        "bG": [[[0], [0]]],
        "N": [[[[1], [0.5]], [[1], [1]]]],
    }
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter[: len(values[name])] = torch.tensor(values[name], dtype=torch.float64)
    # The input is 2 + 1. Attention gives 4 * 0.5 + 1 = 3, and half of it passes. The layers give 2 * silu(1) * 3.
    silu_1 = 1 / (1 + torch.e**-1)
    expected = 3 + 0.5 * 3 + 0.5 * 2 * silu_1 * 3
    assert states_of(network, torch.tensor([[1]])).item() == pytest.approx(expected)


def closed(network: Network, gates: list[int]) -> Network:
    """The network after some of the two gates of every block are set to 0."""
    with torch.no_grad():
        network.get_parameter("G")[:, gates] = 0
        network.get_parameter("bG")[:, gates] = -torch.inf
    return network


def test_a_closed_gate_of_attention_lets_no_earlier_item_through() -> None:
    network = network_of(ESASRec(d=6, max_length=LENGTH))
    first, second = torch.tensor([[4, 2, 7]]), torch.tensor([[5, 9, 7]])
    assert not torch.allclose(states_of(network, first)[:, -1], states_of(network, second)[:, -1])
    network = closed(network, [0])
    assert torch.equal(states_of(network, first)[:, -1], states_of(network, second)[:, -1])


def test_with_both_gates_closed_a_state_is_the_input() -> None:
    network, items = closed(network_of(ESASRec(d=6, max_length=LENGTH)), [0, 1]), a_history(LENGTH)
    p = parameters_of(network)
    assert torch.equal(states_of(network, items[None])[0], p["Q"][items] + p["P"])


def test_padding_among_the_items_changes_nothing() -> None:
    network = network_of(ESASRec(d=6, max_length=LENGTH))
    with_gap, without = torch.tensor([[4, 0, 2, 7]]), torch.tensor([[4, 2, 7]])
    torch.testing.assert_close(states_of(network, with_gap)[:, -1], states_of(network, without)[:, -1])


def test_order_matters_and_so_does_an_item_far_back() -> None:
    network = network_of(ESASRec(d=6, max_length=LENGTH))
    first, swapped, other = (
        states_of(network, torch.tensor([row]))[0, -1] for row in ([1, 2, 3], [2, 1, 3], [9, 2, 3])
    )
    assert not torch.allclose(first, swapped)
    assert not torch.allclose(first, other)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ConfigError, match="ESASRec num_heads must divide d = 64; got 3"):
        ESASRec(num_heads=3)
