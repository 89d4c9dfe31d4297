"""Any table, in any format, encoding, compression and dialect that is read, comes back or is refused in words."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from caser.arrays.types import RawId
from caser.data.readers import read_log
from caser.errors import DataError

NAMES = ("user_id", "item_id", "timestamp")

Row = tuple[str, str, int]

ODD = [
    *(
        "007",
        "a b",
        " a",
        "a ",
        'a"b',
        '"',
        '"a"',
        "a,b",
        "a\tb",
        "a;b",
        "a|b",
        "x::y",
        "'q'",
        "a\nb",
        "a\\",
        '\\"',
        "#1",
    ),
    *(
        "sep=;",
        "{",
        "[1]",
        "caf\u00e9",
        "\u65e5\u672c",
        "\U0001f600",
        "\u20ac",
        "1e5x",
        "\u00a0x",
        "a\rb",
        "user_id",
        "-",
        "=1+1",
    ),
]
ENCODINGS = ["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"]

odd = st.sampled_from(ODD)
words = st.from_regex(r"[a-z]{1,4}[0-9]{0,3}", fullmatch=True)
ids = st.one_of(words, odd)
tables = st.lists(st.tuples(ids, ids), min_size=1, max_size=12).map(
    lambda pairs: [(user, item, 1_600_000_000 + 60 * k) for k, (user, item) in enumerate(pairs)]
)


def delimited(rows: list[Row], separator: str, end: str, always: bool, space: str) -> str:
    """Write rows as text. A field is quoted if it must be, or always; never beside a separator of two characters."""

    def field(value: object) -> str:
        text = str(value)
        must = re.search(r"[\"'\r\n#%]|" + re.escape(separator) + r"|^\s|\s$| ", text) is not None
        return '"' + text.replace('"', '""') + '"' if len(separator) == 1 and (must or always) else text

    lines = ((separator + space).join(map(field, row)) for row in [NAMES, *rows])
    return end.join(lines) + end


def json_text(rows: list[Row], shape: str) -> str:
    records = [dict(zip(NAMES, row, strict=True)) for row in rows]
    if shape == "lines":
        return "\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    if shape == "printed":
        return "\n".join(json.dumps(record, indent=2) for record in records)
    return json.dumps(records, indent=2 if shape == "printed array" else None)


def binary(rows: list[Row], method: str) -> bytes:
    out = io.BytesIO()
    getattr(pl.DataFrame(rows, list(NAMES), orient="row"), method)(out)
    return out.getvalue()


@st.composite
def files(draw: st.DrawFn, rows: list[Row]) -> bytes:
    """Return the rows as the bytes of a file, in some format and encoding."""
    kind = draw(st.sampled_from(["delimited", "delimited", "json", "binary"]))
    if kind == "binary":
        return binary(rows, draw(st.sampled_from(["write_parquet", "write_ipc", "write_ipc_stream", "write_avro"])))
    if kind == "json":
        text = json_text(rows, draw(st.sampled_from(["lines", "printed", "array", "printed array"])))
    else:
        separator = draw(st.sampled_from([",", "\t", ";", "|", "::"]))
        assume(separator != "::" or not any(re.search(r"[\n\r:]|^\s|\s$", one) for row in rows for one in row[:2]))
        text = delimited(
            rows,
            separator,
            draw(st.sampled_from(["\n", "\r\n", "\r"])),
            draw(st.booleans()),
            draw(st.sampled_from(["", "", " "])),
        )
    return text.encode(draw(st.sampled_from(ENCODINGS)))


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("events", data)
    return out.getvalue()


def zstandard(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


PACKERS: list[Callable[[bytes], bytes]] = [bytes, bytes, gzip.compress, bz2.compress, lzma.compress, zipped, zstandard]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources")


@given(data=st.data(), rows=tables)
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_table_comes_back_from_any_file_or_is_refused_in_words(
    folder: Path, data: st.DataObject, rows: list[Row]
) -> None:
    content = data.draw(st.sampled_from(PACKERS))(data.draw(files(rows)))
    path = folder / "events"
    path.write_bytes(content)
    comes_back(path, rows)


@given(data=st.data(), rows=tables)
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_table_comes_back_from_the_parts_of_a_folder(folder: Path, data: st.DataObject, rows: list[Row]) -> None:
    parts = folder / "parts"
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir()
    cut = data.draw(st.integers(1, len(rows)))
    method = data.draw(st.sampled_from(["write_parquet", "write_ipc", "csv", "json"]))
    for name, part in (("0", rows[:cut]), ("1", rows[cut:])):
        if part:
            text = {"csv": delimited(part, ",", "\n", always=True, space=""), "json": json_text(part, "lines")}
            (parts / name).write_bytes(text[method].encode() if method in text else binary(part, method))
    comes_back(parts, rows)


def comes_back(path: Path, rows: list[Row]) -> None:
    """Check that a source gives the rows, or a sentence. Rows with plain words are always read."""
    try:
        log = read_log(path)
    except DataError as error:
        sentence = str(error)
        assert "\n" not in sentence
        assert re.search(r"; got .+; in ", sentence)
        if "unpack it (zstd -d FILE)" in sentence:  # polars unpacks text only, not a table of bytes in zstandard
            return
        assert not all(re.fullmatch(r"[a-z]+[0-9]*", one) for user, item, _ in rows for one in (user, item)), sentence
        return
    users, items = log.user_vocabulary.raw(log.users), log.item_vocabulary.raw(log.items)
    found = sorted(zip(map(_plain, users), map(_plain, items), (log.times // 1_000_000).tolist(), strict=True))
    # An end of a line inside a field is read as LF.
    assert found == sorted((_plain(user), _plain(item), time) for user, item, time in rows)


def _plain(raw: RawId) -> str:
    return str(raw).replace("\r", "\n")
