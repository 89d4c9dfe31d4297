"""A small run folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from caser.artefact.folder import save
from tests.runs import caser_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A saved run of Caser, with users ann, bob, eve and zoe, and items 10 to 60."""
    save(caser_run(), tmp_path / "run")
    return tmp_path / "run"
