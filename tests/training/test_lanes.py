"""Lanes: a step takes one batch of each, and its loss is the mean over the targets of all of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from caser.data.shards import ShardedLog
from caser.data.split import leave_one_out
from caser.data.tape import Tape
from caser.errors import ConfigError
from caser.training import rows
from caser.training.exchange import Exchange
from caser.training.lanes import Lanes, batches_of
from caser.training.loop import TrainingState, train
from caser.training.objective import Objective
from tests.training.runs import LOG, MODEL, TAPE, TRAINING, fresh, weights_digest
from tests.training.windows import windows_in, windows_of

PLAIN = TRAINING.replace(loss="softmax", batch_size=100_000, epochs=4)
"""Every epoch is one batch of each lane; a full loss draws nothing."""

STILL = MODEL.model_copy(update={"dropout": 0.0})


def users_of(tape: Tape, users: range) -> Tape:
    """The sequences of some users; the others have none."""
    return tape.where((tape.users >= users.start) & (tape.users < users.stop))


FIRST, SECOND = users_of(TAPE, range(1, 20)), users_of(TAPE, range(20, TAPE.num_users + 1))


def lanes_of(state: TrainingState, training: Any, *tapes: Tape) -> Lanes:
    """One lane for each tape."""
    lanes = [batches_of(tape, state.network, training, num_targets=MODEL.T).by_lane[0] for tape in tapes]
    most = max(lane.num_batches for lane in lanes)
    return Lanes(dict(enumerate(lanes)), most, TAPE.item_counts)


def trained(training: Any, *tapes: Tape) -> tuple[list[float], TrainingState]:
    state = fresh(training, STILL)
    return [epoch.loss for epoch in train(state, lanes_of(state, training, *tapes), training)], state


@pytest.mark.parametrize("many_rows", [1, 10**6], ids=["by rows", "whole tables"])
def test_a_step_over_two_lanes_is_the_step_over_their_union(many_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MANY_ROWS", many_rows)
    losses, together = trained(PLAIN, TAPE)
    losses_of_two, apart = trained(PLAIN, FIRST, SECOND)
    assert losses_of_two == pytest.approx(losses, rel=1e-6)
    for one, other in zip(together.network.parameters(), apart.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_one_lane_that_is_given_by_hand_trains_as_the_tape_does() -> None:
    state = fresh(TRAINING, STILL)
    list(train(state, batches_of(TAPE, state.network, TRAINING, num_targets=MODEL.T), TRAINING))
    assert weights_digest(trained(TRAINING, TAPE)[1]) == weights_digest(state)


def test_lanes_of_unequal_length_train_every_state_once() -> None:
    state = fresh()
    lanes = lanes_of(state, TRAINING, FIRST, SECOND)
    shorter, longer = sorted(lane.num_batches for lane in lanes.by_lane.values())
    steps = list(lanes.epoch(seed=0, number=1))
    assert shorter < longer == len(steps) == lanes.num_batches
    assert Counter(map(len, steps)) == {2: shorter, 1: longer - shorter}
    found = windows_in((batch for step in steps for _, batch in step), MODEL.L)
    assert found == windows_of(TAPE, MODEL.L, MODEL.T)


def test_lanes_draw_from_streams_of_their_own() -> None:
    sampled = TRAINING.replace(loss="bce", num_negatives=3, popularity_exponent=0.5)
    drawn: list[Any] = []
    state = fresh(sampled)
    original = Objective.prepare

    def prepare(self: Objective, *arguments: Any) -> Any:
        drawn.append(original(self, *arguments))
        return drawn[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Objective, "prepare", prepare)
        same = lanes_of(state, sampled, TAPE, TAPE)
        next(train(state, same, sampled))
    first, second = drawn[:2]
    assert not np.array_equal(first.negatives, second.negatives)
    assert not np.array_equal(first.tape_CX, second.tape_CX)


def test_a_part_in_one_piece_is_shared_out_by_user() -> None:
    state = fresh()
    lanes = batches_of(TAPE, state.network, TRAINING.replace(lanes=3), num_targets=MODEL.T)
    users = [
        {int(user) for batch in lane.epoch(torch.Generator()) for user in batch.users_CW[batch.valid_CW].tolist()}
        for lane in lanes.by_lane.values()
    ]
    assert sorted(user for each in users for user in each) == list(range(1, TAPE.num_users + 1))
    steps = list(lanes.epoch(seed=0, number=1))
    found = windows_in((batch for step in steps for _, batch in step), MODEL.L)
    assert found == windows_of(TAPE, MODEL.L, MODEL.T)
    assert lanes.item_counts.tolist() == TAPE.item_counts.tolist()


def test_lanes_of_sessions_keep_a_user_together() -> None:
    sessions = Tape(TAPE.items, TAPE.offsets, TAPE.num_items, (np.arange(TAPE.num_users + 1) + 1).astype(np.int32) // 2)
    state = fresh()
    lanes = batches_of(sessions, state.network, TRAINING.replace(lanes=2), num_targets=MODEL.T)
    for number, lane in lanes.by_lane.items():
        for batch in lane.epoch(torch.Generator()):
            assert set((batch.users_CW[batch.valid_CW] % 2).tolist()) <= {number}


def test_more_lanes_than_shards_and_more_workers_than_lanes_are_refused() -> None:
    state, shards = fresh(), leave_one_out(ShardedLog.of(LOG, 2)).fit
    with pytest.raises(ConfigError, match="a log in shards must have a shard for each lane; got 2 shards for 3 lanes"):
        batches_of(shards, state.network, TRAINING.replace(lanes=3), num_targets=MODEL.T)
    with pytest.raises(ConfigError, match=r"at least one lane for each worker; got 1 for 2 workers\. Set lanes=2"):
        batches_of(TAPE, state.network, TRAINING, num_targets=MODEL.T, exchange=Exchange(size=2))
