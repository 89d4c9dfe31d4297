"""Weights of kinds of events: what they do to losses and counts, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from caser.config import LOSSES, Training
from caser.data.event_kinds import EventKinds, weights_of
from caser.data.readers import Reading, read_log
from caser.data.split import leave_one_out, user_fraction
from caser.data.tape import Tape
from caser.errors import CaserError, ConfigError, DataError
from caser.evaluation.protocols import resolve
from caser.evaluation.slices import slices
from caser.fitting.fit import fit
from caser.models.caser.caser import Caser
from caser.models.counting.count_knn import CountKNN
from caser.models.counting.markov import Markov
from caser.models.counting.popularity import Popularity
from caser.system.randomness import torch_generator
from caser.training.lanes import batches_of
from caser.training.objective import Objective, StepInputs, Streams
from tests.data.test_target_events import frame_of

BUY, CART, VIEW = 1, 2, 0
WEIGHTS = {"buy": 4.0, "cart": 1.0}

WORDS = {f"user {number}": "abAcBdCaDb"[number % 4 :] for number in range(30)}
EQUAL = ("buy=2", "view=2")


def tape_of(*sequences: list[tuple[int, int]], num_items: int = 4) -> Tape:
    """Sequences of (item, code of its kind)."""
    tape = Tape.from_sequences([[item for item, _ in one] for one in sequences], num_items)
    codes = np.array([code for one in sequences for _, code in one], np.uint8)
    return replace(tape, kinds=EventKinds(codes, WEIGHTS))


TAPE = tape_of(
    [(1, VIEW), (2, BUY), (3, CART), (4, VIEW), (1, CART)], [(4, CART), (3, BUY), (2, VIEW), (1, BUY), (2, CART)]
)


def step(loss: str, num_targets: int) -> tuple[Objective, StepInputs]:
    training = Training(loss=loss, batch_size=64, device="cpu", user_dropout=0.0)
    network = Caser(L=2, T=num_targets, d=4, reach=2, dropout=0.0).build(2, 4, seed=0).eval()
    lanes = batches_of(TAPE, network, training, num_targets=num_targets)
    [[(_, batch)]] = lanes.epoch(0, 1)
    objective = Objective(network, TAPE.item_counts, training, torch.device("cpu"))
    inputs = objective.prepare(batch, Streams(torch_generator(0, "d"), torch_generator(0, "n")))
    assert inputs is not None
    return objective, inputs


@pytest.mark.parametrize("num_targets", [1, 2])
@pytest.mark.parametrize("loss", LOSSES)
def test_each_target_counts_with_its_weight_in_every_loss(loss: str, num_targets: int) -> None:
    objective, inputs = step(loss, num_targets)
    weights_MT = inputs.weights_MT
    assert weights_MT is not None
    has_target = inputs.targets_MT > 0
    # By hand: each target alone, times its weight.
    expected, number = torch.zeros(()), 0
    for place in has_target.nonzero().tolist():
        alone = torch.zeros_like(has_target)
        alone[tuple(place)] = True
        one = replace(inputs, targets_MT=torch.where(alone, inputs.targets_MT, 0), weights_MT=alone * 1.0)
        expected = expected + weights_MT[tuple(place)] * objective(one)
        number += 1
    assert number > 5
    assert sorted(set(weights_MT[has_target].tolist())) == [pytest.approx(7 / 16), pytest.approx(28 / 16)]
    torch.testing.assert_close(objective(inputs), expected / number)
    assert not torch.isclose(objective(inputs), objective(replace(inputs, weights_MT=None)))


def test_the_weight_of_a_target_goes_with_it_where_history_lies_between() -> None:
    _, inputs = step("softmax", 2)
    assert inputs.weights_MT is not None
    rows = list(zip(inputs.targets_MT.tolist(), inputs.weights_MT.tolist(), strict=True))
    # After (3, cart) of the first user come a view and (1, cart): one target, with the weight of a cart.
    assert ([1, 0], [pytest.approx(7 / 16), 0.0]) in rows
    for targets, weights in rows:
        assert [weight > 0 for weight in weights] == [target > 0 for target in targets]


def test_only_ratios_of_weights_matter() -> None:
    kinds = TAPE.kinds
    assert kinds is not None
    tenfold = replace(kinds, weights={"buy": 40.0, "cart": 10.0})
    assert tenfold.relative_weights.tolist() == kinds.relative_weights.tolist()
    assert replace(TAPE, kinds=tenfold).mean_weight == pytest.approx(10 * TAPE.mean_weight) == 160 / 7


def test_equal_weights_are_none_bit_for_bit() -> None:
    frame = frame_of(WORDS)
    training = Training(loss="bce", epochs=2, patience=0, batch_size=64)
    arrays = []
    for words in (("buy", "view"), EQUAL):
        split = leave_one_out(read_log(frame, target_events=words))
        arrays.append(fit(Caser(L=2, T=2, d=4, reach=2), split, training).artefact.scorer.arrays())
    plain = fit(Caser(L=2, T=2, d=4, reach=2), leave_one_out(read_log(frame)), training).artefact.scorer.arrays()
    for name, array in plain.items():
        assert np.array_equal(array, arrays[0][name])
        assert np.array_equal(array, arrays[1][name])


def test_a_count_is_a_sum_of_weights() -> None:
    found = {}
    for model in (
        Popularity(),
        Markov(),
        CountKNN(reach=1, gap_decay=1, shrinkage=1, candidate_exponent=1, history_exponent=0),
    ):
        scorer = model.build(2, 4)
        scorer.fit(TAPE)
        found[model.name] = scorer.scores(np.array([0]), np.array([[3]]))[0].round(3).tolist()
    # Bought: 2, 3 and 1, four times each; carted: 3, 1, 4, 2.
    assert found["popularity"] == [0, 5, 5, 5, 1]
    # After 3 come views only.
    assert found["markov"] == [0, *(round(number / 17, 3) for number in (5, 5, 5, 1))]
    assert found["count-knn"] == [0, 0, 0, 0, 0]
    scorer = CountKNN(reach=1, gap_decay=1, shrinkage=1, candidate_exponent=1, history_exponent=0).build(2, 4)
    scorer.fit(TAPE)
    # After 2 comes (3, cart), and after 4 come (1, cart) and (3, buy): weights over popularity + 1.
    assert scorer.scores(np.array([0]), np.array([[4]]))[0].round(3).tolist() == [0, round(1 / 6, 3), 0, 0.667, 0]


def test_each_kind_of_target_is_judged_apart() -> None:
    log = read_log(frame_of(WORDS), target_events=("buy", "view=0.5"))
    split = user_fraction(log)
    found = slices(split.test, split.final, np.zeros(len(split.test.targets), bool))["kind"]
    assert set(found) == {"buy", "view"}
    assert sum(mask.sum() for mask in found.values()) == len(split.test.targets)
    one = slices(split.test.between(3, 9), split.final, np.zeros(split.test.num_targets[3:9].sum(), bool))["kind"]
    assert one["buy"].sum() < found["buy"].sum()
    # Each target has the kind of its event.
    queries = leave_one_out(log).test
    kinds = queries.kinds
    assert kinds is not None
    assert log.kinds is not None
    assert kinds.codes.tolist() == log.kinds.codes[queries.ends].tolist()
    assert "kind" not in slices(*_part(read_log(frame_of(WORDS), target_events=("buy",))))


def _part(log: object) -> tuple:  # type: ignore[type-arg]
    split = leave_one_out(log)  # type: ignore[arg-type]
    resolve("leave-one-out", split)
    return split.test, split.final, np.zeros(len(split.test.targets), bool)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("buy=0",), "weights from 0.000001 to 1,000,000.*'buy=0'.*Leave out"),
        (("buy=-1",), "'buy=-1'"),
        (("buy=nan",), "'buy=nan'"),
        (("buy=inf",), "'buy=inf'"),
        (("buy=1e9",), "'buy=1e9'"),
        (("buy=much",), "'buy=much'"),
        (("buy=",), "'buy='"),
        (("buy", "buy=2"), "once"),
        (("=2",), "must name each kind once"),
        (("",), "must name each kind once"),
        (tuple(f"k{number}" for number in range(256)), "at most 255"),
    ],
)
def test_a_wrong_weight_is_refused(words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Reading(target_events=words)


def test_a_kind_may_hold_an_equals_sign_if_it_has_a_weight() -> None:
    assert weights_of(("a=b=2", "c")) == {"a=b": 2.0, "c": 1.0}


FRAME = frame_of({"ann": "aAbBcC"})
WRONG_LOGS: list[tuple[Callable[[], object], type[CaserError], str]] = [
    (lambda: read_log(FRAME, target_events=("cart=0.3",)), DataError, "'cart', which never occurs"),
    (
        lambda: read_log(FRAME, target_events=("buy=1,view=0.3",)),
        DataError,
        "each kind on its own: --target-events buy --target-events view",
    ),
    (lambda: read_log(FRAME.drop("event"), target_events=("buy=2",)), DataError, "event type"),
    (lambda: read_log(FRAME, target_events="buy"), ConfigError, "target_events"),
    (lambda: read_log(FRAME, target_events={"buy": 2}), ConfigError, "target_events"),
    (lambda: read_log(FRAME, target_events=(1, 2)), ConfigError, "target_events"),
]


@pytest.mark.parametrize(("act", "error", "words"), WRONG_LOGS)
def test_what_does_not_fit_the_log_is_refused(act: Callable[[], object], error: type[CaserError], words: str) -> None:
    with pytest.raises(error, match=words):
        act()


def test_kinds_may_be_numbers() -> None:
    numbers = FRAME.with_columns(event=pl.col("event").replace_strict({"buy": 3, "view": 1}))
    log = read_log(numbers, target_events=("3=2", "1"))
    assert log.kinds is not None
    assert log.kinds.codes.tolist() == [2, 1] * 3
    assert log.digest == read_log(FRAME, target_events=("buy=2", "view")).digest
    assert log.digest != read_log(FRAME, target_events=("buy=3", "view")).digest
    assert "events of kind 3 (weight 2), 1 (weight 1) are predicted, 6 of 6" in " ".join(log.provenance["notes"])
