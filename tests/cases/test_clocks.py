"""Clocks that lose what they say: names of zones, years of two digits, rounded numbers, times of day without zeros."""

from __future__ import annotations

from pathlib import Path

import pytest

from caser.errors import DataError
from tests.cases.logs import doubts_of, item, read, rows_of, user

HEADER = "user_id,item_id,timestamp\n"


def first_moment(folder: Path, written: str, **options: str) -> int:
    return int(read(folder, HEADER + f"1,2,{written}\n", **options).times[0]) // 1_000_000


@pytest.mark.parametrize("zone", ["PST", "PDT", "CET", "EST", "IST", "BST"])
def test_a_name_of_a_zone_that_has_several_meanings_is_refused(tmp_path: Path, zone: str) -> None:
    with pytest.raises(DataError, match=f"%Z in time_format .* got '1970-01-02 00:00:00 {zone}'"):
        first_moment(tmp_path, f"1970-01-02 00:00:00 {zone}", time_format="%Y-%m-%d %H:%M:%S %Z")


@pytest.mark.parametrize(
    ("zone", "seconds"), [(" UTC", 86_400), (" GMT", 86_400), ("Z", 86_400), (" +0100", 82_800), (" -02:00", 93_600)]
)
def test_a_zone_of_one_meaning_is_read(tmp_path: Path, zone: str, seconds: int) -> None:
    form = "%Y-%m-%d %H:%M:%S %Z" if zone.startswith(" ") else "%Y-%m-%d %H:%M:%S%Z"
    assert first_moment(tmp_path, f"1970-01-02 00:00:00{zone}", time_format=form) == seconds


def test_a_zone_in_the_middle_is_read_or_refused(tmp_path: Path) -> None:
    form = "%a %b %d %H:%M:%S %Z %Y"
    assert first_moment(tmp_path, "Fri Jan 02 00:00:00 UTC 1970", time_format=form) == 86_400
    with pytest.raises(DataError, match="EST"):
        first_moment(tmp_path, "Fri Jan 02 00:00:00 EST 1970", time_format=form)


@pytest.mark.parametrize("written", ["{} 10:00:00+0530", "{}T10:00:00Z", "{} 10:00 UTC", "{} 10:00:00.5-08:00"])
def test_times_of_which_some_have_no_zone_are_doubted(tmp_path: Path, written: str) -> None:
    text = HEADER + rows_of(
        user,
        item,
        lambda user, item, s: (written if user % 2 else "{} 11:00").format(f"2020-01-{s // 600 % 28 + 1:02}"),
    )
    assert any("doubt: some times have a zone (" in doubt for doubt in doubts_of(read(tmp_path, text)))
    assert not doubts_of(read(tmp_path, text.replace(" 11:00", written[2:])))


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("01-01-21", "%d-%m-%y"),
        ("21-01-05", "%y-%m-%d"),
        ("01-JAN-99", "%d-%B-%y"),
        ("3 Feb 07", "%d %B %y"),
        ("Feb 13, 21", "%B %d, %y"),
        ("13/Feb/21 10:30", "%d/%B/%y %H:%M"),
        ("31-12-20 10:30:00", "%d-%m-%y %H:%M:%S%.f"),
    ],
)
def test_years_of_two_digits_are_refused_with_the_format_to_type(tmp_path: Path, written: str, form: str) -> None:
    text = HEADER + f'1,2,"{written}"\n'
    with pytest.raises(DataError, match="times must have one meaning") as refused:
        read(tmp_path, text)
    assert f"--time-format '{form}'" in str(refused.value)
    assert read(tmp_path, text, time_format=form).times[0] > 900_000_000_000_000


@pytest.mark.parametrize("form", ["%d-%m-%Y", "%m-%d-%Y", "%d-%m-%Y %H:%M"])
def test_four_digits_of_a_year_do_not_match_two(tmp_path: Path, form: str) -> None:
    with pytest.raises(DataError, match="unreadable time"):
        first_moment(tmp_path, "01-01-21" + form[8:].replace("%H:%M", "10:30"), time_format=form)


@pytest.mark.parametrize("written", ["1.60949E+12", "1.60949E+09", "1.609E+9", "1.60949e+15"])
def test_times_that_a_spreadsheet_rounded_are_doubted(tmp_path: Path, written: str) -> None:
    [*_, doubt] = doubts_of(read(tmp_path, HEADER + rows_of(user, item, lambda *_: written)))[:1]
    text = HEADER + rows_of(user, item, lambda user, *_: written.replace("1.60", f"1.6{user % 9}"))
    assert any("rounded by a spreadsheet" in doubt for doubt in doubts_of(read(tmp_path, text)))
    assert "all times are" in doubt


@pytest.mark.parametrize("zero", ["1970-01-01", "1970-01-01 00:00:00", "1970-01-01T00:00:00Z", "1900-01-01"])
def test_the_word_for_a_missing_time_is_advised_as_it_is_written(tmp_path: Path, zero: str) -> None:
    text = HEADER + rows_of(
        user, item, lambda user, item, s: zero if s % 7 == 0 else f"2020-01-{s // 600 % 28 + 1:02} 10:00:00Z"
    )
    [doubt] = [one for one in doubts_of(read(tmp_path, text)) if "before 1995" in one]
    assert f"if {zero} means none" in doubt
    log = read(tmp_path, text, missing=(zero,), bad_rows="skip")
    assert not [one for one in doubts_of(log) if "before 1995" in one]


def test_a_named_word_for_missing_is_added_to_the_usual_ones(tmp_path: Path) -> None:
    text = "user,item\n7,1\n0,2\nNA,3\nNULL,4\n"
    assert len(read(tmp_path, text, missing=("user=0",), bad_rows="skip")) == 1
    assert len(read(tmp_path, text, missing=("", "user=0"), bad_rows="skip")) == 3
    assert len(read(tmp_path, text, missing=("",), bad_rows="skip")) == 4


@pytest.mark.parametrize(
    ("clocks", "seconds"),
    [
        (["52", "144", "3647", "235959"], [52, 104, 2207, 86_399]),
        (["5", "144", "2359"], [300, 6240, 86_340]),
        (["5", "23"], [18_000, 82_800]),
        (["000052", "003647", "101010"], [52, 2207, 36_610]),
    ],
)
def test_times_of_day_as_numbers_are_read_in_one_form(tmp_path: Path, clocks: list[str], seconds: list[int]) -> None:
    text = "user,item,date,time\n" + "".join(f"{row},{row},1970-01-01,{clock}\n" for row, clock in enumerate(clocks))
    log = read(tmp_path, text, time="date,time")
    assert sorted(time // 1_000_000 for time in log.times.tolist()) == seconds


def test_times_of_day_as_numbers_are_refused_with_both_columns_to_type(tmp_path: Path) -> None:
    text = "user,item,date,time\n" + rows_of(user, item, lambda *_: "2020-09-13", lambda _, item, s: s % 60)
    with pytest.raises(DataError, match="pass --time date,time if time is the time of day"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("first", "second"), [("B005015ABC", "A107XZ9KQ"), ("i12", "u7"), ("item_4", "user_9"), ("sku-4", "cust-9")]
)
@pytest.mark.parametrize("rest", ["", ",5.0,1609486931", ",1609486931"])
def test_items_before_users_without_a_header_are_refused(tmp_path: Path, first: str, second: str, rest: str) -> None:
    text = f"{first},{second}{rest}\n" * 3
    with pytest.raises(DataError, match=r"pass --no-header --user 2 --item 1.* or --no-header --user 1 --item 2"):
        read(tmp_path, text, header=False)
    turned = f"{second},{first}{rest}\n" * 3
    assert read(tmp_path, turned, header=False).item_vocabulary.ids.to_list() == [first]
