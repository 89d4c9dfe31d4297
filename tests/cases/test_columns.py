"""Which column is what: names by their words, values that speak against a guess, and columns that nobody uses."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from caser.data.readers import read_log
from caser.errors import DataError
from tests.cases.logs import Cell, doubts_of, item, items_of, read, rows_of, seconds, user, users_of

MINUTE = 60_000_000


def cell(text: str) -> Cell:
    return lambda user, item, seconds: text.format(user=user, item=item, step=_step(seconds, user), thing=item % 3)


def _step(seconds: int, user: int) -> int:
    return (seconds - 1_600_000_000 - 37 * user) // 600


def moment(user: int, item: int, seconds: int) -> object:
    return f"2020-09-13 {seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def notes_of(folder: Path, text: str, **options: object) -> str:
    return "\n".join(read(folder, text, **options).provenance["notes"])


@pytest.mark.parametrize(
    "name",
    ["fullVisitorId", "memberNumber", "kundennummer", "shopper", "hashed_email", "anonymousId", "msno", "用户编号"],
)
def test_a_name_with_a_word_for_a_person_is_a_user(tmp_path: Path, name: str) -> None:
    text = f"session_id,{name},item,ts\n" + rows_of(cell("s{user}-{step}"), user, item, seconds)
    assert f"read {name} as user; session_id is there too" in notes_of(tmp_path, text)


@pytest.mark.parametrize(
    "name", ["StockCode", "sku_id", "Item No.", "recipe_id", "articlenumber", "goods_id", "EAN", "artist_id"]
)
def test_a_name_with_a_word_for_a_thing_is_an_item(tmp_path: Path, name: str) -> None:
    assert items_of(read(tmp_path, f"user,{name},ts\n" + rows_of(user, item, seconds))) == set(range(500, 512))


@pytest.mark.parametrize(
    "name", ["user_agent", "num_users", "customer_country", "order_item_id", "item_price", "event_id"]
)
def test_a_name_with_other_words_is_neither(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"a column must hold the (user|item)"):
        read(tmp_path, f"{name},when\n" + rows_of(user, seconds))


def test_columns_that_differ_by_a_number_are_no_items(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a column must hold the item"):
        read(tmp_path, "user,product_code_1,product_code_2\n" + rows_of(user, item, item))


@pytest.mark.parametrize("name", ["psn", "household", "amplitude"])
def test_a_column_of_which_each_session_has_one_value_is_named(tmp_path: Path, name: str) -> None:
    text = f"{name}_ref,session_id,item,ts\n" + rows_of(user, lambda u, i, s: f"{u}-{_step(s, u) // 2}", item, seconds)
    log = read(tmp_path, text.replace("household_ref", "hh_ref"))
    assert any("each session_id has one" in doubt and "--user " in doubt for doubt in doubts_of(log))


@pytest.mark.parametrize("value", ["{user}", "US"])
def test_facts_about_sessions_are_no_users(tmp_path: Path, value: str) -> None:
    few = (lambda u, i, s: f"C{u % 3}") if value == "{user}" else cell(value)
    text = "country,session_id,item,ts\n" + rows_of(few, lambda u, i, s: f"{u}-{_step(s, u) // 2}", item, seconds)
    assert not doubts_of(read(tmp_path, text))


@pytest.mark.parametrize(
    ("fine", "coarse"), [("event_id", "venue_id"), ("dish", "business"), ("variant_ref", "product")]
)
def test_a_column_that_divides_the_items_is_named(tmp_path: Path, fine: str, coarse: str) -> None:
    text = f"user,{fine},{coarse},ts\n" + rows_of(user, item, cell("v{thing}"), seconds)
    log = read(tmp_path, text)
    wrong = items_of(log) == {"v0", "v1", "v2"}
    assert not wrong or f"doubt: each {fine} has one {coarse}, but not the reverse" in "\n".join(doubts_of(log))


@pytest.mark.parametrize("other", ["title", "price", "category", "quantity"])
def test_facts_about_items_raise_no_doubt(tmp_path: Path, other: str) -> None:
    values = {"title": "Tea {item}", "price": "{item}.50", "category": "c{thing}", "quantity": "{thing}"}
    assert not doubts_of(
        read(tmp_path, f"user,item_id,{other},ts\n" + rows_of(user, item, cell(values[other]), seconds))
    )


@pytest.mark.parametrize(
    ("names", "values", "said"),
    [
        ("items", "{step}", "items holds only the numbers from 0 to 5"),
        ("item,product_name", "{thing},Tea {item}", "product_name (12 values) is not used: --item product_name"),
        ("product,sku_id", "size{thing},{item}", "sku_id (12 values) is not used"),
    ],
)
def test_numbers_of_things_and_a_few_words_are_no_items(tmp_path: Path, names: str, values: str, said: str) -> None:
    text = f"user,{names},ts\n" + rows_of(user, cell(values), seconds)
    assert said in "\n".join(doubts_of(read(tmp_path, text))) or "sku_id as item" in notes_of(tmp_path, text)


@pytest.mark.parametrize("flags", [("true", "false"), ("yes", "no"), ("Y", "N")])
def test_words_for_yes_and_no_are_no_ids(tmp_path: Path, flags: tuple[str, str]) -> None:
    def flag(user: int, item: int, seconds: int) -> object:
        return flags[user % 2]

    assert read(tmp_path, "user,user_name,item\n" + rows_of(flag, cell("n{user}"), item)).num_users == 30
    [doubt, *_] = doubts_of(read(tmp_path, "user,item\n" + rows_of(flag, item)))
    assert doubt.startswith("doubt: user holds only ")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ((cell("/shop/{item}"), user, seconds), "looks like a path"),
        ((item, cell("00000000-1111-4222-8333-0000000000{user:02}"), seconds), "looks like a UUID"),
        ((cell("{item}.html"), cell("c{user}"), seconds), "looks like a file"),
        ((user, lambda u, i, s: ("DE", "FR", "US")[i % 3], item, seconds), "column 2 holds 3 words only"),
        ((user, lambda u, i, s: f"{i}.25", item, seconds), "--user 1 --item 3 --time 4"),
        ((user, cell("{user}0{step}"), item, seconds), "--user 1 --item 3 --time 4"),
        ((cell("{thing}"), cell("{user}:1"), cell("{item}:1")), "as libFM writes them"),
    ],
)
def test_values_can_speak_against_their_places(tmp_path: Path, cells: tuple[Cell, ...], said: str) -> None:
    with pytest.raises(DataError, match=r"without a header|columns of users") as refused:
        read(tmp_path, rows_of(*cells), header=False)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "third", ["{step}", "{thing}.5", "c{thing}", "{item}.99"], ids=["rating", "half stars", "category", "price"]
)
def test_values_that_fit_their_places_are_read_without_a_doubt(tmp_path: Path, third: str) -> None:
    log = read(tmp_path, rows_of(user, item, cell(third), seconds), header=False)
    assert (log.num_users, log.num_items, doubts_of(log)) == (30, 12, [])


def test_a_clock_beside_a_day_is_joined_in_the_flags_of_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--user 1 --item 2 --time 4,5"):
        read(tmp_path, rows_of(user, item, cell("{step}"), cell("2020-01-1{thing}"), cell("10:0{step}")), header=False)


@pytest.mark.parametrize("name", ["position", "turn", "interaction_order", "nth_click", "x"])
def test_numbers_are_named_only_if_the_rows_are_in_another_order(tmp_path: Path, name: str) -> None:
    down = f"user,item,{name}\n" + rows_of(user, item, lambda u, i, s: 5 - _step(s, u))
    [doubt] = doubts_of(read(tmp_path, down))
    assert f"{name} (5, 4, ...) is not used, and the rows are in another order" in doubt
    log = read(tmp_path, down, time=name, time_format="seconds")
    assert log.times[:6].tolist() == [step * 1_000_000 for step in range(6)]
    assert not doubts_of(read(tmp_path, f"user,item,{name}\n" + rows_of(user, item, cell("{step}"))))
    assert not doubts_of(read(tmp_path, down, time=""))


@pytest.mark.parametrize("name", ["add_to_cart_order", "position", "week"])
def test_numbers_that_begin_anew_are_in_the_order_of_rows(tmp_path: Path, name: str) -> None:
    text = f"user,item,{name}\n" + rows_of(user, item, lambda u, i, s: 1 + _step(s, u) % 3)
    assert not doubts_of(read(tmp_path, text))


@pytest.mark.parametrize("name", ["days_ago", "recency", "time_since_order"])
def test_numbers_that_count_backwards_are_named_if_the_rows_do_not(tmp_path: Path, name: str) -> None:
    [doubt] = doubts_of(read(tmp_path, f"user,item,{name}\n" + rows_of(user, item, cell("{step}"))))
    assert "may count backwards from today" in doubt
    assert not doubts_of(read(tmp_path, f"user,item,{name}\n" + rows_of(user, item, lambda u, i, s: 9 - _step(s, u))))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("2401{step:02}".replace("{step:02}", "1{step}"), "--time-format %y%m%d"),
        ("1410210{step}", "--time-format %y%m%d%H"),
        ("4529{step}.2500", "--time-format excel"),
        ("1{step} de enero de 2024", "name its form"),
        ("2024年1月1{step}日", "name its form"),
        ("Monday 10:0{step}", "name its form"),
        ("{step} days ago", "name its form"),
        ("10:0{step}", "name the column with the day too"),
    ],
)
def test_times_that_are_not_read_are_named_with_a_way_on(tmp_path: Path, values: str, said: str) -> None:
    [doubt] = doubts_of(read(tmp_path, "user,item,when\n" + rows_of(user, item, cell(values))))
    assert "looks like times and is not used" in doubt
    assert said in doubt


@pytest.mark.parametrize("value", ["{step}.50", "10.0.0.{step}", "v{step}", "{step}/10", "+49 170 55{step}"])
def test_other_values_are_no_times(tmp_path: Path, value: str) -> None:
    assert not doubts_of(read(tmp_path, "user,item,other\n" + rows_of(user, item, cell(value))))


@pytest.mark.parametrize("names", ["year,month,day,hour", "jahr,monat,tag,stunde", "o_day,o_hour,o_month,o_yr"])
def test_parts_of_a_date_are_read_together(tmp_path: Path, names: str) -> None:
    value = {"y": "2024", "j": "2024", "m": "2", "d": "29", "t": "29", "h": "{step}", "s": "{step}"}
    cells = ",".join(value[name.removeprefix("o_")[0]] for name in names.split(","))
    log = read(tmp_path, f"user,item,{names}\n" + rows_of(user, item, cell(cells)))
    assert log.times[0] == 1_709_164_800_000_000
    assert (log.times[1] - log.times[0], doubts_of(log)) == (60 * MINUTE, [])


@pytest.mark.parametrize(
    ("name", "values", "minutes"),
    [
        ("trans_time", "10{step}059", [10, 20, 30]),
        ("hhmm", "01{step}5", [10, 20, 30]),
        ("seconds_of_day", "{step}80", None),
        ("line_no", "{step}", [60, 120, 180]),
    ],
)
def test_a_part_of_a_day_is_doubted_and_joined(
    tmp_path: Path, name: str, values: str, minutes: list[int] | None
) -> None:
    text = f"user,item,date,{name}\n" + rows_of(user, item, cell("2024-02-29"), lambda u, i, s: cell(values)(u, i, s))
    backwards = "".join([text.splitlines(True)[0], *reversed(text.splitlines(True)[1:])])
    for options in ({}, {"time": "date"}):
        assert any(
            f"--time date,{name} joins them" in doubt for doubt in doubts_of(read(tmp_path, backwards, **options))
        )
    log = read(tmp_path, backwards, time=f"date,{name}")
    steps = (log.times[1:4] - log.times[0]).tolist()
    assert steps == ([100_000_000, 200_000_000, 300_000_000] if minutes is None else [one * MINUTE for one in minutes])


def test_counted_days_and_a_clock_are_joined(tmp_path: Path) -> None:
    text = "user,item,DAY,TRANS_TIME\n" + rows_of(user, item, lambda u, i, s: 9 - _step(s, u), cell("12{step}0"))
    assert any(
        "--time DAY,TRANS_TIME joins a day and a time of day" in doubt for doubt in doubts_of(read(tmp_path, text))
    )
    log = read(tmp_path, text, time="DAY,TRANS_TIME")
    assert log.times[0] == (4 * 1440 + 12 * 60 + 50) * MINUTE


@pytest.mark.parametrize(
    ("name", "zone", "hours"),
    [("timezone", "America/New_York", 4), ("tz_offset", "-240", 4), ("utc_offset", "-04:00", 4), ("tz_hours", "-4", 4)],
)
def test_a_zone_in_another_column_is_doubted_and_joined(tmp_path: Path, name: str, zone: str, hours: int) -> None:
    text = f"user,item,time,{name}\n" + rows_of(user, item, moment, cell(zone))
    log = read(tmp_path, text)
    assert any(f"--time time,{name}" in doubt for doubt in doubts_of(log))
    moved = read(tmp_path, text, time=f"time,{name}")
    assert ((moved.times - log.times) == hours * 60 * MINUTE).all()
    assert not doubts_of(moved)


@pytest.mark.parametrize("header", ["Created at (CET)", "time [Europe/Paris]", "time_pst", "time (UTC+02:00)"])
def test_a_zone_in_the_name_of_the_times_is_doubted(tmp_path: Path, header: str) -> None:
    [doubt] = doubts_of(read(tmp_path, f"user,item,{header}\n" + rows_of(user, item, moment)))
    assert "and they are read in UTC: write the offset from UTC into each" in doubt


@pytest.mark.parametrize(
    ("header", "time"), [("time (UTC)", moment), ("time", lambda *row: f"{moment(*row)}Z"), ("time", seconds)]
)
def test_times_in_utc_are_not_doubted(tmp_path: Path, header: str, time: Cell) -> None:
    zone = "Europe/Berlin" if header == "time" else "UTC"
    assert not doubts_of(read(tmp_path, f"user,item,{header},tz\n" + rows_of(user, item, time, cell(zone))))


@pytest.mark.parametrize("form", ["2024-01-0{}", "2024-01-0{} 10:00", "2024-01-0{} 10:00:00"])
def test_equal_times_in_rows_that_are_newest_first_are_doubted(tmp_path: Path, form: str) -> None:
    rows = rows_of(user, item, lambda u, i, s: form.format(1 + _step(s, u) // 2)).splitlines(keepends=True)
    [doubt] = doubts_of(read(tmp_path, "user,item,time\n" + "".join(reversed(rows))))
    assert "the rows are newest first, and 90 events have the time of another" in doubt
    assert not doubts_of(read(tmp_path, "user,item,time\n" + "".join(rows)))


def test_lists_newest_first_are_ordered_by_the_times_beside_them(tmp_path: Path) -> None:
    moments = [datetime(2024, 1, day) for day in (3, 2, 1)]
    for times in (moments, [int(one.timestamp()) for one in moments], [str(one) for one in moments]):
        frame = pl.DataFrame({"user_id": [1, 2], "item_ids": [[7, 8, 9]] * 2, "seen": [times] * 2})
        assert read_log(frame).item_vocabulary.raw(read_log(frame).items)[:3] == [9, 8, 7]
    unequal = pl.DataFrame({"user_id": [1, 2], "item_ids": [[7, 8, 9]] * 2, "seen": [moments[:2]] * 2})
    assert not read_log(unequal).has_times


def test_floats_of_32_bits_are_too_short_for_times_and_large_ids() -> None:
    frame = pl.DataFrame(
        {"user": [1, 2] * 10, "item": [3, 4] * 10, "ts": [1_704_000_000 + 500 * row for row in range(20)]}
    )
    [doubt] = doubts_of(read_log(frame.with_columns(pl.col("ts").cast(pl.Float32))))
    assert "only in steps of 128" in doubt
    with pytest.raises(DataError, match="floats only below 2\\^24"):
        read_log(frame.with_columns((pl.col("user") + 2**24).cast(pl.Float32)))
    assert not doubts_of(read_log(frame.with_columns(pl.col("user").cast(pl.Float32))))


def test_a_day_and_a_duration_are_joined() -> None:
    frame = pl.DataFrame({"user": [1], "item": [3], "date": [date(2024, 1, 5)], "time": [timedelta(hours=10)]})
    assert read_log(frame).times[0] == 1_704_448_800_000_000
    assert users_of(read_log(frame)) == {1}


def test_rows_in_the_order_of_several_columns_are_not_doubted(tmp_path: Path) -> None:
    text = "user,item,hour,minute\n" + rows_of(
        user, item, lambda u, i, s: _step(s, u) // 2, lambda u, i, s: 30 * (_step(s, u) % 2)
    )
    assert not doubts_of(read(tmp_path, text))
    lines = text.splitlines(keepends=True)
    [doubt] = doubts_of(read(tmp_path, "".join([lines[0], *reversed(lines[1:])])))
    assert "hour (2, 2, ...) and minute (30, 0, ...) are not used" in doubt


def test_lists_beside_the_items_are_named_as_columns_are() -> None:
    items, users = [[(step + user) % 7 for step in range(6)] for user in range(9)], list(range(9))
    written = pl.DataFrame(
        {"user_id": users, "item_ids": items, "seen": [[f"{day}. Januar 2024" for day in (9, 8, 6, 5, 3, 2)]] * 9}
    )
    [doubt] = doubts_of(read_log(written))
    assert "doubt: seen ('9. Januar 2024') looks like times and is not used" in doubt
    counted = pl.DataFrame({"user_id": users, "item_ids": items, "position": [[6, 5, 4, 3, 2, 1]] * 9})
    [doubt] = doubts_of(read_log(counted))
    assert "doubt: position (6, 5, ...) is not used, and the rows are in another order" in doubt
    assert not doubts_of(read_log(counted.with_columns(pl.col("position").list.reverse())))


HALF_OF_DAY = "says in which half of the day a time is"


@pytest.mark.parametrize("halves", [("AM", "PM"), ("a.m.", "p.m."), ("午前", "午後")], ids=str)
def test_the_half_of_a_day_in_a_column_of_its_own_is_read(halves: tuple[str, str], tmp_path: Path) -> None:
    header, rows = "user_id,item_id,date,time,half", [
        f"u{row % 6},i{row % 7},2024-01-{1 + row % 5:02d},{1 + row % 12:02d}:15:{row:02d},{halves[row % 2]}"
        for row in range(20)
    ]  # fmt: skip
    (tmp_path / "log.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    log = read_log(tmp_path / "log.csv")
    assert sorted({time // 3_600_000_000 % 24 for time in log.times.tolist()}) == [
        1,
        3,
        5,
        7,
        9,
        11,
        12,
        14,
        16,
        18,
        20,
        22,
    ]
    # Beside a moment in one column it is named, and the way on runs.
    whole = [f"{row[: row.index(':') - 3]} {row[row.index(':') - 2 :]}" for row in rows]
    (tmp_path / "log.csv").write_text("\n".join(["user_id,item_id,date,half", *whole]), encoding="utf-8")
    doubt = doubts_of(read_log(tmp_path / "log.csv"))[0]
    assert HALF_OF_DAY in doubt
    assert "--time date,half reads it" in doubt
    assert (read_log(tmp_path / "log.csv", time="date,half").times == log.times).all()
    # Times of 24 hours say it themselves.
    afternoon = rows[0].replace("01:15:00", "13:15:00")
    (tmp_path / "log.csv").write_text("\n".join([header, afternoon, *rows[1:]]), encoding="utf-8")
    log = read_log(tmp_path / "log.csv")
    assert not any(HALF_OF_DAY in doubt for doubt in doubts_of(log))
    assert any("read date and time together as time" in note for note in log.provenance["notes"])


@pytest.mark.parametrize(
    ("name", "clocks"),
    [
        ("klokken", ["17.22", "01.38", "09.05", "23.59"]),
        ("heure", ["16h55", "7h03", "12h30", "0h10"]),
        ("время", ["18-54-42", "03-10-11", "09-00-59", "23-59-00"]),
        ("time_of_day", ["0.557292", "0.1", "0.93", "0.25"]),
    ],
)
def test_a_time_of_day_in_another_form_beside_days_is_named(name: str, clocks: list[str], tmp_path: Path) -> None:
    rows = [f"u{row % 5};i{row % 7};2024-01-{1 + row // 5:02d};{clocks[row // 2 % 4]}" for row in range(20)]
    (tmp_path / "log.csv").write_text("\n".join([f"user_id;item_id;date;{name}", *rows]), encoding="utf-8")
    assert any(
        f"{name} (" in doubt and "looks like times of day" in doubt
        for doubt in doubts_of(read_log(tmp_path / "log.csv"))
    )
    # A price is none.
    prices = [
        row.replace(clocks[number // 2 % 4], f"{number}.{49 + number % 3 * 25}") for number, row in enumerate(rows)
    ]
    (tmp_path / "log.csv").write_text("\n".join(["user_id;item_id;date;sum", *prices]), encoding="utf-8")
    assert doubts_of(read_log(tmp_path / "log.csv")) == []


def test_a_place_in_a_basket_does_not_hide_that_the_baskets_are_not_in_order(tmp_path: Path) -> None:
    header = "order_id,user_id,order_number,order_hour_of_day,product_id,add_to_cart_order"
    baskets = [(7 * number % 11, f"u{number % 3}", (7 * number) % 13, (5 * number + 7) % 24) for number in range(12)]
    rows = [
        f"{order},{user},{place},{hour},{300 + 3 * order + cart},{cart}"
        for order, user, place, hour in baskets
        for cart in (1, 2, 3)
    ]
    (tmp_path / "log.csv").write_text("\n".join([header, *rows]))
    (doubt,) = [doubt for doubt in doubts_of(read_log(tmp_path / "log.csv")) if "another order" in doubt]
    assert "order_number (" in doubt
    assert "add_to_cart_order" not in doubt
