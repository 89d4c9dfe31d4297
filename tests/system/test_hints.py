"""Lines that a person types: a program that PATH does not find has its path, and an extra comes from its source."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from caser.system import hints
from caser.system.hints import command_line, install_line


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment in the current folder, with python, pip and caser, which is not on PATH."""
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    for name in ("python", "pip", "caser"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    return folder


def test_a_program_that_path_does_not_find_has_its_path(environment: Path) -> None:
    assert command_line("serve", "runs/my run") == ".venv/bin/caser serve 'runs/my run'"


def test_a_program_that_path_finds_is_named(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(environment))
    assert command_line("serve", "run") == "caser serve run"
    assert install_line("ann").startswith("pip install ")


def test_the_program_of_another_environment_is_not_named(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    (environment / "caser").rename(other / "caser")
    assert command_line("--help") == ".venv/bin/python -m caser --help"
    monkeypatch.chdir(other)
    assert command_line("--help") == f"{environment}/python -m caser --help"


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ("my run.py", ".venv/bin/python 'my run.py' serve runs/x"),
        ("/srv/run.py", ".venv/bin/python /srv/run.py serve runs/x"),
        ("/srv/.venv/bin/caser", ".venv/bin/caser serve runs/x"),
        ("/srv/caser/__main__.py", ".venv/bin/caser serve runs/x"),
    ],
)
def test_the_script_of_a_user_who_registers_models_is_named(
    program: str, line: str, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "_script", None)
    hints.run_by(program)
    assert command_line("serve", "runs/x") == line


def test_a_checkout_is_named_as_it_is_seen_from_here(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (environment / "pyproject.toml").touch()
    monkeypatch.setattr(hints, "CHECKOUT", environment)
    assert install_line("serve") == '.venv/bin/python -m pip install -e ".venv/bin[serve]"'
    monkeypatch.chdir(environment)
    assert install_line("serve") == './python -m pip install -e ".[serve]"'


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        ({"url": "file:///srv/my%20caser", "dir_info": {}}, '"/srv/my caser[serve]"'),
        (
            {"url": "file:///srv/caser-0.1.whl", "archive_info": {}},
            '"/srv/caser-0.1.whl[serve]"',
        ),
        (
            {"url": "https://example.org/caser.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            '"caser[serve] @ git+https://example.org/caser.git@abc"',
        ),
        (
            {"url": "https://example.org/caser.whl", "archive_info": {}},
            '"caser[serve] @ https://example.org/caser.whl"',
        ),
        (None, '"caser[serve]"'),
    ],
)
def test_an_extra_comes_from_where_the_library_came_from(
    facts: object, wanted: str, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Installed:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return None if facts is None else json.dumps(facts)

    monkeypatch.setattr(hints, "CHECKOUT", environment)  # no pyproject.toml
    monkeypatch.setattr(hints, "distribution", lambda name: Installed())
    assert install_line("serve") == f".venv/bin/python -m pip install {wanted}"
