"""The training loop: what an epoch reports, what the result depends on, and how training stops."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from caser.config import LOSSES, Training
from caser.data.tape import Tape
from caser.errors import ConfigError, DataError, NumericalError
from caser.models.neural import NeuralScorer
from caser.training.loop import choose_device
from tests.architecture.source import ROOT
from tests.skips import skipped
from tests.training.runs import LOG, MODEL, TAPE, TRAINING, fresh, run, train_on, weights_digest
from tests.training.windows import windows_of

STILL = {"learning_rate": 1e-12, "weight_decay": 0.0}
"""Steps too small to change the loss of the next batch."""
NO_DROPOUT = MODEL.replace(dropout=0)


@pytest.fixture
def threads() -> Iterator[None]:
    """Restore the number of threads after the test."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("batch_size", [7, 100, 4096])
@pytest.mark.parametrize("positions", ["every", "full"])
def test_the_loss_of_an_epoch_is_the_mean_over_all_targets(positions: Any, batch_size: int) -> None:
    training = TRAINING.replace(epochs=1, batch_size=batch_size, positions=positions, **STILL)
    state = fresh(training, NO_DROPOUT)
    costs = []
    for (user, window, targets), count in windows_of(TAPE, MODEL.L, MODEL.T, positions).items():
        scores = NeuralScorer(state.network).scores(
            np.array([user], dtype=np.int32), np.array([window], dtype=np.int32)
        )
        log_probability = torch.log_softmax(torch.from_numpy(scores[0, 1:]), dim=0)
        costs += [-float(log_probability[target - 1]) for target in targets if target] * count
    (epoch,) = run(state, training, NO_DROPOUT)
    assert epoch.loss == pytest.approx(np.mean(costs), rel=1e-5)


def test_an_epoch_counts_the_positions_that_trained() -> None:
    assert [epoch.num_states for epoch in run(fresh())] == [len(TAPE)] * 3
    full = TRAINING.replace(positions="full", epochs=1)
    assert run(fresh(full), full)[0].num_states == sum(windows_of(TAPE, MODEL.L, MODEL.T, "full").values())


def test_sampled_softmax_with_many_negatives_estimates_softmax() -> None:
    full = TRAINING.replace(epochs=1, batch_size=256, **STILL)
    one_target = NO_DROPOUT.replace(T=1)
    expected = run(fresh(full, one_target), full, one_target)[0].loss
    for exponent in (0.0, 1.0):
        sampled = full.replace(loss="sampled-softmax", num_negatives=800, popularity_exponent=exponent)
        found = run(fresh(sampled, one_target), sampled, one_target)[0].loss
        assert found == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("negatives", ["per-target", "shared"])
@pytest.mark.parametrize("unseen", [False, True])
def test_every_loss_falls_and_leaves_padding_at_zero(loss: Any, negatives: Any, unseen: bool) -> None:
    training = TRAINING.replace(
        loss=loss, epochs=6, learning_rate=0.01, weight_decay=0.01,
    )  # fmt: skip
    if LOSSES[loss].form == "sampled":
        drawn = {"negatives": negatives, "num_negatives": 8, "unseen_negatives": unseen, "popularity_exponent": 0.5}
        training = training.replace(**drawn)
    state = fresh(training)
    epochs = run(state, training)
    assert epochs[-1].loss < epochs[0].loss
    for name, parameter in state.network.named_parameters():
        if name in ("Q", "V", "c"):
            assert (parameter[0] == 0).all(), name


def test_gbce_gets_the_share_of_the_catalogue_that_is_drawn() -> None:
    num_negatives = LOG.num_items - 1
    losses = {}
    for loss in ("bce", "gbce"):
        for number in (1, num_negatives):
            training = TRAINING.replace(loss=loss, num_negatives=number, epochs=1, **STILL)
            losses[loss, number] = run(fresh(training, NO_DROPOUT), training, NO_DROPOUT)[0].loss
    assert losses["gbce", num_negatives] == pytest.approx(losses["bce", num_negatives], rel=1e-6)
    beta = 1 - 0.75 * (1 - 1 / num_negatives)
    of_target = math.log(2)  # scores are about zero
    assert losses["bce", 1] - losses["gbce", 1] == pytest.approx((1 - beta) * of_target, rel=0.01)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    states = [fresh(), fresh(), fresh(TRAINING.replace(seed=1))]
    run(states[0])
    torch.manual_seed(99)  # the global generator plays no part
    run(states[1])
    run(states[2], TRAINING.replace(seed=1))
    assert weights_digest(states[0]) == weights_digest(states[1]) != weights_digest(states[2])


def test_training_does_not_draw_from_the_global_generators() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    training = TRAINING.replace(loss="bce", user_dropout=0.3, popularity_exponent=1, epochs=1)
    run(fresh(training), training)
    assert torch.equal(torch.get_rng_state(), before)


def test_another_process_gives_the_same_weights() -> None:
    code = "from tests.training.runs import *; state = fresh(); run(state); print(weights_digest(state))"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [sys.executable, "-c", code]
    other = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    state = fresh()
    run(state)
    assert other.strip() == weights_digest(state)


@pytest.mark.usefixtures("threads")
def test_one_and_two_threads_give_nearly_the_same_losses() -> None:
    training = TRAINING.replace(batch_size=2048, epochs=3)
    losses = []
    for count in (1, 2):
        torch.set_num_threads(count)
        losses.append([epoch.loss for epoch in run(fresh(training), training)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize(("schedule", "last"), [("constant", 1.0), ("linear", 1 / 27)])
def test_the_step_size_follows_its_schedule(schedule: Any, last: float) -> None:
    training = TRAINING.replace(schedule=schedule, epochs=3, batch_size=128)
    state = fresh(training)
    sizes: list[float] = []
    run(state, training, on_batch=lambda done, of: sizes.append(state.optimiser.param_groups[0]["lr"]))
    assert len(sizes) == 27
    rising, *falling = sizes  # the warm-up is shorter than one of these few steps
    assert rising == training.learning_rate if schedule == "constant" else rising < falling[0] < training.learning_rate
    assert falling == sorted(falling, reverse=True)
    assert sizes[-1] == pytest.approx(training.learning_rate * last)


def test_ending_early_does_not_change_the_schedule() -> None:
    training = TRAINING.replace(schedule="linear", epochs=3)
    unbroken, in_parts = fresh(training), fresh(training)
    run(unbroken, training)
    for until in (1, 1, 2, 3):
        run(in_parts, training, until=until)
        assert in_parts.epoch == until
    assert weights_digest(unbroken) == weights_digest(in_parts)


def test_no_epochs_train_nothing() -> None:
    state = fresh()
    before = weights_digest(state)
    assert run(state, until=0) == []
    assert weights_digest(state) == before


def test_progress_is_reported_after_every_batch() -> None:
    told: list[tuple[int, int]] = []
    run(fresh(), TRAINING.replace(epochs=1), on_batch=lambda done, of: told.append((done, of)))
    assert told == [(done, told[-1][1]) for done in range(1, told[-1][1] + 1)]
    assert len(told) > 1


def test_hidden_users_train_the_anonymous_user() -> None:
    hiding = TRAINING.replace(user_dropout=0.5)
    for training, learns in ((TRAINING, False), (hiding, True)):
        state = fresh(training)
        run(state, training)
        vectors = state.network.user_vectors()
        assert vectors is not None
        assert bool((vectors[0] != 0).any()) == learns


def test_a_loss_that_is_not_finite_names_epoch_and_batch_and_does_not_step() -> None:
    state = fresh()
    epochs = train_on(state, TAPE, TRAINING, num_targets=MODEL.T)
    next(epochs)
    with torch.no_grad():
        state.network.item_vectors()[1][3] = torch.nan
    before = weights_digest(state)
    with pytest.raises(NumericalError, match=r"got loss nan .* in epoch 2, batch 1\. Lower the learning rate"):
        next(epochs)
    assert weights_digest(state) == before


def test_training_that_diverges_is_stopped() -> None:
    diverging = TRAINING.replace(learning_rate=1e30)
    with pytest.raises(NumericalError, match=r"in epoch 1, batch 2"):
        run(fresh(diverging), diverging)


def test_a_tape_without_a_position_to_train_is_refused() -> None:
    nothing = Tape.from_sequences([[]] * LOG.num_users, num_items=LOG.num_items)
    with pytest.raises(DataError, match="to train on"):
        next(train_on(fresh(), nothing, TRAINING, num_targets=MODEL.T))


@pytest.mark.parametrize("name", ["gpu", "", "meta", "cpu:7"])
def test_a_device_that_is_not_there_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(ConfigError, match=f"device must be .* got '{name}'"):
        choose_device(name)


@pytest.mark.skipif(
    torch.accelerator.is_available(),
    reason=skipped("this machine has an accelerator", "CUDA_VISIBLE_DEVICES= python tools/dev.py test"),
)
def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_refused() -> None:
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(ConfigError, match="device must be one that this machine and this torch have; got 'cuda'"):
        fresh(Training(device="cuda"))
