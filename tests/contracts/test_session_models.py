"""The contract of every session model: it is causal, padding changes nothing, and network and NumPy form agree.

Session models are the rows of MODELS whose settings have a `max_length`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from caser.config import Training
from caser.data.tape import Tape
from caser.models import MODELS, model_class, model_settings
from caser.models.neural import NeuralScorer
from caser.system.randomness import torch_generator
from caser.training.loop import start
from tests.models.sessions.session_models import NUM_ITEMS, NUM_USERS, Network, network_of, states_of
from tests.training.runs import train_on
from tests.training.windows import windows_of

SMALL: dict[str, dict[str, Any]] = {
    "esasrec": {"d": 6, "num_heads": 2, "expansion": 2},
    "gru4rec": {"d": 6},
    "nextitnet": {"d": 6, "dilations": (1, 2), "kernel": 2},
    "sasrec": {"d": 6, "num_heads": 2},
}
LENGTH = 8
SESSION_MODELS = [name for name in MODELS if "max_length" in model_class(name).model_fields]
USERS = np.zeros(3, dtype=np.int32)
HISTORIES = np.array([[0, 0, 3, 1, 4], [0, 0, 0, 0, 0], [5, 9, 2, 6, 5]], dtype=np.int32)
TAPE = Tape.from_sequences([[1, 2, 3, 4, 5, 9, 8, 7, 6, 5, 3], [3], [], [5, 4, 3, 2, 1, 5]], num_items=NUM_ITEMS)

every_model = pytest.mark.parametrize("name", SESSION_MODELS)


def settings_of(name: str, **changes: Any) -> Any:
    return model_settings(name, {"max_length": LENGTH, **SMALL[name], **changes})


def test_there_are_session_models() -> None:
    assert set(SESSION_MODELS) == set(SMALL)


@every_model
def test_a_state_equals_the_last_state_of_the_items_up_to_it(name: str) -> None:
    network = network_of(settings_of(name))
    tape_CX = torch.tensor([[0, 0, 0, 3, 1, 4, 1, 5], [5, 9, 2, 6, 5, 3, 5, 8]])
    states_CXD = states_of(network, tape_CX)
    for x in range(LENGTH):
        alone_CD = states_of(network, tape_CX[:, : x + 1])[:, -1]
        torch.testing.assert_close(states_CXD[:, x], alone_CD, rtol=0, atol=1e-9)


@every_model
def test_zeros_on_the_left_change_no_state_and_no_gradient(name: str) -> None:
    network = network_of(settings_of(name))
    tape_CX = torch.tensor([[0, 3, 1, 4], [2, 6, 5, 3]])
    padded_CX = torch.nn.functional.pad(tape_CX, (4, 0))
    found = []
    for tape in (tape_CX, padded_CX):
        states_CXD = states_of(network, tape)[:, -4:]
        pull_CXD = torch.empty_like(states_CXD).normal_(generator=torch_generator(0, "test", 100))
        parameters = [one for parameter, one in network.named_parameters() if parameter not in ("V", "c")]
        found.append((states_CXD, *torch.autograd.grad(states_CXD, parameters, pull_CXD)))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-9)


@every_model
def test_a_state_does_not_depend_on_other_rows(name: str) -> None:
    network = network_of(settings_of(name))
    tape_CX = torch.tensor([[0, 3, 1, 4], [2, 6, 5, 3]])
    torch.testing.assert_close(states_of(network, tape_CX)[1:], states_of(network, tape_CX[1:]))


@every_model
@pytest.mark.parametrize("width", [1, 5, LENGTH, LENGTH + 3])
def test_the_network_and_its_numpy_form_give_the_same_scores(name: str, width: int) -> None:
    config = settings_of(name)
    network = network_of(config).float()
    neural = NeuralScorer(network)
    twin = config.scorer(neural.arrays(), NUM_USERS, NUM_ITEMS)
    assert twin.history_length == neural.history_length == LENGTH
    histories_BH = np.random.default_rng(width).integers(0, NUM_ITEMS + 1, (7, width)).astype(np.int32)
    histories_BH[0] = 0
    users_B = np.zeros(7, dtype=np.int32)
    expected_BI = neural.scores(users_B, histories_BH)
    np.testing.assert_allclose(twin.scores(users_B, histories_BH), expected_BI, rtol=1e-4, atol=1e-4)


@every_model
def test_no_queries_have_no_scores(name: str) -> None:
    config = settings_of(name)
    twin = config.scorer(NeuralScorer(network_of(config).float()).arrays(), NUM_USERS, NUM_ITEMS)
    assert twin.scores(USERS[:0], HISTORIES[:0]).shape == (0, NUM_ITEMS + 1)


@every_model
def test_scores_do_not_depend_on_the_size_of_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings_of(name)
    neural = NeuralScorer(network_of(config).float())
    twin = config.scorer(neural.arrays(), NUM_USERS, NUM_ITEMS)
    whole = [scorer.scores(USERS, HISTORIES) for scorer in (neural, twin)]
    monkeypatch.setattr("caser.models.neural._MOST_POSITIONS", 1)
    monkeypatch.setattr("caser.models.sessions.scorer._MOST_CELLS", 1)
    for scorer, expected in zip((neural, twin), whole, strict=True):
        np.testing.assert_allclose(scorer.scores(USERS, HISTORIES), expected, rtol=1e-5, atol=1e-5)


@every_model
def test_the_settings_know_the_shape_of_every_parameter(name: str) -> None:
    config = settings_of(name)
    network: Network = config.build(NUM_USERS, NUM_ITEMS, 0)
    made = {parameter: tuple(values.shape) for parameter, values in network.named_parameters()}
    assert made == config.shapes(NUM_USERS, NUM_ITEMS)


@every_model
@pytest.mark.parametrize("T", [1, 3])
def test_the_loss_of_an_epoch_is_the_mean_over_all_targets(name: str, T: int) -> None:
    config = settings_of(name, dropout=0.0, T=T, max_length=20)
    training = Training(epochs=1, batch_size=8, learning_rate=1e-12, weight_decay=0, device="cpu")
    state = start(network_of(config).float(), training)
    scorer = NeuralScorer(state.network)
    costs = []
    for user, window, targets in windows_of(TAPE, 20, T).elements():
        scores_I = scorer.scores(np.array([user], dtype=np.int32), np.array([window], dtype=np.int32))[0]
        log_probability = torch.log_softmax(torch.from_numpy(scores_I[1:]), dim=0)
        costs += [-float(log_probability[target - 1]) for target in targets if target]
    (epoch,) = train_on(state, TAPE, training, num_targets=T)
    assert epoch.num_states == len(TAPE)
    assert epoch.loss == pytest.approx(np.mean(costs), rel=1e-5)


@every_model
@pytest.mark.parametrize("T", [1, 3])
@pytest.mark.parametrize("loss", ["softmax", "bpr-max", "gbce"])
def test_it_trains_on_causal_chunks_and_its_padding_stays_zero(name: str, T: int, loss: Any) -> None:
    config = settings_of(name, T=T, max_length=4, dropout=0.0)
    drawn: dict[str, Any] = {} if loss == "softmax" else {"num_negatives": 20}
    training = Training(
        epochs=12, loss=loss, batch_size=8, learning_rate=0.01, weight_decay=0.01, device="cpu", **drawn
    )
    state = start(config.build(4, NUM_ITEMS, 1), training)
    losses = [epoch.loss for epoch in train_on(state, TAPE, training, num_targets=T)]
    assert losses[-1] < losses[0]
    for parameter in {"Q", "V"} & set(state.network.state_dict()):
        assert not state.network.state_dict()[parameter][0].any()


@every_model
def test_dropout_depends_only_on_its_generator_and_is_off_when_answering(name: str) -> None:
    network = network_of(settings_of(name, dropout=0.5)).train()
    tape_CX = torch.tensor([[5, 9, 2, 6]])

    def encoded(epoch: int) -> torch.Tensor:
        network.dropout_generator = torch_generator(0, "dropout", epoch)
        return states_of(network, tape_CX)

    assert torch.equal(encoded(1), encoded(1))
    assert not torch.equal(encoded(1), encoded(2))
    scorer = NeuralScorer(network)
    np.testing.assert_array_equal(scorer.scores(USERS, HISTORIES), scorer.scores(USERS, HISTORIES))
    assert network.training


@every_model
def test_the_same_seed_makes_the_same_network_and_another_seed_another(name: str) -> None:
    first, same, other = (settings_of(name).build(NUM_USERS, NUM_ITEMS, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[parameter], same[parameter]) for parameter in first)
    assert not all(torch.equal(first[parameter], other[parameter]) for parameter in first)
