"""Text files as tools write them: encodings, ends of lines, blanks, hints, quotes, and lines that are no table."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from caser.data.readers import read_log
from caser.errors import ConfigError, DataError
from tests.cases.events import EVENTS, NAMES, ROWS, has_note, raw, read, text


@pytest.mark.parametrize("separator", [",", "\t"])
@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-8-sig", None),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16-LE"),
        ("utf-16-be", "UTF-16-BE"),
        ("utf-32", "UTF-32"),
        ("utf-32-be", "UTF-32-BE"),
    ],
)
def test_every_unicode_encoding_is_read_and_named(
    tmp_path: Path, encoding: str, named: str | None, separator: str
) -> None:
    log = read(tmp_path, text(separator, end="\r\n").encode(encoding))
    assert raw(log) == EVENTS
    assert named is None or has_note(log, named)


def test_utf16_without_a_mark_is_read_even_if_few_letters_are_latin(tmp_path: Path) -> None:
    content = "user,item,time\n" + "".join(
        f"\u0418\u0432\u0430\u043d{user},\u0447\u0430\u0439{item},{t}\n" for user, item, t in ROWS
    )
    log = read(tmp_path, content.encode("utf-16-le"))
    assert len(log) == len(ROWS)
    assert log.user_vocabulary.ids[0].startswith("\u0418\u0432\u0430\u043d")


def test_utf16_that_breaks_off_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="UTF-16-LE must be so to its end"):
        read(tmp_path, text().encode("utf-16")[:-1])


@pytest.mark.parametrize(("encoding", "item"), [("cp1252", "\u20acuro"), ("latin-1", "caf\u00e9")])
def test_text_of_one_byte_per_character_is_read_with_a_note(tmp_path: Path, encoding: str, item: str) -> None:
    log = read(tmp_path, f"user,item\nann,{item}\n".encode(encoding))
    assert log.item_vocabulary.ids.to_list() == [item]
    assert has_note(
        log, f"read as {encoding}, for example {item!r} at line 2; if this is wrong, name it with encoding="
    )


def test_damaged_bytes_in_utf8_are_one_bad_row_and_change_no_other_id(tmp_path: Path) -> None:
    content = b"user,item\n" + "ann,caf\u00e9\n".encode() * 30 + b"bob,caf\xe9\n"
    with pytest.raises(DataError, match=r"1 with bytes that are not in its encoding \(first at line 32\)"):
        read(tmp_path, content)
    assert read(tmp_path, content, bad_rows="skip").item_vocabulary.ids.to_list() == ["caf\u00e9"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_every_end_of_line_is_read_and_lines_are_counted(tmp_path: Path, end: str) -> None:
    assert raw(read(tmp_path, text(end=end))) == EVENTS
    with pytest.raises(DataError, match=r"first at line 3"):
        read(tmp_path, end.join(["user,item", "a,b", ",c", "d,e"]))


def test_a_line_end_of_another_kind_inside_a_field_ends_no_line(tmp_path: Path) -> None:
    for end, inside in (("\r", "\n"), ("\n", "\r"), ("\r\n", "\n")):
        lines = ["user_id,item_id,timestamp,title", *(f'{u},{i},{t},"a{inside}b"' for u, i, t in ROWS)]
        assert raw(read(tmp_path, end.join(lines))) == EVENTS


def test_a_nul_character_is_named_with_its_line(tmp_path: Path) -> None:
    lines = text().split("\n")
    lines[23] = lines[23][:3] + "\0" + lines[23][3:]
    with pytest.raises(DataError, match=r"1 with a NUL character \(first at line 24\)"):
        read(tmp_path, "\n".join(lines))
    assert len(read(tmp_path, "\n".join(lines), bad_rows="skip")) == len(ROWS) - 1
    with pytest.raises(DataError, match="NUL character, at line 1"):
        read(tmp_path, text().replace("\n", "\0\n", 1))
    with pytest.raises(DataError, match=r"1 with a NUL character \(first at line 62\)"):
        read(tmp_path, text().encode() + bytes(100))


@pytest.mark.parametrize("hint", ["sep=;", "SEP=;\r", '"sep=;"', "sep=;;;"])
def test_the_hint_of_excel_is_passed_over(tmp_path: Path, hint: str) -> None:
    log = read(tmp_path, f"{hint}\n{text(';')}")
    assert raw(log) == EVENTS
    assert has_note(log, "a hint at the separator")
    with pytest.raises(DataError, match="first at line 4"):
        read(tmp_path, f"{hint}\nuser;item\na;b\n;c\n")


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([f"{user:<12}{item:<10}{time}" for user, item, time in (NAMES, *ROWS)], id="to the left"),
        pytest.param([f"{user:>12}{item:>10}{time:>14}" for user, item, time in (NAMES, *ROWS)], id="to the right"),
        pytest.param([f"{user} \t {item} \t {time}" for user, item, time in (NAMES, *ROWS)], id="blanks and tabs"),
    ],
)
def test_aligned_text_is_read(tmp_path: Path, lines: list[str]) -> None:
    assert raw(read(tmp_path, "\n".join(lines))) == EVENTS


@pytest.mark.parametrize("separator", [", ", " ,", " , ", ",\u00a0", ";\t", " | "])
def test_blanks_around_fields_are_not_part_of_the_values(tmp_path: Path, separator: str) -> None:
    log = read(tmp_path, text(separator))
    assert raw(log) == EVENTS
    assert has_note(log, "blanks around fields are not part of the values")


def test_blanks_within_an_id_and_within_quotes_are_part_of_it(tmp_path: Path) -> None:
    log = read(tmp_path, 'user, item\nann lee, green tea\n"ann lee ", " tea"\n')
    assert log.user_vocabulary.ids.to_list() == ["ann lee", "ann lee "]
    assert log.item_vocabulary.ids.to_list() == ["green tea", " tea"]
    quoted = read(tmp_path, '"user","item"\n"ann "," tea"\n"ann","tea"\n')
    assert quoted.user_vocabulary.ids.to_list() == ["ann ", "ann"]


@pytest.mark.parametrize(
    ("typed", "character"), [(r"\t", "\t"), (r"\x01", "\x01"), (r"\u001f", "\x1f"), (r"\|", "|"), (r"\001", "\x01")]
)
def test_an_escape_typed_as_the_separator_is_the_character(tmp_path: Path, typed: str, character: str) -> None:
    assert raw(read(tmp_path, text(character), separator=typed)) == EVENTS


def test_a_separator_that_holds_quotes_or_line_ends_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="separator"):
        read(tmp_path, text(), separator='"')


@pytest.mark.parametrize(
    ("content", "separator"),
    [
        pytest.param("user;item;rating;time\n" + "".join(f"{u};{i};4,5;{t}\n" for u, i, t in ROWS), ";", id="header"),
        pytest.param("".join(f"{u};{i};4,5;{t}\n" for u, i, t in ROWS), ";", id="no header"),
        pytest.param(text("\x01"), "\x01", id="Hive"),
        pytest.param(
            "user,item,time,title\n" + "".join(f"{u},{i},{t},a::b|c|d\n" for u, i, t in ROWS), ",", id="titles"
        ),
    ],
)
def test_the_separator_is_the_one_that_makes_equal_lines(tmp_path: Path, content: str, separator: str) -> None:
    assert raw(read(tmp_path, content)) == raw(read(tmp_path, content, separator=separator)) == EVENTS


@pytest.mark.parametrize("comment", ["# made by a tool", "% bip weighted\n% 60 10 13", "#"])
def test_comments_before_the_rows_are_passed_over(tmp_path: Path, comment: str) -> None:
    log = read(tmp_path, f"{comment}\n{text()}")
    assert raw(log) == EVENTS
    assert has_note(log, "comments at the beginning")


def test_lines_equal_to_the_header_are_no_rows(tmp_path: Path) -> None:
    log = read(tmp_path, text() + "\ufeff" + text() + ",".join(NAMES))
    assert len(log) == 2 * len(ROWS)
    assert log.num_users == 10
    assert has_note(log, "name the columns again: 2")


LAST_FM = [
    f"user_{user:03}\t2020-09-13T12:{k % 60:02}:17Z\tartist-{item}\tA Band\ttrack-{item}\tA Song"
    for k, (user, item, _) in enumerate(ROWS)
]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({40: '"Heroes'}, id="an open quote"),
        pytest.param({7: 'The "Band', 40: '"Heroes" Live'}, id="text after a quote"),
        pytest.param({7: '"Heroes', 20: 'a 7"', 40: '"Low" side'}, id="quotes that make up for each other"),
    ],
)
def test_quotes_that_cannot_be_pairs_between_tabs_are_plain(tmp_path: Path, broken: dict[int, str]) -> None:
    lines = [line.replace("A Song", broken.get(k, "A Song")) for k, line in enumerate(LAST_FM)]
    log = read(tmp_path, "\n".join(lines), user="1", time="2", item="5")
    assert len(log) == len(ROWS)
    assert has_note(log, "quotes are plain characters")


def test_a_field_that_might_hold_rows_is_refused_with_both_readings(tmp_path: Path) -> None:
    content = 'user\titem\na\t"b\nc\td"\ne\tf\n'
    with pytest.raises(DataError, match=r"--quotes plain reads .* --quotes doubled lets"):
        read(tmp_path, content)
    plain, doubled = (read(tmp_path, content, quotes=quotes) for quotes in ("plain", "doubled"))
    assert plain.item_vocabulary.ids.to_list() == ['"b', 'd"', "f"]
    assert doubled.item_vocabulary.ids.to_list() == ["b\nc\td", "f"]


@pytest.mark.parametrize(
    ("bad", "count"),
    [
        pytest.param('1,503,1600000037,"tv', 1, id="an open quote"),
        pytest.param('1,503,1600000037,"t"v"', 1, id="text after a quote"),
        pytest.param('1,503,1600000037,"tv\n1,504,1600000038,"tv', 2, id="two open quotes"),
    ],
)
def test_one_broken_line_is_one_bad_row(tmp_path: Path, bad: str, count: int) -> None:
    lines = ["user_id,item_id,timestamp,title", *(f'{u},{i},{t},"tv"' for u, i, t in ROWS)]
    content = "\n".join([*lines[:21], bad, *lines[21:]])
    with pytest.raises(DataError, match=rf"{count} with a broken quote .*\(first at line 22\).*--bad-rows skip"):
        read(tmp_path, content)
    assert raw(read(tmp_path, content, bad_rows="skip")) == EVENTS


def test_backslashes_escape_quotes_and_separators(tmp_path: Path) -> None:
    lines = "".join(f'{user},{item},{time},"say \\"hi\\", ok"\n' for user, item, time in ROWS)
    log = read(tmp_path, "user,item,time,title\n" + lines)
    assert raw(log) == EVENTS
    assert has_note(log, "a backslash before a quote")
    plain = read(tmp_path, "u\ti\\\tx\n\\N\ty\nv\ta\\\\b\n", quotes="backslash", header=False, bad_rows="skip")
    assert {"i\tx", "a\\b"} <= set(plain.item_vocabulary.ids)


def test_single_quotes_around_every_field_are_no_part_of_it(tmp_path: Path) -> None:
    assert raw(read(tmp_path, text(field="'{}'"))) == EVENTS


@pytest.mark.parametrize("size", [200_000, 2_000_000])
def test_a_long_field_that_nobody_uses_stops_nothing(tmp_path: Path, size: int) -> None:
    out = io.StringIO()
    csv.writer(out).writerows(
        [(*NAMES, "review"), *((*row, 'a, "b"\n\n' * (size // 9 if k == 3 else 1)) for k, row in enumerate(ROWS))]
    )
    assert raw(read(tmp_path, out.getvalue())) == EVENTS


SEQUENCES = [list(range(k, k + 3 + k % 4)) for k in range(30)]

NO_TABLES = {
    "blocks": ("".join(f"{i}:\n" + "1,3,2005-09-03\n" * 9 for i in range(4)), "begins with 'ITEM:'"),
    "sequences": ("\n".join(" ".join(map(str, row)) for row in SEQUENCES), "one user or session per line"),
    "sequences with tabs": ("\n".join("\t".join(map(str, row)) for row in SEQUENCES), "one user or session per line"),
    "names of rows": ("user item time\n" + "".join(f'"{k}" 1 2 3\n' for k in range(9)), "one field more"),
    "a separator at the end": ("user,item\n" + "a,b,\n" * 9, "one field more"),
    "psql": (" a | b \n---+---\n 1 | 2 \n", "drawn by a database client"),
    "mysql": ("+---+---+\n| a | b |\n+---+---+\n| 1 | 2 |\n", "drawn by a database client"),
    "a title": ("Export of May\n" + text().replace("user", "guest"), "correct or remove the first line"),
}


@pytest.mark.parametrize(("content", "words"), NO_TABLES.values(), ids=NO_TABLES)
def test_lines_that_are_no_table_are_named_and_never_skipped(tmp_path: Path, content: str, words: str) -> None:
    for bad_rows in ("refuse", "skip"):
        with pytest.raises(DataError, match=words) as refused:
            read(tmp_path, content, bad_rows=bad_rows)
        assert "--bad-rows skip" not in str(refused.value)


def test_columns_without_a_header_are_named_by_number(tmp_path: Path) -> None:
    gowalla = "".join(f"{u}\t2020-09-13T12:{k % 60:02}:17Z\t30.2\t-97.7\t{i}\n" for k, (u, i, _) in enumerate(ROWS))
    with pytest.raises(DataError, match="columns without a header"):
        read(tmp_path, gowalla)
    assert len(read(tmp_path, gowalla, user="1", time="2", item="5")) == len(ROWS)
    taobao = "".join(f"{u},{i},4006,pv,{t}\n" for u, i, t in ROWS)
    assert raw(read(tmp_path, taobao, user="1", item="2", time="5")) == EVENTS
    retail = "timestamp,visitorid,event,itemid,transactionid\n" + "".join(f"{t}000,{u},view,{i},\n" for u, i, t in ROWS)
    assert raw(read(tmp_path, retail)) == EVENTS


def test_a_first_line_of_words_can_be_data(tmp_path: Path) -> None:
    path = tmp_path / "likes.csv"
    path.write_text("".join(f"ann{user},tea-{item}\n" for user, item, _ in ROWS))
    assert len(read_log(path, header=False)) == len(ROWS)
