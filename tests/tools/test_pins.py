"""constraints.txt: every package that an extra needs is pinned with hashes, and a file with another hash is refused."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools import installing, pins

EXTRAS = list(pins.project_settings()["project"]["optional-dependencies"])
GROUPS = list(pins.project_settings()["dependency-groups"])


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """Return a package of one file, in a folder of its own."""
    path = tmp_path / "wheels" / "tiny-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "tiny.py,,\n")
    return path


def install(digest: str, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip install the tiny package as set-up does, from its folder only, into a folder beside it."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", wheel.parent.as_uri())
    monkeypatch.setenv("PIP_TARGET", str(wheel.parent.parent / "installed"))
    tiny = pins.Pin("tiny", "1.0", "", [digest])
    installing.install_hashed("Installing tiny", Path(sys.executable), [tiny], wheel.parent)


def test_a_package_with_its_hash_is_installed(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(hashlib.sha256(wheel.read_bytes()).hexdigest(), wheel, monkeypatch)
    assert (wheel.parent.parent / "installed" / "tiny.py").exists()


def test_a_package_with_another_hash_is_refused_by_name(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(installing.SetupError, match=r"The file of tiny==1\.0 must have one of the hashes") as caught:
        install("0" * 64, wheel, monkeypatch)
    assert "\n" not in str(caught.value)
    assert not (wheel.parent.parent / "installed").exists()


def test_the_file_holds_only_pins_with_hashes() -> None:
    text = (pins.ROOT / "constraints.txt").read_text(encoding="utf-8")
    comments = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    parsed = pins.read_all().values()
    assert text == comments + "".join(f"{pin.lines(with_marker=True)}\n" for pin in parsed)
    assert not re.search(r"://|/home|/opt|/root|/tmp", text)
    assert all(pin.hashes for pin in parsed)


@pytest.mark.parametrize("extra", [*EXTRAS, *GROUPS])
def test_everything_that_an_extra_needs_on_this_machine_is_pinned(extra: str) -> None:
    pinned = pins.read_all()
    waiting, seen = [Requirement(one) for one in pins.requirements(extra)], set()
    while waiting:
        requirement = waiting.pop()
        name = pins.canonical(requirement.name)
        if name in seen or not (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(name)
        assert name in pinned
        assert pinned[name].version in requirement.specifier
        try:
            waiting += [Requirement(one) for one in importlib.metadata.requires(name) or []]
        except importlib.metadata.PackageNotFoundError:
            assert extra in GROUPS  # not needed to run tests
    assert len(seen) >= len(pins.requirements(extra))


def test_what_is_built_from_source_and_what_builds_it_are_pinned() -> None:
    for name, builder in pins.project_settings()["tool"]["caser"]["from-source"].items():
        assert {name, builder} <= set(pins.read_all())


def test_the_pinned_build_tool_is_the_one_that_the_project_names() -> None:
    (requirement,) = pins.project_settings()["build-system"]["requires"]
    assert requirement == f"hatchling=={pins.read_all()['hatchling'].version}"


def test_an_extra_includes_the_extras_that_it_names() -> None:
    assert {"torch", "optuna", "plotly", "numpy"} <= {pins.package(one) for one in pins.requirements("study")}
    assert "torch" not in {pins.package(one) for one in pins.requirements("serve")}


def test_a_needed_package_without_a_pin_is_named(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"install": [{"metadata": {"name": name}} for name in ("NumPy", "un_pinned")]}))
    with pytest.raises(pins.PinError, match=r"it has none of un-pinned; type: python tools/pins\.py --renew"):
        pins.resolved(report, pins.read_all())


@pytest.mark.parametrize(
    "line", ["numpy==2.4.6", "numpy>=2 \\", "    --hash=sha256:12", "<<<<<<< HEAD", "--index-url x", "numpy==2.4.6 \\"]
)
def test_a_line_that_is_no_pin_with_hashes_is_refused_by_its_number(line: str) -> None:
    with pytest.raises(pins.PinError, match="line 2 is") as caught:
        pins.read(f"# A comment.\n{line}\n{pins.Pin('tiny', '1.0', '', ['a' * 64]).lines(True)}\n")
    assert repr(line) in str(caught.value)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout whose `uv` gives tiny 1.0 another hash, and other 2.0 one."""
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "pyproject.toml").write_text("[dependency-groups]\nbuild = []\n")
    (root / "constraints.txt").write_text(f"# How to renew.\n{pins.Pin('tiny', '1.0', '', ['a' * 64]).lines(True)}\n")

    def compile_pins(words: list[str], **_: object) -> None:
        assert "--generate-hashes" in words
        found = [pins.Pin("tiny", "1.0", "", ["b" * 64]), pins.Pin("other", "2.0", " ; os_name == 'nt'", ["c" * 64])]
        Path(words[-1]).write_text("".join(f"{pin.lines(True)}\n" for pin in found))

    monkeypatch.setattr(subprocess, "run", compile_pins)
    return root


def test_renewing_keeps_the_comment_and_adds_the_hash_of_a_wheel(checkout: Path, wheel: Path) -> None:
    pins.renew([wheel], checkout)
    renewed = pins.read_all(checkout)
    ours = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert (checkout / "constraints.txt").read_text().startswith("# How to renew.\n")
    assert renewed["tiny"].hashes == sorted(["a" * 64, "b" * 64, ours])
    assert renewed["other"].marker == " ; os_name == 'nt'"


def test_a_wheel_of_another_version_is_refused_and_nothing_is_written(checkout: Path, wheel: Path) -> None:
    before = (checkout / "constraints.txt").read_text()
    newer = wheel.rename(wheel.with_name("tiny-1.1-py3-none-any.whl"))
    with pytest.raises(pins.PinError, match=r"is 1\.1, the file pins 1\.0"):
        pins.renew([newer], checkout)
    assert (checkout / "constraints.txt").read_text() == before
