"""Numbers that count from another beginning than 1970, and numbers that stand for no moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from caser.data.prepared.prepare import prepare_log
from caser.data.readers import read_log
from caser.errors import DataError
from tests.cases.logs import START, doubts_of, item, read, rows_of, user

HEADER = "user_id,item_id,timestamp\n"

FIRST = (START + 37) * 1_000_000

COCOA = 978_307_200
WINDOWS = 11_644_473_600


def clock(change: Callable[[int], object]) -> Callable[[int, int, int], object]:
    return lambda user, item, seconds: change(seconds)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("timestamp", lambda seconds: (seconds + WINDOWS) * 10**6),
        ("timestamp", lambda seconds: (seconds + WINDOWS) * 10**7),
        ("timestamp", lambda seconds: (seconds + 62_135_596_800) * 10**7),
        ("cocoa_time", lambda seconds: seconds - COCOA),
        ("gpsTime", lambda seconds: seconds - 315_964_782),
        ("ntp_time", lambda seconds: seconds + 2_208_988_800),
        ("julian_time", lambda seconds: seconds / 86_400 + 2_440_587.5),
        ("excel_time", lambda seconds: seconds / 86_400 + 25_569),
        ("epoch_hours", lambda seconds: seconds / 3600),
    ],
)
def test_a_clock_is_recognised_by_its_numbers_or_the_name_of_the_column(
    tmp_path: Path, name: str, change: Callable[[int], object]
) -> None:
    log = read(tmp_path, f"user_id,item_id,{name}\n" + rows_of(user, item, clock(change)), time=name)
    assert abs(int(log.times.min()) - FIRST) < 1000
    assert not doubts_of(log)
    if name != "epoch_hours":
        assert any("override with time_format= (--time-format)" in note for note in log.provenance["notes"])


@pytest.mark.parametrize(
    ("change", "time_format"),
    [
        (lambda seconds: seconds - COCOA, "cocoa"),
        (lambda seconds: (seconds - COCOA) * 10**9, "nanoseconds since 2001-01-01"),
        (lambda seconds: (seconds - COCOA) * 10**3, "milliseconds since 2001-01-01"),
        (lambda seconds: seconds - 946_684_800, "seconds since 2000-01-01"),
        (lambda seconds: seconds + 2_208_988_800, "ntp"),
        (lambda seconds: seconds + 2_082_844_800, "seconds since 1904-01-01"),
        (lambda seconds: seconds + WINDOWS, "seconds since 1601-01-01"),
        (lambda seconds: (seconds + 62_135_596_800) * 10**3, "milliseconds since 0001-01-01"),
        (lambda seconds: seconds / 86_400 + 719_163, "days since 0000-12-31"),
    ],
)
def test_implausible_times_are_doubted_with_the_format_of_the_likely_clock(
    tmp_path: Path, change: Callable[[int], float], time_format: str
) -> None:
    text = HEADER + rows_of(user, item, clock(change))
    said = [doubt for doubt in doubts_of(read(tmp_path, text)) if "are they in another unit?" in doubt]
    assert any(time_format in doubt for doubt in said)
    log = read(tmp_path, text, time_format=time_format)
    assert int(log.times.min()) // 86_400_000_000 == FIRST // 86_400_000_000
    prepared = prepare_log(tmp_path / "events.csv", tmp_path / "prepared").log
    assert [doubt for doubt in doubts_of(prepared) if "are they in another unit?" in doubt] == said


def test_julian_days_are_asked_about(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--time-format julian\) reads it as 2020-09-13 12:27:17"):
        read(tmp_path, HEADER + rows_of(user, item, clock(lambda seconds: seconds / 86_400 + 2_440_587.5)))


@pytest.mark.parametrize(
    "unit", ["weeks since 2001-01-01", "seconds since soon", "days since 2001-02-30", "excel since 2001-01-01"]
)
def test_a_unit_or_a_beginning_that_is_none_is_refused(tmp_path: Path, unit: str) -> None:
    with pytest.raises(DataError, match="such as 'seconds since 1904-01-01'; got"):
        read(tmp_path, HEADER + rows_of(user, item, clock(int)), time_format=unit)


@pytest.mark.parametrize("name", ["gps_time", "ticks", "apple_time"])
def test_usual_seconds_stay_seconds_whatever_the_column_is_called(tmp_path: Path, name: str) -> None:
    log = read(tmp_path, f"user_id,item_id,{name}\n" + rows_of(user, item, clock(int)), time=name)
    assert int(log.times.min()) == FIRST


@pytest.mark.parametrize("word", ["0", "-1"])
@pytest.mark.parametrize("every", [2, 4, 30])
def test_numbers_for_no_moment_in_a_column_of_any_name_are_said(tmp_path: Path, word: str, every: int) -> None:
    rows = rows_of(user, item, lambda user, item, seconds: word if seconds // 600 % every == 0 else seconds)
    [named] = doubts_of(read(tmp_path, "user_id,item_id,seen_at\n" + rows))
    assert "--time seen_at reads it" in named
    [doubt] = doubts_of(read_log(tmp_path / "events.csv", time="seen_at"))
    assert f"--missing time={word} --bad-rows skip if {word} means none" in doubt
