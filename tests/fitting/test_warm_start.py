"""Where an update starts: rows of known users and items, of new ones, and which rows may move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from caser.data.tape import Tape
from caser.errors import ConfigError
from caser.fitting.warm_start import WarmStart, item_rows
from caser.models.caser.caser import Caser
from caser.models.factors.bpr_mf import BPRMF

TAPE = Tape.from_sequences([[1, 3, 2], [2, 3], [2, 1]], num_items=4)


def test_a_new_item_starts_with_the_mean_of_its_neighbours_each_as_often_as_it_is_there() -> None:
    old = np.array([[0.0, 0.0], [6.0, 1.0], [9.0, 4.0]])
    rows = item_rows(old, np.array([0, 1, 2, 0, 0]), TAPE)
    assert rows[:3].tolist() == old.tolist()
    assert rows[3].tolist() == [(6 + 9 + 9) / 3, (1 + 4 + 4) / 3]
    assert rows[4].tolist() == [7.5, 2.5], "without neighbours: the mean of all known vectors"


def test_two_new_items_are_no_neighbours_for_each_other() -> None:
    rows = item_rows(np.array([[0.0], [6.0]]), np.array([0, 1, 0, 0]), Tape.from_sequences([[1, 2, 3]], num_items=3))
    assert rows[:, 0].tolist() == [0.0, 6.0, 6.0, 6.0]


def test_a_new_item_has_the_bias_of_items_that_occur_about_as_often() -> None:
    tape = Tape.from_sequences([[1] * 8, [2, 2], [3, 3, 3], [4]], num_items=4)
    bias = item_rows(np.array([0.0, 5.0, 1.0]), np.array([0, 1, 2, 0, 0]), tape)
    assert bias.tolist() == [0.0, 5.0, 1.0, 1.0, 3.0]


def warm(model: Caser | BPRMF, tape: Tape) -> WarmStart:
    network = model.build(3, 3, seed=0)
    return WarmStart(
        arrays={name: tensor.detach().numpy() for name, tensor in network.named_parameters()},
        users_U=np.array([0, 2, 0], np.int32),
        items_I=np.array([0, 3, 1, 0, 0], np.int32),
        tape=tape,
        trained=tape,
        learns_strangers=False,
    )


def test_rows_go_with_their_ids_strangers_take_row_0_and_other_parameters_are_fixed() -> None:
    model = Caser(L=2, d=3, n_h=2, user_vector=True, tied=False)
    start = warm(model, Tape.from_sequences([[1, 3], []], num_items=4))
    network = model.build(2, 4, seed=9)
    moving = start.load(network)
    values = {name: parameter.detach().numpy() for name, parameter in network.named_parameters()}
    assert np.array_equal(values["P"], start.arrays["P"][[0, 2, 0]])
    for table in ("Q", "V"):
        assert np.array_equal(values[table][[1, 2]], start.arrays[table][[3, 1]])
    assert set(moving) == {"P", "Q", "V", "c"}
    assert moving["P"].tolist() == [False, True, False]
    assert moving["Q"].tolist() == [False, True, False, True, False]
    for name, parameter in network.named_parameters():
        assert parameter.requires_grad == (name in moving)
        if name not in moving:
            assert np.array_equal(values[name], start.arrays[name])


def test_hidden_users_train_the_row_of_strangers() -> None:
    start = replace(warm(BPRMF(d=3), Tape.from_sequences([[1], [2]], num_items=4)), learns_strangers=True)
    assert start.load(BPRMF(d=3).build(2, 4, seed=0))["P"].tolist() == [True, True, True]


def test_the_digest_sees_each_number() -> None:
    start = warm(BPRMF(d=3), TAPE)
    other = {**start.arrays, "P": np.nextafter(start.arrays["P"], np.float32(9))}
    assert start.digest != replace(start, arrays=other).digest
    assert start.digest != replace(start, items_I=np.array([0, 3, 1, 2, 0], np.int32)).digest


def test_a_network_that_hides_a_table_is_refused() -> None:
    network = BPRMF(d=3).build(2, 4, seed=0)
    hiding = type("Hiding", (type(network),), {"item_tables": ()})
    network.__class__ = hiding
    with pytest.raises(ConfigError, match="must name all its tables of users and items; got"):
        warm(BPRMF(d=3), TAPE).load(network)
    assert isinstance(network, torch.nn.Module)
