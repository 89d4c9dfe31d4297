"""The code that decides a result: which files count for which model, and which changes of them."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import Tensor

import caser
from caser.config import LOSSES, Loss, Training
from caser.errors import CaserError
from caser.models import model_settings
from caser.study import code_digest as digests
from caser.study.code_digest import NOT_FOLLOWED, UnreadableCodeError, code_digest, entries_of, modules_reached
from caser.study.recipes import Recipe

RUNS, ORDER = "caser.study.runs", "caser.study.audit.order"
MARKOV = "caser.models.counting.markov"


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """Files are read anew before and after each test."""
    forget()
    yield
    forget()


def forget() -> None:
    code_digest.cache_clear()
    digests._followed.cache_clear()
    digests._parse.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, whose code is hashed instead."""
    copy = tmp_path / "caser"
    shutil.copytree(Path(caser.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__", "report"))
    monkeypatch.setattr(caser, "__file__", str(copy / "__init__.py"))
    return copy


def digest_now(*entries: str) -> str:
    forget()
    return code_digest(*(entries or (RUNS, MARKOV)))


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


DECIDING = (
    "config.py",
    "data/tape.py",
    "evaluation/judge.py",
    "evaluation/metrics.py",
    "evaluation/protocols.py",
    "evaluation/rank_table.py",
    "evaluation/ranking.py",
    "fitting/fit.py",
    "fitting/network_run.py",
    "models/counting/markov.py",
    "models/neural.py",
    "system/randomness.py",
    "training/batches.py",
    "training/loop.py",
    "training/negatives.py",
    "training/objective.py",
)


@pytest.mark.parametrize("computed_by", [RUNS, ORDER])
def test_what_trains_and_judges_counts_for_studies_and_audits(computed_by: str) -> None:
    names = {f"caser.{path.removesuffix('.py').replace('/', '.')}" for path in DECIDING}
    assert names <= set(modules_reached(computed_by, MARKOV))


@pytest.mark.parametrize("changed", ["evaluation/judge.py", "fitting/fit.py", "models/counting/markov.py"])
def test_a_changed_function_changes_the_digest(package: Path, changed: str) -> None:
    before = digest_now()
    append(package / changed, "\n\ndef changed() -> int:\n    return 1\n")
    assert digest_now() != before


def test_comments_docstrings_and_layout_do_not_count(package: Path) -> None:
    before = digest_now()
    for changed in DECIDING:
        path = package / changed
        code = path.read_text(encoding="utf-8").replace('"""', '"""Now in other words. ', 1)
        path.write_text(f"# a comment\n\n{code}\n\n# the end\n", encoding="utf-8")
    assert digest_now() == before


def test_other_models_and_rooms_that_decide_nothing_do_not_count(package: Path) -> None:
    before = digest_now()
    others = (
        "models/counting/ease.py",
        "models/caser/network.py",
        "study/compare.py",
        "data/readers.py",
        "cli/study.py",
    )
    for changed in (*others, "artefact/folder.py", "answering/recommender.py", "__init__.py"):
        append(package / changed, "\nextra = 1\n")
    assert digest_now() == before


def test_a_file_that_is_moved_still_counts(package: Path) -> None:
    moved = package / "system" / "moved.py"
    (package / "evaluation" / "ranking.py").rename(moved)
    for path in package.rglob("*.py"):
        code = path.read_text(encoding="utf-8")
        path.write_text(code.replace("caser.evaluation.ranking", "caser.system.moved"), encoding="utf-8")
    before = digest_now()
    append(moved, "\nextra = 1\n")
    assert digest_now() != before


def test_a_module_that_cannot_be_found_is_an_error(package: Path) -> None:
    (package / "training" / "negatives.py").unlink()
    with pytest.raises(CaserError, match=r"caser\.training\.negatives is in no file"):
        digest_now()


def test_a_module_that_is_imported_for_types_only_does_not_count(package: Path) -> None:
    before = modules_reached(RUNS)
    append(package / "fitting" / "fit.py", "\nif TYPE_CHECKING:\n    from caser.study import compare\n")
    forget()
    assert modules_reached(RUNS) == before


def test_relative_imports_are_followed(package: Path) -> None:
    (package / "study" / "more").mkdir()
    (package / "study" / "more" / "__init__.py").write_text("from .below import one\nfrom ..chance import chance\n")
    (package / "study" / "more" / "below.py").write_text("from . import beside\none = 1\n")
    (package / "study" / "more" / "beside.py").write_text("")
    names = set(modules_reached("caser.study.more"))
    assert {"caser.study.more.below", "caser.study.more.beside", "caser.study.chance"} <= names


@pytest.mark.parametrize("room", NOT_FOLLOWED)
def test_a_room_that_is_not_followed_exists(room: str) -> None:
    assert importlib.import_module(room)


# What a training really loads

REACHED_ONLY_BY_NOT_FOLLOWED = ("caser.search", "caser.system.frames")
"""Loaded by the rooms that are not followed, and by no other."""
TRAIN = """
import sys, tempfile, pathlib
from caser.study.recipes import Recipe
from caser.study.runs import Store
from caser.data.synthetic import chain_world
from caser.evaluation.protocols import apply
recipe = Recipe.of({name!r})
recipe = recipe.replace(epochs=1, device="cpu") if recipe.is_neural else recipe
split = apply("leave-one-out", chain_world(num_users=40, num_items=6, length=9, seed=0).log)
with tempfile.TemporaryDirectory() as folder:
    store = Store(pathlib.Path(folder), split)
    store.run(recipe, store.choice(recipe).epochs, 0, "test")
print(*(name for name in sys.modules if name.startswith("caser.")))
"""
NETWORKS = ("sasrec", "esasrec", "nextitnet", "gru4rec", "bpr-mf", "fpmc")
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]


@pytest.mark.parametrize("name", ["count-knn", "blend", "caser", *SLOW])
def test_every_file_that_a_training_loads_counts(name: str) -> None:
    run = [sys.executable, "-c", TRAIN.format(name=name)]
    loaded = set(subprocess.run(run, capture_output=True, text=True, check=True).stdout.split())
    recipe = Recipe.of(name)
    counted = set(modules_reached(RUNS, *entries_of(recipe.model, recipe.training)))
    ignored = tuple(f"{room}." for room in (*NOT_FOLLOWED, *REACHED_ONLY_BY_NOT_FOLLOWED, "caser.data.synthetic"))
    by_answers = {*modules_reached("caser.data.item_table"), *modules_reached("caser.data.attributes")}
    assert not {module for module in loaded - counted - by_answers if not f"{module}.".startswith(ignored)}


# Losses, and models from outside this package


def test_the_code_of_the_loss_counts_for_those_who_train_with_it() -> None:
    caser_model = model_settings("caser")
    assert "caser.training.losses" in entries_of(caser_model, Training())
    assert "caser.training.losses" not in entries_of(model_settings("markov"))


def _no_loss(positive_M: Tensor, negative_MN: Tensor) -> Tensor:
    raise NotImplementedError


def test_a_loss_from_outside_counts_with_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOSSES._rows, "mine", Loss(_no_loss, "sampled"))
    assert __name__ in entries_of(model_settings("caser"), Training(loss="mine"))


def test_a_blend_counts_with_the_code_of_its_parts() -> None:
    assert {"caser.models.blend", "caser.models.counting.count_knn", "caser.models.counting.popularity"} <= entries_of(
        model_settings("blend")
    )


MODEL = """
from caser.models.counting.popularity import Popularity
{more}
class Mine(Popularity):
    name = "mine"
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that Python imports from; its modules are forgotten after the test."""
    folder = tmp_path / "outside"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    known = set(sys.modules)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield folder
    for name in set(sys.modules) - known:
        del sys.modules[name]


def test_a_model_in_a_file_of_its_own_counts_with_the_files_beside_it_that_it_imports(outside: Path) -> None:
    (outside / "mine_alone.py").write_text(MODEL.format(more="import numpy, mine_helper"))
    (outside / "mine_helper.py").write_text("one = 1\n")
    (outside / "mine_other.py").write_text("two = 2\n")
    entries = entries_of(importlib.import_module("mine_alone").Mine())
    before = digest_now(*entries)
    assert set(modules_reached("mine_alone")) & {"numpy", "mine_alone", "mine_helper", "mine_other"} == {
        "mine_alone",
        "mine_helper",
    }
    assert "caser.models.counting.popularity" in modules_reached("mine_alone")
    append(outside / "mine_other.py", "three = 3\n")
    assert digest_now(*entries) == before
    append(outside / "mine_helper.py", "three = 3\n")
    assert digest_now(*entries) != before


def test_a_model_in_a_package_counts_with_the_files_of_that_package(outside: Path) -> None:
    (outside / "mine_package" / "deep").mkdir(parents=True)
    (outside / "mine_package" / "__init__.py").write_text("")
    (outside / "mine_package" / "deep" / "__init__.py").write_text("")
    (outside / "mine_package" / "deep" / "model.py").write_text(MODEL.format(more="from ..help import one"))
    (outside / "mine_package" / "help.py").write_text("one = 1\n")
    importlib.import_module("mine_package.deep.model")
    own = {name for name in modules_reached("mine_package.deep.model") if name.startswith("mine")}
    assert own == {"mine_package", "mine_package.deep", "mine_package.deep.model", "mine_package.help"}


def test_a_model_whose_own_file_is_missing_cannot_be_read(outside: Path) -> None:
    (outside / "mine_broken").mkdir()
    (outside / "mine_broken" / "__init__.py").write_text("def later():\n    import mine_broken.gone\n")
    importlib.import_module("mine_broken")
    with pytest.raises(UnreadableCodeError, match=r"mine_broken\.gone is in no file"):
        code_digest("mine_broken")


def test_the_same_class_in_a_script_and_in_a_worker_has_the_same_digest(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outside / "mine_script.py").write_text(MODEL.format(more=""))
    module = importlib.import_module("mine_script")
    monkeypatch.setattr(module, "__spec__", None)
    found = set()
    for name in ("__main__", "__mp_main__"):
        monkeypatch.setitem(sys.modules, name, module)
        found.add(digest_now(name))
    assert found == {digest_now("mine_script")}
