"""A type checker knows the public names: it takes what is right, and refuses what is wrong where it is written."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from mypy import api

import caser
from caser import _HOME
from tests.architecture.source import PACKAGE, ROOT

WRONG = {
    'caser.fit(caser.Caser(L="wrong"), split)': "arg-type",
    "caser.fit(caser.Caser(), 3)": "arg-type",
    "caser.fit(caser.Caser(), split, nonsense=True)": "call-arg",
    "caser.fit(3, split)": "arg-type",
    "caser.nonsense": "attr-defined",
    "caser.Training(epochs='many')": "arg-type",
    "caser.Caser(length=5)": "call-arg",
    "caser.Caser().height": "attr-defined",
    "caser.evaluate(split, split)": "arg-type",
    "caser.load(5)": "arg-type",
    "caser.leave_one_out('log.csv')": "arg-type",
}
"""Lines that are wrong, and the code of mypy's error."""


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """What `mypy --strict`, without settings of this project, says of the wrong lines: error codes by line number."""
    folder = tmp_path_factory.mktemp("typing")
    program = ["import caser", "def wrong(split: caser.Split) -> None:", *(f"    {line}" for line in WRONG)]
    (folder / "wrong.py").write_text("\n".join(program) + "\n")
    (folder / "right.py").write_text((Path(__file__).parent / "right_use.py").read_text(encoding="utf-8"))
    (folder / "mypy.ini").write_text("[mypy]\n")
    cache = ROOT / ".mypy_cache" / "typing"
    options = ["--strict", "--config-file", str(folder / "mypy.ini"), "--cache-dir", str(cache), "--show-error-codes"]
    said, failed, _ = api.run([*options, str(folder / "wrong.py"), str(folder / "right.py")])
    assert not failed, failed
    assert "right.py" not in said, said
    found = re.findall(r"wrong\.py:(\d+): error: .*\[([a-z-]+)\]", said)
    return {int(line): code for line, code in found}


@pytest.mark.slow
@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_line_is_refused(line: str, errors: dict[int, str]) -> None:
    assert errors.get(list(WRONG).index(line) + 3) == WRONG[line]


@pytest.mark.slow
def test_only_the_wrong_lines_are_refused(errors: dict[int, str]) -> None:
    assert sorted(errors) == list(range(3, len(WRONG) + 3))


def test_the_stub_names_what_the_module_offers() -> None:
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    homes = {one.asname: f"{node.module}:{one.name}" for node in imports for one in node.names}
    assert homes == {name: home if ":" in home else f"{home}:{name}" for name, home in _HOME.items()}
    (listed,) = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    assert ast.literal_eval(listed) == caser.__all__


def test_no_module_has_the_name_of_a_public_one() -> None:
    beside = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert not beside & set(caser.__all__)


def test_every_error_is_public() -> None:
    from caser import errors

    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.CaserError)]
    assert {one.__name__ for one in kinds} <= set(caser.__all__)


def test_the_file_of_right_uses_is_checked() -> None:
    assert (Path(__file__).parent / "right_use.py").is_file()
