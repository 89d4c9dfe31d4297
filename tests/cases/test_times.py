"""Clocks: a time is read right, or refused in a sentence that shows it and says what to type."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from caser.data.log import InteractionLog
from caser.data.readers import Reading, read_log
from caser.errors import DataError
from tests.cases.logs import Cell, doubts_of, item, read, rows_of, seconds, user

HEADER = "user_id,item_id,timestamp\n"


def moments(log: InteractionLog) -> list[str]:
    return [
        (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(one))).isoformat() for one in sorted(log.times)
    ]


def as_text(form: str) -> Cell:
    return lambda user, item, seconds: datetime.fromtimestamp(seconds, UTC).strftime(form)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("20201231T235900Z", "2020-12-31T23:59:00"),
        ("20201231T2359", "2020-12-31T23:59:00"),
        ('"2020-12-31 23:59:00,123"', "2020-12-31T23:59:00.123000"),
        ("2020-12-31 23", "2020-12-31T23:00:00"),
        ("2020-12-31T23:59Z", "2020-12-31T23:59:00"),
        ("2020-12-31T23:59:00+01:00", "2020-12-31T22:59:00"),
        ("2020-12-31T23:59:00+0100", "2020-12-31T22:59:00"),
        ("2020-12-31t23:59:00z", "2020-12-31T23:59:00"),
        ("2020-12-31 23:59:00+01", "2020-12-31T22:59:00"),
        ("2020-12-31 23:59:00-0330", "2021-01-01T03:29:00"),
        ("2020-12-31T23:59:00.123456789Z", "2020-12-31T23:59:00.123456"),
        ("2020-12-31T23:59:00.1Z", "2020-12-31T23:59:00.100000"),
        ("2020-12-31 23:59:00 +0100", "2020-12-31T22:59:00"),
        ("2020-12-31 23:59:00 +01:00", "2020-12-31T22:59:00"),
        ("2020-12-31 23:59:00 UTC", "2020-12-31T23:59:00"),
        ("2020-12-31 23:59:00 GMT", "2020-12-31T23:59:00"),
        ("2020/12/31 23:59:00", "2020-12-31T23:59:00"),
        ("2020.12.31", "2020-12-31T00:00:00"),
        ("2020-1-5 3:04", "2020-01-05T03:04:00"),
        ("20201231", "2020-12-31T00:00:00"),
        ("2020123123", "2020-12-31T23:00:00"),
        ("202012312359", "2020-12-31T23:59:00"),
        ("20201231235900", "2020-12-31T23:59:00"),
        ("20201231235900123", "2020-12-31T23:59:00.123000"),
        ("20201231.0", "2020-12-31T00:00:00"),
        ("Tue Apr 03 18:00:09 +0000 2012", "2012-04-03T18:00:09"),
        ("Tue Apr  3 18:00:09 2012", "2012-04-03T18:00:09"),
        ('"Tue, 03 Apr 2012 18:00:09 +0200"', "2012-04-03T16:00:09"),
        ('"Tue, 03 Apr 2012 18:00:09 GMT"', "2012-04-03T18:00:09"),
        ("03/Apr/2012:18:00:09 +0000", "2012-04-03T18:00:09"),
        ('"April 3, 2012"', "2012-04-03T00:00:00"),
        ('"Apr 3, 2012 6:00:09 PM"', "2012-04-03T18:00:09"),
        ("3-Apr-2012", "2012-04-03T00:00:00"),
    ],
)
def test_a_moment_of_one_meaning_is_read(tmp_path: Path, written: str, moment: str) -> None:
    log = read(tmp_path, f"{HEADER}1,2,{written}\n1,3,{written}\n")
    assert moments(log) == [f"{moment}+00:00"] * 2


@pytest.mark.parametrize(
    ("written", "format_to_type"),
    [
        ("31/12/2020 23:59", "%d/%m/%Y %H:%M"),
        ("31.12.2020", "%d.%m.%Y"),
        ("12-31-2020", "%m-%d-%Y"),
        ("11/13/2019 8:36:57 AM", "%m/%d/%Y %I:%M:%S %p"),
        ('"01 15, 2018"', "%m %d, %Y"),
        ("31/12/20", "%d/%m/%y"),
        ("2020-12", "%Y-%m"),
    ],
)
def test_a_form_that_needs_a_format_names_it_and_is_read_with_it(
    tmp_path: Path, written: str, format_to_type: str
) -> None:
    text = f"{HEADER}1,2,{written}\n1,3,{written}\n"
    with pytest.raises(DataError) as refused:
        read(tmp_path, text)
    assert written.strip('"') in str(refused.value)
    assert "at line 2" in str(refused.value)
    assert f"--time-format '{format_to_type}'" in str(refused.value)
    assert "pass bad_rows" not in str(refused.value)
    assert read(tmp_path, text, time_format=format_to_type).times[0] > 0


def test_a_day_and_a_month_that_can_be_exchanged_give_both_formats(tmp_path: Path) -> None:
    text = f"{HEADER}1,2,03/04/2020\n1,3,05/06/2020\n"
    with pytest.raises(DataError) as refused:
        read(tmp_path, text)
    assert "'%d/%m/%Y') reads it as 2020-04-03 00:00:00 UTC" in str(refused.value)
    assert "'%m/%d/%Y') reads it as 2020-03-04 00:00:00 UTC" in str(refused.value)
    assert moments(read(tmp_path, text, time_format="%m/%d/%Y"))[0] == "2020-03-04T00:00:00+00:00"


@pytest.mark.parametrize(
    "written", ["2020-12-31 13:59 PM", "2020-W54-4", "2020-02-30", "2020-12-31T24:00:01", "0000-00-00 00:00:00"]
)
def test_an_unreadable_time_is_shown_with_the_forms_that_are_read(tmp_path: Path, written: str) -> None:
    with pytest.raises(DataError) as refused:
        read(tmp_path, f"{HEADER}1,2,{written}\n1,3,{written}\n")
    assert f"first at line 2): 2 '{written}'" in str(refused.value)
    assert "ISO 8601" in str(refused.value)
    assert "--time-format" in str(refused.value)
    assert "--bad-rows skip" not in str(refused.value)


def test_moments_with_and_without_fractions_and_zones_are_read_alike(tmp_path: Path) -> None:
    ends = [".646881+00:00", "+00:00", "Z", "", ".5Z", "+01:00"]
    text = "".join(f"1,{row},2020-09-13T12:27:17{end}\n" for row, end in enumerate(ends))
    assert moments(read(tmp_path, HEADER + text)) == [
        "2020-09-13T11:27:17+00:00",
        *["2020-09-13T12:27:17+00:00"] * 3,
        "2020-09-13T12:27:17.500000+00:00",
        "2020-09-13T12:27:17.646881+00:00",
    ]


def test_times_of_april_2022_are_read_from_a_clock_or_from_a_day(tmp_path: Path) -> None:
    text = "user_id,video_id,date,hourmin,time_ms\n" + rows_of(
        user, item, lambda *_: 20220408, lambda *_: 600, lambda _, __, seconds: (seconds + 49_000_000) * 1000
    )
    assert moments(read(tmp_path, text))[0].startswith("2022-04-03T")
    assert moments(read(tmp_path, text, time="date")) == ["2022-04-08T00:00:00+00:00"] * 180


def test_whole_numbers_of_a_frame_can_be_days() -> None:
    log = read_log(pl.DataFrame({"user": [1, 1], "item": [1, 2], "date": [20220408, 20220409]}))
    assert moments(log) == ["2022-04-08T00:00:00+00:00", "2022-04-09T00:00:00+00:00"]


@pytest.mark.parametrize(
    ("minor", "unit", "major"),
    [(1000, "milliseconds", "seconds"), (1_000_000, "microseconds", "seconds"), (10**9, "nanoseconds", "seconds")],
)
def test_two_units_in_one_column_are_refused_with_counts(tmp_path: Path, minor: int, unit: str, major: str) -> None:
    mixed = rows_of(user, item, lambda user, _, seconds: seconds * minor if user % 3 == 0 else seconds)
    with pytest.raises(DataError) as refused:
        read(tmp_path, HEADER + mixed)
    assert f"120 in {major} (first at line 2: 1600000037)" in str(refused.value)
    assert f"60 in {unit} (first at line 14: {1600000111 * minor})" in str(refused.value)


def test_months_as_numbers_are_refused_with_both_readings(tmp_path: Path) -> None:
    text = f"{HEADER}1,2,202012\n1,3,202101\n"
    with pytest.raises(
        DataError, match=r"got 202012 at line 2 .*--time-format '%Y%m'\) reads it as 2020-12-01 .* seconds"
    ):
        read(tmp_path, text)
    assert moments(read(tmp_path, text, time_format="%Y%m"))[0] == "2020-12-01T00:00:00+00:00"
    assert read(tmp_path, text, time_format="seconds").times[0] == 202_012_000_000


def test_one_stray_number_among_days_is_a_bad_row(tmp_path: Path) -> None:
    days = "".join(f"1,{row},{20200101 + row}\n" for row in range(28))
    with pytest.raises(
        DataError, match=r"1 with a missing or unreadable time \(first at line 30\): 1 '99999999'.*skip"
    ):
        read(tmp_path, f"{HEADER}{days}1,2,99999999\n")


def test_an_unused_column_of_dates_is_the_time(tmp_path: Path) -> None:
    text = "t_dat,customer_id,article_id,price\n" + rows_of(
        as_text("%Y-%m-%d %H:%M:%S"), user, lambda _, item, __: f"0{item}", lambda *_: 0.05
    )
    log = read(tmp_path, text)
    assert log.has_times
    assert any("t_dat holds moments ('2020-09-13 12:27:17'): read as time" in note for note in log.provenance["notes"])
    assert read(tmp_path, text, time="").has_times is False


def test_two_unused_columns_of_dates_are_refused_with_both_flags(tmp_path: Path) -> None:
    text = "user,item,seen_on,paid_on\n" + rows_of(user, item, as_text("%Y-%m-%d %H:%M"), as_text("%Y-%m-%dT%H:%M:%S"))
    with pytest.raises(DataError, match=r"--time seen_on .*--time paid_on .*--time ''"):
        read(tmp_path, text)


def test_a_date_that_is_a_fact_about_the_item_is_no_time(tmp_path: Path) -> None:
    log = read(tmp_path, "user,item,released\n" + rows_of(user, item, lambda _, item, __: f"{item + 1500}-01-01"))
    assert not log.has_times
    assert any("released holds one moment for each item and is not used as time" in n for n in log.provenance["notes"])


@pytest.mark.parametrize(("day", "clock"), [("date", "logged_ms"), ("eventdate", "seen")])
def test_a_column_of_days_beside_finer_moments_is_doubted(tmp_path: Path, day: str, clock: str) -> None:
    finer = as_text("%Y-%m-%d %H:%M:%S") if clock == "seen" else lambda _, __, seconds: seconds * 1000
    text = f"user,item,{day},{clock}\n" + rows_of(user, item, as_text("%Y-%m-%d"), finer)
    assert doubts_of(read(tmp_path, text))[0].startswith(f"doubt: {day} holds days only; {clock} looks like times (")
    assert moments(read(tmp_path, text, time=clock))[0] == "2020-09-13T12:27:17+00:00"


def test_a_column_of_days_and_one_of_numbers_without_names_are_refused(tmp_path: Path) -> None:
    text = "user,item,bought,logged\n" + rows_of(user, item, as_text("%Y-%m-%d"), seconds)
    with pytest.raises(DataError, match=r"got 2 that look like moments; pass --time bought .*, or --time logged"):
        read(tmp_path, text)


def test_an_unused_column_of_numbers_that_look_like_times_is_named(tmp_path: Path) -> None:
    log = read(tmp_path, "user,item,logged\n" + rows_of(user, item, seconds))
    assert doubts_of(log) == ["doubt: logged looks like times ('1600000037') and is not used: --time logged reads it"]


def test_a_column_named_time_without_moments_beside_moments_is_refused(tmp_path: Path) -> None:
    text = "user,item,time,seen\n" + rows_of(
        user, item, lambda _, __, seconds: seconds - 1_600_000_000, as_text("%Y-%m-%dT%H:%M")
    )
    with pytest.raises(DataError, match=r"got '37' in time, while seen holds .*--time seen\), or .*--time time\)"):
        read(tmp_path, text)


def test_a_day_and_a_time_of_day_in_two_columns_are_joined(tmp_path: Path) -> None:
    text = "customer_id,product_id,date,time\n" + rows_of(user, item, as_text("%Y-%m-%d"), as_text("%H:%M:%S"))
    log = read(tmp_path, text)
    assert moments(log)[0] == "2020-09-13T12:27:17+00:00"
    assert any(
        note.startswith("time holds times of day: read date and time together") for note in log.provenance["notes"]
    )
    assert read(tmp_path, text, time="date,time").digest == log.digest
    with pytest.raises(DataError, match=r"got '12:27:17' at line 2 in 'time', a time of day; .*--time date,time"):
        read(tmp_path, text, time="time")


def test_an_unused_time_of_day_is_named(tmp_path: Path) -> None:
    text = "user,item,date,clock\n" + rows_of(user, item, as_text("%d/%m/%Y"), as_text("%H:%M"))
    log = read(tmp_path, text, time="date,clock", time_format="%d/%m/%Y %H:%M")
    assert moments(log)[0] == "2020-09-13T12:27:00+00:00"
    text = "user,item,date,clock\n" + rows_of(user, item, as_text("%Y-%m-%d"), as_text("%H:%M"))
    assert "--time date,clock joins them" in doubts_of(read(tmp_path, text))[0]


def test_days_beside_hours_are_said_to_lose_their_order(tmp_path: Path) -> None:
    text = "user,item,date,hour\n" + rows_of(user, item, as_text("%Y-%m-%d"), as_text("%H"))
    assert doubts_of(read(tmp_path, text))[0] == (
        "doubt: hour holds times of day and is not used: --time date,hour joins them"
    )
    assert moments(read(tmp_path, text, time="date,hour"))[0] == "2020-09-13T12:00:00+00:00"


def test_a_time_that_means_missing_can_be_named(tmp_path: Path) -> None:
    rows = [(row % 30 + 1, row % 12 + 1, 0 if row % 60 == 7 else 1_600_000_000 + row) for row in range(180)]
    text = HEADER + "".join(f"{user},{item},{seconds}\n" for user, item, seconds in rows)
    assert doubts_of(read(tmp_path, text))[0].endswith(
        "they are kept: pass --missing time=0 --bad-rows skip if 0 means none"
    )
    frame = pl.DataFrame(rows, HEADER.strip().split(","), orient="row")
    for log in (
        read(tmp_path, text, missing=("time=0",), bad_rows="skip"),
        read_log(frame, missing=("time=0",), bad_rows="skip"),
    ):
        assert log.provenance["bad_rows"]["with a missing or unreadable time"]["count"] == 3
        assert not doubts_of(log)


def test_a_log_is_read_again_with_the_settings_in_its_provenance(tmp_path: Path) -> None:
    text = HEADER + "1,2,3/4/2020\n1,?,4/4/2020\n2,3,5/4/2020\n"
    log = read(tmp_path, text, time_format="%d/%m/%Y", missing=("?",), bad_rows="skip")
    facts = json.loads(json.dumps(log.provenance))
    assert facts == log.provenance
    assert read_log(facts["source"], Reading(**facts["reading"])).digest == log.digest


@pytest.mark.parametrize("missing", [0, -1])
def test_a_missing_time_written_as_a_number_does_not_decide_the_unit(tmp_path: Path, missing: int) -> None:
    rows = [f"{row % 30},{row % 12},{missing if row % 3 else 1_600_000_000_000 + row}\n" for row in range(180)]
    log = read(tmp_path, HEADER + "".join(rows))
    assert log.provenance["time_unit"] == "milliseconds"
    assert doubts_of(log)[0].startswith("doubt: 120 of 180 times lie before 1995 (first at line 3: ")


@pytest.mark.parametrize("day", [date(2020, 1, 1), datetime(2020, 1, 1)], ids=["date", "midnight"])
def test_typed_days_and_times_of_day_are_joined(day: date) -> None:
    log = read_log(pl.DataFrame({"user": [1], "item": [1], "date": [day], "time": [time(3, 4, 5)]}))
    assert moments(log) == ["2020-01-01T03:04:05+00:00"]


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        (lambda row, seconds: row, "all times lie before 1997, from 1970-01-01 00:00:00 UTC to"),
        (
            lambda row, seconds: 0 if row == 7 else seconds,
            "1 of 180 times lie before 1995 (first at line 9: 1970-01-01",
        ),
        (
            lambda row, seconds: -5 if row == 7 else seconds,
            "1 of 180 times lie before 1995 (first at line 9: 1969-12-31",
        ),
        (
            lambda row, seconds: 4_102_444_800 if row == 7 else seconds,
            "1 of 180 times lie more than a year ahead of now (first at line 9: 2100-01-01",
        ),
        (lambda row, seconds: 1_600_000_000, "all times are 2020-09-13 12:26:40 UTC"),
    ],
)
def test_times_that_are_hardly_right_are_kept_and_doubted(tmp_path: Path, change: Any, doubt: str) -> None:
    rows = [f"{row % 30},{row % 12},{change(row, 1_600_000_000 + row)}\n" for row in range(180)]
    log = read(tmp_path, HEADER + "".join(rows))
    assert len(log) == 180
    [said] = doubts_of(log)
    assert said.startswith(f"doubt: {doubt}")


def test_rows_out_of_order_are_sorted_and_right_times_are_not_doubted(tmp_path: Path) -> None:
    lines = rows_of(user, item, seconds).splitlines(keepends=True)
    log, shuffled = read(tmp_path, HEADER + "".join(lines)), read(tmp_path, HEADER + "".join(lines[::-1]))
    assert log.digest == shuffled.digest
    assert not doubts_of(log)
    assert "first row: user 1, item 503, time 2020-09-13 12:27:17 UTC" in log.provenance["notes"]


@pytest.mark.parametrize("time_format", ["soon", "%H:%M", "%Q", "fortnights"])
def test_a_format_that_describes_no_moment_is_refused_with_its_name(tmp_path: Path, time_format: str) -> None:
    with pytest.raises(DataError, match="time_format"):
        read(tmp_path, f"{HEADER}1,2,3/4/2020\n", time_format=time_format)


def test_a_format_without_a_column_of_times_or_for_typed_dates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs a column with the time"):
        read(tmp_path, "user,item\n1,2\n", time_format="%Y")
    with pytest.raises(DataError, match=r"has an effect on text and whole numbers only; got Date"):
        read_log(pl.DataFrame({"user": [1], "item": [1], "time": [date(2020, 1, 1)]}), time_format="%Y")
