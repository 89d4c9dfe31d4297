"""A run that answers through ONNX Runtime: the same answers, explanations and refusals, without torch or onnx."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caser.answering.explain import explain
from caser.answering.recommender import Recommender
from caser.arrays.ragged import pad_left
from caser.artefact.folder import Artefact, save
from caser.errors import ArtefactError, MissingDependencyError
from caser.exported import scorer as scorers
from caser.exported.read import weights_digest
from caser.exported.scorer import OnnxScorer, through_onnx
from caser.exported.write import write_onnx
from caser.models.base import StateScorer
from tests.exported.networks import SMALL, exported, made
from tests.runs import popularity_run

every_network = pytest.mark.parametrize("name", SMALL)
USERS = np.array([1, 2, 0, 5], dtype=np.int32)
HISTORIES_BH = pad_left([[4, 1, 9, 3, 3, 7, 2, 10], [5], [], [8, 8]])


def pair(name: str) -> tuple[StateScorer, OnnxScorer]:
    twin = made(name).scorer
    assert isinstance(twin, StateScorer)
    return twin, OnnxScorer(twin, exported(made(name)), name)


@pytest.fixture
def both(tmp_path: Path) -> tuple[Recommender, Recommender]:
    """Two recommenders of one run of Caser: with the NumPy scorer, and through the exported file."""
    recommender = Recommender(made("caser"))
    write_onnx(recommender.artefact, tmp_path / "model.onnx")
    return recommender, through_onnx(recommender, tmp_path / "model.onnx")


@every_network
def test_states_and_scores_equal_those_of_the_numpy_scorer(name: str) -> None:
    twin, scorer = pair(name)
    assert isinstance(scorer, StateScorer)
    for ask in ("states", "scores"):
        expected, found = (getattr(one, ask)(USERS, HISTORIES_BH) for one in (twin, scorer))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
        assert found.dtype == expected.dtype


@every_network
def test_a_user_may_be_given_as_a_vector(name: str) -> None:
    twin, scorer = pair(name)
    vectors_BE = np.full((len(USERS), 6), 0.5, dtype=np.float32)
    expected, found = (one.states(vectors_BE, HISTORIES_BH) for one in (twin, scorer))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@every_network
def test_no_queries_give_an_empty_answer(name: str) -> None:
    twin, scorer = pair(name)
    nobody, nothing = USERS[:0], HISTORIES_BH[:0]
    items, width = twin.item_vectors()[0].shape
    assert scorer.states(nobody, nothing).shape == (0, width)
    assert scorer.scores(nobody, nothing).shape == (0, items)


@every_network
def test_answers_in_blocks_equal_answers_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, scorer = pair(name)
    at_once = scorer.scores(USERS, HISTORIES_BH)
    monkeypatch.setattr(scorers, "_MOST_CELLS", 1)
    np.testing.assert_allclose(scorer.scores(USERS, HISTORIES_BH), at_once, rtol=1e-5, atol=1e-5)


def test_everything_except_the_network_comes_from_the_run(both: tuple[Recommender, Recommender]) -> None:
    saved, scorer = both[0].artefact.scorer, both[1].artefact.scorer
    assert weights_digest(scorer.arrays()) == weights_digest(saved.arrays())
    assert scorer.history_length == saved.history_length == 4


@pytest.mark.parametrize(
    "question",
    [
        {"users": "user 1"},
        {"users": ["user 4", "stranger", "user 5"], "k": 3},
        {"histories": [[101, 105], [140]], "exclude": [103]},
        {"users": ["user 1"], "histories": [[120, 119]], "only": [101, 102, 107], "exclude_seen": False},
    ],
)
def test_answers_are_the_same_for_known_and_folded_in_users(
    both: tuple[Recommender, Recommender], question: dict[str, object]
) -> None:
    expected, found = (one.recommend(**question) for one in both)  # type: ignore[arg-type]
    for one, other in zip(expected, found, strict=True):
        assert (other.items, other.source) == (one.items, one.source)
        assert other.scores == pytest.approx(one.scores, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("history", [None, [101, 105, 103]])
def test_explanations_are_the_same(both: tuple[Recommender, Recommender], history: list[int] | None) -> None:
    expected, found = (explain(one, item=110, user="user 1", history=history) for one in both)
    assert found.parts == pytest.approx(expected.parts, abs=1e-4)
    assert [one.effect for one in found.history] == pytest.approx([one.effect for one in expected.history], abs=1e-4)


def test_similar_items_are_the_same(both: tuple[Recommender, Recommender]) -> None:
    expected, found = (one.similar(105, k=5)[0] for one in both)
    assert found == expected


# What is refused


@pytest.mark.parametrize("other", [made("caser p"), popularity_run()], ids=lambda artefact: artefact.config.name)
def test_the_file_of_another_run_is_refused(other: Artefact, tmp_path: Path) -> None:
    write_onnx(made("caser"), tmp_path / "model.onnx")
    with pytest.raises(ArtefactError, match="exported from this run"):
        through_onnx(Recommender(other), tmp_path / "model.onnx")


def test_a_run_that_was_trained_again_needs_another_file(tmp_path: Path) -> None:
    artefact = made("caser")
    write_onnx(artefact, tmp_path / "model.onnx")
    arrays = {**artefact.scorer.arrays(), "c": np.ones(41, dtype=np.float32)}
    again = replace(artefact, scorer=artefact.config.scorer(arrays, 5, 40))
    with pytest.raises(ArtefactError, match="exported from this run"):
        through_onnx(Recommender(again), tmp_path / "model.onnx")


def test_a_missing_runtime_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r"needs onnxruntime.*\[serve\]"):
        scorers.session(b"", "model.onnx")


def test_answering_needs_neither_torch_nor_onnx(tmp_path: Path) -> None:
    save(made("caser"), tmp_path / "run")
    write_onnx(made("caser"), tmp_path / "model.onnx")
    program = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['onnx'] = sys.modules['onnxscript'] = None\n"
        "import caser\n"
        "from caser.exported.scorer import through_onnx\n"
        "print(len(through_onnx(caser.load(sys.argv[1]), sys.argv[2]).recommend(users='user 2')[0].items))"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "run"), str(tmp_path / "model.onnx")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "10\n", "")
