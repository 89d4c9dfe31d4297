"""Several columns of moments: those of events are read before those of rows, or named where the orders differ."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from caser.errors import DataError
from tests.cases.logs import START, Cell, doubts_of, item, read, rows_of, user

FIRST = (START + 37) * 1_000_000


def at(form: str, shift: int = 0, step: int = 1) -> Cell:
    return lambda user, item, seconds: datetime.fromtimestamp((seconds + shift) // step * step, UTC).strftime(form)


EVENT = at("%Y-%m-%d %H:%M:%S")
NIGHTLY = at("%Y-%m-%d %H:%M:%S", shift=86_400, step=86_400)
"""When all rows of a day were written."""


@pytest.mark.parametrize(
    ("row", "event"),
    [
        ("created_at", "purchased_at"),
        ("createdAt", "orderDate"),
        ("created_at", "started_at"),
        ("loaded_at", "viewed_at"),
        ("inserted_at", "event_time"),
        ("updated_at", "occurred_at"),
        ("export_date", "read_on"),
        ("dw_load_date", "seen"),
    ],
)
def test_the_moment_of_the_event_is_read_and_not_that_of_the_row(tmp_path: Path, row: str, event: str) -> None:
    for columns, cells in (((row, event), (NIGHTLY, EVENT)), ((event, row), (EVENT, NIGHTLY))):
        log = read(tmp_path, f"user,item,{','.join(columns)}\n" + rows_of(user, item, *cells))
        assert int(log.times.min()) == FIRST
        assert any(row in note and "--time" in note for note in log.provenance["notes"])
        assert not doubts_of(log)


@pytest.mark.parametrize("name", ["timestamp", "date", "time"])
def test_a_usual_name_that_loses_the_order_of_events_is_doubted(tmp_path: Path, name: str) -> None:
    said = [
        doubts_of(read(tmp_path, f"user,item,{name},viewed_at\n" + rows_of(user, item, cell, EVENT)))
        for cell in (NIGHTLY, at("%Y-%m-%d %H:%M:%S", shift=7200, step=7200))
    ]
    assert all(any("--time viewed_at reads it" in doubt for doubt in doubts) for doubts in said)


def test_several_moments_of_events_are_refused(tmp_path: Path) -> None:
    text = "user,item,created_at,ordered_at,viewed_at\n" + rows_of(user, item, NIGHTLY, EVENT, EVENT)
    with pytest.raises(DataError, match=r"pass --time ordered_at .*, or --time viewed_at"):
        read(tmp_path, text)


@pytest.mark.parametrize(("name", "other"), [("created_at", "order_date"), ("timestamp", "event_date")])
def test_a_coarser_moment_of_the_event_changes_nothing(tmp_path: Path, name: str, other: str) -> None:
    log = read(tmp_path, f"user,item,{name},{other}\n" + rows_of(user, item, EVENT, at("%Y-%m-%d")))
    assert int(log.times.min()) == FIRST
    assert not doubts_of(log)
