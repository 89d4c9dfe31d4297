"""The package: it holds what git tracks and no more, each extra is tried, and only what says it is a release is one."""

from __future__ import annotations

import datetime
import io
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from caser import __version__
from tests.skips import NEEDS_EXTRAS, NO_GIT
from tools import installing, package, pins, smoke

TODAY = datetime.date(2026, 11, 29)
FILES = {"pyproject.toml": "[project]\n", "src/caser/__init__.py": '__version__ = "1.2.3"\n', "src/caser/py.typed": ""}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a small checkout that git tracks."""
    root = tmp_path / "checkout"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    for words in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    return root


def wheel_of(checkout: Path, **changes: str | None) -> Path:
    """A wheel of the small checkout; `changes` are texts by name, with None for a file that is left out."""
    own = {name[4:]: text for name, text in FILES.items() if name.startswith("src/")}
    files = {**own, **{f"caser-1.2.3.dist-info/{name}": "" for name in package.METADATA}, **changes}
    path = checkout.parent / "caser-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            if text is not None:
                archive.writestr(name, text)
    return path


def sdist_of(checkout: Path, files: dict[str, str]) -> Path:
    """A source distribution with files, and with the metadata that it always has."""
    path = checkout.parent / "caser-1.2.3.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in {**files, "PKG-INFO": "Name: caser\n"}.items():
            one = tarfile.TarInfo(f"caser-1.2.3/{name}")
            one.size = len(text.encode())
            archive.addfile(one, io.BytesIO(text.encode()))
    return path


def test_a_wheel_with_the_tracked_files_is_accepted(checkout: Path) -> None:
    package.check_wheel(wheel_of(checkout), checkout)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"caser/extra.py": ""}, r"holds also caser/extra\.py"),
        ({"tests/test_x.py": ""}, r"holds also tests/test_x\.py"),
        ({"caser/py.typed": None}, r"lacks caser/py\.typed"),
        ({"caser/__init__.py": "x = 1"}, r"has another content of caser/__init__\.py"),
        ({"caser-1.2.3.dist-info/licenses/LICENSE": None}, r"metadata of .* must be .*licenses/LICENSE"),
    ],
    ids=["file too many", "test", "file missing", "file changed", "no licence"],
)
def test_another_wheel_is_refused(checkout: Path, changes: dict[str, str | None], sentence: str) -> None:
    with pytest.raises(package.PackageError, match=sentence):
        package.check_wheel(wheel_of(checkout, **changes), checkout)


def test_a_wheel_that_names_the_folder_of_the_checkout_is_refused(checkout: Path) -> None:
    wheel = wheel_of(checkout, **{"caser-1.2.3.dist-info/METADATA": f"Home: {checkout}\n"})
    with pytest.raises(package.PackageError, match=r"no place on this machine; METADATA of"):
        package.check_wheel(wheel, checkout)


def test_a_source_distribution_holds_the_checkout_and_its_metadata(checkout: Path) -> None:
    package.check_sdist(sdist_of(checkout, FILES), checkout)
    with pytest.raises(package.PackageError, match=r"it lacks pyproject\.toml"):
        package.check_sdist(sdist_of(checkout, {k: v for k, v in FILES.items() if k != "pyproject.toml"}), checkout)
    with pytest.raises(package.PackageError, match=r"it holds also notes\.txt \(1 in all\)"):
        package.check_sdist(sdist_of(checkout, {**FILES, "notes.txt": ""}), checkout)


def test_outside_of_git_nobody_knows_what_belongs_to_the_package(tmp_path: Path) -> None:
    with pytest.raises(package.PackageError, match="must be built in a git checkout"):
        package.tracked("", tmp_path)


def test_the_wheel_of_this_checkout_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason=NEEDS_EXTRAS)
    if not (pins.ROOT / ".git").exists():
        pytest.skip(NO_GIT)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=pins.ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    package.check_wheel(wheel, pins.ROOT)


def test_every_extra_is_tried_with_work_of_its_own() -> None:
    assert package.extras(pins.ROOT) == list(smoke.PROBES)


def test_an_extra_that_does_not_exist_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(package.PackageError, match="got 'trian'; known: none, train"):
        package.check(tmp_path / "no-python", ["trian"], pins.ROOT)


def test_a_wheel_is_installed_by_name_version_and_hash(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def record(what: str, python: Path, words: list[str], root: Path) -> None:
        asked.append(Path(words[words.index("--requirement") + 1]).read_text(encoding="utf-8"))
        assert words[words.index("--constraint") + 1] == "constraints.txt"

    monkeypatch.setattr(installing, "pip", record)
    package.install_by_name("caser[serve]", wheel_of(checkout), Path(sys.executable), checkout)
    assert re.fullmatch(r"caser\[serve\]==1\.2\.3 --hash=sha256:[0-9a-f]{64}\n", asked[0])


def test_the_smoke_test_says_which_command_failed_and_what_it_printed() -> None:
    failing = (sys.executable, "-c", "import sys; print('so it is'); sys.exit(3)")
    with pytest.raises(SystemExit, match=r"ended with 3\nso it is"):
        smoke.run("--anything", program=failing)
    assert smoke.run(program=failing, code=3) == "so it is\n"


def test_the_smoke_test_refuses_the_caser_of_a_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(SystemExit, match="caser is not the installed one"):
        smoke.core()


@pytest.mark.parametrize(
    ("tag", "heading", "sentence"),
    [
        ("1.2.3", "1.2.3 - 2026-11-28", r"must have the tag v1\.2\.3, .* got 1\.2\.3$"),
        ("v1.2.3", "1.2.3 - unreleased", r"must be '## 1\.2\.3 - 2026-11-29'; got '## 1\.2\.3 - unreleased'"),
        ("v1.2.3", "1.2.2 - 2026-11-28", r"got '## 1\.2\.2 - 2026-11-28'"),
        ("v1.2.3", "Next", "got 'no such heading'"),
        ("v1.2.3", "1.2.3 - 2026-11-30", "must not be later than 2026-11-29"),
    ],
)
def test_what_does_not_say_that_it_is_a_release_is_none(tag: str, heading: str, sentence: str, checkout: Path) -> None:
    (checkout / "CHANGELOG.md").write_text(f"# Changelog\n\n## {heading}\n", encoding="utf-8")
    with pytest.raises(package.PackageError, match=sentence):
        package.check_release(tag, checkout, TODAY)


def test_a_dated_version_with_its_tag_is_a_release(checkout: Path) -> None:
    (checkout / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 - 2026-11-29\n", encoding="utf-8")
    package.check_release("v1.2.3", checkout, TODAY)


def test_the_version_is_written_once_and_the_rest_follows_it() -> None:
    assert package.version_of(pins.ROOT) == __version__
    headings = re.findall(r"^## (.+)$", (pins.ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert all(package.HEADING.fullmatch(f"## {heading}") for heading in headings)
    assert headings[0].startswith(f"{__version__} - ")
    assert not [heading for heading in headings[1:] if heading.endswith("unreleased")]
    assert f"image: caser:{__version__}\n" in (pins.ROOT / "deploy/kubernetes/caser.yaml").read_text(encoding="utf-8")
    assert "version:" not in (pins.ROOT / "CITATION.cff").read_text(encoding="utf-8").replace("cff-version:", "")


def test_every_requirement_of_an_extra_has_a_floor_that_is_a_constraint() -> None:
    names = [name for name in package.extras(pins.ROOT) if name != package.NO_EXTRA]
    floors = pins.floors(names)
    assert len(floors) == len({line.partition("==")[0] for line in floors})  # each once
    assert {"numpy==2.0", "torch==2.13", "uvloop==0.22.1; sys_platform != 'win32'", "psycopg==3.2.10"} <= set(floors)
    with pytest.raises(pins.PinError, match=r"must have a lowest version, .* got 'numpy<3'"):
        pins.floor("numpy<3")
