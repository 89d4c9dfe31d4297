"""Checkpoints restore every bit or are refused as damaged, and no crash leaves half of one."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from caser.config import Training
from caser.errors import ArtefactError
from caser.models.caser.caser import Caser
from caser.training.checkpoint import load_checkpoint, restore, save_checkpoint
from caser.training.loop import start, train
from tests.training.runs import MODEL, TAPE, TRAINING, fresh, run, weights_digest

RECORD = {"key": "a run", "history": [{"number": 1, "validation": 0.1}]}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Return a checkpoint after one epoch of a network that is small enough to damage every byte."""
    state = start(Caser(L=1, T=1, d=1, n_v=1, n_h=0, user_vector=False).build(2, 3, seed=0), TRAINING)
    tape = type(TAPE).from_sequences([[1, 2, 3], [3, 1]], num_items=3)
    next(train(state, tape, TRAINING, num_targets=1))
    save_checkpoint(tmp_path / "checkpoint", state, RECORD)
    return tmp_path / "checkpoint"


@pytest.mark.parametrize("averaging", [0.0, 1.5])
@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_a_run_continued_after_every_epoch_ends_with_the_same_weights(
    tmp_path: Path, loss: str, averaging: float
) -> None:
    training = TRAINING.replace(loss=loss, schedule="linear", user_dropout=0.2, epochs=4, averaging=averaging)
    unbroken = fresh(training)
    run(unbroken, training)
    path = tmp_path / "checkpoint"
    save_checkpoint(path, fresh(training), RECORD)
    for until in range(1, 5):
        state = fresh(training.replace(seed=training.seed))
        tensors, epoch, record = load_checkpoint(path)
        assert (epoch, record) == (until - 1, RECORD)
        restore(state, tensors, epoch)
        run(state, training, until=until)
        save_checkpoint(path, state, RECORD)
    assert weights_digest(state) == weights_digest(unbroken)
    with state.as_judged(), unbroken.as_judged():
        assert weights_digest(state) == weights_digest(unbroken)


def test_a_failing_epoch_leaves_the_last_checkpoint_intact(tmp_path: Path) -> None:
    state = fresh()
    run(state, until=1)
    before = weights_digest(state)
    save_checkpoint(tmp_path / "checkpoint", state, RECORD)
    with torch.no_grad():
        state.network.item_vectors()[0].fill_(torch.inf)
    with pytest.raises(ArithmeticError):
        run(state)
    recovered = fresh()
    tensors, epoch, _ = load_checkpoint(tmp_path / "checkpoint")
    restore(recovered, tensors, epoch)
    assert weights_digest(recovered) == before


def test_a_flipped_bit_is_noticed_anywhere_in_the_file(saved: Path) -> None:
    content = saved.read_bytes()
    for flipped in np.random.default_rng(0).choice(8 * len(content), 300, replace=False).tolist():
        place, bit = divmod(flipped, 8)
        saved.write_bytes(content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :])
        with pytest.raises(ArtefactError, match="checkpoint"):
            load_checkpoint(saved)


def test_a_truncation_is_noticed_anywhere_in_the_file(saved: Path) -> None:
    content = saved.read_bytes()
    for length in range(0, len(content), max(1, len(content) // 100)):
        saved.write_bytes(content[:length])
        with pytest.raises(ArtefactError, match="checkpoint"):
            load_checkpoint(saved)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 64, pickle.dumps({"weights": 1}), b"{}", b"\xff" * 8 + b"{}"],
    ids=lambda one: str(one[:4]),
)
def test_a_foreign_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=str(path)):
        load_checkpoint(path)


def test_a_missing_file_or_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(ArtefactError, match=str(path)):
            load_checkpoint(path)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", fresh(), RECORD)
    tensors, epoch, _ = load_checkpoint(tmp_path / "checkpoint")
    for model in (MODEL.replace(d=9), MODEL.replace(n_v=0), MODEL.replace(L=4)):
        with pytest.raises(ArtefactError, match="must hold the parameters of this network"):
            restore(fresh(Training(device="cpu"), model), tensors, epoch)
