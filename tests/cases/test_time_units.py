"""Units and forms of times: days of spreadsheets, weeks, dates of .NET, clocks of twelve hours, zones by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from caser.data.readers import read_log
from caser.data.time_units import UNITS
from caser.errors import DataError
from tests.cases.logs import read

HEADER = "user_id,item_id,timestamp\n"


def as_text(microseconds: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).isoformat().removesuffix("+00:00")


def twice(written: object) -> str:
    return f'{HEADER}1,2,"{written}"\n1,3,"{written}"\n'


NUMBERS = {
    ("days", "18627"): "2020-12-31T00:00:00",
    ("days", "18627.75"): "2020-12-31T18:00:00",
    ("days", "18627,75"): "2020-12-31T18:00:00",
    ("excel", "44196"): "2020-12-31T00:00:00",
    ("excel", "44196.99930555556"): "2020-12-31T23:59:00",
    ("excel", "44196,5"): "2020-12-31T12:00:00",
    ("hours", "447071.5"): "2020-12-31T23:30:00",
    ("minutes", "26824319"): "2020-12-31T23:59:00",
    ("julian", "2459215.25"): "2020-12-31T18:00:00",
    ("cocoa", "631151940"): "2020-12-31T23:59:00",
    ("gps", "1293494358"): "2020-12-31T23:59:00",
    ("ntp", "3818447940"): "2020-12-31T23:59:00",
    ("webkit", "13253932740000000"): "2020-12-31T23:59:00",
    ("filetime", "132539327400000000"): "2020-12-31T23:59:00",
    ("ticks", "637450559400000000"): "2020-12-31T23:59:00",
    ("seconds", "1609459140.25"): "2020-12-31T23:59:00.250000",
    ("milliseconds", "1609459140000"): "2020-12-31T23:59:00",
    ("microseconds", "1609459140000000"): "2020-12-31T23:59:00",
    ("nanoseconds", "1609459140000000000"): "2020-12-31T23:59:00",
}


@pytest.mark.parametrize(("unit", "number"), NUMBERS)
def test_a_number_is_read_in_the_unit_that_is_named(tmp_path: Path, unit: str, number: str) -> None:
    log = read(tmp_path, twice(number), time_format=unit)
    assert [as_text(time) for time in log.times.tolist()] == [NUMBERS[unit, number]] * 2
    assert log.provenance["time_unit"] == unit
    frame = pl.DataFrame({"user": [1], "item": [2], "time": [float(number.replace(",", "."))]})
    assert as_text(read_log(frame, time_format=unit).times.tolist()[0]) == NUMBERS[unit, number]


def test_every_unit_is_tried_and_listed_where_a_format_is_wrong(tmp_path: Path) -> None:
    assert {unit for unit, _ in NUMBERS} == set(UNITS)
    with pytest.raises(DataError) as refused:
        read(tmp_path, twice(18627), time_format="weeks")
    assert all(unit in str(refused.value) for unit in UNITS)


@pytest.mark.parametrize(
    ("numbers", "readings"),
    [
        (["44196", "44927.5"], {"excel": "2020-12-31 00:00:00", "seconds": "1970-01-01 12:16:36"}),
        (["44196,5", "44197"], {"excel": "2020-12-31 12:00:00"}),
        (["18627", "19000"], {"days": "2020-12-31 00:00:00", "seconds": "1970-01-01 05:10:27"}),
        (["21550", "21551"], {"days": "2029-01-01 00:00:00", "excel": "1958-12-31 00:00:00"}),
        (["5001", "5400"], {"days": "1983-09-11 00:00:00"}),
        (["447071.5", "447072"], {"hours": "2020-12-31 23:30:00"}),
        (["26824319", "26824320"], {"minutes": "2020-12-31 23:59:00"}),
        (["2020", "2021"], {"%Y": "2020-01-01 00:00:00"}),
        (["2020366", "2021001"], {"%Y%j": "2020-12-31 00:00:00"}),
        (["201231", "210101"], {"%y%m%d": "2020-12-31 00:00:00", "seconds": "1970-01-03 07:53:51"}),
        (["991231", "991231"], {"%y%m%d": "1999-12-31 00:00:00"}),
        (["240229", "250630"], {"%y%m%d": "2024-02-29 00:00:00", "hours": "1997-05-28 13:00:00"}),
    ],
)
def test_numbers_that_are_hardly_seconds_are_asked_about(
    tmp_path: Path, numbers: list[str], readings: dict[str, str]
) -> None:
    text = HEADER + "".join(f'1,{row},"{number}"\n' for row, number in enumerate(numbers))
    for bad_rows in ("refuse", "skip"):
        with pytest.raises(DataError, match=r"times must have one meaning; got .* at line 2") as refused:
            read(tmp_path, text, bad_rows=bad_rows)
    for word, moment in readings.items():
        typed = repr(word) if "%" in word else word
        assert f"(--time-format {typed}) reads it as {moment} UTC" in str(refused.value)
        log = read(tmp_path, text, time_format=word)
        assert as_text(log.times.tolist()[0]).replace("T", " ") == moment


@pytest.mark.parametrize("numbers", [[3, 40], [101, 4999], [60_001, 199_999], [100_000_000, 788_918_400]])
def test_numbers_that_only_count_are_seconds_and_doubted(tmp_path: Path, numbers: list[int]) -> None:
    log = read(tmp_path, HEADER + "".join(f"1,{row},{number}\n" for row, number in enumerate(numbers)))
    assert log.times.tolist() == [1_000_000 * number for number in numbers]


def test_zeros_for_missing_times_do_not_hide_days(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--time-format excel"):
        read(tmp_path, HEADER + "1,2,0\n1,3,0\n1,4,44196\n")


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("1609459140,5", "2020-12-31T23:59:00.500000"),
        ("1609459140123,25", "2020-12-31T23:59:00.123250"),
        ("2020-W53-4", "2020-12-31T00:00:00"),
        ("2020W534T235900Z", "2020-12-31T23:59:00"),
        ("2020-W53-4 23:59 +0100", "2020-12-31T22:59:00"),
        ("2020-366", "2020-12-31T00:00:00"),
        ("2020-366T23:59:00Z", "2020-12-31T23:59:00"),
        ("2020366T2359", "2020-12-31T23:59:00"),
        ("/Date(1609459140000)/", "2020-12-31T23:59:00"),
        ("/Date(1609459140000+0200)/", "2020-12-31T23:59:00"),
        (r"\/Date(-1000)\/", "1969-12-31T23:59:59"),
        ("new Date(1609459140000)", "2020-12-31T23:59:00"),
        ("2020-12-31 11:59 PM", "2020-12-31T23:59:00"),
        ("2020-12-31 12:59:00.5 a.m.", "2020-12-31T00:59:00.500000"),
        ("2020-12-31T12:00PM", "2020-12-31T12:00:00"),
        ("31 Dec 2020", "2020-12-31T00:00:00"),
        ("Dec 31, 2020 11:59 PM", "2020-12-31T23:59:00"),
        ("Dec 31, 2020, 11:59:00\u202fPM UTC", "2020-12-31T23:59:00"),
        ("December 31st, 2020 at 11:59 p.m.", "2020-12-31T23:59:00"),
        ("Sept. 30, 2020", "2020-09-30T00:00:00"),
        ("2020 Dec 31 23:59", "2020-12-31T23:59:00"),
        ("Thu, 31 Dec 2020 23:59:00 +0000", "2020-12-31T23:59:00"),
        ("Thu, 31 Dec 2020 23:59 -0100", "2021-01-01T00:59:00"),
        ("Thursday, 31-Dec-2020 23:59:00 GMT", "2020-12-31T23:59:00"),
        ("Thu Dec 31 23:59:00 UTC 2020", "2020-12-31T23:59:00"),
        ("Thu Dec 31 2020 23:59:00 GMT+0100 (Central European Standard Time)", "2020-12-31T22:59:00"),
        ("2020-12-31T23:59:00+01:00[Europe/Paris]", "2020-12-31T22:59:00"),
        ("2020-12-31 23:59:00.123456789 +0100 CET", "2020-12-31T22:59:00.123456"),
        ("2020-12-31 23:59:00 UTC+1", "2020-12-31T22:59:00"),
        ("December 31, 2020 at 11:59:00 PM UTC+1", "2020-12-31T22:59:00"),
        ("31 December 2020 at 23:59:00 UTC+10", "2020-12-31T13:59:00"),
        ("Dec 31, 2020 at 11:59:00\u202fPM UTC+5:30", "2020-12-31T18:29:00"),
        ("December 31, 2020 at 11:59:00 PM UTC-5", "2021-01-01T04:59:00"),
        ("2020-12-31 23:59:00UTC+01:00", "2020-12-31T22:59:00"),
        ("2020-12-31T24:00:00", "2021-01-01T00:00:00"),
        ("20201231T240000Z", "2021-01-01T00:00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00"),
        ("2020-W54-1", None),
        ("2021-366", None),
        ("2020-1231", None),
        ("2020-12-31T24:01", None),
        ("2020-12-31 13:00 PM", None),
        ("Fri, 31 Dec 2020 23:59:00 +0000", None),
        ("1,609,459,140", "2020-12-31T23:59:00"),
        ("1.609.459.140", "2020-12-31T23:59:00"),
        ("1\u00a0609\u00a0459\u00a0140", "2020-12-31T23:59:00"),
        ("1609459140000L", "2020-12-31T23:59:00"),
        ("609,459", None),
    ],
)
def test_a_form_of_one_meaning_is_read_and_a_wrong_one_is_shown(
    tmp_path: Path, written: str, moment: str | None
) -> None:
    if moment is None:
        with pytest.raises(DataError, match="unreadable time"):
            read(tmp_path, twice(written))
        return
    log = read(tmp_path, twice(written))
    assert [as_text(time) for time in log.times.tolist()] == [moment] * 2


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ("2020-12-31 23:59:00 CET", "CET"),
        ("2020-12-31T23:59PST", "PST"),
        ("Dec 31, 2020 11:59 PM EST", "EST"),
        ("Thu, 31 Dec 2020 23:59:00 EDT", "EDT"),
        ("Thu Dec 31 23:59:00 IST 2020", "IST"),
        ("2020-12-31 23:59:00 Europe/Paris", "Europe/Paris"),
        ("2020-12-31T23:59:00[America/New_York]", "America/New_York"),
    ],
)
def test_the_name_of_a_zone_is_refused_by_its_name(tmp_path: Path, written: str, zone: str) -> None:
    with pytest.raises(DataError, match=f"at line 2 .*: {zone} is the name of a zone, .*write the offset"):
        read(tmp_path, twice(written))


def test_one_time_with_the_name_of_a_zone_among_many_is_one_bad_row(tmp_path: Path) -> None:
    rows = "".join(f"1,{row},2020-12-31 23:{row:02}:00\n" for row in range(40))
    log = read(tmp_path, f"{HEADER}{rows}1,2,2020-12-31 23:59:00 CET\n", bad_rows="skip")
    assert log.provenance["bad_rows"]["with a missing or unreadable time"]["count"] == 1


def test_numbers_of_years_and_days_are_ids_and_not_moments(tmp_path: Path) -> None:
    text = "user,item\n" + "".join(f"2024-{row % 9 + 1:03},{row % 7}\n" for row in range(40))
    assert read(tmp_path, text).user_vocabulary.ids[0] == "2024-001"


@pytest.mark.parametrize(
    ("written", "form"), [("Jan 05 10:00", "%b %d %H:%M"), ("05.01.", "%d.%m."), ("10:00", "%H:%M")]
)
def test_a_form_without_a_year_is_refused(tmp_path: Path, written: str, form: str) -> None:
    with pytest.raises(DataError, match=r"must have the year, such as %Y; got .* write it in front of each"):
        read(tmp_path, HEADER + f"1,2,{written}\n1,3,{written}\n", time_format=form)
