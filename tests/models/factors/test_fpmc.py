"""FPMC gives a score computed by hand, its network equals its NumPy form, and it works without user vectors (FMC)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from caser.config import Training
from caser.data.split import sessions
from caser.data.synthetic import chain_world
from caser.data.tape import Tape
from caser.errors import ArtefactError, ConfigError
from caser.fitting.fit import fit
from caser.models.factors.fpmc import FPMC
from caser.models.factors.network import FactorNetwork
from caser.models.neural import NeuralScorer
from caser.system.randomness import torch_generator
from caser.training.loop import start
from tests.training.runs import train_on

configurations = st.builds(FPMC, L=st.integers(1, 4), d=st.integers(1, 5), user_vector=st.booleans())


def network_of(config: FPMC, seed: int = 0) -> FactorNetwork:
    """A network in which only the padding row of Q is zero."""
    network = config.build(num_users=4, num_items=9, seed=seed)
    with torch.no_grad():
        for index, (name, parameter) in enumerate(network.named_parameters()):
            parameter.normal_(generator=torch_generator(seed, "test", index))
            if name == "Q":
                parameter[0] = 0
    return network


def test_a_score_by_hand() -> None:
    """After items 1 and 2, whose mean is (2, 1): chain (2, 1) . (1, 1) = 3, taste (1, 2) . (0, 3) = 6, bias 1/2."""
    arrays = {
        "Q": np.array([[0, 0], [1, 0], [3, 2], [9, 9]], dtype=np.float32),
        "P": np.array([[0, 0], [1, 2]], dtype=np.float32),
        "V": np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 3]], dtype=np.float32),
        "c": np.array([0, 0, 0, 0.5], dtype=np.float32),
    }
    scorer = FPMC(L=2, d=2).scorer(arrays, num_users=1, num_items=3)
    users_B = np.array([1, 0, 1], dtype=np.int32)
    histories_BH = np.array([[3, 1, 2], [0, 0, 2], [0, 0, 0]], dtype=np.int32)
    assert scorer.scores(users_B, histories_BH)[:, 3].tolist() == [9.5, 5.5, 6.5]


@given(configurations, st.integers(0, 99))
def test_the_network_and_its_numpy_form_give_the_same_scores(config: FPMC, seed: int) -> None:
    scorer = NeuralScorer(network_of(config, seed))
    twin = config.scorer(scorer.arrays(), num_users=4, num_items=9)
    random = np.random.default_rng(seed)
    users_B = random.integers(0, 5, 7).astype(np.int32)
    histories_BH = random.integers(0, 10, (7, 6)).astype(np.int32)
    np.testing.assert_allclose(
        twin.scores(users_B, histories_BH), scorer.scores(users_B, histories_BH), rtol=1e-4, atol=1e-4
    )


@given(configurations, st.integers(1, 6), st.integers(0, 99))
@settings(max_examples=30)
def test_a_window_has_the_same_state_alone_and_in_a_tape(config: FPMC, width: int, seed: int) -> None:
    network = network_of(config, seed)
    random = np.random.default_rng(seed)
    users_CW = torch.from_numpy(random.integers(0, 5, (2, width)))
    tape_CX = torch.from_numpy(random.integers(0, 10, (2, width + config.L - 1)))
    states_CWD = network.encode(users_CW, tape_CX)
    for w in range(width):
        alone_CD = network.encode(users_CW[:, w : w + 1], tape_CX[:, w : w + config.L])[:, 0]
        torch.testing.assert_close(states_CWD[:, w], alone_CD)


@pytest.mark.parametrize("config", [FPMC(d=4), FPMC(L=3, T=2, d=4), FPMC(L=2, d=4, user_vector=False)])
def test_every_variant_trains_and_its_padding_stays_zero(config: FPMC) -> None:
    training = config.training.replace(epochs=2, batch_size=8, weight_decay=0.1, learning_rate=0.1, device="cpu")
    tape = Tape.from_sequences([[1, 2, 3, 4, 5], [3, 3, 1], [5, 4, 3, 2, 1]], num_items=5)
    state = start(config.build(num_users=3, num_items=5, seed=1), training)
    before = {name: parameter.detach().clone() for name, parameter in state.network.named_parameters()}
    losses = [epoch.loss for epoch in train_on(state, tape, training, num_targets=config.num_targets)]
    assert np.isfinite(losses).all()
    after = dict(state.network.named_parameters())
    assert not [name for name in after if torch.equal(before[name], after[name])]
    assert not state.network.state_dict()["Q"][0].any()


def test_unknown_users_need_a_model_without_user_vectors() -> None:
    split = sessions(chain_world(num_users=20, num_items=6, length=6).log)
    training = Training(epochs=1, device="cpu")
    assert fit(FPMC(user_vector=False), split, training, epochs=training.epochs).artefact.scorer.history_length == 1
    with pytest.raises(ConfigError, match="a user vector cannot be learned"):
        fit(FPMC(), split, training)


def test_parameters_of_another_variant_are_refused() -> None:
    arrays = NeuralScorer(network_of(FPMC(d=3))).arrays()
    with pytest.raises(ArtefactError, match="parameter P must be none"):
        FPMC(d=3, user_vector=False).scorer(arrays, num_users=4, num_items=9)
