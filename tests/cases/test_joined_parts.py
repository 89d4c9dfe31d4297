"""Days and times of day in several columns: midnights in seconds, hours and minutes, AM and PM, zones behind them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from caser.data.prepared.prepare import prepare_log
from caser.errors import DataError
from tests.cases.logs import START, Cell, doubts_of, item, read, rows_of, user

FIRST = START + 37


def spread(seconds: int) -> int:
    """Return a moment of the next two days for one of the next two hours."""
    return FIRST + 29 * (seconds - FIRST)


def written(form: str) -> Cell:
    return lambda user, item, seconds: datetime.fromtimestamp(spread(seconds), UTC).strftime(form)


def number(change: Callable[[int], int]) -> Cell:
    return lambda user, item, seconds: change(spread(seconds))


MIDNIGHT = number(lambda seconds: seconds // 86_400 * 86_400)


@pytest.mark.parametrize(
    ("day", "clock", "cell", "lost"),
    [
        (MIDNIGHT, "seconds_of_day", number(lambda seconds: seconds % 86_400), 1),
        (MIDNIGHT, "minute_of_day", number(lambda seconds: seconds % 86_400 // 60), 60),
        (MIDNIGHT, "hour", number(lambda seconds: seconds % 86_400 // 3600), 3600),
        (MIDNIGHT, "clock", written("%H:%M:%S"), 1),
        (MIDNIGHT, "clock", written("%H%M%S"), 1),
        (number(lambda seconds: seconds // 86_400 * 86_400_000), "seconds_of_day", number(lambda s: s % 86_400), 1),
        (written("%Y-%m-%d"), "minute_of_day", number(lambda seconds: seconds % 86_400 // 60), 60),
    ],
)
def test_a_day_beside_a_time_of_day_is_doubted_and_the_way_on_joins_them(
    tmp_path: Path, day: Cell, clock: str, cell: Cell, lost: int
) -> None:
    text = f"user_id,item_id,timestamp,{clock}\n" + rows_of(user, item, day, cell)
    [doubt] = [one for one in doubts_of(read(tmp_path, text)) if "--time" in one]
    assert f"--time timestamp,{clock} joins them" in doubt
    log = read(tmp_path, text, time=f"timestamp,{clock}")
    assert int(log.times.min()) == FIRST // lost * lost * 1_000_000
    prepared = prepare_log(tmp_path / "events.csv", tmp_path / "prepared", time=f"timestamp,{clock}")
    assert (prepared.log.times == log.times).all()


def test_midnights_of_a_zone_are_days_too(tmp_path: Path) -> None:
    day = number(lambda seconds: (20 * (seconds - START) + 7200) // 86_400 * 86_400 + START // 86_400 * 86_400 - 7200)
    text = "user_id,item_id,timestamp,seconds_of_day\n" + rows_of(
        user, item, day, number(lambda seconds: (20 * (seconds - START) + 7200) % 86_400)
    )
    assert any("--time timestamp,seconds_of_day joins them" in doubt for doubt in doubts_of(read(tmp_path, text)))


def test_usual_times_beside_hours_are_no_days(tmp_path: Path) -> None:
    text = "user_id,item_id,timestamp,hour\n" + rows_of(user, item, number(int), number(lambda s: s % 86_400 // 3600))
    assert not doubts_of(read(tmp_path, text))


PARTS = {
    "date,hour,minute": ("%Y-%m-%d", "%H", "%M"),
    "date,hour,minute,second": ("%Y-%m-%d", "%H", "%M", "%S"),
    "date,hh,mm,ss": ("%Y-%m-%d", "%H", "%M", "%S"),
    "date,hour,am_pm": ("%Y-%m-%d", "%I", "%p"),
    "date,hour,minute,am_pm": ("%Y-%m-%d", "%I", "%M", "%p"),
}


@pytest.mark.parametrize("columns", PARTS)
def test_all_parts_of_a_time_of_day_are_in_the_way_on_that_is_printed(tmp_path: Path, columns: str) -> None:
    forms = PARTS[columns]
    text = f"user_id,item_id,{columns}\n" + rows_of(user, item, *map(written, forms))
    [doubt] = [one for one in doubts_of(read(tmp_path, text)) if "--time" in one]
    assert f"--time {columns} joins them" in doubt
    lost = 1 if "s" in columns else 60 if "minute" in columns else 3600
    assert int(read(tmp_path, text, time=columns).times.min()) == FIRST // lost * lost * 1_000_000


@pytest.mark.parametrize(
    ("columns", "forms", "end"),
    [
        ("date,time,am_pm", ("%Y-%m-%d", "%I:%M:%S", "%p"), ""),
        ("date,time,am_pm", ("%Y-%m-%d", "%I%M%S", "%p"), ""),
        ("date,time,am_pm", ("%Y-%m-%d", "%I:%M:%S", "{}.m."), ""),
        ("when,half", ("%Y-%m-%d %I:%M:%S", "%p"), ""),
        ("year,month,day,hour,minute,second,half", ("%Y", "%m", "%d", "%I", "%M", "%S", "%p"), ""),
        ("date,time,zone", ("%Y-%m-%d", "%H:%M:%S"), "+02:00"),
        ("date,time,zone", ("%Y-%m-%d", "%H:%M:%S"), "Europe/Berlin"),
        ("date,time,am_pm,zone", ("%Y-%m-%d", "%I:%M:%S", "%p"), "+02:00"),
    ],
)
def test_halves_of_days_and_zones_are_joined(tmp_path: Path, columns: str, forms: tuple[str, ...], end: str) -> None:
    half = lambda _, __, seconds: "p.m." if spread(seconds) % 86_400 >= 43_200 else "a.m."  # noqa: E731
    cells = [half if form == "{}.m." else written(form) for form in forms] + ([lambda *_: end] if end else [])
    text = f"user_id,item_id,{columns}\n" + rows_of(user, item, *cells)
    log = read(tmp_path, text, time=columns)
    assert int(log.times.min()) == (FIRST - 7200 * bool(end)) * 1_000_000
    assert not doubts_of(log)


def test_several_columns_that_are_no_parts_are_refused(tmp_path: Path) -> None:
    text = "user_id,item_id,date,price,count\n" + rows_of(user, item, written("%Y-%m-%d"), lambda *_: 999, lambda *_: 7)
    with pytest.raises(DataError, match=r"or a day, an hour, a minute and a second, .*; got date, price, count"):
        read(tmp_path, text, time="date,price,count")


def test_one_half_of_the_day_in_all_rows_is_joined_too(tmp_path: Path) -> None:
    rows = rows_of(user, item, lambda *_: "2020-09-13", lambda *_: "12:27:17", lambda *_: "AM")
    log = read(tmp_path, "user_id,item_id,date,time,half\n" + rows, time="date,time,half")
    assert int(log.times.min()) == (FIRST - 43_200) * 1_000_000
