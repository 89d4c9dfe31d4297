"""Rows that another column calls no event, or one that was undone: they count, and a doubt says so."""

from __future__ import annotations

import shlex
from pathlib import Path

import polars as pl
import pytest

from caser.data.filters import LogFilters
from caser.data.readers import read_log
from tests.cases.logs import Cell, doubts_of, item, read, rows_of, seconds, user


def by_turns(*values: object) -> Cell:
    return lambda user, item, seconds: values[seconds // 600 % len(values)]


@pytest.mark.parametrize(
    ("name", "values", "claim", "kept"),
    [
        ("clicked", ("0", "1", "0"), "is 0 in 120", "1"),
        ("is_read", ("false", "true"), "is false in 90", "true"),
        ("wasPurchased", ("no", "yes", "no"), "is no in 120", "yes"),
        ("label", ("0.0", "1.0"), "is 0.0 in 90", "1.0"),
        ("is_bot", ("0", "0", "1"), "is 1 in 60", "0"),
        ("test_user", ("f", "f", "t"), "is t in 60", "f"),
        ("order_status", ("wc-completed", "wc-cancelled", "wc-refunded"), " in 120 of", None),
        ("Statut", ("payé", "annulé", "payé"), "is 'annulé' in 60", "payé"),
        ("state", ("done", "FAILED", "done"), "is 'FAILED' in 60", "done"),
    ],
)
def test_rows_that_are_no_events_are_named_with_the_flags_that_leave_them_out(
    tmp_path: Path, name: str, values: tuple[str, ...], claim: str, kept: str | None
) -> None:
    kept = kept or values[0]
    log = read(tmp_path, f"user,item,time,{name}\n" + rows_of(user, item, seconds, by_turns(*values)))
    [doubt] = doubts_of(log)
    assert f"{name} is" in doubt
    assert claim in doubt
    assert doubt.endswith(f": --event-type {name} --event-types {shlex.quote(kept)} leaves them out")
    filtered = read_log(tmp_path / "events.csv", event_type=name, filters=LogFilters(event_types=(kept,)))
    assert len(filtered) == 180 * values.count(kept) // len(values)
    assert not doubts_of(filtered)


@pytest.mark.parametrize("name", ["deleted_at", "cancelledOn", "refund_date"])
def test_moments_of_an_end_are_named(tmp_path: Path, name: str) -> None:
    text = rows_of(user, item, seconds, by_turns("", "", "2024-01-05 10:00:00"))
    log = read(tmp_path, f"user,item,time,{name}\n" + text)
    assert f"doubt: {name} is there ('2024-01-05 10:00:00') in 60 of the first 180 rows" in str(doubts_of(log))


def test_booleans_of_a_frame_are_named_and_can_be_filtered() -> None:
    frame = pl.DataFrame({"user": [1, 1, 2, 2], "item": [5, 6, 5, 6], "purchased": [True, False, True, False]})
    [doubt] = [one for one in doubts_of(read_log(frame)) if "purchased" in one]
    assert "--event-type purchased --event-types true leaves" in doubt
    assert len(read_log(frame, event_type="purchased", filters=LogFilters(event_types=("true",)))) == 2


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("clicked", ("1", "1")),  # all rows are events
        ("is_bot", ("0", "0")),
        ("clicks", ("0", "1")),  # a count
        ("target_id", ("0", "1")),
        ("state", ("CA", "NY")),
        ("status", ("new", "paid")),
        ("read", ("5", "7")),
        ("is_member", ("0", "1")),
    ],
)
def test_other_columns_are_not_doubted(tmp_path: Path, name: str, values: tuple[str, ...]) -> None:
    log = read(tmp_path, f"user,item,time,{name}\n" + rows_of(user, item, seconds, by_turns(*values)))
    assert not doubts_of(log)
