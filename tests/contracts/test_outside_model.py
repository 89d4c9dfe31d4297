"""A model that is written outside the package is a model like any other: one that counts, and a network.

They are fitted, judged, saved, loaded, compared (in this process and in workers), asked, explained and served.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caser
from caser.answering.explain import explain
from caser.config import Training
from caser.data.split import Split, leave_one_out
from caser.data.synthetic import chain_world
from caser.errors import ArtefactError, ConfigError
from caser.exported.networks import NETWORKS, NetworkGraph
from caser.exported.scorer import through_onnx
from caser.exported.write import write_onnx
from caser.models import MODELS, model_settings
from tests.architecture.source import ROOT
from tests.runs import fitted
from tests.service.serving import serving

FILE = "tests.outside.models"
COUNTING, NETWORK = "outside-followers", "outside-mean"
TRAINING = Training(batch_size=64, learning_rate=0.05, device="cpu")

every_model = pytest.mark.parametrize("name", [COUNTING, NETWORK])


@pytest.fixture(autouse=True, scope="module")
def outside() -> Iterator[None]:
    """Import the file that registers the models, and take them out of the tables afterwards, for other tests."""
    models, networks = dict(MODELS._rows), dict(NETWORKS._rows)
    import_module(FILE)
    yield
    for table, rows in ((MODELS, models), (NETWORKS, networks)):
        table._rows.clear()
        table._rows.update(rows)  # type: ignore[arg-type]
    del sys.modules[FILE]


@pytest.fixture(scope="module")
def split() -> Split:
    """A world in which every item has one successor."""
    return leave_one_out(chain_world(num_users=60, num_items=8, length=10, predictability=1.0, seed=0).log)


@every_model
def test_it_is_fitted_and_beats_the_baseline_that_knows_no_order(name: str, split: Split) -> None:
    report = caser.evaluate(fitted(model_settings(name), split, TRAINING, epochs=6), split)
    assert set(report.values) == {"popularity", "markov", "count-knn", name}
    assert report.estimate(name, "mrr@10").value > 0.9 > report.estimate("popularity", "mrr@10").value


@every_model
def test_it_is_saved_and_loaded(name: str, split: Split, tmp_path: Path) -> None:
    recommender = fitted(model_settings(name), split, TRAINING, epochs=2)
    recommender.save(tmp_path / "run")
    loaded = caser.load(tmp_path / "run")
    assert loaded.artefact.config == recommender.artefact.config
    users = split.log.user_vocabulary.ids.to_list()
    for one, other in zip(recommender.recommend(users=users), loaded.recommend(users=users), strict=True):
        assert one.items == other.items
        assert one.scores == pytest.approx(other.scores, abs=1e-4)


@every_model
def test_it_answers_and_explains(name: str, split: Split) -> None:
    recommender = fitted(model_settings(name), split, TRAINING, epochs=2)
    [answer] = recommender.recommend(histories=[1, 2], k=3)
    assert (len(answer.items), answer.source) == (3, "history")
    assert len(recommender.similar(1, k=2)[0].items) == 2
    explanation = explain(recommender, item=answer.items[0], history=[1, 2])
    assert explanation.score == pytest.approx(answer.scores[0], abs=1e-5)
    assert [effect.item_id for effect in explanation.history] == [2]


@pytest.mark.parametrize("workers", [1, pytest.param(2, id="two spawned workers", marks=pytest.mark.slow)])
def test_both_are_compared_with_the_models_of_the_library(split: Split, tmp_path: Path, workers: int) -> None:
    plan = caser.Plan(seeds=(0,), workers=workers, store=tmp_path / "store")
    study = caser.compare(split, [COUNTING, NETWORK], plan, training={"epochs": 4, "device": "cpu"})
    assert {COUNTING, NETWORK, "markov", "popularity"} <= set(study.ranking)
    assert not study.outcome.notes
    assert study.recipe(NETWORK).is_neural
    assert not study.recipe(COUNTING).is_neural


@every_model
def test_it_is_tuned_over_its_own_space(name: str, split: Split, tmp_path: Path) -> None:
    plan = caser.Plan(seeds=(), workers=1, store=tmp_path / "store", budget=1.0, part="validation")
    training = {"epochs": 4, "device": "cpu"} if name == NETWORK else None  # counting models have none
    winner = caser.auto(split, plan, [name], training=training)
    assert name in winner.tried


@every_model
def test_it_is_served(name: str, split: Split, tmp_path: Path) -> None:
    recommender = fitted(model_settings(name), split, TRAINING, epochs=2)
    recommender.save(tmp_path / "run")
    expected = recommender.recommend(histories=[1, 2], k=3)[0].items

    async def ask() -> Any:
        async with serving(tmp_path / "run") as served:
            return await served.post("/v1/recommend", {"history": [1, 2], "k": 3, "explain": True})

    answer = asyncio.run(ask())
    assert [item["item_id"] for item in answer["items"]] == expected
    assert all("parts" in str(item) for item in answer["items"])


@every_model
def test_a_program_that_did_not_register_it_is_told_what_to_do(name: str, split: Split, tmp_path: Path) -> None:
    fitted(model_settings(name), split, TRAINING, epochs=2).save(tmp_path / "run")
    program = "import sys, caser\ntry: caser.load(sys.argv[1])\nexcept caser.CaserError as error: print(error)"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "run")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert f"got {name!r}, which is not" in done.stdout
    assert "Import the file that registers it (caser.register_model) before you load the run" in done.stdout
    again = f"import sys, caser, {FILE}\nprint(caser.load(sys.argv[1]).recommend(histories=[1], k=2)[0].items)"
    done = subprocess.run(
        [sys.executable, "-c", again, str(tmp_path / "run")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert len(done.stdout.split(",")) == 2


def test_a_name_that_the_library_has_is_refused() -> None:
    from caser.models import register_model

    class Mine(type(model_settings(COUNTING))):  # type: ignore[misc]
        name = "markov"

    with pytest.raises(ConfigError, match="markov"):
        register_model(Mine)


def test_a_class_without_a_name_is_refused() -> None:
    class Nameless(caser.CountingSettings):
        """A model that nobody can call."""

    with pytest.raises(ConfigError, match="a model must be a class with a `name`, which is text; got <class"):
        caser.register_model(Nameless)


@pytest.mark.parametrize("place", ["builtins:print", "tests.outside.models:Nothing"])
def test_a_broken_model_of_a_package_breaks_no_other(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS._rows, "broken", place)
    with pytest.raises(
        ConfigError, match=r"broken of the entry-point group caser\.models must be a subclass of Counting"
    ):
        model_settings("broken")
    assert "broken" in list(MODELS)
    assert "broken" not in MODELS.usable()
    assert model_settings("markov").name == "markov"


def test_a_damaged_run_of_it_is_refused_by_name(split: Split, tmp_path: Path) -> None:
    fitted(model_settings(COUNTING), split, TRAINING).save(tmp_path / "run")
    (tmp_path / "run" / "weights.safetensors").write_bytes(b"")
    with pytest.raises(ArtefactError, match=r"weights\.safetensors"):
        caser.load(tmp_path / "run")


# Exporting


def test_without_a_graph_its_export_is_refused_and_with_one_it_works(split: Split, tmp_path: Path) -> None:
    recommender = fitted(model_settings(NETWORK), split, TRAINING, epochs=2)
    recommender.save(tmp_path / "run")
    recommender = caser.load(tmp_path / "run")
    with pytest.raises(ConfigError, match="none is registered for outside-mean"):
        write_onnx(recommender.artefact, tmp_path / "model.onnx")

    def states(g: Any, config: Any, users_B: str, read_BX: str) -> str:
        sum_BD = g("ReduceSum", g("Gather", "in", read_BX), [1], keepdims=0)
        return str(g("Div", sum_BD, np.float32(config.window)))

    NETWORKS.register(NETWORK, NetworkGraph(states, windows=True))
    write_onnx(recommender.artefact, tmp_path / "model.onnx")
    exported = through_onnx(recommender, tmp_path / "model.onnx")
    for history in ([1, 2], [3]):
        one, other = (each.recommend(histories=history, k=4)[0] for each in (recommender, exported))
        assert one.items == other.items
        assert one.scores == pytest.approx(other.scores, abs=1e-5)


def test_a_model_that_counts_is_not_exported(split: Split, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"only networks are exported .* got outside-followers"):
        write_onnx(fitted(model_settings(COUNTING), split, TRAINING).artefact, tmp_path / "model.onnx")
