"""The store: finished runs are used again, and damaged files are named."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from caser.artefact import folder as artefact
from caser.errors import ArtefactError
from caser.evaluation.protocol import Part
from caser.models.settings import ModelSettings
from caser.study import runs
from caser.study.recipes import Recipe
from caser.study.runs import Store
from caser.system.locks import locked
from caser.system.sealed import seal_json, unseal_json
from tests.study.small import MARKOV, TINY, forbid_training, small_split

SPLIT = small_split()
FORK = multiprocessing.get_context("fork")
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
    assert unseal_json((store.folder / "openings.json").read_bytes())["values"]["openings"] == {"a": 2, "b": 1}


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


def test_one_flipped_bit_in_any_file_of_a_run_is_noticed(store: Store) -> None:
    run = store.run(MARKOV, None, 0, "test")
    for ending in (".json", ".ranks.safetensors"):
        path = run.folder.with_suffix(ending)
        content = path.read_bytes()
        for flipped in np.random.default_rng(0).choice(8 * len(content), 60, replace=False).tolist():
            place, bit = divmod(flipped, 8)
            path.write_bytes(content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :])
            with pytest.raises(ArtefactError, match="must hold what a study wrote"):
                store.run(MARKOV, None, 0, "test")
        path.write_bytes(content)


def test_the_ranks_of_another_run_are_refused(store: Store) -> None:
    one, other = (store.run(MARKOV, None, 0, part) for part in ("test", "validation"))
    one.folder.with_suffix(".ranks.safetensors").write_bytes(
        other.folder.with_suffix(".ranks.safetensors").read_bytes()
    )
    with pytest.raises(ArtefactError, match="the ranks of another run"):
        store.run(MARKOV, None, 0, "test")


WRONG: dict[str, list[object]] = {
    "epochs": [10**9, 10**30, -1, 0, True, "3", 1.5, [1]],
    "value": ["high", None, [], True],
    "seconds": [-1.0, "1", None],
    "history": [None, {}, [1], [{}], [{"number": "1"}], "x"],
    "self": [1],
    "surprise": [1],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_choice_with_a_good_seal_and_a_wrong_value_is_one_clear_error(store: Store, name: str, value: object) -> None:
    store.choice(MARKOV)
    (path,) = (store.folder / "choices").glob("*.json")
    kept = unseal_json(path.read_bytes())
    path.write_bytes(seal_json({**kept, "values": {**kept["values"], name: value}}))
    with pytest.raises(ArtefactError, match="must hold what a study wrote") as caught:
        store.choice(MARKOV)
    assert "unexpected" not in str(caught.value)


@pytest.mark.parametrize("values", [{"a": -1}, {"a": 10**30}, {"a": "1"}, {"a": True}, [1], None, 3])
def test_a_wrong_count_of_openings_is_one_clear_error(store: Store, values: object) -> None:
    store.folder.mkdir(parents=True, exist_ok=True)
    (store.folder / "openings.json").write_bytes(seal_json({"values": {"openings": values}}))
    with pytest.raises(ArtefactError, match="must hold what a study wrote"):
        store.count_opening("a")


def open_often(store: Store, times: int) -> None:
    for _ in range(times):
        store.count_opening("a")


def test_openings_that_several_processes_count_add_up(store: Store) -> None:
    processes = [FORK.Process(target=open_often, args=(store, 10)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert store.num_openings("a") == 40


def test_a_run_that_another_study_makes_meanwhile_is_read_and_not_made_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Store(store.folder, SPLIT).run
    locking = locked

    def later(path: Path) -> object:
        with monkeypatch.context() as patch:
            patch.setattr(runs, "locked", locking)
            made(MARKOV, None, 0, "test")  # the other study had the lock
        forbid_training(monkeypatch)
        return locking(path)

    monkeypatch.setattr(runs, "locked", later)
    assert store.run(MARKOV, None, 0, "test").seed == 0
