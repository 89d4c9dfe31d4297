"""Lines that are no row, lines in two encodings, and kinds of files that are no table: none is read in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from caser.data.readers import read_log
from caser.errors import DataError
from tests.cases.logs import doubts_of, item, items_of, read, rows_of, seconds, user, users_of

HEADER = "user_id,item_id\n"
ROWS = rows_of(lambda u, i, s: f"u{u}", lambda u, i, s: f"i{i}")
TIMED = rows_of(user, item, seconds)
NUM_ROWS = ROWS.count("\n")
SWAPPED = "".join(",".join(reversed(line.split(","))) + "\n" for line in ROWS.splitlines())


def notes_of(folder: Path, text: str) -> str:
    log = read(folder, text)
    assert (len(log), log.num_users, log.num_items) == (NUM_ROWS, 30, 12)
    return " ".join(log.provenance["notes"])


@pytest.mark.parametrize(
    "again", [HEADER, "USER_ID,Item_Id\n", '"user_id","item_id"\n', "user_id, item_id\n", "\ufeffuser_id,item_id\n"]
)
def test_a_header_that_is_written_in_another_way_is_passed_over(tmp_path: Path, again: str) -> None:
    half = len(ROWS) // 2
    half = ROWS.index("\n", half) + 1
    assert "name the columns again: 1" in notes_of(tmp_path, HEADER + ROWS[:half] + again + ROWS[half:])


@pytest.mark.parametrize("bad_rows", ["refuse", "skip"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (HEADER + ROWS, "item_id,user_id\n" + SWAPPED),
        (HEADER + ROWS, '"Item_ID", "User_ID"\n' + SWAPPED),
        ("user_id,item_id,ts\n" + TIMED, "item_id,user_id,ts\n" + TIMED),
        (HEADER + ROWS, "customer,product\n" + ROWS),
        ("7,503\n" * 9, "item_id,user_id\n" + "503,7\n" * 9),
    ],
)
def test_a_header_with_other_columns_is_refused_with_its_line(
    tmp_path: Path, first: str, second: str, bad_rows: str
) -> None:
    place = first.count("\n") + 1
    with pytest.raises(DataError, match=f"at line {place}, while .*tail -n \\+{place} FILE > parts/2.csv"):
        read(tmp_path, first + second, bad_rows=bad_rows)


@pytest.mark.parametrize("rule", ["-------,-------\n", "=====,=====\n", " ----- , ----- \n"])
def test_a_rule_below_the_header_is_passed_over(tmp_path: Path, rule: str) -> None:
    assert "passed over a rule below" in notes_of(tmp_path, HEADER + rule + ROWS)


@pytest.mark.parametrize("types", ["string,string\n", "varchar(20),BIGINT\n", "object,int64\n"])
def test_names_of_types_below_the_header_are_passed_over(tmp_path: Path, types: str) -> None:
    assert "names of types" in notes_of(tmp_path, HEADER + types + ROWS)


def test_dots_in_place_of_rows_are_a_doubt(tmp_path: Path) -> None:
    assert "doubt: line 182 is '...,...'" in notes_of(tmp_path, HEADER + ROWS + "...,...\n")


@pytest.mark.parametrize("last", ["Total,180", "Grand Total,180", '"Rows","180"', "count: 180,", "sum,x"])
def test_a_total_below_the_table_is_a_doubt_or_refused(tmp_path: Path, last: str) -> None:
    if last.endswith(","):
        with pytest.raises(DataError, match="line 182"):
            read(tmp_path, HEADER + ROWS + last + "\n")
    else:
        [doubt] = doubts_of(read(tmp_path, HEADER + ROWS + last + "\n"))
        assert "line 182 may be no interaction" in doubt
        assert "sed 182d FILE" in doubt


def test_ids_of_one_way_of_writing_raise_no_doubt(tmp_path: Path) -> None:
    assert doubts_of(read(tmp_path, HEADER + ROWS + "u31,i503\n")) == []
    words = "".join(
        f"{name},{tea}\n" for name in ("ann", "bob", "Lee Ann") for tea in ("tea", "milk", "oat milk", "rum")
    )
    assert doubts_of(read(tmp_path, HEADER + words)) == []


@pytest.mark.parametrize("sizes", ["30 12\n", "12 30\n", "180 30\n"])
def test_a_first_line_of_sizes_is_a_doubt(tmp_path: Path, sizes: str) -> None:
    [doubt] = doubts_of(read(tmp_path, sizes + rows_of(lambda u, i, s: 1000 + u, item, separator=" ")))
    assert doubt.startswith("doubt: line 1 may be no interaction")


def test_a_first_line_that_numbers_the_columns_is_a_doubt(tmp_path: Path) -> None:
    [doubt] = doubts_of(read(tmp_path, "0,1\n" + rows_of(user, item)))
    assert "may number the columns" in doubt
    with pytest.raises(DataError, match="got the columns '', '0', '1'"):
        read(tmp_path, ",0,1\n0,7,503\n1,8,504\n", bad_rows="skip")


@pytest.mark.parametrize("title", ["Report,,\n", "Report 2021\n", '"From May, by Bob",,\n,,\n', "180\n"])
def test_titles_above_the_header_are_passed_over(tmp_path: Path, title: str) -> None:
    log = read(tmp_path, title + "user_id,item_id,ts\n" + TIMED)
    assert users_of(log) == set(range(1, 31))
    assert log.has_times
    assert any("above the names of the columns" in note for note in log.provenance["notes"])


def test_a_line_above_the_header_that_may_be_a_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'a,a,b' there, and the names .* at line 2; .*tail -n \+2 FILE"):
        read(tmp_path, "a,a,b\nuser_id,item_id,ts\n" + TIMED)


def test_names_of_rows_of_r_are_one_column_more(tmp_path: Path) -> None:
    rows = "".join(f'"{k}" {line}\n' for k, line in enumerate(rows_of(user, item, separator=" ").splitlines(), 1))
    log = read(tmp_path, '"user_id" "item_id"\n' + rows)
    assert users_of(log) == set(range(1, 31))


def test_a_byte_order_mark_in_the_middle_is_no_part_of_an_id(tmp_path: Path) -> None:
    log = read(tmp_path, "\ufeff\ufeff7,503\n8,504\n\ufeff7,504\n\ufeff8,503\n")
    assert (users_of(log), items_of(log)) == ({7, 8}, {503, 504})
    assert any("byte order mark" in note for note in log.provenance["notes"])


@pytest.mark.parametrize("unseen", ["\u200b", "\u2060", "\ufeff", "\u00ad"])
@pytest.mark.parametrize("form", ["{}7", "7{}", "a{}b"])
def test_characters_that_nobody_sees_are_a_doubt(tmp_path: Path, unseen: str, form: str) -> None:
    text = f"user,item\nx{form.format('')},tea\nx{form.format(unseen)},tea\n"
    [doubt] = doubts_of(read(tmp_path, text))
    assert f"U+{ord(unseen):04X}" in doubt
    assert "1 of them differ" in doubt


@pytest.mark.parametrize("share", [2, 3, 5])
def test_lines_in_two_encodings_keep_every_id_whole(tmp_path: Path, share: int) -> None:
    lines = [f"Zo\u00eb{k % 8},caf\u00e9{k % 5}\n" for k in range(60)]
    path = tmp_path / "log.csv"
    path.write_bytes(
        b"user,item\n" + b"".join(line.encode("latin-1" if k % share else "utf-8") for k, line in enumerate(lines))
    )
    log = read_log(path)
    assert log.user_vocabulary.ids.sort().to_list() == [f"Zo\u00eb{k}" for k in range(8)]
    [doubt] = doubts_of(log)
    assert f"{sum(k % share > 0 for k in range(60))} of 60 lines beyond ASCII are not UTF-8" in doubt
    assert "'Zo\u00eb1' at line 3" in doubt


def test_a_last_line_that_breaks_off_is_a_doubt(tmp_path: Path) -> None:
    assert "is it cut off there?" in doubts_of(read(tmp_path, "user,item,ts\n" + TIMED[:-4]))[0]
    assert "is it cut off there?" in doubts_of(read(tmp_path, HEADER + ROWS[:-3]))[0]
    assert doubts_of(read(tmp_path, HEADER + ROWS[:-1])) == []


def test_single_quotes_around_values_only_are_removed(tmp_path: Path) -> None:
    log = read(tmp_path, "user_id,item_id,ts\n'u1','i1',1600000000\n'u2','i2',1600000001\n")
    assert users_of(log) == {"u1", "u2"}
    log = read(tmp_path, "user_id,item_id\n'u1',5\nO'Neil,6\n")
    assert users_of(log) == {"'u1'", "O'Neil"}


FOREIGN = {
    "copy": ("--\n\nCOPY public.ev (user_id, item_id) FROM stdin;\n7\t3\n\\.\n", "COPY sections"),
    "yaml": ("- user: 7\n  item: 3\n- user: 8\n  item: 4\n", "YAML"),
    "arff": ("% a log\n@RELATION log\n@attribute user numeric\n@data\n7,3\n", "ARFF"),
    "mtx": ("%%MatrixMarket matrix coordinate integer general\n%\n8 25 2\n7 3 1\n8 4 1\n", "MatrixMarket"),
    "access": ('10.0.0.7 - - [01/Jan/2021:07:42:11 +0000] "GET /item/3 HTTP/1.1" 200 1\n' * 3, "access log"),
    "logback": ("2021-01-01 02:09:55,123 INFO  [main] Shop - user 7 viewed 3\n" * 3, "a log of a program"),
    "json in a log": ('2021-01-01 02:09:55 INFO {"user_id": 7, "item_id": 3}\n' * 3, "sed 's/^[^{]*//'"),
    "kafkacat": ('CreateTime:1609459261000\t{"u": 7, "i": 3}\n' * 3, "sed 's/^[^{]*//'"),
    "key=value": ("time=2021-01-01 user=7 item=3\n" * 3, "name=value"),
    "printed": (" user_id  item_id  ts\n 7  3  2021-01-01 07:42:11\n 8  3  2021-01-01 07:42:11\n", "to_csv"),
    "json in text": ('{"key": "7", "value": "{\\"user_id\\": 7, \\"item_id\\": 3}"}\n', "fromjson"),
    "values": ("[[7,3],[8,4]]", "orient='records'"),
    "other names": ('{"user_id":7,"item_id":3}\n{"userId":8,"itemId":4}\n', "from line 2 on"),
}


@pytest.mark.parametrize(("text", "words"), FOREIGN.values(), ids=FOREIGN)
def test_files_of_other_kinds_are_named_with_a_way_on(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    assert words in str(caught.value)
    assert "NF" not in str(caught.value)


@pytest.mark.parametrize("spread", [None, 1])
def test_tables_of_pandas_in_one_object_are_read(tmp_path: Path, spread: int | None) -> None:
    split = {"columns": ["user_id", "item_id"], "index": [0, 1], "data": [[7, 3], [8, 4]]}
    by_row = {"0": {"user_id": 7, "item_id": 3}, "1": {"user_id": 8, "item_id": 4}}
    by_column = {"user_id": {"0": 7, "1": 8}, "item_id": {"0": 3, "1": 4}}
    for table in (split, by_row, by_column):
        log = read(tmp_path, json.dumps(table, indent=spread))
        assert (users_of(log), items_of(log)) == ({7, 8}, {3, 4})
    with pytest.raises(DataError, match="reset_index"):
        read(tmp_path, json.dumps({"ann": by_row["0"], "bob": by_row["1"]}))


def test_two_files_that_were_joined_within_a_line_are_one_bad_row(tmp_path: Path) -> None:
    text = "user_id,item_id,timestamp\n" + TIMED[:-1] + TIMED
    with pytest.raises(DataError, match=r"1 with a wrong column count \(first at line 181\)"):
        read(tmp_path, text)
    assert len(read(tmp_path, text, bad_rows="skip")) == 2 * 180 - 2


def test_a_refusal_of_columns_names_the_encoding(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes("\u7528\u6237,\u5546\u54c1\n\u5f207,\u83363\n".encode("gbk"))
    with pytest.raises(DataError, match=r"a column must hold the user.*more likely .*gbk.*--encoding"):
        read_log(path)


@pytest.mark.parametrize("separator", ["~", "^"])
def test_rarer_separators_are_recognised(tmp_path: Path, separator: str) -> None:
    assert users_of(read(tmp_path, f"user{separator}item\n7{separator}3\n8{separator}3\n")) == {7, 8}
