"""Checkpoints restore every bit or are refused as damaged, and no crash leaves half of one."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from numpy.typing import NDArray

from caser.config import Training
from caser.errors import ArtefactError
from caser.models.caser.caser import Caser
from caser.system.sealed import seal_arrays, unseal_arrays
from caser.training.checkpoint import load_checkpoint, restore, save_checkpoint
from caser.training.loop import start
from tests.training.runs import MODEL, TAPE, TRAINING, fresh, run, train_on, weights_digest

RECORD = {"key": "a run", "history": [{"number": 1, "validation": 0.1}]}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Return a checkpoint after one epoch of a network that is small enough to damage every byte."""
    state = start(Caser(L=1, T=1, d=1, n_v=1, n_h=0, user_vector=False).build(2, 3, seed=0), TRAINING)
    tape = type(TAPE).from_sequences([[1, 2, 3], [3, 1]], num_items=3)
    next(train_on(state, tape, TRAINING, num_targets=1))
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


def forged(path: Path, change: Callable[[dict[str, NDArray[Any]]], object]) -> None:
    """Save a checkpoint after one epoch, change its arrays, and seal it again."""
    state = fresh()
    run(state, until=1)
    save_checkpoint(path, state, RECORD)
    arrays, header = unseal_arrays(path.read_bytes())
    change(arrays)
    path.write_bytes(seal_arrays(arrays, header))


V, MOMENT, SQUARE, STEP = "network/V", "adam/exp_avg/V", "adam/exp_avg_sq/V", "adam/step/V"


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.update({MOMENT: arrays[MOMENT][:2]}),
        lambda arrays: arrays.update({MOMENT: np.zeros(1, np.float32)}),
        lambda arrays: arrays.update({SQUARE: arrays[SQUARE].T.copy()}),
        lambda arrays: arrays.update({SQUARE: -1 - arrays[SQUARE]}),
        lambda arrays: arrays.update({STEP: np.array([1.0, 2.0], np.float32)}),
        lambda arrays: arrays.update({STEP: np.array(-1.0, np.float32)}),
        lambda arrays: arrays.update({STEP: np.array(np.inf, np.float32)}),
        lambda arrays: arrays.update({MOMENT: arrays[MOMENT].astype(np.float64)}),
        lambda arrays: arrays.update({MOMENT: np.full_like(arrays[MOMENT], np.nan)}),
        lambda arrays: arrays.pop(MOMENT),
        lambda arrays: arrays.pop(STEP),
        lambda arrays: arrays.pop(V),
        lambda arrays: arrays.update({V: arrays[V].astype(np.int64)}),
        lambda arrays: arrays.update({"adam/max_exp_avg_sq/V": arrays[MOMENT]}),
        lambda arrays: arrays.update({"average/V": arrays[V]}),
        lambda arrays: arrays.update({"other": arrays[V]}),
    ],
)
def test_a_forged_array_is_refused_before_it_is_used(
    tmp_path: Path, change: Callable[[dict[str, NDArray[Any]]], object]
) -> None:
    forged(tmp_path / "checkpoint", change)
    arrays, epoch, _ = load_checkpoint(tmp_path / "checkpoint")
    state = fresh()
    before = weights_digest(state)
    with pytest.raises(ArtefactError, match="must hold the parameters of this network"):
        restore(state, arrays, epoch)
    assert weights_digest(state) == before


@pytest.mark.parametrize(
    "header",
    [
        None,
        [],
        "text",
        {"epoch": -1, "record": {}},
        {"epoch": 10**9, "record": {}},
        {"epoch": 1.0, "record": {}},
        {"epoch": True, "record": {}},
        {"epoch": 1, "record": []},
        {"epoch": 1},
        {"epoch": 1, "record": {}, "self": 1},
    ],
)
def test_a_forged_header_is_refused_by_name(tmp_path: Path, header: object) -> None:
    path = tmp_path / "checkpoint"
    path.write_bytes(seal_arrays({}, header))
    with pytest.raises(ArtefactError, match=f"{path} must be a checkpoint of caser"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "content", [b'{"epoch": NaN}', b'{"a": 1, "a": 2}', b"[" * 400 + b"]" * 400, b'{"e": "\\ud800"}']
)
def test_a_header_that_is_no_plain_json_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path, header = tmp_path / "checkpoint", content.decode()
    digest = hashlib.sha256(content).hexdigest()
    path.write_bytes(safetensors.numpy.save({}, {"header": header, "sha256": digest}))
    with pytest.raises(ArtefactError, match=f"{path} must be a checkpoint of caser"):
        load_checkpoint(path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "checkpoint")
    with pytest.raises(ArtefactError, match="special file"):
        load_checkpoint(tmp_path / "checkpoint")
