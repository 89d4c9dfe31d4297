"""tools/dev.py: why set-up refuses, in one sentence with the command to type; and that nothing is installed twice."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.skips import on_another_system, skipped
from tools import advisories, dev, installing, package, pins

GIGABYTE = 10**9
Failure = Callable[[BaseException], None]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the checkout, with a space in its path, for `tools/dev.py` to work in."""
    root = tmp_path / "a checkout"
    root.mkdir()
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(dev.ROOT / name, root)
    monkeypatch.setattr(dev, "ROOT", root)
    monkeypatch.setattr(dev, "ENVIRONMENT", root / ".venv")
    monkeypatch.setattr(dev, "PYTHON", root / ".venv" / "bin" / "python")
    return root


@pytest.fixture
def steps(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the list of commands that set-up would run; none is really run."""
    commands: list[list[str]] = []

    def record(what: str, command: list[str], root: Path) -> None:
        commands.append(command)
        if "--report" in command:
            packages = [{"metadata": {"name": name}} for name in ("numpy", "SciPy")]
            Path(command[command.index("--report") + 1]).write_text(json.dumps({"install": packages}))
        if "venv" in command:
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.unlink(missing_ok=True)
            python.symlink_to(sys.executable)

    monkeypatch.setattr(installing, "run_quietly", record)
    return commands


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Return the list of what the environment's Python would run; nothing is really run."""
    words_of_each: list[tuple[str, ...]] = []

    def record(*words: str) -> int:
        words_of_each.append(words)
        return 0

    monkeypatch.setattr(dev, "run", record)
    monkeypatch.setattr(dev, "become", record)
    return words_of_each


@pytest.fixture
def failure(monkeypatch: pytest.MonkeyPatch) -> Failure:
    """Return a function that makes the next call of pip fail."""
    working_pip = installing.pip

    def fail_once(error: BaseException) -> None:
        def fail(*_: object) -> None:
            monkeypatch.setattr(installing, "pip", working_pip)
            raise error

        monkeypatch.setattr(installing, "pip", fail)

    return fail_once


@pytest.mark.parametrize("module", [dev, installing, package, pins, advisories], ids=lambda module: module.__name__)
def test_the_script_uses_only_the_syntax_of_python_3_8(module: ModuleType) -> None:
    assert module.__file__
    ast.parse(Path(module.__file__).read_text(encoding="utf-8"), feature_version=(3, 8))


def test_an_old_python_is_refused_with_the_command_to_type() -> None:
    with pytest.raises(installing.SetupError, match=r"needs Python 3\.11 or newer; this is 3\.8 .* setup"):
        dev.check_python((3, 8))


def test_a_python_without_ensurepip_is_refused_with_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    with pytest.raises(installing.SetupError, match=r"ensurepip .* sudo apt install python3-venv"):
        dev.check_python((3, 11))


@pytest.mark.parametrize(
    ("system", "machine", "libc"),
    [("Linux", "x86_64", "glibc"), ("Linux", "aarch64", "glibc"), ("Darwin", "arm64", ""), ("Windows", "AMD64", "")],
)
def test_a_platform_with_builds_of_torch_is_accepted(system: str, machine: str, libc: str) -> None:
    dev.check_machine(system, machine, libc)


@pytest.mark.parametrize(
    ("system", "machine", "libc"),
    [("Linux", "x86_64", ""), ("Linux", "riscv64", "glibc"), ("Darwin", "x86_64", ""), ("Windows", "x86", "")],
)
def test_a_platform_without_builds_of_torch_is_refused_by_name(system: str, machine: str, libc: str) -> None:
    with pytest.raises(installing.SetupError, match=f"this is {system} {machine}.* type: pip install"):
        dev.check_machine(system, machine, libc)


def test_a_full_disk_is_refused_with_its_free_gigabytes(tmp_path: Path) -> None:
    dev.check_folder(tmp_path, 10 * GIGABYTE)
    with pytest.raises(installing.SetupError, match=r"needs 3 GB of disk; .* has 0\.5 GB left"):
        dev.check_folder(tmp_path, GIGABYTE // 2)


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(installing.SetupError, match="must be writable"):
        dev.check_folder(tmp_path, 10 * GIGABYTE)


def test_pip_is_installed_first_then_torch_then_what_pip_found_to_be_missing_then_the_project(
    steps: list[list[str]],
) -> None:
    dev.install("train")
    pip, torch, found, packages, project = [command for command in steps if "pip" in command]
    assert "--require-hashes" in pip
    assert "--require-hashes" in torch
    assert "--dry-run" in found
    assert "torch>=2.13,<2.14" in found
    assert "--require-hashes" in packages
    assert project[-4:] == ["--no-deps", "--no-build-isolation", "--editable", "."]


def test_an_extra_without_torch_does_not_install_it(steps: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "TORCH_PLATFORMS", set())
    dev.install("serve")
    assert len([command for command in steps if "--require-hashes" in command]) == 2  # pip, and the rest
    with pytest.raises(installing.SetupError, match="torch has builds for"):
        dev.install("train")


def test_a_second_set_up_does_nothing(steps: list[list[str]]) -> None:
    dev.install("train")
    steps.clear()
    dev.install("train")
    assert steps == []


def test_an_environment_for_tests_is_enough_for_the_demo_but_not_the_reverse(steps: list[list[str]]) -> None:
    dev.install("train")
    steps.clear()
    dev.install("dev")
    assert steps
    steps.clear()
    dev.install("train")
    assert steps == []


@pytest.mark.parametrize(("name", "pin"), [("pyproject.toml", "numpy>=2"), ("constraints.txt", "numpy==2")])
def test_changed_dependencies_are_installed(name: str, pin: str, steps: list[list[str]], checkout: Path) -> None:
    dev.install("train")
    steps.clear()
    text = (checkout / name).read_text()
    (checkout / name).write_text(text.replace(pin, f"{pin}9"))
    dev.install("train")
    assert steps


def test_settings_of_a_linter_install_nothing(steps: list[list[str]], checkout: Path) -> None:
    dev.install("train")
    steps.clear()
    path = checkout / "pyproject.toml"
    path.write_text(path.read_text().replace("line-length = 120", "line-length = 100"))
    dev.install("train")
    assert steps == []


def test_an_environment_whose_set_up_was_interrupted_is_made_from_scratch(
    steps: list[list[str]], failure: Failure
) -> None:
    dev.install("train")
    failure(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        dev.install("dev")
    steps.clear()
    dev.install("train")
    assert "venv" in steps[0]


def test_a_set_up_that_pip_refused_keeps_the_earlier_installation(steps: list[list[str]], failure: Failure) -> None:
    dev.install("train")
    failure(installing.SetupError("no network"))
    with pytest.raises(installing.SetupError):
        dev.install("dev")
    steps.clear()
    dev.install("train")
    assert steps == []


def test_an_environment_made_by_hand_is_made_from_scratch(steps: list[list[str]]) -> None:
    dev.PYTHON.parent.mkdir(parents=True)
    dev.PYTHON.symlink_to(sys.executable)
    dev.install("train")
    assert "venv" in steps[0]


def test_an_environment_whose_python_is_gone_is_made_from_scratch(steps: list[list[str]]) -> None:
    dev.install("train")
    steps.clear()
    dev.PYTHON.unlink()
    dev.install("train")
    assert "venv" in steps[0]


def test_after_an_interruption_the_script_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dev, "install", interrupt)
    assert dev.main(["setup"]) == 130
    assert "type the same command" in capsys.readouterr().err


def test_an_unknown_extra_is_refused(steps: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.main(["setup", "trian"]) == 1
    known = "train, tune, report, study, ann, serve, postgres, scale, export, tensorboard, mlflow, sql, dev"
    assert f"no extra 'trian'; known: {known}" in capsys.readouterr().err
    assert steps == []


def test_a_verb_without_options_refuses_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.main(["check", "--slow"]) == 1
    assert "check takes no further words; got '--slow'" in capsys.readouterr().err


@pytest.mark.parametrize("has_typing_tests", [False, True])
def test_a_check_runs_all_its_parts_even_after_one_has_failed(
    has_typing_tests: bool, steps: list[list[str]], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, ...]] = []

    def record(*words: str) -> int:
        ran.append(words)
        return int("ruff" in words)

    monkeypatch.setattr(dev, "run", record)
    folders = ("tests/architecture", "tests/typing")[: 1 + has_typing_tests]
    for folder in folders:
        (checkout / folder).mkdir(parents=True)
    assert dev.main(["check"]) == 1
    assert [words[1] for words in ran] == ["ruff", "ruff", "mypy", "pytest"]
    assert ran[-1][3:] == ("--slow", *folders)  # slow: those that run mypy


def test_serving_without_the_demos_run_says_how_to_make_it(
    steps: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dev.main(["serve"]) == 1
    assert "type: python tools/dev.py demo" in capsys.readouterr().err
    assert steps == []


def test_serving_installs_the_extra_serves_the_run_and_names_the_address(
    steps: list[list[str]], ran: list[tuple[str, ...]], checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / dev.DEMO_RUN).mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert dev.main(["serve", "--port", str(port)]) == 1
        shown = capsys.readouterr()
        assert shown.out == ""
        assert f"a program has taken port {port}" in shown.err
        assert f"make serve PORT={port + 1}" in shown.err
    assert not ran
    assert not steps
    assert dev.main(["serve", f"--port={port}"]) == 0
    assert any("onnxruntime>=1.23" in command for command in steps)
    assert ran == [("-m", "caser", "serve", "runs/demo", f"--port={port}")]
    assert f"Open http://127.0.0.1:{port}/ in a browser" in capsys.readouterr().out


@pytest.mark.skipif(os.name == "nt", reason=on_another_system("needs exec"))
def test_the_demo_of_a_cluster_installs_ray_and_takes_no_words(
    steps: list[list[str]], ran: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dev.main(["demo-cluster", "--fast"]) == 1
    assert "demo-cluster takes no further words" in capsys.readouterr().err
    assert not steps
    assert dev.main(["demo-cluster"]) == 0
    asked = {word for command in steps for word in command}
    assert any(word.startswith("ray>=") for word in asked)
    assert any(word.startswith("torch>=") for word in asked)
    assert ran == [("-m", "tools.demo_cluster")]


def test_a_signal_to_the_script_reaches_the_service_that_it_has_become() -> None:
    code = (
        "import os, sys; sys.path.insert(0, 'tools'); import dev; from pathlib import Path; "
        "dev.PYTHON = Path(sys.executable); print(os.getpid(), flush=True); "
        "dev.become('-c', 'import os, time; print(os.getpid(), flush=True); time.sleep(60)')"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=dev.ROOT, stdout=subprocess.PIPE) as script:
        assert script.stdout is not None
        assert script.stdout.readline() == script.stdout.readline()
        script.terminate()
        assert script.wait(10) == -signal.SIGTERM


@pytest.mark.skipif(shutil.which("make") is None, reason=skipped("make is not installed", "apt install make"))
@pytest.mark.parametrize(("words", "end"), [([], "serve"), (["PORT=8001"], "serve --port 8001")])
def test_make_serve_passes_the_port_on(words: list[str], end: str) -> None:
    # Under `make test`, this make would name the folder that it enters and leaves.
    command = ["make", "--no-print-directory", "-n", "serve", *words]
    done = subprocess.run(command, cwd=dev.ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith(end)


def test_the_tool_that_makes_faults_is_installed_once_in_an_environment_of_its_own(
    steps: list[list[str]], ran: list[tuple[str, ...]]
) -> None:
    dev.main(["setup", "dev"])
    begun = len(steps)
    assert dev.main(["mutate", "--number", "3"]) == 0
    python = dev.ENVIRONMENT / "mutation" / "bin" / "python"
    assert steps[begun][1:3] == ["-m", "venv"]
    assert {command[0] for command in steps[begun + 1 :]} == {str(python)}
    assert all("--require-hashes" in command or "--dry-run" in command for command in steps[begun + 1 :])
    assert ran == [("tools/mutate.py", "--python", str(python), "--number", "3")]
    begun = len(steps)
    dev.main(["mutate"])
    assert len(steps) == begun


def test_the_fuzzer_is_installed_by_its_hash_for_the_first_reader_and_not_for_the_list(
    steps: list[list[str]], ran: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "mine")
    dev.main(["setup", "dev"])
    begun = len(steps)
    assert dev.main(["fuzz"]) == 0
    assert len(steps) == begun
    packages = dev.ENVIRONMENT / "fuzz" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    assert dev.main(["fuzz", "weights", "--seconds", "5"]) == 0
    assert {command[0] for command in steps[begun + 1 :]} == {str(dev.ENVIRONMENT / "fuzz" / "bin" / "python")}
    assert all("--require-hashes" in command or "--dry-run" in command for command in steps[begun + 1 :])
    assert ran == [("tools/fuzz.py",), ("tools/fuzz.py", "weights", "--seconds", "5")]
    assert str(packages) in os.environ["PYTHONPATH"].split(os.pathsep)


def test_a_command_that_fails_shows_the_end_of_its_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = "print(*range(100), sep='\\n'); raise SystemExit(3)"
    with pytest.raises(installing.SetupError, match="Counting must succeed; it ended with status 3"):
        installing.run_quietly("Counting", [sys.executable, "-c", code], tmp_path)
    printed = capsys.readouterr().err.split()
    assert printed[-1] == "99"
    assert "50" not in printed


def test_a_command_that_succeeds_prints_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    installing.run_quietly("Counting", [sys.executable, "-c", "print('noise')"], tmp_path)
    assert capfd.readouterr().out.startswith("Counting  0 s")
