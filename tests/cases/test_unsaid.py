"""What a log holds besides the columns that are read, or under another name: taken, or said as a doubt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from caser.data.log import InteractionLog
from caser.data.readers import read_log
from caser.errors import DataError
from tests.cases.logs import Cell, doubts_of, item, read, rows_of, seconds, user


def has_doubt(log: InteractionLog, words: str) -> bool:
    return any(words in doubt for doubt in doubts_of(log))


def day(user: int, item: int, seconds: int) -> object:
    return f"2024-01-{seconds // 600 % 28 + 1:02}"


def cell(text: str) -> Cell:
    return lambda user, item, seconds: text.format(user=user, item=item, number=seconds // 600 % 7, part=user % 2)


@pytest.mark.parametrize(
    "name",
    ["user_pseudo_id", "distinct_id", "username", "cookie", "email", "device_id", "Customer No.", "household_key"],
)
def test_a_user_is_read_before_a_session(tmp_path: Path, name: str) -> None:
    log = read(tmp_path, f"{name},session_id,item_id,timestamp\n" + rows_of(user, cell("s{number}"), item, seconds))
    assert log.num_users == 30
    assert any(f"read {name} as user; session_id is there too" in note for note in log.provenance["notes"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("P{item}", "c{user}@x.io"),
        ("/p/{item}", "10.0.0.{user}"),
        ("https://x.io/p/{item}", "{user}"),
        ("The Film {item} (1999)", "{user}"),
        ("9780000{item:06}", "{user}"),
    ],
)
def test_items_before_users_without_names_are_refused(tmp_path: Path, first: str, second: str) -> None:
    text = rows_of(cell(first), cell(second), seconds)
    with pytest.raises(DataError, match="--user 2 --item 1 --time 3 if the items come first"):
        read(tmp_path, text, header=False)


@pytest.mark.parametrize(
    "cells",
    [
        pytest.param((user, cell("s{number}"), item, seconds), id="user, session, item, time"),
        pytest.param((user, cell("{number}"), item, seconds), id="user, rating, item, time"),
        pytest.param((user, cell("DE{number}"), item, seconds), id="user, country, item, time"),
        pytest.param((cell("US{number}"), user, item, seconds), id="country, user, item, time"),
        pytest.param((user, cell("52.{user}1"), cell("13.{item}1"), seconds), id="user, latitude, longitude, time"),
        pytest.param((cell("o{user}"), user, cell("i{item}")), id="order, customer, product"),
    ],
)
def test_a_third_column_that_is_no_rating_is_not_read_as_one(tmp_path: Path, cells: tuple[Cell, ...]) -> None:
    with pytest.raises(DataError, match="columns without a header must be named by their positions"):
        read(tmp_path, rows_of(*cells), header=False)


@pytest.mark.parametrize("name", ["position", "seq", "event_number", "order_number", "step", "t", "week"])
def test_a_column_that_may_order_events_is_named_where_there_is_no_time(tmp_path: Path, name: str) -> None:
    text = f"user,item,{name}\n" + rows_of(user, item, lambda *row: 1_700_000_000 - row[2])
    assert has_doubt(read(tmp_path, text), f"--time {name} --time-format seconds")
    assert not has_doubt(read(tmp_path, text, time=""), name)


@pytest.mark.parametrize(
    "written", ["{}. Januar 2024", "2024年1月{}日", "{}.01.", "Jan {} 2024 10h", "2024-01-{} 10:00 CEST"]
)
def test_times_that_are_not_read_are_named_where_there_is_no_time(tmp_path: Path, written: str) -> None:
    text = "user,item,bought\n" + rows_of(user, item, lambda *row: written.format(10 + row[2] // 600 % 7))
    assert has_doubt(read(tmp_path, text), "looks like times and is not used: write it as")


@pytest.mark.parametrize("values", ["{number}.50", "10.0.0.{number}", "colour {number}", "{number}/5"])
def test_other_columns_are_not_taken_for_times(tmp_path: Path, values: str) -> None:
    text = "user,item,other\n" + rows_of(user, item, cell(values))
    assert not has_doubt(read(tmp_path, text), "other")


def test_moments_in_parts_are_joined(tmp_path: Path) -> None:
    text = "user,item,date_day,date_month,date_year,date_hour,date_minute\n7,3,4,2,2024,5,6\n7,4,31,12,2023,23,59\n"
    log = read(tmp_path, text)
    assert "read date_year, date_month, date_day, date_hour, date_minute together as time" in str(
        log.provenance["notes"]
    )
    named = read(tmp_path, text, time="date_day,date_month,date_year,date_hour,date_minute")
    assert named.times.tolist() == log.times.tolist()
    assert [int(time) // 60_000_000 for time in log.times] == [28_401_119, 28_450_386]
    assert read(tmp_path, text, time="date_year,date_month,date_day").times[1] == 1_707_004_800_000_000


@pytest.mark.parametrize("unit", ["dates", "numbers"])
def test_moments_in_lists_beside_the_items_are_read(tmp_path: Path, unit: str) -> None:
    path = tmp_path / "log.jsonl"
    moments = ["2024-01-02T00:00:00Z", "2024-01-01T00:00:00Z"] if unit == "dates" else [1_704_153_600, 1_704_067_200]
    history = [{"item_id": number, "at": moment} for number, moment in enumerate(moments)]
    path.write_text("".join(json.dumps({"user": row, "history": history}) + "\n" for row in range(3)))
    log = read_log(path, item="history.item_id")
    assert "history.at holds moments" in str(log.provenance["notes"])
    assert log.item_vocabulary.raw(log.items)[:2] == [1, 0]


@pytest.mark.parametrize(
    ("names", "value", "doubt"),
    [
        ("date,trans_time", "2024-01-05,161{number}12", "--time date,trans_time joins them"),
        ("date,seconds_of_day", "2024-01-05,{number}", "--time date,seconds_of_day joins them"),
        ("timestamp,timezone", "2024-01-05 10:0{number},Europe/Berlin", "timezone holds zones ('Europe/Berlin')"),
        ("timestamp,tz_offset", "2024-01-05 10:0{number},-300", "tz_offset holds zones ('-300')"),
        ("Created at (CET)", "2024-01-05 10:0{number}", "the name of 'Created at (CET)' says that times are in CET"),
        ("time (UTC+02:00)", "2024-01-05 10:0{number}", "says that times are in UTC+02:00"),
    ],
)
def test_what_is_left_of_moments_is_doubted(tmp_path: Path, names: str, value: str, doubt: str) -> None:
    text = f"user,item,{names}\n" + rows_of(user, item, cell(value))
    assert has_doubt(read(tmp_path, text), doubt)
    assert has_doubt(read(tmp_path, text, time=names.partition(",")[0]), doubt)


def test_zones_that_are_utc_and_days_without_more_are_not_doubted(tmp_path: Path) -> None:
    assert not doubts_of(read(tmp_path, "user,item,date (UTC),tz\n" + rows_of(user, item, day, cell("UTC"))))


def test_days_among_moments_are_doubted(tmp_path: Path) -> None:
    text = "user,item,time\n" + rows_of(user, item, lambda *row: f"{day(*row)}{' 10:00' if row[0] % 2 else ''}")
    assert has_doubt(read(tmp_path, text), "some times are days ('2024-01-")


@pytest.mark.parametrize(
    ("first", "second", "doubt"),
    [
        ("Anna{user}", "anna{user}", "users differ only by upper and lower case"),
        ("\uff11{user}", "1{user}", "users differ only by how wide their letters are"),
        ("7656119796{user:02}87936.0", "7656119796{user:02}87937.0", "rounded to floats"),
        ("{part}", "{part}", "all 180 events have 2 users"),
        ("sin datos", "u{user}", "the user 'sin datos' has"),
    ],
)
def test_ids_that_are_hardly_ids_are_doubted(tmp_path: Path, first: str, second: str, doubt: str) -> None:
    text = "user,item,time\n" + rows_of(
        lambda *row: (cell(first) if row[2] // 600 % 3 == 0 else cell(second))(*row), item, seconds
    )
    assert has_doubt(read(tmp_path, text), doubt)


@pytest.mark.parametrize("line", ["Average,103", "u7,Subtotal", "HDR,2024", "grand total:,5"])
def test_lines_that_sum_up_others_are_doubted(tmp_path: Path, line: str) -> None:
    rows = rows_of(cell("u{user}"), item).splitlines(keepends=True)
    text = "user,item\n" + "".join([*rows[:90], f"{line}\n", *rows[90:], f"{line}\n"])
    assert has_doubt(read(tmp_path, text), f"2 rows sum up others or begin or end a file, as line 92: {line}: remove")


def test_parts_are_in_the_order_of_the_numbers_in_their_names(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        (tmp_path / f"part-{number}.csv").write_text(f"user,item\nann,i{number}\n")
    for source in (tmp_path, tmp_path / "part-*.csv"):
        log = read_log(source)
        assert log.item_vocabulary.raw(log.items) == ["i1", "i2", "i10"]


def test_baskets_and_counts_of_items_are_advised_with_the_number_of_the_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"number of the line as the user: awk -F' ' '\{for\(i=2.*print NR"):
        read(tmp_path, "2 5 6\n3 5 6 7\n1 8\n4 5 6 7 8\n")
    with pytest.raises(DataError, match=r"print \$1.* or one basket per line, of items only: awk .*i=1.*print NR"):
        read(tmp_path, "12 5 6\n13 5 6 7\n11 8\n14 5 6 7 8\n")


def test_a_fraction_as_python_writes_it_is_a_fraction(tmp_path: Path) -> None:
    text = "user,item,time\n1,2,04/03/2024 10:00:00.5\n1,3,04/03/2024 10:00:00.25\n"
    log = read(tmp_path, text, time_format="%d/%m/%Y %H:%M:%S.%f")
    assert (log.times % 1_000_000).tolist() == [250_000, 500_000]
    with pytest.raises(DataError, match=r"must have %\.f for a fraction"):
        read(tmp_path, text, time_format="%d/%m/%Y %H:%M:%S,%f")


def test_a_rating_with_a_decimal_comma_is_not_taken_for_the_number_of_a_row(tmp_path: Path) -> None:
    text = "user_id,item_id,rating,timestamp\n" + "".join(f"{row},{row % 5},3,5,{row + 10**9}\n" for row in range(1, 9))
    with pytest.raises(DataError, match=r"either rating has a decimal comma \(3,5\)"):
        read(tmp_path, text)


def test_a_field_that_an_object_has_twice_is_doubted(tmp_path: Path) -> None:
    assert has_doubt(read(tmp_path, '{"user":1,"item":2,"item":3}\n' * 2), "an object has the field 'item' twice")


def test_one_column_without_a_name_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"got one column without a header; .*add the user to each line"):
        read(tmp_path, "10\n11\n12\n")
