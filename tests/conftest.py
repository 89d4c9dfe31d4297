"""What all tests share: slow and real-data tests skip with a reason, and no test takes the machine for itself."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import inspect
import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.skips import NO_LOGS, SLOW

# Before anything imports torch or NumPy: one thread per test process, and none that spins while it waits.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Importing these registers models; only the tests that need them do, and clean up (contracts/test_outside_model.py).
collect_ignore = ["outside"]
# Set-up builds nothing from source, and ir-measures needs a package without a wheel for Linux on ARM.
if importlib.util.find_spec("ir_measures") is None:
    collect_ignore += ["evaluation/test_trec.py", "parity/test_metric_library.py"]

# A shared machine may stall; how long an example takes is not what these tests judge.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the slow tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    reasons = {}
    if not config.getoption("--slow"):
        reasons["slow"] = SLOW
    if data_folder() is None:
        reasons["data"] = NO_LOGS
    for item in items:
        for marker, reason in reasons.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="module", autouse=True)
def _objects_that_stay() -> None:
    """Leave all objects that exist before a file of tests out of later garbage collections.

    Every run of a study collects garbage, to measure its memory. In a process with all modules of the tests, that takes
    half a second for objects that stay anyway.
    """
    gc.collect()
    gc.freeze()


def data_folder() -> Path | None:
    """Return the folder of real logs, if there is one."""
    named = os.environ.get("CASER_CACHE")
    return Path(named) if named and Path(named).is_dir() else None


@pytest.fixture(scope="session")
def cache() -> Path:
    """Return the folder of real logs; for tests marked `data`."""
    folder = data_folder()
    if folder is None:
        pytest.skip(NO_LOGS)
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True
