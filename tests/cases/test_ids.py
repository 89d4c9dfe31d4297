"""Ids: what was written is what is read, a missing one is no user, and what is hardly an id is doubted aloud."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caser.arrays.types import RawId
from caser.data.ids import MISSING
from caser.data.readers import read_log
from caser.data.times import looks_like_moments
from caser.errors import DataError
from tests.cases.logs import doubts_of, item, items_of, read, rows_of, seconds, user, users_of

HEADER = "user_id,item_id,timestamp\n"
HASH = 18_446_744_073_709_000_001
UUIDS = [uuid.UUID(int=number << 100 | 0xFF) for number in (1, 2)]


@pytest.mark.parametrize(
    "ids",
    [
        ["7", "007", "+7", "0_7", "\u0667", "7.0", "7e0"],
        ["1.0", "2"],
        ["1.00", "2.00"],
        ["True", "False"],
        ["-0", "0"],
        ["9007199254740993.0", "9007199254740992.0"],
        ["9" * 40, "1"],
        [str(HASH), "2"],
        ["1.5", "2.5"],
        ["Cafe\u0301", "Caf\u00e9"],
    ],
)
def test_texts_that_are_not_how_a_number_is_written_stay_texts(tmp_path: Path, ids: list[str]) -> None:
    log = read(tmp_path, "user,item\n" + "".join(f"{one},1\n" for one in ids))
    assert users_of(log) == set(ids)
    in_quotes = read(tmp_path, "user,item\n" + "".join(f'" {one}",1\n' for one in ids))
    assert users_of(in_quotes) == {f" {one}" for one in ids}


def test_a_text_column_of_whole_floats_holds_whole_numbers(tmp_path: Path) -> None:
    log = read(tmp_path, "user,item,time\n7.0,3,1600000000\n,3,1600000001\n10.0,4,1600000002\n", bad_rows="skip")
    assert users_of(log) == {7, 10}
    assert "the ids of users are whole floats: 7.0 is read as the id 7" in log.provenance["notes"]
    assert "first row: user 7, item 3, time 2020-09-13 12:26:40 UTC" in log.provenance["notes"]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (pl.Series([10.0, 7.0]), [10, 7]),
        (pl.Series([True, False]), ["true", "false"]),
        (pl.Series([HASH, 3], dtype=pl.UInt64), [HASH, 3]),
        (pl.Series([7, 3], dtype=pl.UInt64), [7, 3]),
        (pl.Series([2**100, 3], dtype=pl.Int128), [str(2**100), "3"]),
        (pl.Series([5, 3], dtype=pl.UInt128), [5, 3]),
        (pl.Series([Decimal(10) ** 30, Decimal(3)], dtype=pl.Decimal(38, 0)), [str(10**30), "3"]),
        (pl.Series([Decimal("7.00"), Decimal("3.00")], dtype=pl.Decimal(10, 2)), [7, 3]),
        (pl.Series(["b", "a"], dtype=pl.Categorical), ["b", "a"]),
        (pl.Series(["b", "a"], dtype=pl.Enum(["a", "b"])), ["b", "a"]),
        (pl.Series([b"ann", b"bob"]), ["ann", "bob"]),
        (pl.Series([one.bytes for one in UUIDS]), [str(one) for one in UUIDS]),
        (pl.Series([b"\xff\x00", b"bob"]), ["ff00", "626f62"]),
    ],
    ids=lambda value: str(value.dtype) if isinstance(value, pl.Series) else "",
)
def test_typed_ids_become_whole_numbers_or_text(ids: pl.Series, expected: list[RawId]) -> None:
    log = read_log(pl.DataFrame({"user": ids, "item": [1, 2]}))
    assert log.user_vocabulary.ids.to_list() == expected
    assert log.user_vocabulary.ids.dtype in (pl.Int64, pl.UInt64, pl.String)


def test_uuids_of_parquet_are_text(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    column = pa.array([one.bytes for one in UUIDS], pa.uuid())
    pyarrow.parquet.write_table(pa.table({"user": column, "item": [1, 2]}), path)
    assert users_of(read_log(path)) == {str(one) for one in UUIDS}


@pytest.mark.parametrize(
    ("ids", "shown"),
    [
        (pl.Series([7.0, 1.5]), "got 1.5 at row 2 in column 'user'"),
        (pl.Series([7.0, float("inf")]), "got inf at row 2"),
        (pl.Series([7.0, 2.0**60]), "at row 2 in column 'user'"),
        (pl.Series([Decimal("7.00"), Decimal("3.50")], dtype=pl.Decimal(10, 2)), "got 3.50 at row 2"),
        (pl.Series([{"a": 1}, {"a": 2}]), "got \"{'a': 1}\" in column 'user'"),
        (pl.Series(["2020-01-01", "2020-01-02"]).str.to_date(), "a column of moments is no column of users"),
        (pl.Series([[1], [2]]), "a user must be one value"),
    ],
    ids=str,
)
def test_other_values_are_refused_as_ids(ids: pl.Series, shown: str) -> None:
    with pytest.raises(DataError) as refused:
        read_log(pl.DataFrame({"user": ids, "item": [1, 2]}))
    assert shown in str(refused.value)


@pytest.mark.parametrize(
    "ids", [[HASH, 2], [HASH, HASH + 1], [9_007_199_254_741_496, 9_007_199_254_741_497], [10**22, 3]]
)
def test_large_numbers_come_back_from_json_and_text_as_they_went_in(tmp_path: Path, ids: list[int]) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps({"user": one, "item": 1}) + "\n" for one in ids))
    assert {str(one) for one in users_of(read_log(path))} == set(map(str, ids))
    assert {str(one) for one in users_of(read(tmp_path, "user,item\n" + "".join(f"{one},1\n" for one in ids)))} == set(
        map(str, ids)
    )


names = st.text(
    st.characters(codec="utf-8", exclude_characters='\x00\r\n",', exclude_categories=["Cs", "Cc"]), min_size=1
)


@given(
    ids=st.lists(st.one_of(names, st.integers().map(str), st.floats().map(str)), min_size=1, max_size=6, unique=True)
)
def test_any_ids_come_back_as_they_are_written_or_are_missing_words(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "ids.jsonl"
    path.write_text("".join(json.dumps({"user": one, "item": 1}) + "\n" for one in ids))
    kept = {one for one in ids if one.strip()}
    if not kept:
        with pytest.raises(DataError, match="without a user"):
            read_log(path, bad_rows="skip")
    elif all(looks_like_moments(pl.Series([one])) == "dates" for one in kept):
        assert users_of(read_log(path, bad_rows="skip", user="user")) == kept
    else:
        assert {str(one) for one in users_of(read_log(path, bad_rows="skip"))} == kept


@pytest.mark.parametrize("word", MISSING)
def test_a_word_for_missing_is_no_user_and_no_item(tmp_path: Path, word: str) -> None:
    text = "user\titem\n" + rows_of(lambda user, *_: word if 3 <= user < 13 else user, item, separator="\t")
    with pytest.raises(DataError) as refused:
        read(tmp_path, text)
    shown = repr(word) if word else "empty"
    assert f"60 without a user (first at line 14): 60 {shown}" in str(refused.value)
    log = read(tmp_path, text, bad_rows="skip")
    assert log.num_users == 20
    assert log.provenance["bad_rows"]["without a user"] == {"count": 60, "first": 14, "values": {word: 60}}
    with pytest.raises(DataError, match="1 without an item"):
        read(tmp_path, f"user\titem\n1\t2\n1\t {word} \n")


def test_missing_words_are_counted_one_by_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"12 without a user \(first at line 2\): 9 'NA', 2 empty, 1 'null'"):
        read(tmp_path, "user,item\n" + "NA,1\n" * 9 + ",1\n" * 2 + "null,1\n" + "ann,1\n" * 3)


def test_the_words_for_missing_can_be_named(tmp_path: Path) -> None:
    text = "user,item\nNA,1\n?,1\n-1,1\n,1\n"
    assert users_of(read(tmp_path, text, missing=("?",), bad_rows="skip")) == {-1}
    assert users_of(read(tmp_path, text, missing=("?", ""), bad_rows="skip")) == {"NA", "-1"}
    assert users_of(read(tmp_path, text, missing=(), bad_rows="skip")) == {"NA", "?", "-1"}
    numbers = pl.DataFrame({"user": [-1, 2], "item": [1, 2]})
    assert users_of(read_log(numbers, missing=("user=-1",), bad_rows="skip")) == {2}


@pytest.mark.parametrize("word", ["0", "-1", "9999", "1e3", "1,000"])
def test_a_number_that_means_missing_is_said_of_one_column(tmp_path: Path, word: str) -> None:
    text = f'user,item,time\n"{word}",5,1600000000\n7,"{word}",1600000060\n7,6,1600000120\n'
    with pytest.raises(DataError, match=f"got '{word}'; pass --missing user={word} or --missing item={word} or"):
        read(tmp_path, text, missing=(word,), bad_rows="skip")
    log = read(tmp_path, text, missing=(f"user={word}",), bad_rows="skip")
    assert (len(log), {str(one) for one in items_of(log)}) == (2, {word, "6"})
    assert len(read(tmp_path, text, missing=(f"user={word}", f"item={word}"), bad_rows="skip")) == 1


def test_a_word_that_means_missing_can_be_said_of_one_column(tmp_path: Path) -> None:
    text = "user,item\nguest,guest\nann,guest\nann,tea\n"
    assert items_of(read(tmp_path, text, missing=("user=guest",), bad_rows="skip")) == {"guest", "tea"}
    assert items_of(read(tmp_path, text, missing=("guest",), bad_rows="skip")) == {"tea"}


def test_a_user_that_is_mostly_missing_is_refused_with_the_column_beside_it(tmp_path: Path) -> None:
    text = "sessionId;userId;itemId;timeframe;eventdate\n" + rows_of(
        user,
        lambda user, *_: "NA" if user % 5 else 9000 + user,
        item,
        lambda *_: 37,
        lambda *_: "2016-05-02",
        separator=";",
    )
    with pytest.raises(DataError) as refused:
        read(tmp_path, text)
    assert "144 'NA'; userId is 80% missing, and sessionId is there: pass user='sessionId' (--user sessionId)" in str(
        refused.value
    )
    log = read(tmp_path, text, user="sessionId")
    assert log.num_users == 30
    assert log.has_times


def test_a_word_for_missing_in_a_typed_source_is_doubted() -> None:
    frame = pl.DataFrame({"user": ["nan", "1.0", "2.0"], "item": [1, 2, 3]})
    assert doubts_of(read_log(frame))[0].startswith("doubt: 1 events have the user 'nan': --missing user=nan makes it")
    assert not doubts_of(read_log(frame, missing=("nan",), bad_rows="skip"))


@pytest.mark.parametrize(
    ("giant", "share"),
    [("crawler", 4), ("anonymous", 10), ("unknown", 12), ("-1", 12), ("0", 5), ("guest", 9), ("(not set)", 10)],
)
def test_a_user_that_stands_for_many_is_doubted(tmp_path: Path, giant: str, share: int) -> None:
    text = "".join(
        f"{giant if row % share == 0 else row % 31 + 1},{row % 40},{1_600_000_000 + row}\n" for row in range(900)
    )
    [doubt] = doubts_of(read(tmp_path, HEADER + text))
    assert f"the user {giant!r} has" in doubt.replace(f"user {giant} ", f"user {giant!r} ")
    assert "--missing user=" in doubt or "--missing 'user=(not set)'" in doubt


@pytest.mark.parametrize(
    "word",
    [
        *("undefined", "nil", "#REF!", "#VALUE!", "#NAME?", "?", "--", ".", "_", "(not set)", "not_set", "unknown"),
        *("guest", "Unbekannt", "n.v.", "k. A.", "missing", "Anonymous", "[object Object]", "inconnu", "(empty)"),
        "00000000-0000-0000-0000-000000000000",
    ],
)
@pytest.mark.parametrize("share", [20, 2])
def test_a_word_for_nobody_is_doubted_at_any_share_in_a_small_log(tmp_path: Path, word: str, share: int) -> None:
    text = "".join(
        f"{word if row % share == 0 else f'u{row % 7}'},{row % 24},{1_600_000_000 + row}\n" for row in range(120)
    )
    [doubt] = doubts_of(read(tmp_path, HEADER + text))
    assert f"the user {word!r} has {120 // share} of 120 events" in doubt


@pytest.mark.parametrize("giant", ["0", "u9", "shop"])
@pytest.mark.parametrize("count", [80, 108])
def test_a_giant_user_of_a_small_log_is_doubted(tmp_path: Path, giant: str, count: int) -> None:
    text = "".join(
        f"{giant if row < count else row % 7 + 101},{row % 24},{1_600_000_000 + row}\n" for row in range(120)
    )
    [doubt] = doubts_of(read(tmp_path, HEADER + text))
    assert f"has {count} of 120 events" in doubt


@pytest.mark.parametrize("name", ["nils", "Anona", "#love", "guesthouse", "u?", "0000"])
def test_names_that_only_resemble_words_for_nobody_are_not_doubted(tmp_path: Path, name: str) -> None:
    text = "".join(
        f"{name if row % 8 == 0 else f'u{row % 8}'},{row % 24},{1_600_000_000 + row}\n" for row in range(120)
    )
    assert not doubts_of(read(tmp_path, HEADER + text))


@pytest.mark.parametrize(
    ("lists", "separator"),
    [(lambda one: f"N1 N2 N{one}", "\t"), (lambda one: f"[{one}, 2]", "\t"), (lambda one: f"{one}|{one + 90}", "\t")],
)
def test_lists_as_ids_are_doubted(tmp_path: Path, lists: Any, separator: str) -> None:
    text = "user\titem\ttime\n" + rows_of(user, lambda _, item, __: lists(item), seconds, separator=separator)
    [doubt] = doubts_of(read(tmp_path, text))
    assert doubt.startswith("doubt: 12 of 12 items look like '")
    assert doubt.endswith("lists of several ids: write one event per row")


def test_ids_of_hexadecimal_digits_are_not_taken_for_rounded_numbers(tmp_path: Path) -> None:
    log = read(tmp_path, HEADER + rows_of(lambda user, *_: f"5e0000000000000000{user:06d}", item, seconds))
    assert not [note for note in log.provenance["notes"] if "spreadsheet" in note]


def test_ids_that_a_spreadsheet_has_rounded_are_doubted(tmp_path: Path) -> None:
    log = read(tmp_path, HEADER + rows_of(lambda *_: "1.16189E+18", item, seconds))
    assert doubts_of(log) == [
        "doubt: 1 of 1 users look like '1.16189E+18': rounded by a spreadsheet, so that several may have become one: "
        "export the column as text",
        "doubt: all 180 events have one user: is the column of the user right?",
    ]


@pytest.mark.parametrize(
    ("ids", "difference"),
    [
        (["Cafe\u0301", "Caf\u00e9"], "only by how their accents are stored"),
        (["007", "7"], "only by zeros"),
        ([" a", "a"], "only by blanks around them"),
    ],
)
def test_ids_whose_difference_is_hard_to_see_stay_different_and_are_said(
    tmp_path: Path, ids: list[str], difference: str
) -> None:
    log = read(tmp_path, "user\titem\n" + "".join(f'{row % 3}\t"{ids[row % 2]}"\n' for row in range(12)))
    assert items_of(log) == set(ids)
    assert any(f"2 items differ {difference}" in doubt for doubt in doubts_of(log))


@pytest.mark.parametrize(
    ("cells", "doubt"),
    [
        ((lambda user, item, seconds: seconds, item, seconds), "every user has exactly one event"),
        (
            (user, lambda user, item, seconds: f"i{user}-{seconds}", seconds),
            "180 of 180 events have an item of their own",
        ),
        ((user, lambda *_: 1, seconds), "all 180 events have one item"),
    ],
)
def test_a_column_that_is_hardly_what_it_was_read_as_is_doubted(tmp_path: Path, cells: Any, doubt: str) -> None:
    assert any(said.startswith(f"doubt: {doubt}") for said in doubts_of(read(tmp_path, HEADER + rows_of(*cells))))


def test_a_float_that_may_have_been_the_next_whole_number_is_refused() -> None:
    assert users_of(read_log(pl.DataFrame({"user": [2.0**53 - 1], "item": [1]}))) == {2**53 - 1}
    with pytest.raises(DataError, match=r"only below 2\^53"):
        read_log(pl.DataFrame({"user": [2.0**53], "item": [1]}))
