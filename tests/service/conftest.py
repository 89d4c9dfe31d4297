"""A small run folder, and a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from caser.artefact.folder import save
from tests.runs import caser_run
from tests.service.postgres_cluster import Cluster, programs
from tests.skips import NO_POSTGRES


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A saved run of Caser, with users ann, bob, eve and zoe, and items 10 to 60."""
    save(caser_run(), tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server for all tests of a process, which is gone after them."""
    yield from _started()


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A PostgreSQL server that a test may stop."""
    yield from _started()


def _started() -> Iterator[Cluster]:
    if programs() is None:
        pytest.skip(NO_POSTGRES)
    with Cluster() as started:
        yield started
