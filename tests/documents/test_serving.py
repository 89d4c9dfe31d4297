"""The requests in docs/serving.md get answers from a running service, and the Dockerfile installs only the service."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from caser.artefact.folder import save
from caser.service.request_schemas import MAX_K, MAX_LIST_LENGTH, MAX_VALUE_LENGTH, Schema
from tests.documents.blocks import Block, blocks
from tests.runs import caser_run
from tests.service.serving import process
from tests.skips import skipped

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = blocks((ROOT / "docs" / "serving.md").read_text(encoding="utf-8"))
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("serving")
    save(caser_run(), folder / "run")
    save(caser_run(), folder / "runs" / "demo")  # the name that the document gives to a run
    (folder / "items.csv").write_text("item_id,genre,year\n10,Drama,1994\n20,Horror,1980\n50,Drama,1999\n")
    with process(folder / "run", "--store", folder / "events.db", "--items", folder / "items.csv") as served:
        yield served.url, folder


def of(language: str) -> list[Any]:
    return [pytest.param(block, id=f"line {block.line}") for block in BLOCKS if block.language == language]


@pytest.mark.skipif(shutil.which("curl") is None, reason=skipped("needs curl", "apt install curl"))
@pytest.mark.parametrize("block", of("sh"))
def test_the_curl_commands_get_an_answer(block: Block, url: tuple[str, Path]) -> None:
    commands = block.text.replace("\\\n", " ").strip().splitlines()
    for command in commands:
        done = subprocess.run(["bash", "-c", command.replace(ADDRESS, url[0])], capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout.startswith("# HELP") or json.loads(done.stdout)


@pytest.mark.parametrize("block", of("python"))
def test_the_python_examples_run(
    block: Block, url: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(url[1])
    exec(compile(block.text.replace(ADDRESS, url[0]), "serving.md", "exec"), {})
    if "print(" in block.text:
        assert capsys.readouterr().out.startswith("fold-in [")
    if "backup" in block.text:
        copy = sqlite3.connect("backup.db")
        assert copy.execute("SELECT count(*) FROM events").fetchone()[0] > 0
        copy.close()


def test_an_answer_obeys_the_rules_of_the_example(url: tuple[str, Path]) -> None:
    import httpx

    (block,) = [block for block in BLOCKS if '"at_most"' in block.text]
    body = block.text[block.text.index("'") + 1 : block.text.rindex("'")]
    items = httpx.post(f"{url[0]}/v1/recommend", json={**json.loads(body), "user_id": "somebody"}).json()["items"]
    assert {item["item_id"] for item in items} <= {10, 50}


def test_the_page_names_every_route_every_field_and_every_limit(url: tuple[str, Path]) -> None:
    import httpx

    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    described = httpx.get(f"{url[0]}/openapi.json").json()
    routes = [(method.upper(), path, one) for path, own in described["paths"].items() for method, one in own.items()]
    rows = {route: row for row in page.splitlines() if row.startswith("| `") for route in re.findall(r"`([^`]+)`", row)}
    assert [f"{method} {path}" for method, path, _ in routes if f"{method} {path}" not in rows] == []
    for method, path, one in routes:
        named = [parameter["name"] for parameter in one.get("parameters", [])]
        assert [name for name in named if f"`{name}`" not in rows[f"{method} {path}"]] == []
    asked = [one for one in Schema.__subclasses__() if one.__module__ == Schema.__module__]
    assert [one.__name__ for one in asked if one.__name__ not in described["components"]["schemas"]] == []
    fields = [name for one in asked for name in one.model_fields]
    assert [name for name in fields if f"`{name}`" not in page and f'"{name}"' not in page] == []
    for limit in (MAX_K, MAX_LIST_LENGTH, MAX_VALUE_LENGTH):
        assert f"{limit:,}" in page


def test_the_dockerfile_installs_only_the_extra_serve_by_hash_and_runs_as_an_unprivileged_user() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    steps: dict[str, list[str]] = {}
    for line in lines:
        if line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            steps.setdefault(word, []).append(rest)
    assert re.fullmatch(r"BASE=python:3\.11-slim@sha256:[0-9a-f]{64}", steps["ARG"][0])
    assert {base.split()[0] for base in steps["FROM"]} == {"${BASE}"}
    assert re.findall(r"pins\.py (\w+) > (\w+\.txt)", steps["RUN"][0]) == [
        ("serve", "serve.txt"),
        ("build", "build.txt"),
    ]
    installs = re.findall(r"pip (?:install|wheel) [^&]*", " && ".join(steps["RUN"]))
    assert len(installs) == 4
    for install in installs:  # either by hash, or the project itself
        assert "--no-deps" in install
        assert "--require-hashes" in install or install.split()[-1] in (".", "caser-*.whl")
    assert steps["USER"] == ["caser"]
    assert list(steps).index("USER") < list(steps).index("ENTRYPOINT")
    assert steps["EXPOSE"] == ["8000"]
    assert "/healthz" in steps["HEALTHCHECK"][0]
    assert json.loads(steps["ENTRYPOINT"][0]) == ["caser"]
    command = json.loads(steps["CMD"][0])
    assert command[:4] == ["serve", "/model", "--host", "0.0.0.0"]
    assert "--token-file" in command
    assert json.loads(steps["VOLUME"][0]) == ["/model", "/store"]
    copied = [name for step in steps["COPY"] if "--from" not in step for name in step.split()[:-1]]
    assert [name for name in copied if not (ROOT / name).exists()] == []
