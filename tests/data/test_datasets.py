"""Public data sets: the cache, the order of sources, checksums, interruptions. No network: sources are local files."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from caser.data import datasets
from caser.data.datasets import DATASETS, DataSet, Download, cache_folder, fetch, load, official, read_titles
from caser.data.filters import LogFilters
from caser.errors import DownloadError
from tests.skips import without_log

RATINGS = b"1\t10\t5\t881250949\n1\t11\t2\t881250950\n2\t10\t4\t881250951\n"
TITLES = '10|Caf\u00e9 \'01 (1995)|x\n11|The "quoted" part (1996)|x\n'.encode("latin-1")
MEMBERS = {"small/u.item": "small/u.item", "small/u.data": "small/u.data"}


def archive(**changed: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("small/u.data", changed.get("ratings", RATINGS))
        file.writestr("small/u.item", b"10|Tea (1995)|x\n11|Milk (1996)|x\n")
    return buffer.getvalue()


def source_of(path: Path, content: bytes, sha256: str | None = None) -> Download:
    path.write_bytes(content)
    return official(path.as_uri(), sha256 or hashlib.sha256(content).hexdigest(), MEMBERS)


def failing(name: str, error: BaseException) -> Download:
    def fetch() -> Mapping[str, bytes]:
        raise error

    return Download(name, fetch)


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make `small` a data set with the given sources."""

    def add(*sources: Download, **changes: Any) -> None:
        declared = {"logs": ("small/u.data",), "rows": 3, "titles": ("small/u.item",), "terms": "the terms", **changes}
        monkeypatch.setitem(DATASETS, "small", DataSet(sources=sources, **declared))

    return add


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_data_set_is_fetched_once_and_then_read_from_the_cache(tmp_path: Path, declare: Callable[..., None]) -> None:
    said: list[str] = []
    declare(source_of(tmp_path / "small.zip", archive()))
    cache = tmp_path / "cache"
    path = fetch("small", cache, said.append)
    assert path.read_bytes() == RATINGS
    assert files_in(cache) == [str(Path("small/u.data")), str(Path("small/u.item"))]
    assert said[0] == "the terms"
    (tmp_path / "small.zip").unlink()
    assert fetch("small", cache, said.append) == path
    assert len(said) == 2


def test_a_loaded_data_set_has_titles_and_its_name_in_the_provenance(
    tmp_path: Path, declare: Callable[..., None]
) -> None:
    declare(source_of(tmp_path / "small.zip", archive()))
    log = load("small", cache=tmp_path / "cache", on_message=lambda _: None)
    assert log.titles is not None
    assert dict(zip(log.item_vocabulary.ids.to_list(), log.titles.to_list(), strict=True)) == {
        10: "Tea (1995)",
        11: "Milk (1996)",
    }
    assert log.provenance["dataset"] == "small"


def test_filters_apply_to_a_data_set_too(tmp_path: Path, declare: Callable[..., None]) -> None:
    declare(source_of(tmp_path / "small.zip", archive()))
    log = load("small", filters=LogFilters(min_rating=4), cache=tmp_path, on_message=lambda _: None)
    assert len(log) == 2
    assert log.titles is not None
    assert log.titles.to_list() == ["Tea (1995)"]


def test_a_copy_with_another_number_of_rows_has_a_note(tmp_path: Path, declare: Callable[..., None]) -> None:
    declare(source_of(tmp_path / "small.zip", archive()), rows=4)
    log = load("small", cache=tmp_path, on_message=lambda _: None)
    assert "this copy of small holds 3 interactions; the published one 4" in log.provenance["notes"]


def test_the_next_source_is_tried_when_one_fails(tmp_path: Path, declare: Callable[..., None]) -> None:
    said: list[str] = []
    declare(failing("the first", TimeoutError("timed out")), source_of(tmp_path / "small.zip", archive()))
    assert fetch("small", tmp_path / "cache", said.append).read_bytes() == RATINGS
    assert "this failed: timed out" in said


def test_when_every_source_fails_each_is_named_with_its_reason(tmp_path: Path, declare: Callable[..., None]) -> None:
    declare(
        failing("the first", OSError("no route")),
        source_of(tmp_path / "cut.zip", archive()[:-30], sha256=hashlib.sha256(archive()[:-30]).hexdigest()),
        source_of(tmp_path / "other.zip", archive(ratings=b"other"), sha256="0" * 64),
    )
    with pytest.raises(DownloadError) as caught:
        fetch("small", tmp_path / "cache", lambda _: None)
    sentence = str(caught.value)
    assert "the first: no route" in sentence
    assert "cut.zip: File is not a zip file" in sentence
    assert "other.zip: SHA-256 must be 000000000000" in sentence
    assert "\n" not in sentence
    assert files_in(tmp_path / "cache") == []


def test_a_missing_file_at_an_address_is_a_reason(tmp_path: Path, declare: Callable[..., None]) -> None:
    declare(official((tmp_path / "nothing.zip").as_uri(), "0" * 64, MEMBERS))
    with pytest.raises(DownloadError, match=r"nothing\.zip"):
        fetch("small", tmp_path / "cache", lambda _: None)


def test_an_interrupted_download_leaves_nothing(tmp_path: Path, declare: Callable[..., None]) -> None:
    declare(failing("the first", KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        fetch("small", tmp_path / "cache", lambda _: None)
    assert files_in(tmp_path / "cache") == []


def test_a_data_set_with_only_some_of_its_files_is_fetched_again(
    tmp_path: Path, declare: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(source_of(tmp_path / "small.zip", archive()))

    def interrupted(path: Path, content: bytes) -> None:
        if path.name == "u.data":
            raise KeyboardInterrupt
        path.parent.mkdir(parents=True)
        path.write_bytes(content)

    with monkeypatch.context() as patch:
        patch.setattr(datasets, "write_file", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch("small", tmp_path / "cache", lambda _: None)
    assert fetch("small", tmp_path / "cache", lambda _: None).read_bytes() == RATINGS


def test_a_very_slow_source_is_given_up(
    tmp_path: Path, declare: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(source_of(tmp_path / "small.zip", archive()))
    monkeypatch.setattr(datasets, "STALL_SECONDS", -1.0)
    monkeypatch.setattr("urllib.request.urlopen", lambda address, timeout: io.BytesIO(archive()))
    with pytest.raises(DownloadError, match="less than 65,536 bytes"):
        fetch("small", tmp_path / "cache", lambda _: None)


def test_a_cached_file_that_is_not_the_published_one_is_refused(tmp_path: Path, declare: Callable[..., None]) -> None:
    declare(source_of(tmp_path / "small.zip", archive()), sha256={"small/u.data": "0" * 64})
    with pytest.raises(DownloadError, match="must be the published file"):
        fetch("small", tmp_path, lambda _: None)


def test_the_message_for_a_set_without_a_source_says_where_to_put_its_file(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"put amazon-beauty\.parquet into the cache"):
        fetch("amazon-beauty", tmp_path, lambda _: None)


def test_an_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(DownloadError, match="did you mean ml-100k"):
        fetch("ml100k")


def mirror_wheel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        folder = "recbole/dataset_example/ml-100k/ml-100k"
        file.writestr(f"{folder}.inter", b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + RATINGS)
        header = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        file.writestr(f"{folder}.item", f"{header}10\tTea, The\t1995\tDrama\n11\tunknown\tunknown\tunknown\n")
    return buffer.getvalue()


def test_the_mirror_gives_the_files_of_the_official_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_pip_download", lambda requirement: mirror_wheel())
    monkeypatch.setattr(datasets, "_check", lambda content, sha256: None)
    files = datasets.recbole_wheel().fetch()
    assert files == {"ml-100k/u.item": b"10|Tea, The (1995)\n11|unknown\n", "ml-100k/u.data": RATINGS}
    assert list(files)[-1] == "ml-100k/u.data"


def test_another_wheel_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_pip_download", lambda requirement: mirror_wheel())
    with pytest.raises(DownloadError, match="SHA-256 must be 9c9948202011"):
        datasets.recbole_wheel().fetch()


def test_the_error_of_pip_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: No matching distribution\n")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(DownloadError, match=r"pip could not get recbole==1\.2\.1: No matching distribution"):
        datasets.recbole_wheel().fetch()


def test_titles_are_read_from_latin1_with_quotes(tmp_path: Path) -> None:
    (tmp_path / "u.item").write_bytes(TITLES)
    assert read_titles(tmp_path / "u.item") == {10: "Caf\u00e9 '01 (1995)", 11: 'The "quoted" part (1996)'}


def test_the_environment_names_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CASER_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", Path("base") / "caser"),
        ("win32", "LOCALAPPDATA", Path("base") / "caser" / "cache"),
        ("darwin", "UNUSED", Path.home() / "Library" / "Caches" / "caser"),
    ],
)
def test_without_the_variable_the_cache_is_the_platforms_folder(
    monkeypatch: pytest.MonkeyPatch, platform: str, variable: str, expected: Path
) -> None:
    monkeypatch.delenv("CASER_CACHE", raising=False)
    monkeypatch.setenv(variable, "base")
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == expected


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("ml-100k", (100_000, 943, 1_682)),
        ("ml-1m", (999_611, 6_040, 3_416)),
        ("amazon-beauty", (198_215, 22_332, 12_086)),
        ("yoochoose-clicks", (145_716, 17_744, 5_630)),
    ],
)
def test_the_cached_sets_load(name: str, sizes: tuple[int, int, int]) -> None:
    if not any((cache_folder() / file).is_file() for file in DATASETS[name].logs):
        pytest.skip(without_log(name))
    log = load(name, on_message=lambda _: None)
    assert (len(log), log.num_users, log.num_items) == sizes
    if DATASETS[name].titles:
        assert log.titles is not None
        assert log.titles.null_count() == 0
