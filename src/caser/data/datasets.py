"""Public data sets by name: read from the cache, else downloaded from the official address, else from a mirror.

A download is held in memory until its SHA-256 is checked, and its files are written as a whole: an interrupted download
leaves nothing. A download is given up when connecting takes ten seconds, or when less than 64 KiB arrive in ten
seconds. It has no limit on its whole duration, so that a slow network can finish a large archive; only pip has one
minute. The SHA-256 of the official archives are those that many users have published; those of `u.data` and of the
mirror were measured. The authors of `ml-latest-small` publish a new version now and then; a new version is refused
until its checksum is entered here. No data set is part of this library, and the terms of each data set apply.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from caser.arrays.types import RawId
from caser.data.delimited import read_delimited
from caser.data.filters import LogFilters
from caser.data.ids import as_integers_if_exact
from caser.data.log import InteractionLog
from caser.data.readers import read_log
from caser.data.tables import Layout
from caser.errors import DownloadError, did_you_mean
from caser.system.kinds import must_be
from caser.system.storage import why_not_writable, write_file

Say = Callable[[str], object]

STALL_SECONDS = 10.0
"""A download is given up when it brings less than STALL_BYTES in this time."""
STALL_BYTES = 65_536
PIP_SECONDS = 60.0
"""Time limit for pip, which does not report its progress."""

FAILURES = (OSError, http.client.HTTPException, zipfile.BadZipFile, subprocess.SubprocessError, KeyError, DownloadError)
"""Errors after which the next source is tried; OSError includes time-outs and all errors of urllib."""

MOVIELENS_TERMS = (
    "MovieLens data, by GroupLens at the University of Minnesota: for research; without permission no redistribution"
    " and no commercial use; no endorsement implied. Cite F. M. Harper and J. A. Konstan (2015), The MovieLens"
    " Datasets: History and Context, ACM TiiS 5(4), 19. Full terms: https://grouplens.org/datasets/movielens"
)


@dataclass(frozen=True)
class Download:
    """One place to download a data set from.

    name   the place in words
    fetch  downloads the files and returns their content by path in the cache; the log is the last of them, so that a
           cache which has the log has all other files
    """

    name: str
    fetch: Callable[[], Mapping[str, bytes]]


@dataclass(frozen=True)
class DataSet:
    """A public log. Paths are relative to the cache; the first path that exists is read."""

    logs: tuple[str, ...]
    """Paths of the log."""
    rows: int
    """Number of interactions in the published data set; a copy with another number gets a note."""
    titles: tuple[str, ...] = ()
    """Paths of the item titles: files whose first two columns are item and title."""
    terms: str = "see the terms of its publisher"
    """Terms of use, which are shown before a download."""
    sources: tuple[Download, ...] = ()
    """Places to download from, in the order in which they are tried."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """Checksums of files in the cache, if they are known."""


def cache_folder() -> Path:
    """Return the folder of downloaded data sets: the value of CASER_CACHE, else the platform's cache folder.

    Raises DownloadError if the user has no home in which that folder could be.
    """
    named = os.environ.get("CASER_CACHE")
    try:
        return Path(named).expanduser() if named else _platform_cache()
    except RuntimeError:
        raise DownloadError(
            f"the cache of data sets needs a folder, and this user has no home. {_NAME_CACHE}"
        ) from None


_NAME_CACHE = "Name a folder with the variable CASER_CACHE, such as CASER_CACHE=/tmp/caser."


def _platform_cache() -> Path:
    """The folder that the platform has for caches. Raises RuntimeError if the user has no home."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "caser" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "caser"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "caser"


def fetch(name: str, cache: Path | None = None, on_message: Say = print) -> Path:
    """Return the path of a data set's log in the cache; download the data set if it is not there.

    name        a key of DATASETS        cache  the cache folder; by default `cache_folder()`
    on_message  called with one sentence at a time: the terms of use and the progress

    Raises DownloadError for an unknown name, if all sources fail (the message names each and the reason), or if the
    cached file is not the published one.
    """
    must_be("name", name, str, "the name of a data set", f"Known: {', '.join(DATASETS)}.", DownloadError)
    if name not in DATASETS:
        raise DownloadError(f"there is no data set {name!r}: {did_you_mean(name, DATASETS)}")
    dataset, folder = DATASETS[name], cache or cache_folder()
    if _first_existing(folder, dataset.logs) is None:
        _fill(name, dataset, folder, on_message)
    path = _first_existing(folder, dataset.logs)
    if path is None:
        raise DownloadError(f"{name} must be in the cache after fetching; got none of {dataset.logs}; in {folder}.")
    for file, digest in dataset.sha256.items():
        if (folder / file) == path and hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise DownloadError(f"{path} must be the published file; got another SHA-256. Delete it and fetch again.")
    return path


def load(
    name: str, *, filters: LogFilters | None = None, cache: Path | None = None, on_message: Say = print
) -> InteractionLog:
    """Return a public data set as a log, with titles of items if it has them; download it if it is not in the cache.

    name        a key of DATASETS, such as "ml-100k"
    filters     which interactions to keep; all of them by default
    cache       the cache folder; by default the folder in CASER_CACHE, else the platform's cache folder
    on_message  called with one sentence at a time: the terms of use and the progress of a download

    Raises DownloadError for an unknown name or if all sources fail, DataError if no interaction is left after the
    filters.
    """
    path = fetch(name, cache, on_message)
    dataset, folder = DATASETS[name], cache or cache_folder()
    log = read_log(path, filters=filters)
    notes = list(log.provenance["notes"])
    if log.provenance["rows_read"] != dataset.rows:
        got = log.provenance["rows_read"]
        notes.append(f"this copy of {name} holds {got:,} interactions; the published one {dataset.rows:,}")
    titles = _first_existing(folder, dataset.titles)
    return replace(
        log,
        titles=None if titles is None else _in_order_of_items(read_titles(titles), log),
        provenance={**log.provenance, "dataset": name, "notes": notes},
    )


def read_titles(path: Path) -> dict[RawId, str]:
    """Return the titles in a file whose first two columns are item and title: `u.item`, `movies.dat`, `movies.csv`.

    path  a text file

    Ids are integers if all ids of the file are, else text. Raises DataError for an empty or binary file.
    """
    table = read_delimited(path.read_bytes(), Layout())
    items, titles = table.select(table.columns[:2]).filter(table.faults.is_null()).get_columns()
    return dict(zip(as_integers_if_exact(items).to_list(), titles.str.strip_chars().to_list(), strict=True))


def official(address: str, sha256: str, members: Mapping[str, str]) -> Download:
    """Return the download of a zip file from its publisher.

    address  the URL of the zip file        sha256  its checksum, 64 hex digits
    members  the path in the cache of each needed file in the zip file; the log is the last of them
    """

    def fetch() -> dict[str, bytes]:
        content = _download(address)
        _check(content, sha256)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {path: archive.read(member) for member, path in members.items()}

    return Download(f"the official address {address}", fetch)


def recbole_wheel() -> Download:
    """Return the download of MovieLens-100K from the package `recbole` 1.2.1, which pip downloads but does not install.

    The file `ml-100k.inter` in it is `u.data` with a header. The file `ml-100k.item` has titles without their years,
    which are added again here.
    """

    def fetch() -> dict[str, bytes]:
        wheel = _pip_download("recbole==1.2.1")
        _check(wheel, "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407")
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            items, interactions = (
                archive.read(f"recbole/dataset_example/ml-100k/ml-100k.{kind}") for kind in ("item", "inter")
            )
        table = read_delimited(items, Layout("\t", header=True))
        lines = [
            f"{item}|{title} ({year})\n" if year.isdigit() else f"{item}|{title}\n"
            for item, title, year in table.select(["item_id", "movie_title", "release_year"]).rows()
        ]
        return {
            "ml-100k/u.item": "".join(lines).encode(),
            "ml-100k/u.data": interactions.split(b"\n", 1)[1],
        }

    return Download("the mirror (the package recbole 1.2.1)", fetch)


GROUPLENS = "https://files.grouplens.org/datasets/movielens"

DATASETS: dict[str, DataSet] = {
    "ml-100k": DataSet(
        logs=("ml-100k/u.data",),
        rows=100_000,
        titles=("ml-100k/u.item",),
        terms=MOVIELENS_TERMS,
        sources=(
            official(
                f"{GROUPLENS}/ml-100k.zip",
                "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
                {"ml-100k/u.item": "ml-100k/u.item", "ml-100k/u.data": "ml-100k/u.data"},
            ),
            recbole_wheel(),
        ),
        sha256={"ml-100k/u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"},
    ),
    "ml-1m": DataSet(
        logs=("ml-1m.parquet", "ml-1m/ratings.dat"),
        rows=1_000_209,
        titles=("ml-1m-movies.dat", "ml-1m/movies.dat"),
        terms=MOVIELENS_TERMS,
        sources=(
            official(
                f"{GROUPLENS}/ml-1m.zip",
                "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
                {"ml-1m/movies.dat": "ml-1m/movies.dat", "ml-1m/ratings.dat": "ml-1m/ratings.dat"},
            ),
        ),
    ),
    "ml-latest-small": DataSet(
        logs=("ml-latest-small/ratings.csv",),
        rows=100_836,
        titles=("ml-latest-small/movies.csv",),
        terms=MOVIELENS_TERMS,
        sources=(
            official(
                f"{GROUPLENS}/ml-latest-small.zip",
                "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
                {f"ml-latest-small/{file}": f"ml-latest-small/{file}" for file in ("movies.csv", "ratings.csv")},
            ),
        ),
    ),
    "amazon-beauty": DataSet(logs=("amazon-beauty.parquet",), rows=198_215),
    "yoochoose-clicks": DataSet(logs=("yoochoose-clicks.parquet",), rows=145_716),
}


def _fill(name: str, dataset: DataSet, folder: Path, say: Say) -> None:
    """Download a data set from the first source that works, and put its files into the cache."""
    if not dataset.sources:
        raise DownloadError(f"{name} has no known source; put {dataset.logs[0]} into the cache, {folder}.")
    if reason := why_not_writable(folder):
        raise DownloadError(f"the cache of data sets must be writable; got {folder}: {reason}. {_NAME_CACHE}")
    say(dataset.terms)
    failures = []
    for source in dataset.sources:
        say(f"fetching {name} from {source.name}")
        try:
            files = source.fetch()
        except FAILURES as error:
            failures.append(f"{source.name}: {_reason(error)}")
            say(f"this failed: {_reason(error)}")
            continue
        for path, content in files.items():
            write_file(folder / path, content)
        return
    raise DownloadError(
        f"{name} must come from one of its sources; got {'; '.join(failures)}; "
        f"connect to a network, or put {dataset.logs[-1]} into the cache, {folder}."
    )


def _download(address: str) -> bytes:
    """Return the content at an address; give up when less than STALL_BYTES arrive in STALL_SECONDS."""
    chunks, received, since = [], 0, time.monotonic()
    with urllib.request.urlopen(address, timeout=STALL_SECONDS) as answer:  # noqa: S310 (addresses are constants above)
        while chunk := answer.read1(STALL_BYTES):
            chunks.append(chunk)
            received += len(chunk)
            if received >= STALL_BYTES:
                received, since = 0, time.monotonic()
            elif time.monotonic() - since > STALL_SECONDS:
                raise DownloadError(f"less than {STALL_BYTES:,} bytes in {STALL_SECONDS:g} seconds")
    return b"".join(chunks)


def _pip_download(requirement: str) -> bytes:
    """Return the content of the wheel that pip finds for `requirement`; the wheel is not installed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet", "--no-input"),
            *("--disable-pip-version-check", "--timeout", f"{STALL_SECONDS:g}", "--retries", "0"),
            *("--dest", folder, requirement),
        ]
        result = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS, check=False)  # noqa: S603
        if result.returncode != 0:
            errors = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
            reason = errors[-1].removeprefix("ERROR: ") if errors else result.stderr.strip()
            raise DownloadError(f"pip could not get {requirement}: {reason}")
        return next(Path(folder).glob("*.whl")).read_bytes()


def _check(content: bytes, sha256: str) -> None:
    got = hashlib.sha256(content).hexdigest()
    if got != sha256:
        raise DownloadError(f"SHA-256 must be {sha256[:12]}...; got {got[:12]}... ({len(content):,} bytes)")


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason).strip().splitlines()[0] if str(reason).strip() else type(error).__name__


def _first_existing(folder: Path, files: tuple[str, ...]) -> Path | None:
    return next((folder / file for file in files if (folder / file).is_file()), None)


def _in_order_of_items(titles: Mapping[RawId, str], log: InteractionLog) -> pl.Series:
    return pl.Series([titles.get(raw) for raw in log.item_vocabulary.ids.to_list()], dtype=pl.String)
