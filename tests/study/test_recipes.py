"""Recipes: what has another key, and what has not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import caser
from caser.errors import ConfigError
from caser.models import MODELS, model_class
from caser.models.settings import NetworkSettings
from caser.study import recipes
from caser.study.recipes import Recipe, code_digest, digest_of, key_of
from tests.study.small import MARKOV, TINY, small_split


@pytest.mark.parametrize("change", [{"L": 4}, {"dropout": 0.25}, {"learning_rate": 0.1}, {"seed": 1}, {"loss": "bce"}])
def test_another_setting_has_another_key(change: dict[str, object]) -> None:
    assert key_of(TINY.replace(**change), "data") != key_of(TINY, "data")


def test_other_data_and_another_deed_have_another_key() -> None:
    assert len({key_of(TINY, "data"), key_of(TINY, "other"), key_of(TINY, "data", part="test")}) == 3


def test_how_a_report_arranges_a_recipe_and_where_it_trains_leave_its_key_alone() -> None:
    arranged = replace(TINY.replace(device="auto"), group="a", setting=3, view="all", space={"L": (1, 2)})
    assert key_of(arranged, "data") == key_of(TINY, "data")


def test_a_counting_model_ignores_training() -> None:
    assert key_of(MARKOV.replace(seed=5, epochs=3), "data") == key_of(MARKOV, "data")


def test_a_setting_that_neither_model_nor_training_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="learning_rate"):
        TINY.replace(learning_rat=1)


def test_other_logs_and_protocols_have_other_digests() -> None:
    splits = [small_split(), small_split(seed=1), small_split("global-time"), small_split("d2l")]
    assert len({digest_of(split) for split in splits}) == 4
    assert digest_of(small_split()) == digest_of(splits[0])


# Code


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, whose code is what is hashed."""
    copy = tmp_path / "caser"
    shutil.copytree(Path(caser.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__", "report"))
    monkeypatch.setattr(caser, "__file__", str(copy / "__init__.py"))
    return copy


def digest_now(module: str = "caser.models.counting.markov") -> str:
    code_digest.cache_clear()
    return code_digest(module)


@pytest.fixture(autouse=True)
def forget_digests() -> None:
    code_digest.cache_clear()


def test_comments_docstrings_and_layout_do_not_count(package: Path) -> None:
    before = digest_now()
    path = package / "models" / "markov.py"
    code = path.read_text().replace('"""', '"""Now said otherwise. ', 1)
    path.write_text(code + "\n\n# the end\n")
    assert digest_now() == before


@pytest.mark.parametrize("changed", ["models/markov.py", "losses.py", "training/loop.py", "evaluation/ranking.py"])
def test_code_that_trains_or_judges_counts(package: Path, changed: str) -> None:
    before = digest_now()
    with (package / changed).open("a") as file:
        file.write("\nextra = 1\n")
    assert digest_now() != before


def test_other_models_and_reports_do_not_count(package: Path) -> None:
    before = digest_now()
    for other in ("models/ease.py", "cli/study.py", "study/compare.py", "artefact.py"):
        with (package / other).open("a") as file:
            file.write("\nextra = 1\n")
    assert digest_now() == before


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("caser", "gru4rec")]  # they import torch


@pytest.mark.parametrize("name", ["fpmc", "count-knn", *SLOW])
def test_every_file_that_a_model_imports_counts(name: str) -> None:
    module = model_class(name).__module__
    network = f"{module}_network" if issubclass(model_class(name), NetworkSettings) and name != "fpmc" else module
    code = f"import sys, {network}\nprint(*(name for name in sys.modules if name.startswith('caser.models.')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    files = recipes._files_of_model(Path(caser.__file__).parent, module)
    assert {f"{one.rpartition('.')[2]}.py" for one in loaded} <= {path.name for path in files}


def test_the_files_of_factor_models_are_among_them() -> None:
    files = recipes._files_of_model(Path(caser.__file__).parent, "caser.models.factors.fpmc")
    assert {"fpmc.py", "factors.py", "factor_network.py"} <= {path.name for path in files}


def test_a_blend_follows_the_code_of_its_parts(package: Path) -> None:
    before = key_of(Recipe.of("blend"), "data")
    with (package / "models" / "count_knn.py").open("a") as file:
        file.write("\nextra = 1\n")
    code_digest.cache_clear()
    assert key_of(Recipe.of("blend"), "data") != before


@pytest.mark.parametrize("name", MODELS)
def test_the_default_of_a_setting_is_among_the_values_worth_trying(name: str) -> None:
    recipe = Recipe.of(name)
    settings = {**recipe.training.model_dump(), **recipe.model.model_dump()}
    assert not {key: settings[key] for key, values in recipe.model.space.items() if settings[key] not in values}
