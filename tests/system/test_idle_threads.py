"""How threads wait: whoever imports the library gets what its command line gets, or one warning."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from caser.system import idle_threads
from caser.system.idle_threads import VARIABLE, let_idle_threads_sleep, warn_of_busy_threads


@pytest.mark.parametrize(("given", "wanted"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_the_import_sets_what_the_caller_did_not_set_and_loads_no_torch(given: str | None, wanted: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    environment |= {} if given is None else {VARIABLE: given}
    code = f"import caser, os, sys; print(os.environ[{VARIABLE!r}], 'torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [wanted, "False", "False"]


def imported(monkeypatch: pytest.MonkeyPatch, *, after_torch: bool, given: str | None) -> None:
    """Do what the import of the library does."""
    monkeypatch.setattr(idle_threads, "_is_late", False)
    monkeypatch.delenv(VARIABLE, raising=False)
    if given is not None:
        monkeypatch.setenv(VARIABLE, given)
    if after_torch:
        monkeypatch.setitem(sys.modules, "torch", sys)
    else:
        monkeypatch.delitem(sys.modules, "torch", raising=False)
    let_idle_threads_sleep()


def test_whoever_loads_torch_first_is_warned_with_the_line_to_add(monkeypatch: pytest.MonkeyPatch) -> None:
    imported(monkeypatch, after_torch=True, given=None)
    with pytest.warns(RuntimeWarning, match=r'Import caser before torch, or .*os\.environ\["OMP_WAIT_POLICY"\]'):
        warn_of_busy_threads(2)


@pytest.mark.parametrize(
    ("after_torch", "given", "num_threads"),
    [(True, None, 1), (True, "ACTIVE", 2), (False, None, 2), (True, "PASSIVE", 8)],
)
def test_nobody_else_is_warned(
    after_torch: bool, given: str | None, num_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported(monkeypatch, after_torch=after_torch, given=given)
    warn_of_busy_threads(num_threads)  # a warning would be an error
