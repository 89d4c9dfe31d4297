"""What lies in the repository: a true tree in the README, and nothing of one machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, source_files
from tests.skips import NO_GIT

# Written so that this file does not name them either.
PACKAGE_INDEX = re.compile(r"pypi[.]org|pythonhosted[.]org|download[.]pytorch[.]org|npmjs[.]org")
MACHINE_PATH = re.compile(r"(?<![\w.~/-])/(work|root|home|Users|opt|mnt)/|[A-Z]:\\Users")


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Return the files that git tracks."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip(NO_GIT)
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def lines_with(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    """Name each line, of those files that are text, in which a pattern is found."""
    found = []
    for path in files:
        lines = path.read_bytes().decode("utf-8", errors="ignore").splitlines()
        found += [f"{path.relative_to(ROOT)}:{n}" for n, line in enumerate(lines, 1) if pattern.search(line)]
    return found


def test_no_file_names_a_package_index(tracked: list[Path]) -> None:
    assert not lines_with(PACKAGE_INDEX, tracked)


def test_no_file_names_a_place_on_one_machine(tracked: list[Path]) -> None:
    assert not lines_with(MACHINE_PATH, tracked)


def test_no_data_set_is_committed(tracked: list[Path]) -> None:
    assert not [path for path in tracked if path.name in {"u.data", "u.item", "ratings.dat", "ratings.csv"}]
    assert max(path.stat().st_size for path in tracked) < 2_000_000


def test_the_readme_tree_names_every_source_file() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", readme, flags=re.MULTILINE | re.DOTALL)
    tree = next((block for block in blocks if "src/caser/" in block), "")
    names = [file.path.name for file in source_files() if file.path.name != "__init__.py"]
    assert not [name for name in names if not re.search(rf"(?<!\w){re.escape(name)}", tree)]
