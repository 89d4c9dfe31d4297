"""Caser gives the results of its author's program, of the plain window-by-window form, and of its own NumPy form."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional

from caser.config import Training
from caser.data.tape import Tape
from caser.errors import ArtefactError, ConfigError
from caser.models.activations import ACTIVATIONS, Activation
from caser.models.base import Arrays, StateScorer
from caser.models.caser.caser import Caser, CaserScorer
from caser.models.caser.features import activate
from caser.models.caser.network import CaserNetwork
from caser.models.neural import NeuralScorer
from caser.system.randomness import torch_generator
from caser.training.loop import start
from tests.training.runs import train_on

AUTHOR = sorted((Path(__file__).parents[2] / "parity" / "data").glob("author_caser_*.safetensors"))
NAMES: dict[str, Activation] = {"iden": "identity", "relu": "relu", "tanh": "tanh", "sigm": "sigmoid"}
VARIANTS = [
    variant for variant in product((0, 2), (0, 3), (False, True)) if any(variant)
]  # n_v, n_h, user_vector: all but nothing at all


@st.composite
def configurations(draw: st.DrawFn) -> Caser:
    n_v, n_h, user_vector = draw(st.sampled_from(VARIANTS))
    phi_c, phi_a = draw(st.sampled_from(list(ACTIVATIONS))), draw(st.sampled_from(list(ACTIVATIONS)))
    L, d = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    heights = tuple(sorted(draw(st.sets(st.integers(1, L)))))
    reach = draw(st.one_of(st.none(), st.integers(1, 20)))
    parts = {"n_v": n_v, "n_h": n_h, "user_vector": user_vector, "phi_c": phi_c, "phi_a": phi_a}
    tied = not user_vector and draw(st.booleans())
    return Caser(L=L, d=d, heights=heights, reach=reach, tied=tied, **parts)


def network_of(config: Caser, seed: int = 0) -> CaserNetwork:
    """A network in double precision in which only the padding row is zero."""
    network = CaserNetwork(config, num_users=4, num_items=9, seed=seed).double().eval()
    with torch.no_grad():
        for index, (name, parameter) in enumerate(network.named_parameters()):
            parameter.normal_(generator=torch_generator(seed, "test", index))
            if name == "Q":
                parameter[0] = 0
    return network


def a_tape(width: int, config: Caser, seed: int) -> tuple[Tensor, Tensor]:
    """Users (2, width) and items with zeros among them (2, width + window - 1)."""
    random = np.random.default_rng(seed)
    window = config.window
    users = torch.from_numpy(random.integers(0, 5, (2, width)))
    return users, torch.from_numpy(random.integers(0, 10, (2, width + window - 1)))


def one_window(config: Caser, parameters: dict[str, Tensor], user: Tensor, items: Tensor) -> Tensor:
    """The paper's equations for one window of L items, with the library convolution."""
    parts = []
    if config.has_branches:
        vectors = functional.embedding(items, parameters["Q"], padding_idx=0)[None, None]  # (1, 1, window, d)
        E = vectors[:, :, -config.L :]
        features = []
        if config.n_v:
            kernels = parameters["G"][:, None, :, None]  # (n_v, 1, L, 1)
            features.append(
                functional.conv2d(vectors[:, :, -config.vertical_reach :], kernels, parameters["bG"]).flatten()
            )
        heights = (config.heights or range(1, config.L + 1)) if config.n_h else ()
        for row, h in enumerate(heights):
            kernels = parameters[f"F{h}"].permute(2, 0, 1)[:, None]  # (n_h, 1, h, d)
            convolved = functional.conv2d(E, kernels, parameters["bF"][row])  # (1, n_h, L - h + 1, 1)
            features.append(activate(config.phi_c, convolved).amax(dim=(0, 2, 3)))
        z = activate(config.phi_a, torch.cat(features) @ parameters["W"] + parameters["b"])
        parts.append(z @ parameters["M"] + parameters["m"] if config.tied else z)
    if config.user_vector:
        parts.append(parameters["P"][user])
    return torch.cat(parts)


def read_author(path: Path) -> tuple[Caser, dict[str, np.ndarray], dict[str, Any]]:
    """The settings, the parameters under our names, and the recorded inputs and outputs."""
    with safe_open(path, framework="np") as file:
        recorded = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    config = Caser(
        L=int(recorded["L"]),
        d=int(recorded["d"]),
        n_v=int(recorded["nv"]),
        n_h=int(recorded["nh"]),
        phi_c=NAMES[recorded["ac_conv"]],
        phi_a=NAMES[recorded["ac_fc"]],
    )
    theirs = {name.removeprefix("param."): tensor for name, tensor in tensors.items() if name.startswith("param.")}
    heights = range(config.L)
    parameters = {
        "Q": theirs["item_embeddings.weight"],
        "P": theirs["user_embeddings.weight"],
        "G": theirs["conv_v.weight"][:, 0, :, 0],
        "bG": theirs["conv_v.bias"],
        **{f"F{h + 1}": theirs[f"conv_h.{h}.weight"][:, 0].transpose(1, 2, 0) for h in heights},
        "bF": np.stack([theirs[f"conv_h.{h}.bias"] for h in heights]),
        "W": theirs["fc1.weight"].T,
        "b": theirs["fc1.bias"],
        "V": theirs["W2.weight"],
        "c": theirs["b2.weight"][:, 0],
    }
    return config, parameters, tensors


@pytest.mark.parametrize("heights", [(0, 1), (2, 1), (1, 1), (4,)])
def test_filter_heights_outside_the_window_are_refused(heights: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="Caser heights must rise from 1 to at most L = 3; got"):
        Caser(L=3, heights=heights)


@pytest.mark.parametrize("form", ["network", "numpy"])
@pytest.mark.parametrize("path", AUTHOR, ids=lambda path: path.stem)
def test_the_authors_program_gives_the_same_scores(path: Path, form: Literal["network", "numpy"]) -> None:
    config, parameters, tensors = read_author(path)
    scorer: StateScorer = CaserScorer(config, parameters)
    if form == "network":
        network = CaserNetwork(config, num_users=len(parameters["P"]) - 1, num_items=len(parameters["Q"]) - 1, seed=0)
        network.load_state_dict({name: torch.tensor(array) for name, array in parameters.items()})
        scorer = NeuralScorer(network)
    scores_BI = scorer.scores(tensors["input.users_B"], tensors["input.sequences_BL"])
    found_BC = np.take_along_axis(scores_BI, tensors["input.items_BC"], axis=1)
    np.testing.assert_allclose(found_BC, tensors["output.scores_BC"], rtol=0, atol=1e-5)


def test_both_files_of_the_author_are_there() -> None:
    assert len(AUTHOR) == 2


@given(configurations(), st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=60)
def test_the_tape_form_equals_the_window_form_in_values_and_gradients(config: Caser, width: int, seed: int) -> None:
    network = network_of(config, seed)
    users_CW, tape_CX = a_tape(width, config, seed)
    states_CWD = network.encode(users_CW, tape_CX)
    twin = {name: parameter.detach().clone().requires_grad_() for name, parameter in network.named_parameters()}
    places = product(range(2), range(width))
    windows = [one_window(config, twin, users_CW[c, w], tape_CX[c, w : w + network.window]) for c, w in places]
    expected_CWD = torch.stack(windows).view(states_CWD.shape)
    torch.testing.assert_close(states_CWD, expected_CWD, rtol=0, atol=1e-9)

    pull_CWD = torch.empty_like(states_CWD).normal_(generator=torch_generator(seed, "test", 100))
    names = [name for name in twin if name not in ("V", "c")]
    gradients = torch.autograd.grad(states_CWD, [getattr(network, name) for name in names], pull_CWD)
    expected = torch.autograd.grad(expected_CWD, [twin[name] for name in names], pull_CWD)
    torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-9)


@given(configurations(), st.integers(0, 99))
def test_the_network_and_its_numpy_form_give_the_same_scores(config: Caser, seed: int) -> None:
    network = network_of(config, seed).float()
    scorer = config.scorer(NeuralScorer(network).arrays(), num_users=4, num_items=9)
    random = np.random.default_rng(seed)
    users_B = random.integers(0, 5, 7).astype(np.int32)
    histories_BH = random.integers(0, 10, (7, 8)).astype(np.int32)
    expected_BI = NeuralScorer(network).scores(users_B, histories_BH)
    np.testing.assert_allclose(scorer.scores(users_B, histories_BH), expected_BI, rtol=1e-4, atol=1e-4)


@given(configurations(), st.integers(0, 4))
def test_zeros_on_the_left_change_nothing(config: Caser, zeros: int) -> None:
    network = network_of(config)
    histories_BH = np.array([[3, 1], [0, 2]], dtype=np.int32)
    padded_BH = np.pad(histories_BH, ((0, 0), (zeros, 0)))
    users_B = np.array([1, 2], dtype=np.int32)
    for scorer in (NeuralScorer(network), CaserScorer(config, NeuralScorer(network).arrays())):
        np.testing.assert_allclose(scorer.scores(users_B, padded_BH), scorer.scores(users_B, histories_BH), rtol=1e-6)


@pytest.mark.parametrize(("n_v", "n_h", "user_vector"), VARIANTS)
@pytest.mark.parametrize(("L", "T"), [(1, 1), (4, 3)])
def test_every_variant_trains_and_its_padding_stays_zero(n_v: int, n_h: int, user_vector: bool, L: int, T: int) -> None:
    config = Caser(L=L, T=T, d=4, n_v=n_v, n_h=n_h, user_vector=user_vector)
    training = Training(epochs=2, batch_size=8, weight_decay=0.1, learning_rate=0.1, device="cpu")
    tape = Tape.from_sequences([[1, 2, 3, 4, 5], [3, 3, 1], [5, 4, 3, 2, 1]], num_items=5)
    state = start(config.build(num_users=3, num_items=5, seed=1), training)
    before = state.network.item_vectors()[0].detach().clone()
    losses = [epoch.loss for epoch in train_on(state, tape, training, num_targets=T)]
    assert np.isfinite(losses).all()
    assert not torch.equal(before, state.network.item_vectors()[0])
    if config.has_branches:
        assert not state.network.state_dict()["Q"][0].any()


def test_scores_are_finite_for_a_long_window_of_padding_only() -> None:
    config = Caser(L=50, n_h=2, d=3)
    scorer = NeuralScorer(network_of(config).float())
    assert np.isfinite(scorer.scores(np.array([0], dtype=np.int32), np.zeros((1, 1), dtype=np.int32))).all()


def test_dropout_depends_only_on_its_generator_and_is_off_when_answering() -> None:
    config = Caser(L=3, d=4, dropout=0.5)
    network = network_of(config).train()
    users_CW, tape_CX = a_tape(5, config, seed=0)

    def encoded(epoch: int) -> Tensor:
        network.dropout_generator = torch_generator(0, "dropout", epoch)
        return network.encode(users_CW, tape_CX)

    assert torch.equal(encoded(1), encoded(1))
    assert not torch.equal(encoded(1), encoded(2))
    states_BD = NeuralScorer(network).states(np.array([1], dtype=np.int32), np.array([[1, 2, 3]], dtype=np.int32))
    again_BD = NeuralScorer(network).states(np.array([1], dtype=np.int32), np.array([[1, 2, 3]], dtype=np.int32))
    assert np.array_equal(states_BD, again_BD)
    assert network.training


def test_a_user_may_be_given_as_a_vector() -> None:
    config = Caser(L=3, d=4)
    network = network_of(config).float()
    users_B, histories_BH = np.array([2], dtype=np.int32), np.array([[1, 2, 3]], dtype=np.int32)
    arrays = NeuralScorer(network).arrays()
    for scorer in (NeuralScorer(network), CaserScorer(config, arrays)):
        by_vector = scorer.states(arrays["P"][users_B], histories_BH)
        np.testing.assert_array_equal(by_vector, scorer.states(users_B, histories_BH))


@given(configurations())
def test_the_settings_know_the_shape_of_every_parameter(config: Caser) -> None:
    network = config.build(num_users=4, num_items=9, seed=0)
    made = {name: tuple(parameter.shape) for name, parameter in network.named_parameters()}
    assert made == config.shapes(num_users=4, num_items=9)


def test_parameters_of_another_network_are_refused() -> None:
    arrays: Arrays = NeuralScorer(CaserNetwork(Caser(d=4), 4, 9, 0)).arrays()
    with pytest.raises(ArtefactError, match=r"parameter F1 must be float32 \(1, 5, 16\); got float32 \(1, 4, 16\)"):
        Caser(d=5).scorer(arrays, 4, 9)
    with pytest.raises(ArtefactError, match="parameter G must be none"):
        Caser(d=4, n_v=0, n_h=16).scorer({**arrays, "W": arrays["W"][16:]}, 4, 9)


def test_a_model_without_any_part_is_refused() -> None:
    with pytest.raises(ConfigError, match="must keep a branch"):
        Caser(n_v=0, n_h=0, user_vector=False)


def test_the_same_seed_makes_the_same_network_and_another_seed_another() -> None:
    first, same, other = (CaserNetwork(Caser(), 4, 9, seed).V for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
