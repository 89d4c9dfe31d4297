"""Encodings that are not Unicode: named by the caller, or guessed with a word of what each likely one would read."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from caser.data.item_table import add_titles
from caser.data.readers import Reading, read_log
from caser.errors import ConfigError, DataError
from tests.cases.events import has_note, read, written
from tests.cases.logs import doubts_of

WORDS = {
    "cp1251": ["Москва", "Привет", "чай зелёный", "Хлеб"],
    "koi8-r": ["Москва", "Привет", "чай зелёный", "Хлеб"],
    "cp866": ["Москва", "Привет", "чай зелёный", "Хлеб"],
    "gbk": ["手机", "绿茶", "牛奶", "笔记本电脑"],
    "big5": ["手機", "綠茶", "牛奶", "筆記型電腦"],
    "shift_jis": ["緑茶", "テレビ", "ノートパソコン", "おにぎり"],
    "euc-jp": ["緑茶", "テレビ", "ノートパソコン", "おにぎり"],
    "euc-kr": ["녹차", "우유", "노트북", "텔레비전"],
    "cp1253": ["Τσάι", "Γάλα", "Βιβλίο"],
    "cp1255": ["תה", "חלב", "ספר"],
    "cp1256": ["شاي", "حليب", "كتاب"],
    "cp874": ["ชา", "นม", "หนังสือ"],
}
LATIN = {
    "latin-1": ["café", "crème brûlée", "smörgås"],
    "cp1252": ["cœur", "€uro", "crème"],
    "cp1250": ["mąka", "Książka", "żółta", "mleko"],
}


def log_of(words: list[str]) -> str:
    return "user,item\n" + "".join(f"u{row % 3},{word}\n" for row, word in enumerate(words * 3))


def as_json(words: list[str]) -> str:
    rows = [{"user": row % 3, "item": word} for row, word in enumerate(words * 3)]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize("encoding", [*WORDS, *LATIN])
@pytest.mark.parametrize("form", [log_of, as_json])
def test_text_is_read_in_the_encoding_that_is_named(tmp_path: Path, encoding: str, form: object) -> None:
    words = {**WORDS, **LATIN}[encoding]
    text = log_of(words) if form is log_of else as_json(words)
    log = read(tmp_path, text.encode(encoding), encoding=encoding)
    assert set(log.item_vocabulary.ids) == set(words)
    assert not [note for note in log.provenance["notes"] if "UTF-8" in note]
    assert read_log(log.provenance["source"], Reading(**log.provenance["reading"])).digest == log.digest


@pytest.mark.parametrize("encoding", WORDS)
def test_text_that_is_hardly_latin_is_doubted_with_a_word_in_the_likely_encoding(tmp_path: Path, encoding: str) -> None:
    log = read(tmp_path, log_of(WORDS[encoding]).encode(encoding))
    [doubt] = [one for one in doubts_of(log) if "not UTF-8" in one]
    assert f"{encoding} ('{WORDS[encoding][0]}')" in doubt
    assert "--encoding" in doubt
    if encoding in ("cp1251", "gbk", "shift_jis", "euc-kr"):
        assert f"more likely {encoding}" in doubt


@pytest.mark.parametrize("encoding", LATIN)
def test_text_of_latin_letters_is_read_with_a_note_that_names_the_option(tmp_path: Path, encoding: str) -> None:
    log = read(tmp_path, log_of(LATIN[encoding]).encode(encoding))
    assert has_note(log, "if this is wrong, name it with encoding= (--encoding NAME)")
    assert not [one for one in doubts_of(log) if "UTF-8" in one]


@pytest.mark.parametrize("encoding", ["UTF-16", "utf-16-le", "utf_32", "UTF-8-SIG", "gb18030", "Windows-1251", "ascii"])
def test_other_names_of_encodings_are_read_too(tmp_path: Path, encoding: str) -> None:
    words = ["tea", "milk"] if encoding == "ascii" else WORDS["cp1251"]
    log = read(tmp_path, log_of(words).encode(encoding), encoding=encoding)
    assert set(log.item_vocabulary.ids) == set(words)


@pytest.mark.parametrize("name", ["hex", "rot13", "", "gbkk", "\0", "unicode"])
def test_a_name_that_is_no_encoding_of_text_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="encoding must be the name of an encoding of text: "):
        read(tmp_path, log_of(["tea"]), encoding=name)


def test_text_in_another_encoding_than_the_named_one_is_refused_with_its_bytes(tmp_path: Path) -> None:
    japanese = log_of(WORDS["shift_jis"]).encode("shift_jis")
    for bad_rows in ("refuse", "skip"):
        with pytest.raises(DataError) as refused:
            read(tmp_path, japanese, encoding="utf-8", bad_rows=bad_rows)
        assert r"12 lines hold bytes that are not utf-8, first b'u0,\x97\xce" in str(refused.value)
        assert "at line 2; try shift_jis or" in str(refused.value)
    with pytest.raises(DataError, match=r"try .*utf-8"):
        read(tmp_path, log_of(WORDS["gbk"]).encode(), encoding="ascii")
    with pytest.raises(DataError, match="text must be utf-16"):
        read(tmp_path, log_of(["tea"]).encode("utf-16")[:-1], encoding="utf-16")


@pytest.mark.parametrize("encoding", ["gbk", "shift_jis", "euc-kr", "cp1251"])
def test_one_damaged_line_is_one_bad_row_and_is_shown(tmp_path: Path, encoding: str) -> None:
    content = log_of(WORDS[encoding]).encode(encoding) + b"bob,\xff\x98\nbob,tea\n"
    line = content.count(b"\n") - 1
    with pytest.raises(DataError, match=rf"1 with bytes that are not in its encoding \(first at line {line}\)") as got:
        read(tmp_path, content, encoding=encoding)
    assert f"1 line holds bytes that are not {encoding}, first b'" in str(got.value)
    log = read(tmp_path, content, encoding=encoding, bad_rows="skip")
    assert set(log.item_vocabulary.ids) == {*WORDS[encoding], "tea"}


def test_damage_in_utf8_is_shown_with_the_likely_encoding(tmp_path: Path) -> None:
    content = log_of(WORDS["gbk"]).encode() + "bob,手机\n".encode("gbk")
    with pytest.raises(DataError) as refused:
        read(tmp_path, content)
    assert r"1 line holds bytes that are not UTF-8, first b'bob,\xca\xd6\xbb\xfa' at line 14" in str(refused.value)
    assert "gbk ('手机')" in str(refused.value)


def test_utf8_that_is_read_in_another_encoding_is_doubted(tmp_path: Path) -> None:
    [doubt] = [one for one in doubts_of(read(tmp_path, log_of(["caf\u00e9"]), encoding="latin-1")) if "UTF-8" in one]
    assert "the text is UTF-8 too, and read as latin-1" in doubt


def test_an_encoding_is_refused_where_there_is_no_text(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user": ["a"], "item": ["b"]})
    frame.write_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match="has an effect on text only; got the format parquet"):
        read_log(tmp_path / "log.parquet", encoding="gbk")
    with pytest.raises(ConfigError, match="encoding has an effect only when a file is read"):
        read_log(frame, encoding="gbk")


@pytest.mark.parametrize("encoding", ["gbk", "utf-8"])
def test_a_table_of_items_is_in_the_encoding_of_the_log_or_in_utf8(tmp_path: Path, encoding: str) -> None:
    log = read(tmp_path, log_of(WORDS["gbk"]).encode("gbk"), encoding="gbk")
    items = "item_id,title\n" + "".join(f"{word},茶 {word}\n" for word in WORDS["gbk"])
    titled = add_titles(log, written(tmp_path / "items", items.encode(encoding)))
    assert titled.titles is not None
    assert titled.titles.to_list() == [f"茶 {word}" for word in log.item_vocabulary.ids]
