"""Sweep: how values are read, what stays fixed, and which value is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from caser.errors import ConfigError
from caser.evaluation import judge
from caser.evaluation.statistics import Difference
from caser.fitting.defaults import facts_of
from caser.models.caser.caser import Caser
from caser.models.counting.count_knn import CountKNN
from caser.study.recipes import Recipe
from caser.study.study import Study
from caser.study.sweep import MOST_VALUES, _with_verdict, parse_values, sweep
from tests.study.small import MARKOV, TINY, small_plan, small_split

ONCE = TINY.replace(epochs=1)
KNN = Recipe.of("count-knn")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("L=1..4", [1, 2, 3, 4]),
        ("L=1..9/4", [1, 5, 9]),
        ("L=3..3", [3]),
        ("d=16, 32,64", [16, 32, 64]),
        ("dropout=0,0.5", [0, 0.5]),
        ("learning-rate=1e-3", [0.001]),
        ("user-vector=true,False", [True, False]),
        ("loss=bpr,softmax", ["bpr", "softmax"]),
    ],
)
def test_values_are_read(text: str, values: list[Any]) -> None:
    name, found = parse_values(text)
    assert name == text.partition("=")[0].replace("-", "_")
    assert found == values
    assert [type(one) for one in found] == [type(one) for one in values]


@pytest.mark.parametrize("text", ["", "L", "L=", "=1,2", "L=,", "L=4..1", "1..4"])
def test_a_text_that_is_no_list_of_values_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="SETTING=VALUES"):
        parse_values(text)


def test_a_range_without_end_is_refused_and_not_made(tmp_path: Path) -> None:
    name, values = parse_values("L=1..999999")
    assert len(values) == MOST_VALUES + 1
    with pytest.raises(ConfigError, match="2 to 50 different values"):
        sweep(small_split(), ONCE, name, values, small_plan(tmp_path))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return sweep(small_split(), ONCE, "L", [1, 3, 7], small_plan(tmp_path_factory.mktemp("store"), seeds=(0, 1)))


def test_one_setting_changes_and_nothing_else(study: Study) -> None:
    for value in (1, 3, 7):
        recipe = study.recipe(f"L = {value}")
        expected = ONCE.replace(L=value).for_log(facts_of(small_split()))
        assert (recipe.model, recipe.training) == (expected.model, expected.training)
        assert recipe.setting == value


def test_test_targets_and_training_targets_are_the_same_for_every_length(study: Study) -> None:
    tables = [run.table for runs in study.outcome.runs.values() for run in runs]
    assert len({table.facts["fingerprint"] for table in tables}) == 1
    trained = {
        entry["num_states"] for tuned in study.outcome.chosen.values() for entry in tuned.choice.history
    }  # fmt: skip
    assert len(trained) == 1


def test_it_never_opens_the_test_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = []

    def rank(scorer: Any, split: Any, part: Any, **options: Any) -> Any:
        parts.append(part)
        return judge_rank(scorer, split, part, **options)

    judge_rank = judge.rank
    monkeypatch.setattr(judge, "rank", rank)
    study = sweep(small_split(), KNN, "reach", [1, 3], small_plan(tmp_path, part="test"))
    assert parts == ["validation"] * 2
    found = study.to_dict()
    assert (found["part"], found["test_openings"]) == ("validation", 0)
    assert not (tmp_path / "openings.json").exists()


def test_rows_have_quality_and_time_in_the_order_of_the_values(study: Study) -> None:
    found = study.to_dict()
    assert [row["setting"] for row in found["rows"]] == [1, 3, 7]
    assert all(len(row["by_seed"]["ndcg@10"]) == 2 and row["seconds"]["training"] > 0 for row in found["rows"])
    assert found["sweep"]["over"] == "L"


# Which value is named


def judged(study: Study, best: int, shown: set[int]) -> Study:
    """The study, as if `best` had won and been shown to be better than some of the others."""
    labels = [label for label in study.report.values if label != f"L = {best}"]
    differences = {
        label: Difference(-0.1, -0.2, -0.01 if study.recipe(label).setting in shown else 0.05, 0.1) for label in labels
    }
    return _with_verdict(replace(study, reference=f"L = {best}", differences=differences), "L")


@pytest.mark.parametrize(
    ("best", "shown", "smallest"),
    [(7, {1, 3}, 7), (7, {1}, 3), (7, set(), 1), (3, {1, 7}, 3), (3, {7}, 1), (1, set(), 1)],
)
def test_the_smallest_value_within_the_noise_of_the_best_is_named(
    study: Study, best: int, shown: set[int], smallest: int
) -> None:
    found = judged(study, best, shown)
    named = found.to_dict()["sweep"]
    assert (named["best"], named["smallest_within_noise"]) == (best, smallest)
    assert found.verdicts[-1].startswith(f"L = {best} is best on validation. Its ndcg@10 there is 0.")
    assert found.verdicts[0].startswith(f"L = {smallest} is {'best' if smallest == best else 'enough'}")
    if smallest != best:
        enough = f"L = {smallest} is enough. 40 users show no clear difference between L = {smallest} and L = {best}."
        assert found.verdicts[0].startswith(enough)
    assert found.advice[0].startswith(f"Use L = {smallest}")
    assert len(found.verdicts) == 1 + (smallest != best)


def test_no_more_is_claimed_than_was_compared(study: Study) -> None:
    assert judged(study, 7, {1, 3}).advice == ("Use L = 7: every smaller value is shown to be worse.",)
    assert judged(study, 1, {3}).advice == ("Use L = 1.",)


def test_values_that_are_words_have_no_smallest(tmp_path: Path) -> None:
    split = small_split()
    study = sweep(split, Recipe.of("session-knn"), "decay", ["linear", "harmonic"], small_plan(tmp_path))
    named = study.to_dict()["sweep"]
    assert named["best"] == named["smallest_within_noise"]
    assert study.advice == (f"Use decay = {named['best']}.",)


# What is refused


@pytest.mark.parametrize(
    ("recipe", "over", "values", "message"),
    [
        (ONCE, "l", [1, 2], "must be over a setting of caser .* did you mean L"),
        (ONCE, "n_H", [1, 2], "did you mean n_h"),
        (ONCE.replace(seed=7), "L", [1, 2], "Set Plan.seeds"),
        (ONCE, "L", "12", "must have a list of values"),
        (ONCE, "L", 3, "must have a list of values"),
        (MARKOV, "L", [1, 2], "over a setting; markov has none"),
        (Caser, "L", [1, 2], r"Write Caser\(\)"),
        (ONCE, "learning_rat", [1, 2], "did you mean learning_rate"),
        (ONCE, "seed", [1, 2], "must be over a setting"),
        (KNN, "learning_rate", [0.1, 0.2], "must be over a setting of count-knn"),
        (ONCE, "L", [2], "2 to 50 different values; got 1 of L"),
        (ONCE, "L", [2, 2, 2], "got 1 of L"),
        (ONCE, "L", [0, 1], "Caser L must be at least 1"),
        (ONCE, "L", ["many", 1], "Caser L"),
        (ONCE.replace(positions="full"), "L", [1, 2], "must train the same positions"),
        (ONCE.replace(positions="full"), "T", [1, 2], "must train the same positions"),
        (ONCE, "num_negatives", [1, 5], "num_negatives must be left out"),
        (ONCE, "device", ["cpu", "auto"], "setting that has an effect; got device"),
        (ONCE.replace(n_h=0), "phi_c", ["relu", "tanh"], "setting that has an effect; got phi_c"),
        (ONCE.replace(user_vector=False), "user_dropout", [0.0, 0.5], "setting that has an effect; got user_dropout"),
        (replace(ONCE, epochs=1), "patience", [1, 2], "setting that has an effect; got patience"),
        (replace(ONCE.replace(schedule="constant"), epochs=1), "epochs", [1, 2], "an effect; got epochs"),
    ],
)
def test_a_meaningless_sweep_is_refused_before_anything_trains(
    recipe: Any, over: str, values: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        sweep(small_split(), recipe, over, values, small_plan(tmp_path))
    assert not list(tmp_path.iterdir())


def test_equal_values_are_trained_once(tmp_path: Path) -> None:
    study = sweep(small_split(), KNN, "reach", [1, 1.0, 3], small_plan(tmp_path))
    assert list(study.report.values) == ["reach = 1", "reach = 3"]


@pytest.mark.parametrize("recipe", ["count-knn", CountKNN()])
def test_a_name_or_settings_stand_for_their_recipe(recipe: Any, tmp_path: Path) -> None:
    study = sweep(small_split(), recipe, "reach", [1, 3], small_plan(tmp_path))
    assert study.recipe("reach = 1").model == CountKNN(reach=1)


def test_a_list_as_a_value_is_a_value(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got 1 of heights"):
        sweep(small_split(), ONCE, "heights", cast(Any, [[1, 2], [1, 2]]), small_plan(tmp_path))
