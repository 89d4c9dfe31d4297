"""Layouts: which column is what; with several readings, a refusal that shows the flags of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from caser.data.filters import LogFilters
from caser.data.readers import read_log
from caser.errors import DataError
from tests.cases.logs import doubts_of, item, items_of, read, rows_of, seconds, user, users_of


def iso(user: int, item: int, seconds: int) -> str:
    return f"{np.datetime64(seconds, 's')}.277Z"


ITEMS = set(range(500, 512))


def test_a_moment_in_the_middle_is_the_time_and_never_the_item(tmp_path: Path) -> None:
    log = read(tmp_path, rows_of(user, iso, item))
    assert (log.num_users, items_of(log), log.has_times) == (30, ITEMS, True)


@pytest.mark.parametrize(
    ("cells", "ways", "options"),
    [
        (
            (user, iso, item, lambda *_: 0),
            ["--no-header --user 1 --item 3 --time 2", "--no-header --user 1 --item 4 --time 2"],
            {"user": "1", "item": "3"},
        ),
        (
            (user, iso, lambda *_: 30.2359, lambda *_: -97.795, item),
            ["pass --no-header --user 1 --item 5 --time 2 (in Python", "30.2359", "column 2 looks like times"],
            {"user": "1", "item": "5"},
        ),
        (
            (user, item, lambda *_: 4006, lambda *_: "pv", seconds),
            ["--user 1 --item 2 --time 5", "column 5 looks like times"],
            {"user": "1", "item": "2", "event_type": "4"},
        ),
        (
            (user, lambda user, *_: "click" if user % 2 else "buy", item, seconds),
            ["--no-header --user 1 --item 3 --time 4", "column 2 holds kinds of events"],
            {"user": "1", "item": "3"},
        ),
        ((iso, user, item), ["--user 2 --item 3 --time 1"], {"user": "2", "item": "3", "time": "1"}),
        (
            (user, lambda _, item, __: item + 1_500_000_000, seconds),
            ["--user 1 --item 3 --time 2", "--user 1 --item 2 --time 3"],
            {"user": "1", "item": "2", "time": "3"},
        ),
        ((user, item, lambda *_: 5, lambda *_: 7), ["--user 1 --item 2"], {"user": "1", "item": "2"}),
    ],
    ids=["clicks", "check-ins", "shop", "kinds of events", "time first", "two columns like times", "no time"],
)
def test_columns_without_a_header_that_have_several_readings_are_refused_with_the_flags(
    tmp_path: Path, cells: Any, ways: list[str], options: dict[str, str]
) -> None:
    text = rows_of(*cells)
    with pytest.raises(DataError) as refused:
        read(tmp_path, text)
    assert all(way in str(refused.value) for way in ways)
    log = read(tmp_path, text, header=False, **options)
    assert (len(log), log.num_users, log.num_items) == (180, 30, 12)


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("more", [(), (seconds,)], ids=["pairs", "with times"])
def test_a_first_column_that_counts_rows_is_no_user(tmp_path: Path, start: int, more: Any) -> None:
    lines = rows_of(user, item, *more).splitlines()
    text = "\n".join(f"{row},{line}" for row, line in enumerate(lines, start))
    with pytest.raises(
        DataError, match=r"column 1 counts rows\); pass --no-header --user 2 --item 3.*or --no-header --user 1"
    ):
        read(tmp_path, text)
    assert read(tmp_path, text, header=False, user="2", item="3").num_users == 30


def test_a_column_of_numbers_before_named_columns_is_left_alone(tmp_path: Path) -> None:
    lines = rows_of(user, item, seconds).splitlines()
    for name in ("", "Unnamed: 0", "index"):
        text = "\n".join([f"{name},user_id,item_id,time", *(f"{row},{line}" for row, line in enumerate(lines))])
        log = read(tmp_path, text)
        assert (log.num_users, items_of(log), log.has_times) == (30, ITEMS, True)
        assert not doubts_of(log)


def test_a_named_column_of_dates_is_not_guessed_as_the_item(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"a column of moments is no column of items; got '2020-09-13T.* in item; .*--item"
    ):
        read(tmp_path, "user,item,thing\n" + rows_of(user, iso, item))
    log = read(tmp_path, "user,item,thing\n" + rows_of(user, iso, item), item="item", time="")
    assert any("the items are moments" in doubt for doubt in doubts_of(log))


def test_the_log_of_a_news_site_says_its_row_numbers_its_lists_and_its_clock(tmp_path: Path) -> None:
    lines = rows_of(
        lambda user, *_: f"U{user}",
        lambda _, __, seconds: pd.Timestamp(seconds, unit="s").strftime("%m/%d/%Y %I:%M:%S %p"),
        lambda _, item, __: f"N1 N2 N{item}",
        lambda _, item, __: f"N{item}-1 N9-0",
        separator="\t",
    ).splitlines()
    text = "\n".join(f"{row}\t{line}" for row, line in enumerate(lines))
    with pytest.raises(
        DataError,
        match=r"column 3 looks like times; column 1 counts rows\); pass --no-header --user 2 --item 4 --time 3",
    ):
        read(tmp_path, text)
    with pytest.raises(DataError, match=r"--time-format '%m/%d/%Y %I:%M:%S %p'"):
        read(tmp_path, text, user="2", item="4")
    log = read(tmp_path, text, user="2", item="4", time_format="%m/%d/%Y %I:%M:%S %p")
    assert any("look like 'N1 N2 N5" in doubt for doubt in doubts_of(log))


def test_a_file_of_names_without_a_header_says_how_to_keep_its_first_line(tmp_path: Path) -> None:
    text = rows_of(lambda user, *_: f"ann{user}", lambda _, item, __: f"tea-{item}")
    with pytest.raises(
        DataError, match=r"if the first line is data and not a header, pass header=False \(--no-header\)"
    ):
        read(tmp_path, text)
    assert len(read(tmp_path, text, header=False)) == 180
    assert len(read(tmp_path, text, user="1", item="2")) == 180
    assert len(read(tmp_path, text, user="1", item="2", header=False)) == 180
    with pytest.raises(DataError, match="got '9'"):
        read(tmp_path, text, user="1", item="9")


def test_one_user_per_line_is_named_and_not_skipped(tmp_path: Path) -> None:
    lines = [" ".join(map(str, [user, *range(500, 502 + user % 5)])) for user in range(1, 31)]
    with pytest.raises(DataError) as refused:
        read(tmp_path, "\n".join(lines))
    assert "24 of 30 rows with another number than the first line" in str(refused.value)
    assert "one user or session per line" in str(refused.value)
    assert "skip" not in str(refused.value)


def test_events_of_a_shop_are_read_and_a_kind_that_never_occurs_is_refused_with_those_that_do(tmp_path: Path) -> None:
    text = "event_time,event_type,product_id,brand,price,user_id,user_session\n" + rows_of(
        lambda _, __, seconds: str(np.datetime64(seconds, "s")).replace("T", " ") + " UTC",
        lambda user, *_: "view" if user % 4 else "purchase",
        item,
        lambda *_: "",
        lambda *_: 9.99,
        user,
        lambda user, *_: f"aaaa-{user}",
    )
    log = read(tmp_path, text)
    assert (len(log), users_of(log), items_of(log), log.provenance["time_unit"]) == (
        180,
        set(range(1, 31)),
        ITEMS,
        "dates",
    )
    assert any(
        note.startswith("event_type is not used: events of every kind count alike") for note in log.provenance["notes"]
    )
    with pytest.raises(DataError, match=r"got 'buy', which never occurs; the kinds are view \(138\), purchase \(42\)"):
        read(tmp_path, text, filters=LogFilters(event_types=("buy",)))
    bought = read(tmp_path, text, filters=LogFilters(event_types=("purchase",)))
    assert len(bought) == 42
    assert not any("is not used" in note for note in bought.provenance["notes"])


@pytest.mark.parametrize("kind", ["view", "add_to_cart", "PURCHASE"])
def test_kinds_of_events_are_no_items(tmp_path: Path, kind: str) -> None:
    text = rows_of(user, item, lambda user, *_: kind if user % 2 else "click", seconds)
    log = read(tmp_path, text)
    assert items_of(log) == ITEMS
    assert any(note.startswith("column 3 is not used: events of every kind") for note in log.provenance["notes"])
    doubted = read(tmp_path, text, user="1", item="3", time="4", header=False)
    assert any("the items are kinds of events" in doubt for doubt in doubts_of(doubted))


def test_a_third_column_of_large_numbers_is_said_to_be_left_out(tmp_path: Path) -> None:
    log = read(tmp_path, rows_of(user, item, lambda _, __, seconds: seconds - 1_600_000_000))
    assert not log.has_times
    assert doubts_of(log) == [
        "doubt: column 3 (up to 4110) is not used: if it is the time, pass --no-header --user 1 --item 2 --time 3"
    ]
    assert not doubts_of(read(tmp_path, rows_of(user, item, lambda user, *_: user % 5 + 1)))


def test_lists_of_items_and_times_are_taken_apart(tmp_path: Path) -> None:
    times = [1_600_000_000, 1_600_000_060]
    frame = pl.DataFrame({"uid": [7, 8, 9], "item_ids": [[3, 4], [5], []], "timestamps": [times, times[:1], []]})
    frame.write_parquet(tmp_path / "log.parquet")
    frame.write_ndjson(tmp_path / "log.jsonl")
    frame.write_ipc(tmp_path / "log.arrow")
    log = read_log(frame)
    assert (len(log), users_of(log), items_of(log)) == (3, {7, 8}, {3, 4, 5})
    assert log.times.tolist()[:2] == [one * 1_000_000 for one in times]
    assert (
        "the columns of item and time hold lists: each element is one event, in the order of the list"
        in log.provenance["notes"]
    )
    assert "1 rows with empty lists have no events" in log.provenance["notes"]
    assert read_log(tmp_path / "log.parquet").digest == read_log(tmp_path / "log.jsonl").digest == log.digest


@pytest.mark.parametrize(
    ("columns", "options", "expected"),
    [
        ({"user": [1, 2], "item": [[3, 4], [5]], "time": [10, 20]}, {}, 3),
        ({"user": [1, 2], "item": [[3, 4], [5]]}, {}, 3),
        ({"user": [1, 2], "item": [[3, 4], [5]], "time": [[1, 2], [3, 4]]}, {"bad_rows": "skip"}, 2),
        ({"user": [1, 2], "item": [[3, None], [5]], "time": [[1, 2], [3]]}, {"bad_rows": "skip"}, 2),
    ],
    ids=["one time per basket", "no times", "unequal", "an element is missing"],
)
def test_lists_that_do_not_fit_are_bad_rows(columns: Any, options: dict[str, Any], expected: int) -> None:
    log = read_log(pl.DataFrame(columns), **options)
    assert len(log) == expected
    bad = sum(reason["count"] for reason in log.provenance["bad_rows"].values())
    assert log.provenance["rows_read"] == expected + bad


def test_lists_of_users_or_of_times_alone_are_refused() -> None:
    with pytest.raises(DataError, match="a user must be one value; got lists"):
        read_log(pl.DataFrame({"user": [[1, 2]], "item": [3]}))
    with pytest.raises(DataError, match="lists of times need lists of items"):
        read_log(pl.DataFrame({"user": [1], "item": [3], "time": [[1, 2]]}))
    with pytest.raises(DataError, match=r"1 with lists of different lengths \(first at row 2\)"):
        read_log(pl.DataFrame({"user": [1, 2], "item": [[3, 4], [5]], "time": [[1, 2], [3, 4]]}))


FRAME = pd.DataFrame({"user_id": ["a", "b", "a"], "item_id": [1, 2, 3], "time": [1_600_000_000] * 3})


@pytest.mark.parametrize("levels", [["user_id"], ["user_id", "item_id"], ["time"]])
def test_a_named_index_of_pandas_is_read(levels: list[str]) -> None:
    log = read_log(FRAME.set_index(levels))
    assert log.digest == read_log(FRAME).digest
    assert f"the index of the frame holds {', '.join(levels)}: read as columns" in log.provenance["notes"]


def test_an_index_of_pandas_without_a_name_is_no_id() -> None:
    named = read_log(FRAME.set_index(pd.Index(["x", "y", "z"])))
    assert users_of(named) == {"a", "b"}
    assert doubts_of(named)[0].startswith("doubt: the index of the frame ('x', ...) has no name and is not read")
    assert not doubts_of(read_log(FRAME[FRAME.item_id > 1]))


@pytest.mark.parametrize(
    "source", [FRAME.user_id, {"user": [1]}, [(1, 2)], None, FRAME.groupby("user_id"), np.zeros((2, 2)), pl.Series([1])]
)
def test_what_is_no_table_is_refused_with_how_to_make_one(source: Any) -> None:
    with pytest.raises(DataError, match=r"a log must be a path or a .* table; got \w+; (make|pass) a frame"):
        read_log(source)


@pytest.mark.parametrize(
    ("change", "users"),
    [
        ({"user_id": pd.array([1, None, 3], dtype="Int64")}, {1, 3}),
        ({"user_id": [1.0, np.nan, 3.0]}, {1, 3}),
        ({"user_id": pd.Categorical(["a", None, "b"])}, {"a", "b"}),
        ({"time": pd.to_datetime([0, None, 1], unit="s")}, {"a"}),
    ],
    ids=["Int64", "a hole makes floats", "categories", "NaT"],
)
def test_holes_in_frames_of_pandas_are_bad_rows(change: Any, users: set[Any]) -> None:
    assert users_of(read_log(FRAME.assign(**change), bad_rows="skip")) == users


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        (pd.to_timedelta([1, 2, 3], unit="s"), "times must have a day; got .0:00:01. at row 1"),
        (pd.period_range("2020-01", periods=3, freq="M"), "times must be numbers, dates or text"),
        ([True, False, True], "got Boolean"),
    ],
    ids=["durations", "periods", "booleans"],
)
def test_other_types_of_time_are_refused(time: Any, shown: str) -> None:
    with pytest.raises(DataError, match=shown):
        read_log(FRAME.assign(time=time))


def test_a_time_zone_of_a_frame_counts() -> None:
    moments = pd.to_datetime(FRAME.time, unit="s")
    berlin = read_log(FRAME.assign(time=moments.dt.tz_localize("Europe/Berlin")))
    assert int(berlin.times[0]) == (1_600_000_000 - 7_200) * 1_000_000
    same = read_log(FRAME.assign(time=moments.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")))
    assert int(same.times[0]) == 1_600_000_000 * 1_000_000
