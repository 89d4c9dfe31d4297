"""What holds the rows: compressed files, folders of parts, patterns, pipes, binary tables, and what is no log."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import socket
import subprocess
import sys
import tarfile
import threading
import warnings
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import feather

from caser.cli.app import run
from caser.cli.logs import reopen_log
from caser.data.readers import read_log
from caser.errors import ArtefactError, DataError
from tests.cases.events import EVENTS, NAMES, RECORDS, ROWS, has_note, raw, read, text, written
from tests.skips import on_another_system

FRAME = pl.DataFrame(RECORDS)
HALVES = (text(), text(header=False))


def zipped(members: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def zstandard(content: bytes) -> bytes:
    packed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return packed


def binary(write: str, frame: pl.DataFrame = FRAME, **options: Any) -> bytes:
    out = io.BytesIO()
    getattr(frame, write)(out, **options)
    return out.getvalue()


COMPRESSED = {
    "gzip": gzip.compress(text().encode()),
    "gzip members": b"".join(gzip.compress(part.encode()) for part in HALVES),
    "gzip with a mark": gzip.compress(b"\xef\xbb\xbf" + text().encode()),
    "bzip2": bz2.compress(text().encode()),
    "bzip2 members": b"".join(bz2.compress(part.encode()) for part in HALVES),
    "xz": lzma.compress(text().encode()),
    "LZMA": lzma.compress(text().encode(), format=lzma.FORMAT_ALONE),
    "zip": zipped({"log.csv": text()}),
    "zip of a Mac": zipped({"data/": "", "data/log.csv": text(), "__MACOSX/data/._log.csv": "x", ".DS_Store": "x"}),
    "gzip in a zip": zipped({"log.csv.gz": gzip.compress(text().encode())}),
    "zstandard": zstandard(text().encode()),
    "zstandard frames": b"".join(zstandard(part.encode()) for part in HALVES),
    "zstandard of Windows": zstandard(text(end="\r\n").encode()),
    "UTF-16 in gzip": gzip.compress(text().encode("utf-16")),
}


@pytest.mark.parametrize("content", COMPRESSED.values(), ids=COMPRESSED)
def test_every_compression_is_read_by_its_content(tmp_path: Path, content: bytes) -> None:
    log = read(tmp_path, content)
    assert sorted({*raw(log)}) == sorted(EVENTS)
    assert len(log) in (len(ROWS), 2 * len(ROWS))
    assert has_note(log, "unpacked")


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz", "zip", "zstandard"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_compressed_file_that_breaks_off_is_refused(tmp_path: Path, name: str, share: float) -> None:
    content = COMPRESSED[name]
    with pytest.raises(DataError, match=f"compressed with {name} must be whole"):
        read(tmp_path, content[: int(share * len(content))])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(zipped({"a.csv": text(), "b.csv": text()}), "one log; got 'a.csv', 'b.csv'; unpack it", id="two"),
        pytest.param(zipped({"__MACOSX/a": "x"}), "one log; got none", id="none"),
        pytest.param(zstandard("caf\u00e9".encode("latin-1")), "zstd -d FILE", id="zstandard of latin-1"),
    ],
)
def test_a_compressed_file_that_holds_no_one_text_says_what_to_type(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(tmp_path, content)


def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("log.csv"), io.BytesIO())
    return out.getvalue()


def feather_v1() -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        feather.write_feather(FRAME.to_arrow(), out, version=1)
    return out.getvalue()


FOREIGN = {
    "SQLite": (b"SQLite format 3\0" + bytes(100), "SQLite database.*sqlite3 -header -csv FILE"),
    "Excel": (zipped({"[Content_Types].xml": "x", "xl/workbook.xml": "x"}), "Excel workbook.*read_excel"),
    "OpenDocument": (zipped({"mimetype": "x", "content.xml": "x"}), "OpenDocument.*read_excel"),
    "old Excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "old Excel.*read_excel"),
    "pickle": (b"\x80\x04\x95\x40\x14", "pickle, which can run any code.*read_pickle"),
    "old pickle": (b"(lp0\nI1\naI2\na.", "pickle"),
    "HDF5": (b"\x89HDF\r\n\x1a\n", "HDF5.*read_hdf"),
    "ORC": (b"ORC\n\x00\x01", "ORC.*read_orc"),
    "PDF": (b"%PDF-1.7\n", "PDF"),
    "7z": (b"7z\xbc\xaf\x27\x1c", "7z x FILE"),
    "RAR": (b"Rar!\x1a\x07\x00", "unrar x FILE"),
    "tar": (tar(), "tar archive.*tar -xf FILE"),
    "tar in gzip": (gzip.compress(tar()), "tar archive.*tar -xf FILE"),
    "lz4": (b"\x04\x22\x4d\x18", "lz4 -d FILE"),
    "NumPy": (b"\x93NUMPY\x01", "numpy.load"),
    "NumPy archive": (zipped({"user.npy": "x", "item.npy": "x"}), "archive of NumPy arrays"),
    "R": (gzip.compress(b"RDX3\nX\n"), "in R: write.csv"),
    "HTML": (b"<!DOCTYPE html>\n<html>", "page of the web.*download it again"),
    "XML": (b'<?xml version="1.0"?>', "XML"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "SQL": (b"-- dump\nCREATE TABLE log (a int);\n", "SQL statements"),
    "Feather 1": (feather_v1(), "Feather file of version 1.*read_feather"),
    "noise": (bytes(range(256)) * 4, "binary file of an unknown kind"),
}


@pytest.mark.parametrize(("content", "words"), FOREIGN.values(), ids=FOREIGN)
def test_a_file_of_another_kind_is_named_with_the_line_to_type(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words) as refused:
        read(tmp_path, content)
    assert "\n" not in str(refused.value)


BINARY = {
    "Arrow": binary("write_ipc"),
    "Arrow with zstandard": binary("write_ipc", compression="zstd"),
    "Arrow stream": binary("write_ipc_stream"),
    "Arrow in gzip": gzip.compress(binary("write_ipc")),
    "Avro": binary("write_avro"),
    "Parquet": binary("write_parquet"),
    "Parquet in zip": zipped({"log.parquet": binary("write_parquet")}),
}


@pytest.mark.parametrize("content", BINARY.values(), ids=BINARY)
def test_tables_in_binary_formats_are_read(tmp_path: Path, content: bytes) -> None:
    assert raw(read(tmp_path, content)) == EVENTS


def test_fields_of_objects_in_a_binary_table_are_columns_with_dots(tmp_path: Path) -> None:
    nested = FRAME.select(pl.struct(id="user_id").alias("user"), item="item_id", time="timestamp")
    with pytest.raises(DataError, match=r"--user user\.id"):
        read(tmp_path, binary("write_parquet", nested))
    assert raw(read(tmp_path, binary("write_parquet", nested), user="user.id")) == EVENTS


@pytest.mark.parametrize("name", ["Arrow", "Arrow stream", "Avro", "Parquet"])
def test_a_binary_table_that_breaks_off_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="must be whole"):
        read(tmp_path, BINARY[name][:-200])


CSVS = (FRAME[:20].write_csv(), FRAME[20:].write_csv())
PARQUETS = (binary("write_parquet", FRAME[:20]), binary("write_parquet", FRAME[20:]))

PARTS: dict[str, dict[str, str | bytes]] = {
    "Parquet": {"part-0.parquet": PARQUETS[0], "part-1.parquet": PARQUETS[1]},
    "other order and width": {
        "a.parquet": PARQUETS[0],
        "b.parquet": binary("write_parquet", FRAME[20:].select(reversed(NAMES)).cast({"user_id": pl.Int16})),
    },
    "CSV": {"a.csv": CSVS[0], "b.csv": CSVS[1], "_SUCCESS": "", ".a.csv.crc": "x", "c.crc": "x"},
    "JSON lines": {"a.jsonl": FRAME[:20].write_ndjson(), "b.jsonl": FRAME[20:].write_ndjson(), "c.jsonl": ""},
    "compressed": {"a.gz": gzip.compress(CSVS[0].encode()), "b/c.gz": gzip.compress(CSVS[1].encode())},
    "no endings": {"part-00000": CSVS[0], "part-00001": CSVS[1]},
}


@pytest.mark.parametrize("files", PARTS.values(), ids=PARTS)
def test_a_folder_of_parts_is_one_log(tmp_path: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        written(tmp_path / "log" / name, content)
    log = read_log(tmp_path / "log")
    assert raw(log) == EVENTS
    assert has_note(log, "parts, with their rows")
    contents = [content for name, content in sorted(files.items()) if not name.startswith((".", "_", "c.crc"))]
    joined = b"".join(one.encode() if isinstance(one, str) else one for one in contents)
    assert log.provenance["sha256"] == hashlib.sha256(joined).hexdigest()


def test_a_pattern_is_one_log_and_an_odd_name_is_no_pattern(tmp_path: Path) -> None:
    for name, content in PARTS["CSV"].items():
        written(tmp_path / "day" / name, content)
    written(tmp_path / "day" / "other.txt", "x")
    assert raw(read_log(tmp_path / "*" / "[ab].csv")) == EVENTS
    assert raw(read_log(written(tmp_path / "a[1].csv", text()))) == EVENTS
    with pytest.raises(DataError, match="must match at least one file"):
        read_log(tmp_path / "*.none")


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_names_of_folders_are_columns(tmp_path: Path, kind: str) -> None:
    for user in range(10):
        part = FRAME.filter(pl.col("user_id") == user).drop("user_id")
        content = binary("write_parquet", part) if kind == "parquet" else part.write_csv()
        written(tmp_path / "log" / f"day=2024-01-0{user % 3 + 1}" / f"user_id={user}" / f"x.{kind}", content)
    assert raw(read_log(tmp_path / "log")) == EVENTS
    days = read_log(tmp_path / "log", user="day").user_vocabulary.ids.to_list()
    assert sorted(days) == ["2024-01-01", "2024-01-02", "2024-01-03"]


def test_a_partition_without_a_value_is_missing_and_escapes_are_read(tmp_path: Path) -> None:
    items = FRAME.drop("user_id")
    for name in ("user=ann%20lee", "user=__HIVE_DEFAULT_PARTITION__"):
        written(tmp_path / "log" / name / "x.parquet", binary("write_parquet", items))
    log = read_log(tmp_path / "log", bad_rows="skip")
    assert log.user_vocabulary.ids.to_list() == ["ann lee"]
    assert sum(bad["count"] for bad in log.provenance["bad_rows"].values()) == len(ROWS)


BAD_FOLDERS: dict[str, tuple[dict[str, str | bytes], str]] = {
    "columns": ({"a.csv": text(), "b.csv": text().replace("timestamp", "ts")}, "same columns; got 'timestamp', 'ts'"),
    "types": (
        {"a.parquet": binary("write_parquet"), "b.parquet": binary("write_parquet", FRAME.cast(pl.String))},
        "same types; got Int64 in a.parquet and String in b.parquet, in column 'user_id'",
    ),
    "headers": ({"a.csv": text(), "b.csv": text(header=False)}, "names in a.csv and none in b.csv"),
    "formats": ({"a": text(), "b": binary("write_parquet")}, "one format; got delimited and parquet"),
    "endings": ({"a.csv": text(), "README.md": "x"}, "got .csv, .md; name the log itself"),
    "a bad part": ({"a.csv": text(), "b.csv": b"%PDF-"}, "PDF.*in the part b.csv"),
    "no part": ({"_SUCCESS": ""}, "must hold parts of a table"),
    "only empty parts": ({"a.csv": "", "b.csv": ""}, "only empty parts"),
    "uneven folders": ({"y=1/a.csv": text(), "b.csv": text()}, "folders of the same names"),
    "Delta": ({"_delta_log/0.json": "{}", "a.parquet": binary("write_parquet")}, "Delta table.*read_delta"),
    "Iceberg": ({"metadata/1.metadata.json": "{}", "data/a.parquet": ""}, "Iceberg table"),
    "a run": ({"manifest.json": "{}"}, "a run that caser saved"),
}


@pytest.mark.parametrize(("files", "words"), BAD_FOLDERS.values(), ids=BAD_FOLDERS)
def test_a_folder_that_is_no_one_table_is_refused(tmp_path: Path, files: dict[str, str | bytes], words: str) -> None:
    for name, content in files.items():
        written(tmp_path / "log" / name, content)
    with pytest.raises(DataError, match=words):
        read_log(tmp_path / "log")


needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason=on_another_system("needs named pipes"))


@needs_pipes
@pytest.mark.parametrize(
    "content", [text().encode(), COMPRESSED["zip"], BINARY["Parquet"]], ids=["text", "zip", "Parquet"]
)
def test_a_pipe_is_read_once(tmp_path: Path, content: bytes) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    log = read_log(pipe)
    writer.join()
    assert raw(log) == EVENTS
    assert log.provenance["source"] == "pipe"


def test_a_log_can_come_from_the_standard_input() -> None:
    command = [sys.executable, "-m", "caser", "data", "describe", "-"]
    done = subprocess.run(command, input=text().encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"pipe" in done.stdout


def test_a_run_that_was_trained_on_a_pipe_asks_for_the_log() -> None:
    with pytest.raises(ArtefactError, match="trained on a log from a pipe; give the same log as a file with --log"):
        reopen_log({"source": "pipe"}, None)


@needs_pipes
def test_a_device_and_a_socket_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got a device"):
        read_log(os.devnull)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        with pytest.raises(DataError, match="got a socket"):
            read_log(tmp_path / "s")


def test_the_command_line_reads_folders_patterns_and_escapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path / "log" / "part-0.tsv", text("\t"))
    monkeypatch.chdir(tmp_path)
    for name in ("log", "log/*.tsv", "log/part-0.tsv"):
        assert run(["data", "describe", name, "--separator", r"\t"]) == 0
        assert "60" in capsys.readouterr().out
    assert run(["data", "describe", "none/*.tsv"]) == 3
    assert "LOG must be a file, a folder, a pipe or a public data set" in capsys.readouterr().err
