"""A small run folder, and support for async tests without a plug-in."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest

from caser.artefact.folder import save
from tests.runs import caser_run


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A saved run of Caser, with users ann, bob, eve and zoe, and items 10 to 60."""
    save(caser_run(), tmp_path / "run")
    return tmp_path / "run"
