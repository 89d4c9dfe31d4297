"""A prepared log is opened wherever a log is taken; a folder that is damaged, foreign or newer is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from caser.data.filters import LogFilters
from caser.data.prepared.folder import ARRAYS, MANIFEST, SEAL, open_prepared, read_manifest, seal_manifest, verify
from caser.data.prepared.prepare import prepare_log
from caser.data.readers import read_log
from caser.errors import ArtefactError, ConfigError, DataError
from caser.system.sealed import seal_json, unseal_json
from tests.data.prepared.sources import CASES, facts_of


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    prepare_log(CASES["titles"].write(folder), folder / "prepared", num_shards=2)
    return folder / "prepared"


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(good, tmp_path / "prepared"))


def test_read_log_opens_a_prepared_log(good: Path) -> None:
    log, before = read_log(good), read_log(good.parent / "log.csv")
    assert facts_of(log) == facts_of(before)
    assert log.provenance["source"] == str(good)
    assert log.provenance["prepared_from"]["source"] == before.provenance["source"]
    assert log.provenance["prepared_from"]["sha256"] == before.provenance["sha256"]


def test_the_digest_that_is_kept_is_that_of_the_arrays(good: Path) -> None:
    log = read_log(good)
    kept = vars(log).pop("digest")
    assert log.digest == kept


def test_filters_apply_to_a_prepared_log_as_to_any_log(good: Path) -> None:
    filters = LogFilters(drop_repeats=True, k_core=2)
    assert facts_of(read_log(good, filters=filters)) == facts_of(read_log(good.parent / "log.csv", filters=filters))


def test_changing_the_arrays_changes_no_file(folder: Path) -> None:
    log = read_log(folder)
    with pytest.raises(ValueError, match="read-only"):
        log.items[:] = 1
    verify(folder)


def test_the_ids_are_read_when_they_are_asked_for(folder: Path) -> None:
    (folder / "user_ids.parquet").write_bytes(b"damaged")
    log = read_log(folder)
    assert log.num_users == len(np.unique(log.users))
    with pytest.raises(ArtefactError, match=r"user_ids\.parquet must be as it was written; its SHA-256 is another one"):
        log.user_vocabulary.index("u1")


@pytest.mark.parametrize(("filters", "options"), [(LogFilters(min_rating=3), {}), (LogFilters(), {"user": "user_id"})])
def test_settings_of_reading_are_refused(filters: LogFilters, options: dict[str, Any], good: Path) -> None:
    with pytest.raises(ConfigError, match=r"a prepared log is read already; got .* Leave it out, or give it when"):
        read_log(good, filters=filters, **options)


def rewritten(name: str, change: Callable[[Any], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        values = np.load(folder / name)
        change(values)
        np.save(folder / name, values)

    return damage


def with_manifest(**changes: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        values = unseal_json((folder / MANIFEST).read_bytes(), SEAL)
        (folder / MANIFEST).write_bytes(seal_json({**values, **changes}, SEAL))

    return damage


def cut_short(folder: Path) -> None:
    (folder / "items.npy").write_bytes((folder / "items.npy").read_bytes()[:-4])


def another_type(folder: Path) -> None:
    np.save(folder / "items.npy", np.load(folder / "items.npy").astype(np.float32))


def linked(folder: Path) -> None:
    (folder / "times.npy").rename(folder.parent / "times.npy")
    (folder / "times.npy").symlink_to(folder.parent / "times.npy")


def flipped(folder: Path) -> None:
    content = bytearray((folder / MANIFEST).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / MANIFEST).write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "an item beyond the catalogue": (rewritten("items.npy", lambda items: items.put(3, 99)), "must hold indices of"),
    "an item of no index": (rewritten("items.npy", lambda items: items.put(3, 0)), "must hold indices of"),
    "users in disorder": (rewritten("users.npy", lambda users: users.put(0, 5)), "must hold the users in order"),
    "a user left out": (rewritten("users.npy", lambda users: users.put(range(30, 40), 5)), "must hold .* users"),
    "cut short": (cut_short, "must hold 40 values of type <i4, in 288 bytes; it is another file, of 284 bytes"),
    "another type": (another_type, "must hold 40 values of type <i4"),
    "a link": (linked, "must be a regular file"),
    "missing": (lambda folder: (folder / "rows.npy").unlink(), "must be a regular file"),
    "a flipped bit": (flipped, "bytes that do not match their checksum"),
    "a newer format": (with_manifest(format=3), "must have format 2 or an older one; got 3. Install a newer caser"),
    "an unknown key": (with_manifest(more=1), "has no setting 'more'"),
    "kinds without their array": (with_manifest(target_events=["buy"]), "other files"),
    "kinds without a weight": (with_manifest(target_events=["buy=0"]), "must have weights"),
    "no users": (with_manifest(users=0), "users must be at least 1"),
    "shards that overlap": (with_manifest(first_user=[1, 4, 4, 10]), "shards that do not hold each user once"),
    "another kind of ids": (
        with_manifest(id_types={"user": "Object", "item": "Int64"}),
        "other files, or types of ids",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_folder_is_refused_with_the_name_of_the_file(name: str, folder: Path) -> None:
    damage, message = DAMAGES[name]
    damage(folder)
    with pytest.raises(ArtefactError, match=message) as error:
        open_prepared(folder)
    assert str(folder) in str(error.value)


@pytest.mark.parametrize("name", [*ARRAYS, "user_ids.parquet", "item_ids.parquet"])
def test_verify_finds_a_flipped_bit_in_any_file(name: str, folder: Path) -> None:
    verify(folder)
    content = bytearray((folder / name).read_bytes())
    content[-9] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ArtefactError, match=f"{name} must be as it was written; its SHA-256 is another one"):
        verify(folder)


def test_what_is_written_is_what_the_manifest_says(good: Path) -> None:
    manifest = read_manifest(good)
    assert (good / MANIFEST).read_bytes() == seal_manifest(manifest)
    assert {path.name for path in good.iterdir()} == {MANIFEST, *manifest.files}
    assert (manifest.users, manifest.items) == tuple(
        len(pl.read_parquet(good / f"{role}_ids.parquet")) for role in ("user", "item")
    )


def test_a_folder_of_another_kind_is_no_prepared_log(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text("{}")
    with pytest.raises(DataError, match="a run that caser saved"):
        read_log(tmp_path)
