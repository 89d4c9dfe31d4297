"""The approximate index: its order is exact, it reaches its recall, and a damaged one is refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from caser.answering.recommender import Recommender
from caser.arrays.types import Int64, Scores
from caser.artefact.folder import INDEX, Artefact, load, save
from caser.errors import ArtefactError, ConfigError, MissingDependencyError, NumericalError
from caser.search import cells
from caser.search.cells import Index
from caser.search.exact import Candidates, find_top_k
from tests.runs import ITEMS, caser_run, popularity_run, resign
from tests.skips import NEEDS_EXTRAS

NUM_ITEMS, WIDTH = 400, 8


def clustered(seed: int = 0) -> tuple[Scores, Scores, Scores]:
    """Vectors of items around 20 centres with biases, and states near the centres; row 0 is padding."""
    random = np.random.default_rng(seed)
    centres = 3 * random.normal(size=(20, WIDTH))
    vectors = centres[np.arange(NUM_ITEMS + 1) % 20] + 0.3 * random.normal(size=(NUM_ITEMS + 1, WIDTH))
    states = centres[np.arange(60) % 20] + 0.3 * random.normal(size=(60, WIDTH))
    bias = random.normal(size=NUM_ITEMS + 1)
    return vectors.astype(np.float32), bias.astype(np.float32), states.astype(np.float32)


VECTORS, BIAS, STATES = clustered()
TRAINED = np.arange(NUM_ITEMS + 1) > 0


def an_index(probes: int) -> Index:
    """Items of one centre in one cell."""
    cells = (np.arange(NUM_ITEMS + 1) % 20 + 1).astype(np.int32)
    cells[0] = 0
    return Index(cells, VECTORS, BIAS, probes, 0.9)


def exact(states: Scores, k: int, candidates: Candidates) -> Any:
    def scores_of(items: slice | Int64) -> Scores:
        scores: Scores = states @ VECTORS[items].T + BIAS[items]
        return scores

    return find_top_k(scores_of, len(states), NUM_ITEMS + 1, k, candidates)


def barred(*items: int) -> Candidates:
    return Candidates(np.array(sorted({0, *items}), dtype=np.int64))


some = st.lists(st.integers(1, NUM_ITEMS), max_size=30)


@given(excluded=some, seen=some, k=st.integers(1, 30))
def test_probing_every_cell_is_exact_for_any_excluded_items(excluded: list[int], seen: list[int], k: int) -> None:
    candidates = barred(*excluded).without([np.array(seen, dtype=np.int32), np.array([5], dtype=np.int32)])
    found, expected = an_index(20).find_top_k(STATES[:2], k, candidates), exact(STATES[:2], k, candidates)
    assert found.rows.tolist() == expected.rows.tolist()
    assert found.items.tolist() == expected.items.tolist()
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)


def test_one_cell_gives_its_items_in_the_order_of_their_scores() -> None:
    found = an_index(1).find_top_k(STATES[3:4], 50, barred())
    assert len(found.items) == 20
    assert len(set(found.items % 20)) == 1
    scores = VECTORS[found.items] @ STATES[3] + BIAS[found.items]
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)


def test_equal_scores_are_ordered_by_index_across_cells() -> None:
    index = Index(np.array([0, 2, 1, 2, 1], dtype=np.int32), np.ones((5, 1)), np.zeros(5), 2, 1.0)
    assert index.find_top_k(np.ones((1, 1)), 3, barred()).items.tolist() == [1, 2, 3]


@pytest.mark.parametrize("recall", [0.5, 0.95, 1.0])
def test_a_built_index_reaches_the_target_recall_on_other_users(recall: float) -> None:
    pytest.importorskip("faiss", reason=NEEDS_EXTRAS)
    index = cells.build(VECTORS, BIAS, TRAINED, STATES, recall, num_cells=20)
    found, expected = index.find_top_k(STATES[1::2], 10, barred()), exact(STATES[1::2], 10, barred())
    pairs = set(zip(expected.rows.tolist(), expected.items.tolist(), strict=True))
    share = len(pairs & set(zip(found.rows.tolist(), found.items.tolist(), strict=True))) / len(pairs)
    assert share == pytest.approx(index.recall)
    assert index.recall >= recall - 0.1
    assert index.probes < 20 or recall == 1.0


def test_items_that_were_not_trained_are_in_no_cell() -> None:
    pytest.importorskip("faiss", reason=NEEDS_EXTRAS)
    trained = TRAINED & (np.arange(NUM_ITEMS + 1) % 7 > 0)
    index = cells.build(VECTORS, BIAS, trained, STATES, 0.9)
    np.testing.assert_array_equal(index.cells_I > 0, trained)


def test_without_faiss_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingDependencyError, match=r"needs faiss.*\[ann\]"):
        cells.build(VECTORS, BIAS, TRAINED, STATES, 0.9)


@pytest.mark.parametrize("recall", [0.0, 1.1])
def test_a_recall_outside_its_range_is_refused(recall: float) -> None:
    with pytest.raises(ConfigError, match="recall must be above 0 and at most 1"):
        cells.build(VECTORS, BIAS, TRAINED, STATES, recall)


# In a run: items 10, 20, 30 and 50 are trained, at indices 1, 2, 3 and 5

CELLS = np.array([0, 1, 2, 1, 0, 2, 0], dtype=np.int32)


def indexed_run(probes: int, artefact: Artefact | None = None) -> Artefact:
    artefact = artefact or caser_run()
    assert artefact.state_scorer is not None
    return replace(artefact, index=Index(CELLS, *artefact.state_scorer.item_vectors(), probes, 0.75))


@given(
    probes=st.integers(1, 2),
    history=st.lists(st.sampled_from([*ITEMS, "x"]), max_size=4),
    exclude=st.lists(st.sampled_from(ITEMS), max_size=2),
    only=st.none() | st.lists(st.sampled_from(ITEMS), max_size=4),
    seen=st.booleans(),
)
def test_an_answer_with_too_few_items_is_completed_by_exact_search(
    probes: int, history: list[Any], exclude: list[Any], only: list[Any] | None, seen: bool
) -> None:
    rules: dict[str, Any] = {"k": 4, "exclude": exclude, "only": only, "exclude_seen": seen}
    question = (["ann", "nobody"], [history, history])
    answers = Recommender(indexed_run(probes)).recommend(*question, **rules)
    expected = Recommender(caser_run()).recommend(*question, **rules)
    for one, other in zip(answers, expected, strict=True):
        assert (one.items, one.source) == (other.items, other.source)
        assert one.scores == pytest.approx(other.scores, abs=1e-4)


def test_an_answer_holds_only_items_of_the_probed_cells() -> None:
    near, far = Recommender(indexed_run(1)), Recommender(caser_run())
    cells = [{10, 30}, {20, 50}]
    answers = [near.recommend("ann", [item], k=2, exclude_seen=False)[0] for item in (10, 20, 30, 50)]
    assert all(set(answer.items) in cells for answer in answers)
    assert any(
        set(far.recommend("ann", [item], k=2, exclude_seen=False)[0].items) not in cells for item in (10, 20, 30, 50)
    )


def test_the_error_about_a_nan_score_names_the_user() -> None:
    artefact = indexed_run(2)
    artefact.scorer.arrays()["P"][2] = np.nan
    with pytest.raises(NumericalError, match="user 'bob'"):
        Recommender(artefact).recommend(["ann", "bob"], k=1)


def test_a_model_without_item_vectors_has_no_index() -> None:
    with pytest.raises(ConfigError, match="needs a model with item vectors; popularity has none"):
        Recommender(popularity_run()).indexed()


def test_an_index_is_built_saved_and_read_back(tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason=NEEDS_EXTRAS)
    made = Recommender(caser_run()).indexed(recall=1.0)
    made.save(tmp_path / "run")
    again = load(tmp_path / "run")
    assert made.artefact.index is not None
    assert again.index is not None
    np.testing.assert_array_equal(again.index.cells_I, made.artefact.index.cells_I)
    assert (again.index.probes, again.index.recall) == (made.artefact.index.probes, made.artefact.index.recall)
    assert again.manifest == made.artefact.manifest
    save(replace(again, index=None), tmp_path / "run")
    assert not (tmp_path / "run" / INDEX).exists()
    assert load(tmp_path / "run").index is None


# What is refused

GOOD = {"probes": 1, "recall@10": 0.75}


@pytest.mark.parametrize(
    ("arrays", "facts"),
    [
        ({"cells": CELLS[:-1]}, GOOD),
        ({"cells": CELLS.astype(np.int64)}, GOOD),
        ({"cells": CELLS, "more": CELLS}, GOOD),
        ({"cells": -CELLS}, GOOD),
        ({"cells": CELLS.clip(max=1)[::-1].copy()}, GOOD),
        ({"cells": np.where(CELLS == 2, 2**30, CELLS).astype(np.int32)}, GOOD),
        ({"cells": CELLS}, {**GOOD, "probes": 3}),
        ({"cells": CELLS}, {**GOOD, "probes": 0}),
        ({"cells": CELLS}, {**GOOD, "probes": "1"}),
        ({"cells": CELLS}, {"probes": 1}),
        ({"cells": CELLS}, None),
    ],
)
def test_an_index_that_does_not_fit_the_run_is_refused_even_with_a_correct_checksum(
    arrays: dict[str, Any], facts: dict[str, Any] | None, tmp_path: Path
) -> None:
    save(indexed_run(1), tmp_path / "run")
    (tmp_path / "run" / INDEX).write_bytes(safetensors.numpy.save(arrays))
    resign(tmp_path / "run", index=facts)
    with pytest.raises(ArtefactError):
        load(tmp_path / "run")


def test_a_damaged_or_missing_index_is_refused(tmp_path: Path) -> None:
    save(indexed_run(1), tmp_path / "run")
    path = tmp_path / "run" / INDEX
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ArtefactError, match=rf"{INDEX} does not match its checksum"):
        load(tmp_path / "run")
    path.unlink()
    with pytest.raises(ArtefactError, match=INDEX):
        load(tmp_path / "run")


def test_a_file_of_an_index_that_the_manifest_does_not_list_is_refused(tmp_path: Path) -> None:
    save(caser_run(), tmp_path / "run")
    (tmp_path / "run" / INDEX).write_bytes(b"left by somebody")
    with pytest.raises(ArtefactError, match=r"must be listed in manifest\.json"):
        load(tmp_path / "run")
