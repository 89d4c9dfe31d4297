"""The public names: sorted, all there, all explained, and cheap to import."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import pytest

import caser

HEAVY = ["torch", "polars", "scipy", "pandas", "ray"]


def test_the_public_names_are_sorted() -> None:
    assert list(caser.__all__) == sorted(caser.__all__)


@pytest.mark.parametrize("name", caser.__all__)
def test_every_public_name_is_there_and_explained(name: str) -> None:
    thing = getattr(caser, name)
    assert name == "__version__" or inspect.getdoc(thing)


def test_the_public_names_show_up_in_dir() -> None:
    assert set(caser.__all__) <= set(dir(caser))


def test_an_unknown_name_is_an_attribute_error() -> None:
    unknown = "nonsense"
    with pytest.raises(AttributeError, match=unknown):
        getattr(caser, unknown)


def test_importing_caser_loads_nothing_heavy() -> None:
    assert not modules_after("import caser") & set(HEAVY)


def test_asking_for_help_loads_neither_torch_nor_ray() -> None:
    code = "import runpy, sys\nsys.argv = ['caser', '--help']\ntry: runpy.run_module('caser', run_name='__main__')\n"
    assert not modules_after(code + "except SystemExit: pass") & {"torch", "ray"}


def modules_after(code: str) -> set[str]:
    """Return the modules that a fresh Python has loaded after running code."""
    code += "\nimport json, sys\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))
