"""The clock of a log: its unit, its finest step, its range, and users whose events all have the same time."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from caser.data.describe import Facts
from caser.data.log import InteractionLog
from caser.data.time_units import times_in_words
from caser.study.audit.findings import Finding, count, share

STEPS = {"day": 86_400_000_000, "hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000, "millisecond": 1_000}
"""Steps of a clock in microseconds, coarse ones first."""
NEARLY_ALL = 0.99
"""A step is that of the clock if this share of times are whole multiples of it."""
FIRST_PLAUSIBLE = int(datetime(1990, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
"""Earlier times, in microseconds, are taken for errors."""

QUESTION = "Can the clock be trusted?"


def clock(log: InteractionLog, facts: Facts, now: datetime | None = None) -> Finding:
    """Return a finding on the times of a log.

    log    may have no times: then the finding says so
    facts  those of `describe`
    now    later times lie in the future; the current time by default
    """
    if not log.has_times:
        sentence = "The log has no times: the order of rows is used as the order of events."
        advice = (
            "Name the time column with --time if there is one: without times, no protocol can separate past and future."
        )
        return Finding("clock", QUESTION, sentence, "warning", {}, advice=(advice,))
    last_plausible = int((now or datetime.now(UTC)).timestamp()) * 1_000_000
    early, late = int((log.times < FIRST_PLAUSIBLE).sum()), int((log.times > last_plausible).sum())
    step, frozen = finest_step(log), _frozen_users(log)
    sentence = (
        f"Times run from {_day(facts['first_time'])} to {_day(facts['last_time'])} in steps of a {step}; "
        f"{share(frozen)} of users with several events have all of them at the same time."
    )
    warnings = []
    if early or late:
        sentence += f" {count(early + late, 'event')} before 1990 or in the future."
        warnings.append("Some times lie before 1990 or in the future: look at the time column and its unit.")
    if step == "day":
        warnings.append("The clock only tells days apart: within a day, the order of events is the order of rows.")
    return Finding(
        name="clock",
        question=QUESTION,
        sentence=sentence,
        severity="warning" if warnings or frozen > 0.1 else "good",
        facts={
            "times were read as": times_in_words(facts["time_unit"]) if facts["time_unit"] else None,
            "finest step": step,
            "first": facts["first_time"],
            "last": facts["last_time"],
            "events before 1990": early,
            "events in the future": late,
            "share of users with all events at one moment": frozen,
        },
        advice=tuple(warnings),
    )


def finest_step(log: InteractionLog) -> str:
    """Return the coarsest step that 99 % of the times of `log` are multiples of; "microsecond" if there is none."""
    for name, size in STEPS.items():
        if float(np.mean(log.times % size == 0)) >= NEARLY_ALL:
            return name
    return "microsecond"


def _frozen_users(log: InteractionLog) -> float:
    """The share of users with at least two events whose first and last event have the same time."""
    first = np.flatnonzero(np.diff(log.users, prepend=0))
    last = np.append(first[1:], len(log)) - 1
    several = last > first
    same = log.times[first[several]] == log.times[last[several]]
    return float(same.mean()) if several.any() else 0.0


def _day(moment: str) -> str:
    return moment.partition("T")[0]
