"""NextItNet gives the states of torch's convolution over a history without padding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from caser.models.sessions.nextitnet import NextItNet
from tests.models.sessions.session_models import a_history, network_of, parameters_of, states_of

LENGTH = 12


def equations(config: NextItNet, p: dict[str, Tensor], items: Tensor) -> Tensor:
    """The state after each item, (X, d), with one `conv1d` per layer."""
    x, layer = p["Q"][items], 0
    for dilation in config.dilations:
        y = x
        for gap in (dilation, 2 * dilation):
            kernel_ock = p["K"][layer].view(config.kernel, config.d, config.d).permute(2, 1, 0)
            padded = functional.pad(y.T[None], ((config.kernel - 1) * gap, 0))
            y = functional.conv1d(padded, kernel_ock, p["bK"][layer], dilation=gap)[0].T
            y = functional.layer_norm(y, (config.d,), *p["N"][layer]).relu()
            layer += 1
        x = x + y
    return x


@pytest.mark.parametrize("dilations", [(1,), (1, 2), (3, 1)])
@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_its_states_are_those_of_dilated_convolutions(dilations: tuple[int, ...], kernel: int) -> None:
    config = NextItNet(d=4, dilations=dilations, kernel=kernel, max_length=LENGTH)
    network, items = network_of(config), a_history(LENGTH)
    found = states_of(network, items[None])[0]
    torch.testing.assert_close(found, equations(config, parameters_of(network), items), rtol=0, atol=1e-9)


def test_it_reads_as_far_back_as_the_sum_of_its_gaps() -> None:
    network = network_of(NextItNet(d=4, dilations=(1, 2), kernel=2, max_length=LENGTH))
    items = a_history(LENGTH)
    last = states_of(network, items[None])[0, -1]
    reach = 1 + 2 + 2 + 4
    for back in range(1, LENGTH):
        other = items.clone()
        other[-1 - back] = other[-1 - back] % 9 + 1
        is_read = not torch.allclose(states_of(network, other[None])[0, -1], last)
        assert is_read == (back <= reach), back
