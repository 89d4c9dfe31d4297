"""GRU4Rec gives the states of torch's own GRU cell, computed item by item."""

from __future__ import annotations

import torch

from caser.models.sessions.gru4rec import GRU4Rec
from tests.models.sessions.session_models import a_history, network_of, parameters_of, states_of


def test_its_states_are_those_of_a_gated_recurrent_cell() -> None:
    network, items = network_of(GRU4Rec(d=5, max_length=8)), a_history(8)
    p = parameters_of(network)
    cell = torch.nn.GRUCell(5, 5, dtype=torch.float64)
    cell.load_state_dict(
        {"weight_ih": p["W"].T, "weight_hh": p["U"].T, "bias_ih": p["b"], "bias_hh": torch.zeros_like(p["b"])}
    )
    state = torch.zeros(5, dtype=torch.float64)
    expected = [state := cell(p["V"][item], state) for item in items]
    torch.testing.assert_close(states_of(network, items[None])[0], torch.stack(expected), rtol=0, atol=1e-12)


def test_a_zero_leaves_the_state_as_it_is() -> None:
    network = network_of(GRU4Rec(d=5, max_length=8))
    states = states_of(network, torch.tensor([[0, 0, 4, 0, 0, 2]]))[0]
    assert (states[:2] == 0).all()
    assert torch.equal(states[2], states[4])
    assert not torch.equal(states[4], states[5])


def test_items_are_read_and_scored_with_the_same_vectors() -> None:
    network = network_of(GRU4Rec(d=5))
    before = states_of(network, torch.tensor([[4]]))
    with torch.no_grad():
        network.item_vectors()[0][4] += 1
    assert not torch.equal(states_of(network, torch.tensor([[4]])), before)
