"""Reading logs: every format gives the same log, every guess has a note, and every bad row is counted."""

from __future__ import annotations

import gzip
import io
import json
import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from caser.arrays.types import RawId
from caser.data.filters import LogFilters
from caser.data.log import InteractionLog
from caser.data.readers import Reading, read_log
from caser.errors import ConfigError, DataError, MissingDependencyError
from tests.skips import AS_ROOT

EVENTS = [(7, 31, 978_300_760), (8, 31, 978_300_761), (7, 30, 978_300_765)]
SECOND = 1_000_000


def lines(separator: str, header: str | None = None, rating: bool = False) -> bytes:
    rows = [(user, item, 5, time) if rating else (user, item, time) for user, item, time in EVENTS]
    text = [separator.join(map(str, row)) for row in rows]
    return "\n".join([header, *text] if header else text).encode()


def parquet() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(EVENTS, ["user_id", "item_id", "timestamp"], orient="row").write_parquet(buffer)
    return buffer.getvalue()


def json_lines() -> bytes:
    return b"".join(json.dumps({"user": u, "item": i, "ts": t}).encode() + b"\n" for u, i, t in EVENTS)


def raw(log: InteractionLog) -> list[tuple[RawId, RawId, int]]:
    users, items = log.user_vocabulary.raw(log.users), log.item_vocabulary.raw(log.items)
    return list(zip(users, items, log.times.tolist(), strict=True))


def read(tmp_path: Path, content: bytes | str, reading: Reading | None = None, **options: Any) -> InteractionLog:
    path = tmp_path / "events"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_log(path, reading, **options)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lines(",", "user_id,item_id,timestamp"), id="csv"),
        pytest.param(lines(";", "userId;movieId;ts"), id="csv with semicolons"),
        pytest.param(lines("\t", "visitor_id\tproduct\tdatetime"), id="tsv"),
        pytest.param(lines("\t", "user_id:token\titem_id:token\ttimestamp:float"), id="inter"),
        pytest.param(lines("\t", rating=True), id="u.data"),
        pytest.param(lines("::", rating=True), id="ratings.dat"),
        pytest.param(lines(",", "userId,movieId,rating,timestamp", rating=True), id="ratings.csv"),
        pytest.param(lines(" "), id="three columns of which one is a time"),
        pytest.param(lines(",", '"user_id","item_id","timestamp"'), id="quoted csv"),
        pytest.param(lines(",", "user_id,item_id,timestamp").replace(b"\n", b"\r\n"), id="crlf"),
        pytest.param(b"\xef\xbb\xbf" + lines(",", "user_id,item_id,timestamp"), id="byte order mark"),
        pytest.param(lines(",", "user_id,item_id,timestamp") + b"\n\n\n", id="blank lines"),
        pytest.param(json_lines(), id="json lines"),
        pytest.param(parquet(), id="parquet"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
def test_every_format_gives_the_same_log(tmp_path: Path, content: bytes, zipped: bool) -> None:
    log = read(tmp_path, gzip.compress(content) if zipped else content)
    assert raw(log) == [(7, 31, EVENTS[0][2] * SECOND), (7, 30, EVENTS[2][2] * SECOND), (8, 31, EVENTS[1][2] * SECOND)]
    assert log.has_times
    assert not log.provenance["bad_rows"]


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame(EVENTS, ["user", "item", "time"], orient="row"),
        pl.LazyFrame(EVENTS, ["user", "item", "time"], orient="row"),
        pd.DataFrame(EVENTS, columns=["user", "item", "time"]),
        pa.table({"user": [7, 8, 7], "item": [31, 31, 30], "time": [time for _, _, time in EVENTS]}),
    ],
    ids=["polars", "polars lazy", "pandas", "arrow"],
)
def test_every_frame_gives_the_same_log(frame: Any) -> None:
    log = read_log(frame)
    assert [row[:2] for row in raw(log)] == [(7, 31), (7, 30), (8, 31)]
    assert log.provenance["source"] == "frame"


def test_a_guess_has_a_note_and_can_be_overridden(tmp_path: Path) -> None:
    content = "visitor_id,session_id,item,time\na,s,x,1\nb,s,y,2\n"
    guessed = read(tmp_path, content)
    assert (
        "read visitor_id as user; session_id is there too; override with user= (--user)" in guessed.provenance["notes"]
    )
    overridden = read(tmp_path, content, user="session_id")
    assert overridden.num_users == 1
    assert not any("as user" in note for note in overridden.provenance["notes"])


def test_settings_and_options_read_the_same_log_and_are_in_the_provenance(tmp_path: Path) -> None:
    content = "who,item,time\na,x,1\n"
    log = read(tmp_path, content, Reading(user="who"))
    assert read(tmp_path, content, user="who").digest == log.digest
    again = read_log(log.provenance["source"], Reading(**log.provenance["reading"]))
    assert again.digest == log.digest
    assert json.loads(json.dumps(log.provenance)) == log.provenance


def test_triplets_without_times_are_in_file_order(tmp_path: Path) -> None:
    log = read(tmp_path, "1 32 1\n1 23 1\n2 28 1\n")
    assert not log.has_times
    assert [row[:2] for row in raw(log)] == [(1, 32), (1, 23), (2, 28)]
    assert any("in the order of events" in note for note in log.provenance["notes"])


def test_equal_times_keep_the_order_of_rows(tmp_path: Path) -> None:
    log = read(tmp_path, "user,item,time\na,3,5\nb,9,5\na,1,5\na,2,4\n")
    assert [row[1] for row in raw(log) if row[0] == "a"] == [2, 3, 1]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["1", "20", "-3"], [1, 20, -3]),
        (["007", "7"], ["007", "7"]),
        (["1", "x"], ["1", "x"]),
        ([" 1", "1 "], [1, 1]),
        (["1.0", "1"], ["1.0", "1"]),
        (["+1", "-0"], ["+1", "-0"]),
        (["9" * 25, "1"], ["9" * 25, "1"]),
        (["=1+1", "@cmd"], ["=1+1", "@cmd"]),
        (["\u00e9", "e\u0301"], ["\u00e9", "e\u0301"]),
        (["\u202eabc", "\U0001f600"], ["\u202eabc", "\U0001f600"]),
    ],
)
def test_ids_of_a_text_file_keep_their_spelling(tmp_path: Path, ids: list[str], expected: list[RawId]) -> None:
    log = read(tmp_path, "user,item\n" + "".join(f"u,{item}\n" for item in ids))
    assert [row[1] for row in raw(log)] == expected


@pytest.mark.parametrize("ids", [[1, 2], ["1", "2"], ["1.5", "2.0"], ["True", "False"], [2**63, 3]])
def test_ids_of_a_frame_keep_their_type(ids: list[RawId]) -> None:
    log = read_log(pl.DataFrame({"user": ids, "item": [1, 1]}))
    assert [row[0] for row in raw(log)] == ids
    assert type(raw(log)[0][0]) is type(ids[0])


def test_categories_are_read_as_text() -> None:
    log = read_log(pl.DataFrame({"user": pl.Series(["a", "b"], dtype=pl.Categorical), "item": [1, 2]}))
    assert log.user_vocabulary.ids.to_list() == ["a", "b"]


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("1600000000", datetime(2020, 9, 13, 12, 26, 40)),
        ("1600000000.5", datetime(2020, 9, 13, 12, 26, 40, 500_000)),
        ("1600000000123", datetime(2020, 9, 13, 12, 26, 40, 123_000)),
        ("1600000000123456", datetime(2020, 9, 13, 12, 26, 40, 123_456)),
        ("1600000000123456789", datetime(2020, 9, 13, 12, 26, 40, 123_456)),
        ("-86400", datetime(1969, 12, 31)),
        ("2020-09-13", datetime(2020, 9, 13)),
        ("2020-09-13 12:26", datetime(2020, 9, 13, 12, 26)),
        ("2020-09-13 12:26:40", datetime(2020, 9, 13, 12, 26, 40)),
        ("2020-09-13T12:26:40.123456", datetime(2020, 9, 13, 12, 26, 40, 123_456)),
        ("2020-09-13T12:26:40Z", datetime(2020, 9, 13, 12, 26, 40)),
        ("2020-09-13 12:26:40 UTC", datetime(2020, 9, 13, 12, 26, 40)),
        ("2020-09-13T12:26:40+02:00", datetime(2020, 9, 13, 10, 26, 40)),
    ],
)
def test_a_time_in_any_unit_becomes_microseconds(tmp_path: Path, written: str, moment: datetime) -> None:
    log = read(tmp_path, f"user,item,time\na,b,{written}\n")
    assert log.times.tolist() == [(moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)]


@pytest.mark.parametrize(
    "dtype", [pl.Datetime("ms"), pl.Datetime("us"), pl.Datetime("ns"), pl.Datetime("us", "Asia/Tokyo"), pl.Date]
)
def test_a_column_of_dates_needs_no_unit(dtype: pl.DataType) -> None:
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    zone = getattr(dtype, "time_zone", None)
    value = moment.astimezone(timezone(timedelta(hours=9))) if zone else moment.replace(tzinfo=None)
    frame = pl.DataFrame({"user": [1], "item": [1], "time": pl.Series([value]).cast(dtype)})
    assert read_log(frame).times.tolist() == [int(moment.timestamp()) * SECOND]


def test_the_unit_of_times_is_decided_once_from_the_median(tmp_path: Path) -> None:
    log = read(tmp_path, "user,item,time\na,b,1600000000\na,c,1600000001\na,d,5\n")
    assert log.times.tolist() == [5 * SECOND, 1_600_000_000 * SECOND, 1_600_000_001 * SECOND]
    assert log.provenance["time_unit"] == "seconds"


BAD_ROWS = "user,item,time\na,x,1\n,x,2\nb,,3\nb,y,soon\nb,y,inf\nb,y\nb,y,6,7\nnan,y,8\nb,y,9\n"


def test_bad_rows_are_refused_with_their_counts_and_first_lines(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, BAD_ROWS)
    sentence = str(caught.value)
    assert "2 without a user (first at line 3)" in sentence
    assert "1 without an item (first at line 4)" in sentence
    assert "2 with a missing or unreadable time (first at line 5)" in sentence
    assert "2 with a wrong column count (first at line 7)" in sentence
    assert "78% of the rows are bad: check the columns" in sentence
    assert str(tmp_path / "events") in sentence


def test_skipping_is_advised_only_where_few_rows_are_bad(tmp_path: Path) -> None:
    good = "".join(f"a,x{row},{row}\n" for row in range(40))
    with pytest.raises(DataError, match=r'; pass bad_rows="skip" \(--bad-rows skip\) to go on'):
        read(tmp_path, f"user,item,time\n{good}a,x,soon\n,x,1\n")
    with pytest.raises(DataError, match=r"; 7% of the rows are bad: check the columns"):
        read(tmp_path, f"user,item,time\n{good}a,x,soon\n,x,1\nb,,1\n")


def test_bad_rows_can_be_skipped_and_are_counted(tmp_path: Path) -> None:
    log = read(tmp_path, BAD_ROWS, bad_rows="skip")
    assert [row[:2] for row in raw(log)] == [("a", "x"), ("b", "y")]
    assert log.provenance["rows_read"] == 9
    assert sum(bad["count"] for bad in log.provenance["bad_rows"].values()) == 7


def test_the_line_of_a_bad_row_counts_blank_lines_and_line_ends_in_quotes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"without a user \(first at line 6\)"):
        read(tmp_path, 'user,item\n\na,"two\nlines"\nb,c\n,d\n')


def test_lines_that_are_not_json_objects_are_bad_rows(tmp_path: Path) -> None:
    content = '{"user": 1, "item": "a"}\n[1]\n{"user": 2, "item": "b"\n\n{"item": "c", "extra": {"x": [1]}}\n'
    log = read(tmp_path, content, bad_rows="skip")
    assert [row[:2] for row in raw(log)] == [(1, "a")]
    assert log.provenance["bad_rows"] == {
        "that are no JSON object": {"count": 2, "first": 2},
        "without a user": {"count": 1, "first": 5},
    }


@pytest.mark.parametrize("text", ["{}\n{}\n", "{\n}\n"])
def test_json_lines_without_any_value_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"got \d (lines|objects) without a value; in "):
        read(tmp_path, text)


def test_numbers_in_json_stay_numbers_and_text_stays_text(tmp_path: Path) -> None:
    assert raw(read(tmp_path, '{"user": 1, "item": "1"}\n'))[0][:2] == (1, "1")


def test_escaped_characters_of_json_are_read(tmp_path: Path) -> None:
    assert raw(read(tmp_path, json.dumps({"user": "\U0001f600", "item": "\u00e9"})))[0][:2] == ("\U0001f600", "\u00e9")


def test_missing_values_of_a_frame_are_bad_rows() -> None:
    frame = pl.DataFrame({"user": ["a", None, ""], "item": [1.0, 2.0, float("nan")], "time": [1, 2, 3]})
    with pytest.raises(DataError, match=r"2 without a user \(first at row 2\)"):
        read_log(frame)
    assert len(read_log(frame, bad_rows="skip")) == 1


def test_text_that_is_not_utf8_is_read_as_latin1_with_a_note(tmp_path: Path) -> None:
    log = read(tmp_path, "user,item\na,caf\u00e9\n".encode("latin-1"))
    assert raw(log)[0][1] == "caf\u00e9"
    assert any("latin-1" in note for note in log.provenance["notes"])


def test_quoted_fields_may_hold_separators_quotes_and_line_ends(tmp_path: Path) -> None:
    log = read(tmp_path, 'user,item\na,"x,""y""\nz"\n"a",w\n')
    assert [row[1] for row in raw(log)] == ['x,"y"\nz', "w"]


def test_a_very_long_field_is_a_valid_id_if_it_can_be_asked_for(tmp_path: Path) -> None:
    assert raw(read(tmp_path, f"user,item\na,{'x' * 1_000}\n"))[0][1] == "x" * 1_000
    with pytest.raises(DataError, match=r"1 with the id of an item of more than 1,000 characters .*--item"):
        read(tmp_path, f"user,item\na,{'x' * 1_000_000}\n")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="zero bytes"),
        pytest.param(b"\n\n", id="blank"),
        pytest.param(b"user,item,time\n", id="header only"),
        pytest.param(b"item,time\nx,1\n", id="no user column"),
        pytest.param(b"alpha,beta\nx,y\n", id="unknown columns"),
        pytest.param(b"1,2,3,4,5\n", id="five columns without a header"),
        pytest.param(b"user\na\n", id="one column"),
        pytest.param(b"\x00\x01\x02\x03" * 100, id="binary"),
        pytest.param(b"PK\x03\x04" + bytes(range(256)), id="a zip file"),
        pytest.param(b"PAR1" + b"x" * 100, id="half a Parquet file"),
        pytest.param(parquet()[:-20], id="a cut Parquet file"),
        pytest.param(b"\x1f\x8b\x08\x00garbage", id="half a gzip file"),
        pytest.param(gzip.compress(b"user,item\na,b\n")[:-9], id="a cut gzip file"),
        pytest.param(b'user,item\na,"never closed\nb,c\n', id="an open quote"),
        pytest.param(b'user,item\na,"x"y\n', id="text after a quote"),
        pytest.param(b'{"a": 1}\n', id="JSON without a user"),
        pytest.param(b'{"user": [1], "item": {"a": 1}}\n', id="nested ids"),
        pytest.param(b"{broken\n", id="broken JSON"),
        pytest.param(b'{"user": "\\ud800", "item": 1}\n{\n', id="half a character"),
        pytest.param(b"user,item,time\na,x,tomorrow\n", id="no readable time"),
    ],
)
def test_a_malformed_file_is_refused_in_one_sentence_that_names_it(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, content)
    assert str(tmp_path / "events") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["nowhere.csv", "x" * 5000, "\x00"], ids=["missing", "long", "NUL"])
def test_a_path_that_cannot_be_read_is_refused_in_one_sentence(tmp_path: Path, path: str) -> None:
    with pytest.raises(DataError, match="must be a file that can be read"):
        read_log(tmp_path / path)


@pytest.mark.parametrize(
    "source",
    [
        42,
        [("a", "b")],
        pl.DataFrame({"user": [[1]], "item": [2]}),
        pl.DataFrame({"user": [1], "item": [2], "time": [True]}),
        pl.DataFrame({"user": [1], "item": [2], "time": [timedelta(1)]}),
        pl.DataFrame(),
        pl.LazyFrame({"a": [1]}).select("b"),
        pd.DataFrame({"user": ["a", 1], "item": [1, 2]}),
    ],
    ids=["number", "list", "nested", "boolean time", "duration", "nothing", "failing query", "mixed pandas column"],
)
def test_a_source_of_another_type_is_refused_in_one_sentence(source: Any) -> None:
    with pytest.raises(DataError) as caught:
        read_log(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"user": "usr"}, "did you mean user"),
        ({"user": "item"}, "one role"),
        ({"format": "parket"}, "did you mean parquet"),
        ({"format": "parquet"}, "Parquet file must be whole"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, "user,item\na,b\n", **options)


@pytest.mark.parametrize("option", [{"separator": ","}, {"header": False}, {"format": "jsonl"}])
def test_a_setting_of_files_is_refused_for_a_frame(option: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="has an effect only when a file is read; got a frame"):
        read_log(pl.DataFrame({"user": [1], "item": [2]}), **option)


@pytest.mark.parametrize("filters", [{"k_core": 2}, {}, "k_core"])
def test_filters_of_another_type_are_refused(filters: Any) -> None:
    with pytest.raises(ConfigError, match=r"filters must be caser\.LogFilters\(\.\.\.\); got "):
        read_log(pl.DataFrame({"user": [1], "item": [2]}), filters=filters)


def test_a_frame_that_needs_a_package_says_how_to_install_it() -> None:
    class Frame:
        """A frame of pandas where pyarrow is not installed."""

        def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
            raise ImportError("pyarrow is required for this.\nMore.")

    with pytest.raises(MissingDependencyError) as refused:
        read_log(Frame())
    assert str(refused.value).startswith("this frame can be read only with another package: ")
    assert str(refused.value).endswith("install pyarrow")


def test_an_error_about_a_column_names_the_argument_and_the_flag() -> None:
    with pytest.raises(DataError, match=r"user= \(--user\) must name a column; got 'usr': did you mean user\?"):
        read_log(pl.DataFrame({"user": [1], "item": [2]}), user="usr")


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean user"):
        read(tmp_path, "user,item\na,b\n", usr="x")


def test_columns_without_a_header_have_numbers_for_names(tmp_path: Path) -> None:
    log = read(tmp_path, "9,1,7,2,8\n", user="3", item="5")
    assert raw(log)[0][:2] == (7, 8)


def test_the_header_can_be_named(tmp_path: Path) -> None:
    assert len(read(tmp_path, "ann,tea\nbob,milk\n", header=False)) == 2
    assert len(read(tmp_path, "user,2020-01-01\na,b\n", header=True, item="2020-01-01")) == 1


def test_the_separator_can_be_named(tmp_path: Path) -> None:
    log = read(tmp_path, "user~item\na,1~b\n", separator="~")
    assert raw(log)[0][:2] == ("a,1", "b")


def test_columns_with_equal_names_get_distinct_names(tmp_path: Path) -> None:
    log = read(tmp_path, "user,item,item\na,b,c\n", item="item#")
    assert raw(log)[0][1] == "c"


def test_ratings_and_events_are_filtered_and_counted(tmp_path: Path) -> None:
    content = "user,item,rating,event,time\na,x,5,view,1\na,y,2,view,2\na,z,4,buy,3\n"
    log = read(tmp_path, content, filters=LogFilters(min_rating=4, event_types=("view",)))
    assert [row[1] for row in raw(log)] == ["x"]
    assert log.provenance["filters"] == [
        {"filter": "min_rating=4", "dropped": 1},
        {"filter": "event_types=view", "dropped": 1},
    ]
    again = LogFilters(**log.provenance["filter_settings"])
    assert again == LogFilters(min_rating=4, event_types=("view",))


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (LogFilters(min_rating=4), "must hold the rating"),
        (LogFilters(event_types=("view",)), "must hold the event type"),
        (LogFilters(min_item_count=9), "at least one interaction"),
    ],
)
def test_a_filter_that_cannot_be_applied_is_refused(tmp_path: Path, filters: LogFilters, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, "user,item\na,b\n", filters=filters)


def test_an_unreadable_rating_is_a_bad_row_only_when_ratings_matter(tmp_path: Path) -> None:
    content = "user,item,rating\na,x,good\n"
    assert len(read(tmp_path, content)) == 1
    with pytest.raises(DataError, match="unreadable rating"):
        read(tmp_path, content, filters=LogFilters(min_rating=1))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason=AS_ROOT)
def test_a_file_without_permission_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("user,item\na,b\n")
    path.chmod(0)
    with pytest.raises(DataError, match="must be a file that can be read"):
        read_log(path)


def test_a_path_may_be_text_and_hold_spaces(tmp_path: Path) -> None:
    path = tmp_path / "my events.csv"
    path.write_text("user,item\na,b\n")
    assert read_log(str(path)).provenance["source"] == str(path)


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        ("9007199254740993 1.5 9007199254740992", ["9007199254740993", "1.5", "9007199254740992"]),
        ("1 1.0 true", ["1", "1.0", "true"]),
        ('"a" 1 1.0', ["a", "1", "1.0"]),
        ("1.0 2.0", [1, 2]),
        ("1 2 3", [1, 2, 3]),
    ],
)
def test_ids_of_several_kinds_in_json_stay_apart_as_text(tmp_path: Path, users: str, expected: list[RawId]) -> None:
    log = read(tmp_path, "".join(f'{{"user": {user}, "item": 1}}\n' for user in users.split()))
    assert sorted(log.user_vocabulary.ids.to_list(), key=str) == sorted(expected, key=str)


def test_the_provenance_has_the_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "events").write_bytes(json_lines())
    monkeypatch.chdir(tmp_path)
    assert read_log("events").provenance["source"] == str(tmp_path / "events")


def test_a_number_of_nanoseconds_beyond_64_bits_is_still_a_time(tmp_path: Path) -> None:
    log = read(tmp_path, '{"user": 1, "item": 2, "time": 9223372036854775808}\n')
    assert log.times.tolist() == [9223372036854775]


def test_skipping_bad_rows_is_refused_if_no_row_is_good(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"got rows: 2 .* \(first at line 2\)"):
        read(tmp_path, "user,item\n1,\n2,\n", bad_rows="skip")
