"""Caser by compiled loops and in the frequency domain equals its form in torch: values, gradients and losses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from caser.config import Training
from caser.models.activations import ACTIVATIONS, Activation
from caser.models.base import Rows
from caser.models.caser import features as caser_features
from caser.models.caser import kernel as caser_kernel
from caser.models.caser.caser import Caser
from caser.models.caser.network import CaserNetwork
from caser.system import compiled
from caser.system.randomness import torch_generator
from tests.architecture.source import ROOT
from tests.training.runs import MODEL, TAPE, fresh, train_on

FORMS = {"kernel": (True, 10**6), "twin": (False, 10**6), "kernel, long": (True, 0), "twin, long": (False, 0)}
"""Whether numba is there, and the mean height above which filters are long."""


def in_form(form: str, work: Callable[[], Any]) -> Any:
    """Call `work` with or without the compiled loops, and with or without the frequency domain."""
    has_numba, long = FORMS[form]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caser_features, "LONG", long)
        if not has_numba:
            patch.setattr(compiled, "njit", None)
        return work()


@st.composite
def cases(draw: st.DrawFn) -> tuple[Caser, Tensor, Tensor, Rows]:
    """Settings of unusual sizes, users, a tape with repeated items, and wanted windows in any order."""
    n_v, n_h = draw(st.sampled_from([(0, 3), (2, 0), (1, 1), (3, 5), (2, 17)]))
    phi: Activation = draw(st.sampled_from(list(ACTIVATIONS)))
    L, d = draw(st.integers(1, 9)), draw(st.sampled_from([1, 3, 8, 19]))
    heights = tuple(sorted(draw(st.sets(st.integers(1, L), max_size=4)))) if n_h else ()
    dropout, user_vector = draw(st.sampled_from([0.0, 0.5])), draw(st.booleans())
    reach, item_dropout = draw(st.sampled_from([None, 1, 4, 21])), draw(st.sampled_from([0.0, 0.25]))
    shares = {"dropout": dropout, "item_dropout": item_dropout}
    sizes = {"L": L, "d": d, "n_v": n_v, "n_h": n_h, "heights": heights, "reach": reach}
    config = Caser(**sizes, phi_c=phi, user_vector=user_vector, **shares)
    C, W = draw(st.integers(1, 3)), draw(st.integers(1, 8))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    tape_CX, users_CW = random.integers(0, 5, (C, W + config.window - 1)), random.integers(0, 5, (C, W))
    wanted = random.permutation(C * W)[: draw(st.integers(1, C * W))]
    rows = torch.from_numpy(wanted // W), torch.from_numpy(wanted % W)
    return config, torch.from_numpy(users_CW), torch.from_numpy(tape_CX), rows


@given(cases())
@settings(max_examples=60, deadline=None)
def test_all_forms_give_the_same_states_and_gradients(case: tuple[Caser, Tensor, Tensor, Rows]) -> None:
    config, users_CW, tape_CX, rows = case
    network = CaserNetwork(config, num_users=4, num_items=4, seed=0).double().train()
    generator = torch_generator(0, "test")
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.normal_(generator=generator)
            if name == "Q":
                parameter[0] = 0
    encoding = [parameter for name, parameter in network.named_parameters() if name not in ("V", "c")]

    def states_and_gradients() -> list[Tensor]:
        network.dropout_generator = torch_generator(0, "dropout")
        states_MD = network.encode(users_CW, tape_CX, rows)
        pull_MD = torch.empty_like(states_MD).normal_(generator=torch_generator(0, "test", 1))
        return [states_MD, *torch.autograd.grad(states_MD, encoding, pull_MD)]

    expected = in_form("twin", states_and_gradients)
    for form in FORMS:
        torch.testing.assert_close(in_form(form, states_and_gradients), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("loss", ["bce", "softmax"])
def test_all_forms_train_to_the_same_losses(loss: Any) -> None:
    training = Training(epochs=4, batch_size=16, learning_rate=0.01, loss=loss, device="cpu")

    def losses() -> list[float]:
        return [epoch.loss for epoch in train_on(fresh(), TAPE, training, num_targets=MODEL.T)]

    expected = in_form("twin", losses)
    assert expected[-1] < expected[0]
    for form in FORMS:
        np.testing.assert_allclose(in_form(form, losses), expected, rtol=1e-5)


def test_a_maximum_covers_the_places_of_its_window_and_only_the_largest_gets_the_gradient() -> None:
    answers = torch.tensor([[[1.0, 5.0], [4.0, 3.0], [2.0, 9.0]]], requires_grad=True)  # 3 positions, heights 1 and 2
    none, rows = torch.empty(0), (torch.tensor([0, 0]), torch.tensor([1, 0]))
    bias, noise = torch.tensor([0.5, -4.0]), (torch.empty(2, 0, dtype=torch.uint8), 0)
    made = caser_kernel.make_features(torch.empty(1, 0, 2, 1), none, answers, bias, rows, noise, (1, 2), 2, "relu")
    # L is 2: height 1 stands at two places of a window, height 2 at one; 3 - 4 is below 0 and so gets no gradient.
    assert made.tolist() == [[4.5, 0.0], [4.5, 1.0]]
    torch.autograd.backward(made, torch.tensor([[1.0, 10.0], [100.0, 1000.0]]))
    assert answers.grad is not None
    assert answers.grad.tolist() == [[[0.0, 1000.0], [101.0, 0.0], [0.0, 0.0]]]


@pytest.mark.parametrize("X", [1, 2, 7, 12])
def test_the_frequency_domain_equals_the_sum_of_rows_where_a_filter_fits(X: int) -> None:
    heights = tuple(h for h in (1, 2, 5) if h <= X)
    generator = torch_generator(0, "test")
    E_CXd = torch.randn(2, X, 3, generator=generator, dtype=torch.float64)
    filters = [torch.randn(h, 3, 4, generator=generator, dtype=torch.float64) for h in heights]
    found = caser_features.correlate(E_CXd, filters)
    expected = caser_features.sum_rows(E_CXd @ caser_features.stacked(filters), heights)
    for row, h in enumerate(heights):
        fits = (slice(None), slice(0, X - h + 1), slice(4 * row, 4 * row + 4))
        torch.testing.assert_close(found[fits], expected[fits], rtol=0, atol=1e-12)


def test_machine_code_that_cannot_be_cached_is_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses_to_cache(*, cache: bool = False, **_: Any) -> Callable[[Any], Any]:
        if cache:
            raise RuntimeError("no locator available")
        return lambda function: ("compiled", function)

    monkeypatch.setattr(compiled, "njit", refuses_to_cache)
    made: Any = compiled.compiled(abs)
    assert made == ("compiled", abs)


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
from caser.config import Training
from tests.training.runs import MODEL, TAPE, fresh, train_on
print(next(train_on(fresh(), TAPE, Training(epochs=1, device="cpu"), num_targets=MODEL.T)).loss)
"""
ANSWERING = """
import sys
import caser, caser.models.caser.caser, caser.answering.recommender
print("numba" in sys.modules, "torch" in sys.modules)
"""


@pytest.mark.parametrize(("program", "begins"), [(WITHOUT_NUMBA, ""), (ANSWERING, "False False")])
def test_training_works_without_numba_and_answering_never_loads_it(program: str, begins: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.startswith(begins)
    assert done.stdout.strip()
