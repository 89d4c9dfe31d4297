"""Clock, activity, repeats and leakage: each finding on a log for which the answer is known."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from caser.arrays.types import RawId
from caser.data.describe import describe
from caser.data.log import InteractionLog
from caser.data.split import leave_one_out
from caser.data.synthetic import chain_world
from caser.evaluation import protocols
from caser.study.audit.activity import bots, busiest_hours, cold, concentration
from caser.study.audit.clock import clock, finest_step
from caser.study.audit.leakage import are_sessions, leakage
from caser.study.audit.repeats import repeats
from tests.data.logs import log_of, log_of_sequences

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
NOW = datetime(2020, 6, 1, tzinfo=UTC)
START = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * SECOND
CHAIN = chain_world(num_users=60, num_items=9, length=12).log


def with_steps(step: int, num_users: int = 4, length: int = 5) -> InteractionLog:
    rows = [
        (user, item, START + (user + item * num_users) * step) for item in range(length) for user in range(num_users)
    ]
    return log_of(rows)


@pytest.mark.parametrize(
    ("step", "name"), [(DAY, "day"), (HOUR, "hour"), (SECOND, "second"), (1_000, "millisecond"), (1, "microsecond")]
)
def test_the_finest_step_of_a_clock_is_found(step: int, name: str) -> None:
    assert finest_step(with_steps(step)) == name


def test_a_clock_of_days_is_a_warning_with_advice() -> None:
    log = with_steps(DAY)
    finding = clock(log, describe(log), NOW)
    assert finding.severity == "warning"
    assert "only tells days apart" in finding.advice[0]


def test_a_clock_of_seconds_is_good() -> None:
    log = with_steps(SECOND)
    assert clock(log, describe(log), NOW).severity == "good"


@pytest.mark.parametrize("wrong", [0, START + 3_000 * DAY])
def test_times_before_1990_and_in_the_future_are_counted(wrong: int) -> None:
    log = log_of([(1, 1, wrong), (1, 2, START), (2, 1, START + SECOND)])
    finding = clock(log, describe(log), NOW)
    found = finding.facts
    assert [found["events before 1990"], found["events in the future"]] == ([1, 0] if wrong == 0 else [0, 1])
    assert "look at the time column" in finding.advice[0]


def test_users_whose_events_have_one_time_are_counted() -> None:
    log = log_of([(1, 1, START), (1, 2, START), (2, 1, START), (2, 2, START + SECOND), (3, 1, START)])
    assert clock(log, describe(log), NOW).facts["share of users with all events at one moment"] == 0.5


def test_without_times_the_clock_is_a_warning() -> None:
    log = InteractionLog.from_columns(pl.Series([1, 1]), pl.Series([1, 2]), None)
    assert clock(log, describe(log), NOW).severity == "warning"
    assert leakage(log, "leave-one-out").severity == "warning"


def test_a_user_who_is_far_busier_than_others_is_named() -> None:
    people = [(f"user {user}", item, START + item * DAY) for user in range(30) for item in range(5)]
    machine = [("robot", item % 5, START + item * SECOND) for item in range(600)]
    finding = bots(log_of(people + machine))
    assert finding.facts["busiest"] == "robot"
    assert finding.severity == "warning"
    assert "robot" in finding.advice[0]


def test_ordinary_users_are_not_flagged() -> None:
    assert bots(CHAIN).severity == "good"


def test_the_busiest_hour_is_found_wherever_it_begins() -> None:
    times = [0, 1_000, 3_500, 4_500, 4_600, 4_700, 90_000]
    log = log_of([(1, 1, time * SECOND) for time in times] + [(2, 1, 0), (2, 2, 3_600 * SECOND)])
    assert sorted(busiest_hours(log).tolist()) == [1, 4]


def test_cold_users_items_and_targets_are_counted() -> None:
    log = log_of([(1, item, START + item) for item in (1, 2, 3)] + [(2, 9, START)])
    facts = cold(log, leave_one_out(log)).facts
    assert facts["share of users with fewer than 3 events"] == 0.5
    assert facts["share of validation targets never seen in training"] == 1


def test_popularity_of_one_item_concentrates() -> None:
    log = log_of(
        [(user, 1, START + user) for user in range(99)] + [(0, item, START + 500 + item) for item in range(2, 12)]
    )
    assert concentration(log, describe(log)).facts["share of the top 1 % of items"] == pytest.approx(99 / 109)


def test_seen_items_must_stay_where_users_repeat() -> None:
    finding = repeats(leave_one_out(CHAIN), describe(CHAIN))
    assert finding.facts["seen items"] == "kept"
    assert "Seen items must stay candidates" in finding.advice[0]


def test_targets_that_a_protocol_removes_are_a_warning() -> None:
    finding = repeats(protocols.apply("caser-paper", CHAIN), describe(CHAIN))
    assert finding.severity == "warning"
    assert "no model can find them" in finding.advice[0]


def test_a_repeat_that_no_target_shows_is_still_a_repeat() -> None:
    sequences: dict[RawId, list[RawId]] = {user: [1, 2, 3, 4, 5, 6] for user in range(20)}
    twice = log_of_sequences({**sequences, 0: [1, 2, 1, 4, 5, 6]})
    says_never = ("No user takes an item twice: seen items need not be candidates.",)
    found = [repeats(leave_one_out(log), describe(log)) for log in (log_of_sequences(sequences), twice)]
    assert [finding.facts["share of validation targets seen before"] for finding in found] == [0, 0]
    assert [finding.advice for finding in found] == [says_never, ()]


def test_rows_to_drop_are_named_with_their_flags() -> None:
    rows = [(user, item, START + item * SECOND) for user in range(5) for item in (1, 1, 2, 3)]
    log = log_of(rows)
    advice = " ".join(repeats(leave_one_out(log), describe(log)).advice)
    assert "--drop-repeats" in advice
    assert "--drop-duplicates" in advice


def test_leakage_is_counted_by_hand_and_absent_under_global_time() -> None:
    early, late = [(1, item, START + item) for item in range(4)], [(2, item, START + 100 + item) for item in range(4)]
    facts = leakage(log_of(early + late), "leave-one-out").facts
    # Each user trains 2: of the 4 that train, the late user's 2 are later than the early user's target.
    assert facts["later events, leave-one-out"] == pytest.approx(2 / 8)
    assert leakage(CHAIN, "leave-one-out").facts["later events, global-time"] == 0


def test_a_protocol_that_cannot_split_is_said_so_in_the_table() -> None:
    log = log_of([(1, item, START + item) for item in range(4)])
    table = leakage(log, "leave-one-out").table
    assert table is not None
    (row,) = [row for row in table.rows if row[0] == "caser-paper"]
    assert row[1:3] == [None, 0]
    assert "at least one interaction" in str(row[3])  # no item has the 5 that the protocol asks for


def test_short_users_of_one_day_are_sessions_and_long_ones_are_not() -> None:
    rows = [(user, item, START + user * HOUR + item * SECOND) for user in range(40) for item in range(4)]
    log = log_of(rows)
    assert are_sessions(log)
    assert "--protocol sessions" in leakage(log, "leave-one-out").advice[0]
    assert not are_sessions(log_of((user, item, START + item * 2 * DAY) for user, item, _ in rows))


def test_every_finding_is_json() -> None:
    for finding in (bots(CHAIN), leakage(CHAIN, "global-time"), clock(CHAIN, describe(CHAIN))):
        values = finding.to_dict()
        assert set(values) == {"name", "question", "sentence", "severity", "facts", "table", "chart"}
        assert not [fact for fact in values["facts"].values() if isinstance(fact, np.generic)]
