"""Sessions of returning users: where a pause cuts, what tests, and that both readings have the same targets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from caser.data.log import InteractionLog
from caser.data.synthetic import chain_world
from caser.data.tape import Tape
from caser.data.user_sessions import session_numbers, user_sessions
from caser.errors import ConfigError, DataError
from tests.data.logs import log_of, log_of_sequences, raw_queries, raw_sequences, with_pauses

MINUTE = 60_000_000
# ann: three sessions, an hour apart; bob: two, so he only trains.
ROWS = [
    ("ann", item, minute * MINUTE)
    for item, minute in [("a", 0), ("b", 1), ("c", 61), ("d", 62), ("e", 122), ("f", 123), ("g", 124)]
] + [("bob", item, minute * MINUTE) for item, minute in [("b", 0), ("a", 1), ("g", 90)]]


@pytest.fixture
def log() -> InteractionLog:
    return log_of(ROWS)


def test_a_pause_begins_a_session_and_so_does_another_user(log: InteractionLog) -> None:
    assert session_numbers(log, gap=30 * 60.0).tolist() == [1, 1, 2, 2, 3, 3, 3, 4, 4, 5]


def test_a_pause_of_exactly_the_gap_does_not_cut(log: InteractionLog) -> None:
    assert session_numbers(log, gap=60 * 60.0).max() == 3  # both pauses of ann last an hour; bob's pause is longer


def test_the_last_session_tests_and_the_sessions_before_train(log: InteractionLog) -> None:
    split = user_sessions(log)
    assert raw_sequences(split, "fit") == {"ann": ["a", "b"], "bob": ["b", "a", "g"]}
    assert raw_sequences(split, "final") == {"ann": ["a", "b", "c", "d"], "bob": ["b", "a", "g"]}
    assert raw_queries(split, "validation") == [("ann", ["a", "b", "c"], ["d"])]
    assert raw_queries(split, "test") == [
        ("ann", ["a", "b", "c", "d", "e"], ["f"]),
        ("ann", ["a", "b", "c", "d", "e", "f"], ["g"]),
    ]


def test_a_session_read_alone_is_a_sequence_of_its_own_with_its_user(log: InteractionLog) -> None:
    split = user_sessions(log, reads="session")
    assert raw_queries(split, "test") == [("ann", ["e"], ["f"]), ("ann", ["e", "f"], ["g"])]
    tape = split.final
    raw = log.item_vocabulary.raw
    assert [raw(tape.sequence(number)) for number in range(1, tape.num_users + 1)] == [
        ["a", "b"],
        ["c", "d"],
        ["b", "a"],
        ["g"],
    ]
    assert tape.owners.tolist() == [0, 1, 1, 2, 2]


def test_both_readings_have_the_same_targets_and_the_same_seen_items() -> None:
    log = with_pauses(chain_world(num_users=30, num_items=9, length=20, seed=3).log)
    both = [user_sessions(log, reads=reads).test for reads in ("all", "session")]
    for name in ("users", "targets", "target_offsets", "owners", "ends"):
        np.testing.assert_array_equal(getattr(both[0], name), getattr(both[1], name))
    everything = slice(None)
    for one, other in zip(both[0].seen(everything), both[1].seen(everything), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_sessions_of_a_user_put_together_are_the_sequence_of_the_user() -> None:
    log = with_pauses(chain_world(num_users=30, num_items=9, length=20, seed=3).log)
    sessions, users = user_sessions(log, reads="session").final, user_sessions(log).final
    whole = sessions.whole(log.num_users)
    np.testing.assert_array_equal(whole.items, users.items)
    np.testing.assert_array_equal(whole.offsets, users.offsets)


def test_a_tape_with_one_sequence_per_user_is_whole_already() -> None:
    tape = Tape.from_sequences([[1, 2]], num_items=2)
    assert tape.whole(1) is tape
    assert tape.owners.tolist() == [0, 1]


def test_a_log_without_returning_users_is_refused_with_the_name_of_the_protocol_for_it() -> None:
    with pytest.raises(DataError, match=r"got none at a pause of 1,800 seconds"):
        user_sessions(log_of_sequences({"ann": [1, 2, 3], "bob": [1, 2]}))


def test_a_log_without_times_is_refused(log: InteractionLog) -> None:
    with pytest.raises(DataError, match="sessions need timestamps"):
        user_sessions(replace(log, has_times=False))


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({}, "user-sessions"),
        ({"gap": 600}, "user-sessions gap=600 reads=all"),
        ({"reads": "session"}, "user-sessions gap=1800 reads=session"),
    ],
)
def test_the_name_says_what_was_done(log: InteractionLog, parameters: dict[str, Any], name: str) -> None:
    assert user_sessions(log, **parameters).name == name


def test_another_reading_is_refused(log: InteractionLog) -> None:
    with pytest.raises(ConfigError, match="reads must be one of all, session; got 'sessions'"):
        user_sessions(log, reads="sessions")  # type: ignore[arg-type]
