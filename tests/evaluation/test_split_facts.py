"""Facts about a split, and the rules that they decide: what happens at equal times and exactly at a bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from caser.data.describe import describe
from caser.data.log import InteractionLog
from caser.data.split import Split, d2l, global_time, leave_one_out, user_fraction
from caser.data.synthetic import chain_world
from caser.data.tape import Tape
from caser.data.user_sessions import user_sessions
from caser.evaluation import protocols
from caser.evaluation.protocols import resolve
from caser.evaluation.split_facts import later_share, repeat_share
from caser.study.audit import audit as audits
from caser.study.audit.clock import FIRST_PLAUSIBLE, clock, finest_step
from tests.data.logs import log_of, with_pauses

# The future


def plain_later_share(split: Split, tape: Tape, queries: Split) -> float:
    """Count the pairs one by one."""
    log = split.log
    lengths = tape.whole(log.num_users).lengths
    place = np.arange(len(log)) - np.searchsorted(log.users, log.users)
    training = log.times[place < lengths[log.users]]
    pairs = [(time, log.times[end]) for end in queries.ends for time in training]  # type: ignore[attr-defined]
    return sum(bool(time > target) for time, target in pairs) / len(pairs)


SPLITS: list[Callable[[InteractionLog], Split]] = [
    leave_one_out,
    user_fraction,
    global_time,
    d2l,
    user_sessions,
    lambda log: user_sessions(log, reads="session"),
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("split_of", SPLITS)
def test_the_share_of_later_interactions_is_that_of_counting_pairs_also_where_times_are_equal(
    split_of: Callable[[InteractionLog], Split], seed: int
) -> None:
    log = with_pauses(chain_world(num_users=6, num_items=5, length=12, seed=seed).log, every=3)
    days = np.random.default_rng(seed).integers(0, 6, (6, 12)) // 2  # few different moments, and many ties
    days += (np.arange(12) // 3) * 2
    log = replace(log, times=np.sort(days, axis=1).ravel() * 86_400_000_000)
    split = split_of(log)
    for tape, queries in ((split.fit, split.validation), (split.final, split.test)):
        assert later_share(split, tape, queries) == pytest.approx(plain_later_share(split, tape, queries))  # type: ignore[arg-type]


def test_an_interaction_at_the_moment_of_the_target_is_not_later() -> None:
    same = leave_one_out(log_of((user, item, 5) for user in "ab" for item in "wxyz"))
    assert later_share(same, same.final, same.test) == 0
    # b trains once at the moment of a's target and once after it: one of six is later for a, none for b.
    times = {"a": [1, 2, 3, 7], "b": [6, 7, 8, 9]}
    late = leave_one_out(log_of((user, item, time) for user in "ab" for item, time in enumerate(times[user])))
    assert later_share(late, late.final, late.test) == pytest.approx(1 / 12)


def test_a_repeat_counts_for_the_user_who_repeats_and_the_first_item_is_no_target() -> None:
    assert repeat_share(Tape.from_sequences([[1, 1, 1, 2], [1], [2]], num_items=2)) == pytest.approx(2 / 3)
    assert repeat_share(Tape.from_sequences([[1], [1]], num_items=1)) == 0
    assert repeat_share(Tape.from_sequences([[], []], num_items=1)) == 0


# Bounds of rules


def test_exactly_the_largest_share_of_repeats_still_removes_seen_items(monkeypatch: pytest.MonkeyPatch) -> None:
    split = leave_one_out(log_of((1, item, time) for time, item in enumerate([1, 2, 1, 3, 4, 5, 6])))
    share = repeat_share(split.fit)
    assert share == 0.25
    for bound, removed in ((share, True), (share - 1e-9, False)):
        monkeypatch.setattr(protocols, "MOST_REPEATS", bound)
        assert resolve("leave-one-out", split).remove_seen is removed


def test_times_from_the_first_plausible_moment_to_now_are_plausible() -> None:
    now = datetime(2020, 1, 1, tzinfo=UTC)
    last = int(now.timestamp()) * 1_000_000
    log = log_of([(1, 1, FIRST_PLAUSIBLE - 1), (1, 2, FIRST_PLAUSIBLE), (1, 3, last), (1, 4, last + 1)])
    found = clock(log, describe(log), now).facts
    assert (found["events before 1990"], found["events in the future"]) == (1, 1)


@pytest.mark.parametrize(("odd", "step"), [(1, "second"), (2, "microsecond")])
def test_a_clock_has_the_step_of_exactly_99_percent_of_its_times(odd: int, step: str) -> None:
    times = [1_600_000_001_000_000 + 1_000_000 * place for place in range(100)]
    times[:odd] = [time + 1 for time in times[:odd]]
    assert finest_step(log_of((1, place, time) for place, time in enumerate(times))) == step


def test_order_is_measured_again_without_ties_only_above_the_share_of_few_ties(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = chain_world(num_users=30, num_items=6, length=9).log
    log = replace(log, times=log.times // 4_000_000 * 4_000_000)
    share = describe(log)["share_of_rows_tied"]
    assert isinstance(share, float)
    again = "once more, with events at equal times in random order"
    for bound, measured in ((share, False), (share - 1e-9, True)):
        monkeypatch.setattr(audits, "FEW_TIES", bound)
        said: list[str] = []
        audits.audit(log, neural=False, tell=said.append)
        assert (again in said) is measured
