"""Ablate: the rows of a study, what each of them changes, and the verdicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from caser.config import Training
from caser.errors import ConfigError
from caser.evaluation.statistics import Difference
from caser.fitting.defaults import facts_of
from caser.models.caser.caser import Caser
from caser.models.counting.markov import Markov
from caser.study import ablate as ablating
from caser.study.ablate import PAPER_GROUP, PAPER_MAP, REMOVED_GROUP, ablate
from caser.study.recipes import Recipe
from caser.study.study import Study
from tests.study.small import forbid_training, small_plan, small_split, training_of

FULL = Caser(L=3, T=2, d=4, n_v=1, n_h=2, dropout=0.25, reach=None, item_dropout=0, user_vector=True, tied=False)
ONCE = Training(epochs=1, device="cpu")
SUITED = FULL.training_for(facts_of(small_split()), ONCE)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return ablate(small_split(), FULL, ONCE, small_plan(tmp_path_factory.mktemp("store")), choose=False)


@pytest.mark.parametrize(
    ("name", "n_h", "n_v", "user_vector"),
    [
        ("p", 0, 0, True),
        ("h", 2, 0, False),
        ("v", 0, 1, False),
        ("vh", 2, 1, False),
        ("ph", 2, 0, True),
        ("pv", 0, 1, True),
        ("pvh", 2, 1, True),
    ],
)
def test_a_variant_has_the_parts_of_its_name(study: Study, name: str, n_h: int, n_v: int, user_vector: bool) -> None:
    recipe = study.recipe(name)
    assert recipe.model == FULL.replace(n_h=n_h, n_v=n_v, user_vector=user_vector).without_unused()
    assert (recipe.training, recipe.group) == (SUITED, PAPER_GROUP)


def test_a_removal_changes_exactly_one_setting_of_the_full_model(study: Study) -> None:
    full, changes = study.recipe("pvh"), {}
    for label in study.report.values:
        if (recipe := study.recipe(label)).group == REMOVED_GROUP:
            before, after = full.model.model_dump(), recipe.model.model_dump()
            changes[label] = {name: after[name] for name in after if after[name] != before[name]}
            assert recipe.training == full.training
    assert changes == {
        "without height 1": {"heights": (2, 3)},
        "without height 2": {"heights": (1, 3)},
        "without height 3": {"heights": (1, 2)},
        "phi_c identity": {"phi_c": "identity"},
        "phi_a identity": {"phi_a": "identity"},
        "without dropout": {"dropout": 0.0},
        "T = 1": {"T": 1},
    }


def test_a_part_that_is_missing_cannot_be_removed() -> None:
    bare = FULL.replace(L=1, T=1, dropout=0.0, phi_c="identity", phi_a="identity")
    assert dict(ablating._removals(Recipe.of(bare))) == {}


def test_every_row_is_compared_with_the_full_model(study: Study) -> None:
    assert study.reference == "pvh"
    assert set(study.differences) == set(study.report.values) - {"pvh"}
    found = study.to_dict()
    assert {row["difference"]["against"] for row in found["rows"] if row["difference"]} == {"pvh"}
    assert all(row["seconds"]["training"] >= 0 and row["parameters"] > 0 for row in found["rows"])


def test_verdicts_name_the_most_important_part_then_each_part_then_the_branches_alone(study: Study) -> None:
    starts = [sentence.partition(":")[0] for sentence in study.verdicts]
    # after one epoch on a small log
    assert starts[0].startswith("No single part is shown to matter. Without any one of them, pvh loses less than these")
    parts = ["Without the horizontal filters", "Without the vertical filters", "Without the user vector", "Alone"]
    assert starts[1:5] == parts
    for sentence, pair in zip(
        study.verdicts[1:5], [("pv", "pvh"), ("ph", "pvh"), ("vh", "pvh"), ("h", "v")], strict=True
    ):
        compared = sentence.partition(": ")[2].partition(". ")[0]
        unclear = f"show no clear difference between {pair[0]} and {pair[1]}"
        assert compared.startswith(pair[0]) or compared.endswith(unclear)
        assert f" {pair[1]}" in compared


def test_the_first_verdict_names_the_part_whose_removal_costs_most(study: Study) -> None:
    lost = {"pv": Difference(-0.1, -0.2, -0.05, 0.1), "ph": Difference(-0.3, -0.4, -0.2, 0.1)}
    others = {label: Difference(0, -0.1, 0.1, 0.1) for label in study.differences if label not in lost}
    first = next(iter(ablating._verdicts(replace(study, differences={**others, **lost}), "pvh")))
    assert first == (
        "The vertical filters matter most. Without them, ndcg@10 falls by 0.3000 (95 % interval 0.2000 to 0.4000)."
    )


def test_without_choosing_all_rows_train_the_same_number_of_epochs(study: Study) -> None:
    assert {run.epochs for runs in study.outcome.runs.values() for run in runs} == {1}


def test_without_removals_there_are_only_the_variants(tmp_path: Path) -> None:
    study = ablate(small_split(), FULL, ONCE, small_plan(tmp_path), removals=False, choose=False)
    assert tuple(study.report.values) == ablating.VARIANTS


def test_users_are_hidden_only_where_there_are_user_vectors(tmp_path: Path) -> None:
    hidden = ONCE.replace(user_dropout=0.5)
    study = ablate(small_split(), FULL, hidden, small_plan(tmp_path), removals=False, choose=False)
    assert {name: training_of(study.recipe(name)).user_dropout for name in study.report.values} == {
        **dict.fromkeys(("p", "ph", "pv", "pvh"), 0.5),
        **dict.fromkeys(("h", "v", "vh"), 0.0),
    }


def test_a_protocol_that_judges_unknown_users_leaves_out_the_user_vector(tmp_path: Path) -> None:
    study = ablate(small_split("sessions"), FULL, ONCE, small_plan(tmp_path), choose=False)
    assert study.reference == "vh"
    assert [label for label in study.report.values if study.recipe(label).group == PAPER_GROUP] == ["h", "v", "vh"]
    assert not any(study.recipe(label).model.model_dump()["user_vector"] for label in study.report.values)
    assert "user vector" in study.notes[0]


@pytest.mark.parametrize("lacking", [{"n_h": 0}, {"n_v": 0}, {"user_vector": False}])
def test_a_model_that_lacks_a_part_is_refused(lacking: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must start from the full model"):
        ablate(small_split(), FULL.replace(**lacking), ONCE, small_plan(tmp_path))


def test_a_full_model_that_cannot_be_trained_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def variants(*_: Any) -> Any:
        bad = Recipe(FULL, ONCE.replace(learning_rate=1e30))
        return {"h": Recipe(FULL.replace(user_vector=False), ONCE), "pvh": bad}

    monkeypatch.setattr(ablating, "_variants", variants)
    with pytest.raises(ConfigError, match="needs pvh to compare with"):
        ablate(small_split(), FULL, ONCE, small_plan(tmp_path), removals=False)


def test_a_second_ablation_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = small_split(), FULL, ONCE, small_plan(tmp_path)
    first = ablate(*arguments, removals=False, choose=False)
    forbid_training(monkeypatch)
    again = ablate(*arguments, removals=False, choose=False)
    assert again.verdicts == first.verdicts


@pytest.mark.parametrize(
    ("protocol", "users", "items", "is_shown"),
    [
        ("caser-paper", 6040, 3416, True),
        ("caser-paper", 6040, 3415, False),
        ("caser-paper", 943, 3416, False),
        ("leave-one-out", 6040, 3416, False),
    ],
)
def test_the_papers_figures_are_shown_only_for_the_papers_log_and_protocol(
    study: Study, protocol: str, users: int, items: int, is_shown: bool
) -> None:
    log = SimpleNamespace(num_users=users, num_items=items)
    asked = SimpleNamespace(
        split=SimpleNamespace(log=log), report=SimpleNamespace(protocol=SimpleNamespace(name=protocol))
    )
    found = cast(Any, ablating._published(cast(Study, asked)))
    assert bool(found) is is_shown
    if is_shown:
        assert found["reference"]["pvh"] == {"map": 0.1507}


def test_the_papers_figures_are_the_papers() -> None:
    assert list(PAPER_MAP.values()) == [0.0935, 0.1304, 0.1403, 0.1448, 0.1372, 0.1494, 0.1507]


def test_a_study_without_the_papers_log_has_no_published_figures(study: Study) -> None:
    assert "reference" not in study.to_dict()
    assert replace(study, extra={"reference": 1}).to_dict()["reference"] == 1


@pytest.mark.parametrize(
    ("model", "training", "message"),
    [
        (FULL, ONCE.replace(seed=7), "Set Plan.seeds"),
        (FULL, ONCE.replace(patience=2), "patience must be left out with choose=False"),
        (FULL, {"epochs": 1}, "must be a Training"),
        (Markov(), None, r"must start from settings of Caser, .* got Markov\(\)"),
        ("caser", None, "must start from settings of Caser"),
    ],
)
def test_arguments_that_are_wrong_or_have_no_effect_are_refused(
    model: Any, training: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        ablate(small_split(), model, training, small_plan(tmp_path), choose=False)
    assert not list(tmp_path.iterdir())


def test_hidden_users_are_refused_where_no_row_has_user_vectors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="user_dropout must be left out"):
        ablate(small_split("sessions"), FULL, ONCE.replace(user_dropout=0.5), small_plan(tmp_path))
