from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import httpx
import pytest

from caser.errors import ArtefactError, ConfigError, StoreError
from tests.cli.terminal import caser, document, refusal
from tests.service.serving import process
from tests.skips import AS_ROOT


@pytest.mark.parametrize(
    ("flags", "code", "sentence"),
    [
        (("--host", "0.0.0.0"), ConfigError, "must be with tokens"),
        (("--workers", "2"), ConfigError, "--workers 2 needs --store"),
        (("--workers", "0"), ConfigError, "--workers must be from 1 to 256"),
        (("--port", "70000"), ConfigError, "--port must be"),
        (("--max-waiting", "0"), ConfigError, "--max-waiting must be at least 1"),
        (("--token-file", "{run}/none"), ConfigError, "must be a file of tokens"),
        (("--store", "{run}/none/events.db"), StoreError, "must be a store of events"),
        (("--store", "{run}"), StoreError, "must be a store of events"),
        (("--store", "{run}/manifest.json"), StoreError, "must be a store of events"),
        (("--store", "{run}/" + "x" * 300), StoreError, "must be a store of events"),
        (("--items", "{run}/none.csv"), ConfigError, "table of items"),
        (("--answer-log", "{run}/manifest.json/log"), StoreError, "must be writable"),
    ],
)
def test_invalid_flags_are_refused_with_one_line(
    run: Path, flags: tuple[str, ...], code: type[ConfigError | StoreError], sentence: str
) -> None:
    before = (run / "manifest.json").read_bytes()
    number, line = refusal("serve", run, *(flag.replace("{run}", str(run)) for flag in flags))
    assert sentence in line
    assert number == (3 if "items" in sentence else code.exit_code)
    assert (run / "manifest.json").read_bytes() == before


def test_a_missing_run_is_refused_with_one_line(tmp_path: Path) -> None:
    code, line = refusal("serve", tmp_path / "none")
    assert code == ArtefactError.exit_code
    assert "must be the folder of a saved run" in line


@pytest.mark.skipif(os.geteuid() == 0, reason=AS_ROOT)
def test_a_read_only_folder_for_the_store_is_refused_with_one_line(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    assert refusal("serve", run, "--store", folder / "events.db")[0] == StoreError.exit_code


def test_a_damaged_store_is_refused(run: Path, tmp_path: Path) -> None:
    from caser.service.events.sqlite import SqliteEvents

    path = tmp_path / "events.db"
    SqliteEvents(path).close()
    file = sqlite3.connect(path)
    file.execute("PRAGMA writable_schema=ON")
    file.execute("UPDATE sqlite_master SET rootpage = 99 WHERE name = 'events_of_user'")
    file.commit()
    file.close()
    assert "must be a store of events" in refusal("serve", run, "--store", path)[1]


def test_the_token_that_is_printed_gives_access(run: Path, tmp_path: Path) -> None:
    made = caser("token", "--token-file", tmp_path / "tokens", "--name", "web")
    token = made.out.strip()
    other = document("token", "--token-file", tmp_path / "tokens", "--name", "shop")
    assert (other["name"], len(other["token"]) >= 32) == ("shop", True)
    assert len(token) >= 32
    with process(run, "--token-file", tmp_path / "tokens") as served:
        assert httpx.get(f"{served.url}/v1/model").status_code == 401
        for known in (token, other["token"]):
            headers = {"authorization": f"Bearer {known}"}
            assert httpx.get(f"{served.url}/v1/model", headers=headers).status_code == 200
        assert served.kill(signal.SIGINT) == 0
        assert token not in served.log.read_text()
