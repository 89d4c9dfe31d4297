"""What an update trains on, and how."""

from __future__ import annotations

import numpy as np
import pytest

from caser.config import Training
from caser.data.tape import Tape
from caser.fitting.update_plan import EPOCHS, MOST_CONTEXT, REPLAY, update_tape, update_training


def tape_of(*histories: list[tuple[int, int]]) -> Tape:
    """A tape of histories of (item, time)."""
    plain = Tape.from_sequences([[item for item, _ in history] for history in histories], num_items=99)
    times = np.array([time for history in histories for _, time in history])
    return Tape(plain.items, plain.offsets, 99, log_times=times)


def pieces(tape: Tape) -> list[tuple[int, list[int]]]:
    return [(int(tape.owners[place]), tape.sequence(place).tolist()) for place in range(1, tape.num_users + 1)]


def test_a_user_with_new_events_has_one_sequence_with_what_they_follow() -> None:
    tape = tape_of([(1, 1), (2, 2), (3, 3), (4, 9)])
    small = update_tape(tape, np.array([0, 0, 0, 1], bool), 2)
    assert (1, [2, 3, 4]) in pieces(small)
    assert (1, [1]) in pieces(small), "what comes before is old, and may train again"


def test_the_newest_stretches_are_replayed_until_they_hold_seven_times_the_new_events() -> None:
    old = [[(10 * user + place, 10 * user + place) for place in range(4)] for user in range(1, 9)]
    small = update_tape(tape_of(*old, [(90, 100)]), np.array([False] * 32 + [True]), 4)
    replayed = [owner for owner, _ in pieces(small) if owner != 9]
    assert replayed == [7, 8], "4 + 4 interactions are at least 7 for the one that is new"


def test_long_histories_are_cut_from_their_ends() -> None:
    history = [(place % 90 + 1, place) for place in range(120)]
    small = update_tape(tape_of(history, [(91, 500)] * 3), np.array([False] * 120 + [True] * 3), None)
    assert [len(items) for owner, items in pieces(small) if owner == 1] == [MOST_CONTEXT]
    assert pieces(small)[0][1] == [item for item, _ in history[-MOST_CONTEXT:]]


def test_every_new_event_is_on_the_tape_once_and_no_old_one_twice() -> None:
    draw = np.random.default_rng(0)
    histories = [[(int(item), int(time)) for item, time in draw.integers(1, 99, (n, 2))] for n in (5, 1, 30, 80)]
    histories = [sorted(history, key=lambda row: row[1]) for history in histories]
    tape = tape_of(*histories)
    is_new = draw.random(len(tape)) < 0.1
    small = update_tape(tape, is_new, 5)
    of = np.concatenate([np.full(len(items), owner) for owner, items in pieces(small)])
    for user, history in enumerate(histories, start=1):
        items = [item for item, _ in history]
        counted = {item: items.count(item) for item in items}
        mine = small.items[of == user].tolist()
        assert all(mine.count(item) <= counted[item] for item in mine)
        new = tape.items[(tape.users == user) & is_new].tolist()
        assert all(item in mine for item in new)
    assert len(small) <= is_new.sum() * (REPLAY + 1) + 5 * 4 + 80


@pytest.mark.parametrize(("positions", "batch"), [(100_000, 512), (640, 64), (3, 64), (2_000, 128)])
def test_batches_are_those_of_the_full_training_or_smaller_for_ten_steps(positions: int, batch: int) -> None:
    assert update_training(Training(), positions, 512).batch_size == batch


def test_a_recipe_of_small_batches_keeps_them() -> None:
    assert update_training(Training(), 10**6, 16).batch_size == 16


def test_the_rate_begins_as_in_the_recipe_and_falls_and_nothing_decays() -> None:
    recipe = Training(loss="bce", num_negatives=5, learning_rate=0.01, schedule="constant", weight_decay=0.1, seed=4)
    training = update_training(recipe, 1_000, 512)
    assert (training.learning_rate, training.schedule, training.epochs) == (0.01, "linear", EPOCHS)
    assert (training.weight_decay, training.loss, training.num_negatives, training.seed) == (0.0, "bce", 5, 4)
