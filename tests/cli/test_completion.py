"""The shell completes commands, options and choices: the script that is installed is valid, and bash runs it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.terminal import caser
from tests.skips import on_another_system

BASH = shutil.which("bash")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def script(home: Path) -> Path:
    """The script for bash, installed as a user does, in a home folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        outcome = caser("--install-completion", "--shell", "bash", "--output", home / "caser.bash")
    assert outcome.code == 0, outcome.err
    return home / "caser.bash"


def test_bash_finds_the_script_when_it_starts(home: Path, script: Path) -> None:
    assert str(script) in (home / ".bashrc").read_text(encoding="utf-8")


@pytest.mark.skipif(BASH is None, reason=on_another_system("bash"))
def test_the_script_is_valid(script: Path) -> None:
    done = subprocess.run([str(BASH), "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(BASH is None, reason=on_another_system("bash"))
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["caser", "ev"], {"evaluate"}),
        (["caser", "data", "desc"], {"describe"}),
        (["caser", "train", "LOG", "--learn"], {"--learning-rate"}),
        (["caser", "train", "LOG", "--protocol", "caser"], {"caser-paper"}),
        (["caser", "evaluate", "RUN", "--conf"], {"--config"}),
    ],
    ids=lambda value: " ".join(value),
)
def test_bash_completes_what_was_begun(typed: list[str], offered: set[str], script: Path) -> None:
    # What bash does when the tab key is pressed: it calls the registered function with the words.
    words = " ".join(typed)
    program = f"""
        source {script}
        function_name=$(complete -p caser | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; COMP_LINE='{words}'; COMP_POINT={len(words)}
        $function_name caser '{typed[-1]}' '{typed[-2]}'
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run([str(BASH), "--norc", "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert {line.strip() for line in done.stdout.splitlines()} == offered, done.stderr
