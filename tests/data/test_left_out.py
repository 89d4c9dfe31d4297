"""Which interactions a part of a split leaves out, by hand and for every split."""

from __future__ import annotations

import numpy as np
import pytest

from caser.data.left_out import is_in_part, left_out_facts
from caser.data.split import d2l, leave_one_out, sessions
from caser.data.synthetic import chain_world
from caser.data.tape import Tape
from caser.evaluation.protocols import PROTOCOLS, apply
from tests.data.logs import for_every_protocol, log_of

DAY = 86_400_000_000


def test_the_last_interaction_of_a_judged_user_is_left_out() -> None:
    log = log_of([("ann", "tea", 0), ("ann", "ham", DAY), ("ann", "tea", 2 * DAY), ("bob", "tea", 5 * DAY)])
    is_trained = is_in_part(log, leave_one_out(log).final)
    assert is_trained.tolist() == [True, True, False, True]  # bob has too few interactions to be judged
    facts = {"interactions": 1, "users": 1, "since": "1970-01-03", "until": "1970-01-03"}
    assert left_out_facts(log, is_trained) == facts
    assert left_out_facts(log, np.ones(4, dtype=np.bool_)) is None


def test_whole_sessions_are_left_out() -> None:
    log = chain_world(num_users=10, num_items=5, length=3, seed=0).log
    assert np.flatnonzero(~is_in_part(log, sessions(log).final)).tolist() == [27, 28, 29]


def test_of_tied_last_interactions_that_one_is_left_out_that_tests() -> None:
    log = log_of([("ann", 1, 0), ("ann", 2, 1), ("ann", 7, 5), ("ann", 8, 5), ("ann", 9, 5)])
    assert is_in_part(log, d2l(log).final).tolist() == [True, True, False, True, True]


def test_of_equal_interactions_the_earliest_are_in_the_part() -> None:
    log = log_of([("ann", item, time) for time, item in enumerate([1, 2, 1, 2, 1])])
    part = Tape.from_sequences([[2, 1, 2]], num_items=2)  # a part in an order of its own
    assert is_in_part(log, part).tolist() == [True, True, False, True, False]
    assert not is_in_part(log, Tape.from_sequences([[]], num_items=2)).any()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_what_is_in_the_part_is_the_part(name: str) -> None:
    split = apply(name, for_every_protocol(chain_world(num_users=40, num_items=8, length=21, seed=0).log))
    for part in (split.fit, split.final):
        trained = split.everything.where(is_in_part(split.log, part))
        whole = part.whole(split.log.num_users)
        assert np.array_equal(trained.lengths, whole.lengths)
        for user in range(split.log.num_users + 1):
            own, other = trained.sequence(user), whole.sequence(user)
            if PROTOCOLS[name].reads_future:  # of equal interactions any may be drawn, and the earliest are taken
                own, other = np.sort(own), np.sort(other)
            assert np.array_equal(own, other)
