"""The store: finished runs are used again, and damaged files are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from caser.artefact import folder as artefact
from caser.errors import ArtefactError
from caser.evaluation.protocols import Part
from caser.models.settings import ModelSettings
from caser.study.recipes import Recipe
from caser.study.runs import Store
from tests.study.small import MARKOV, TINY, forbid_training, small_split

SPLIT = small_split()
PARTS: tuple[Part, ...] = ("validation", "test")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", SPLIT)


@pytest.mark.parametrize(("recipe", "epochs"), [(MARKOV, None), (TINY, 1)])
def test_a_finished_run_is_used_again(
    store: Store, recipe: Recipe, epochs: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store.run(recipe, epochs, 3, "test")
    forbid_training(monkeypatch)
    again = Store(store.folder, SPLIT).run(recipe, epochs, 3, "test")
    np.testing.assert_array_equal(again.table.ranks, first.table.ranks)
    np.testing.assert_array_equal(again.table.top_QK, first.table.top_QK)
    assert dict(again.table.facts) == dict(first.table.facts)
    assert (again.epochs, again.seed, again.num_parameters, again.seconds) == (
        first.epochs,
        3,
        first.num_parameters,
        first.seconds,
    )


def test_a_choice_is_used_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.choice(TINY)
    forbid_training(monkeypatch)
    assert store.choice(TINY) == first
    assert len(first.history) == 2


def test_another_recipe_seed_part_or_log_is_another_run(store: Store) -> None:
    other = Store(store.folder, small_split(seed=1))
    paths = {
        store.path_of(TINY, 1, 0, "test"),
        store.path_of(TINY, 2, 0, "test"),
        store.path_of(TINY, 1, 1, "test"),
        store.path_of(TINY, 1, 0, "validation"),
        store.path_of(TINY.replace(d=8), 1, 0, "test"),
        other.path_of(TINY, 1, 0, "test"),
    }
    assert len(paths) == 6


def test_a_kept_run_is_an_artefact_that_says_whether_the_test_part_was_opened(store: Store) -> None:
    for part in PARTS:
        run = store.run(MARKOV, None, 0, part)
        assert artefact.load(run.folder).manifest["test_openings"] == (part == "test")


def test_validation_trains_on_less_than_the_test(store: Store) -> None:
    loaded = [artefact.load(store.run(MARKOV, None, 0, part).folder) for part in PARTS]
    assert [one.manifest["train_on"] for one in loaded] == ["fit", "final"]


def test_a_run_without_its_facts_is_incomplete(store: Store) -> None:
    run = store.run(MARKOV, None, 0, "test")
    assert store.has(MARKOV, None, 0, "test")
    run.folder.with_suffix(".json").unlink()
    assert not store.has(MARKOV, None, 0, "test")
    np.testing.assert_array_equal(store.run(MARKOV, None, 0, "test").table.ranks, run.table.ranks)


@pytest.mark.parametrize("ending", [".json", ".ranks.safetensors"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff\xfe", None])
def test_a_damaged_run_is_one_clear_error(store: Store, ending: str, content: bytes | None) -> None:
    path = store.run(MARKOV, None, 0, "test").folder.with_suffix(ending)
    path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    with pytest.raises(ArtefactError, match="must hold what a study wrote") as caught:
        store.run(MARKOV, None, 0, "test")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"choice": {"value": 1}}', '{"choice": 3}'])
def test_a_damaged_choice_is_one_clear_error(store: Store, content: str) -> None:
    store.choice(MARKOV)
    (path,) = (store.folder / "choices").glob("*.json")
    path.write_text(content)
    with pytest.raises(ArtefactError, match="must hold what a study wrote"):
        store.choice(MARKOV)


def test_openings_are_counted_for_each_test_part(store: Store) -> None:
    store.count_opening("a")
    store.count_opening("a")
    store.count_opening("b")
    assert [store.num_openings(name) for name in "abc"] == [2, 1, 0]
    assert json.loads((store.folder / "openings.json").read_text()) == {"a": 2, "b": 1}


def test_no_partial_file_and_no_checkpoint_is_left(store: Store) -> None:
    store.choice(TINY)
    store.run(TINY, 1, 0, "test")
    assert not [path for path in store.folder.rglob("*") if "partial" in path.name or "checkpoint" in path.name]


def test_settings_are_written_beside_the_numbers(store: Store) -> None:
    path = store.run(TINY, 1, 7, "test").folder.with_suffix(".json")
    facts = json.loads(path.read_text())
    settings: ModelSettings = TINY.model
    assert facts["settings"] == settings.model_dump(mode="json")
    assert facts["training"]["seed"] == 7
