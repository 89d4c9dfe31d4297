"""The session study: its rows, that all rows have the same targets, and its verdicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caser.data.synthetic import chain_world
from caser.data.user_sessions import user_sessions
from caser.errors import ConfigError, DataError
from caser.study.recipes import Recipe
from caser.study.sessions import READS, compare_sessions
from caser.study.study import Study, run_study
from tests.data.logs import with_pauses
from tests.study.small import POPULARITY, small_plan

LOG = with_pauses(chain_world(num_users=30, num_items=6, length=28, seed=0).log)
ONCE = {"epochs": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    plan = small_plan(tmp_path_factory.mktemp("store"))
    return compare_sessions(LOG, models=["popularity", "markov", "gru4rec", "caser"], plan=plan, training=ONCE)


def test_caser_has_four_rows_and_other_models_two(study: Study) -> None:
    assert list(study.report.values) == [
        "popularity · all sessions",
        "markov · this session",
        "markov · all sessions",
        "gru4rec · this session",
        "gru4rec · all sessions",
        "caser · this session",
        "caser · all sessions",
        "caser + user vector · this session",
        "caser + user vector · all sessions",
    ]


def test_a_row_names_its_view_and_whether_it_has_a_user_vector(study: Study) -> None:
    for label in study.report.values:
        recipe = study.recipe(label)
        assert READS[recipe.view] == recipe.group == label.rpartition(" · ")[2]  # type: ignore[index]
        if recipe.model.name == "caser":
            assert recipe.model.model_dump()["user_vector"] is ("+ user vector" in label)


def test_a_model_that_needs_user_vectors_has_only_rows_with_them(tmp_path: Path) -> None:
    study = compare_sessions(LOG, models=["markov", "bpr-mf"], plan=small_plan(tmp_path), training=ONCE)
    assert [label for label in study.report.values if "bpr" in label] == [
        "bpr-mf + user vector · this session",
        "bpr-mf + user vector · all sessions",
    ]


def test_all_rows_have_the_same_targets_and_candidates(study: Study) -> None:
    tables = [runs[0].table for runs in study.outcome.runs.values()]
    for table in tables[1:]:
        for name in ("owners", "queries", "num_targets", "num_candidates"):
            np.testing.assert_array_equal(getattr(table, name), getattr(tables[0], name))
    assert {table.facts["fingerprint"] for seeds in study.report.tables.values() for table in seeds} == {
        study.report.fingerprint
    }


def test_a_model_that_reads_far_back_ranks_differently_with_all_sessions(study: Study) -> None:
    ranks = {label: runs[0].table.ranks.tolist() for label, runs in study.outcome.runs.items()}
    assert ranks["caser · this session"] != ranks["caser · all sessions"]


def test_views_with_different_targets_are_refused(tmp_path: Path) -> None:
    other = with_pauses(chain_world(num_users=20, num_items=6, length=28).log)
    splits = {"a": user_sessions(LOG), "b": user_sessions(other)}
    recipes = {"one": replace(POPULARITY, view="a"), "two": replace(POPULARITY, view="b")}
    with pytest.raises(ConfigError, match="must ask the same; a and b differ in their targets"):
        run_study("sessions", "?", recipes, splits, small_plan(tmp_path), reference=lambda _: "one")


def test_the_verdicts_compare_sessions_and_user_vectors(study: Study) -> None:
    first, *others = study.verdicts
    assert first.startswith(f"{study.reference}, a simple model, is best. Its {study.metric} is 0.")
    assert study.reference.startswith("markov")
    kinds = [sentence.partition(":")[0] for sentence in others]
    assert kinds == ["Earlier sessions"] * 4 + ["The user vector"] * 2
    assert "markov · all sessions" in others[0]
    assert "markov · this session" in others[0]
    assert "caser + user vector · this session" in others[4]


def test_the_study_holds_the_pause_and_the_protocol(study: Study) -> None:
    found = study.to_dict()
    assert (found["gap_seconds"], found["protocol"], found["kind"]) == (1800.0, "user-sessions", "sessions")


def test_a_study_without_a_counting_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a counting model"):
        compare_sessions(LOG, models=["caser"], plan=small_plan(tmp_path))


def test_a_log_whose_users_never_return_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 3 sessions"):
        compare_sessions(chain_world(num_users=5, num_items=6, length=9).log, plan=small_plan(tmp_path))


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean markov"):
        compare_sessions(LOG, models=["markof"], plan=small_plan(tmp_path))


def test_recipes_of_two_views_are_equal_otherwise(study: Study) -> None:
    one, other = (study.recipe(f"caser · {words}") for words in READS.values())
    assert replace(one, view="", group=None) == replace(other, view="", group=None)
    assert isinstance(one, Recipe)
