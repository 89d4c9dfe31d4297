"""Compare: the verdict on simulated logs for which the right answer is known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest

from caser.data.synthetic import noise_world
from caser.errors import ConfigError
from caser.evaluation import protocols
from caser.evaluation.rank_table import RankTable
from caser.evaluation.statistics import Difference, Estimate, paired_difference
from caser.models import COUNTING_BASELINES, model_settings
from caser.models.caser.caser import Caser
from caser.study.chance import beat_chance, chance
from caser.study.compare import advice, compare, recipes_for
from caser.study.study import Study
from tests.study.small import small_plan, small_split, training_of

QUICK = {"epochs": 1, "device": "cpu"}


@cache
def chain_study() -> Study:
    store = Path(mkdtemp())
    return compare(small_split(num_users=80), ["caser"], small_plan(store), training=QUICK)


def test_counting_models_are_always_there() -> None:
    assert set(chain_study().report.values) == {*COUNTING_BASELINES, "caser"}


def test_differences_are_paired_with_the_best_counting_model() -> None:
    study = chain_study()
    assert study.reference == "markov"
    assert set(study.differences) == set(study.report.values) - {"markov"}
    values, metric = study.report.values, study.metric
    by_hand = paired_difference(values["caser"][metric], values["markov"][metric], study.report.owners)
    assert (study.differences["caser"].value, study.differences["caser"].low) == (by_hand.value, by_hand.low)
    assert study.differences["caser"].family == 3


def test_in_a_chain_an_untrained_network_loses_to_markov_and_the_verdict_says_so() -> None:
    study = chain_study()
    assert study.verdicts[0].startswith("caser loses to markov by 0.")
    assert study.advice == (
        "Ship markov: it is best on validation, and it is simple: it counts which item follows which.",
    )


def test_rows_are_json_and_hold_their_training_and_their_difference() -> None:
    found = chain_study().to_dict()
    rows = {row["label"]: row for row in found["rows"]}
    assert rows["caser"]["kind"] == "neural"
    assert rows["caser"]["training"]["epochs"] == 1
    assert rows["caser"]["difference"]["against"] == "markov"
    assert rows["markov"]["difference"] is None
    assert rows["markov"]["training"] is rows["markov"]["epochs"] is None
    assert (found["num_owners"], found["owner"], found["part"]) == (80, "user", "test")
    assert found["test_openings"] == 1
    for row in rows.values():
        assert row["metrics"]["ndcg@10"]["low"] <= row["metrics"]["ndcg@10"]["value"]


def test_the_best_on_validation_is_shipped_only_if_the_test_part_agrees() -> None:
    study = chain_study()
    chosen = study.outcome.chosen
    caser = replace(chosen["caser"], choice=replace(chosen["caser"].choice, value=2.0))
    lucky = replace(study, outcome=replace(study.outcome, chosen={**chosen, "caser": caser}))
    (sentence,) = advice(lucky)
    assert sentence.startswith("caser is best on validation, but the test part shows no gain over markov")
    shown = replace(lucky, differences={**study.differences, "caser": better()})
    assert advice(shown)[0].startswith("Ship caser: it is best on validation, the test part agrees")


def better() -> Difference:
    return replace(chain_study().differences["caser"], value=0.1, low=0.05, high=0.15, p_adjusted=None)


def test_without_a_network_the_best_counting_model_is_named(tmp_path: Path) -> None:
    study = compare(small_split(), ["markov"], small_plan(tmp_path))
    assert study.verdicts == (
        "markov is the best simple model: it counts which item follows which. No network was compared with it.",
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_in_noise_no_model_beats_chance(seed: int, tmp_path: Path) -> None:
    split = protocols.apply("leave-one-out", noise_world(num_users=300, num_items=12, length=9, seed=seed).log)
    study = compare(split, ["ease"], small_plan(tmp_path))
    (verdict,) = study.verdicts
    assert verdict.startswith("No model beats chance: a random order gets ndcg@10 0.3")
    assert study.advice[0].startswith("Ship popularity")


def test_sessions_leave_out_models_that_need_a_user_vector(tmp_path: Path) -> None:
    split = small_split("sessions")
    recipes, notes = recipes_for(split, ["bpr-mf", "fpmc", "caser"], tuned=False, training={})
    assert [note.partition(" ")[0] for note in notes] == ["bpr-mf"]
    assert set(recipes) == {*COUNTING_BASELINES, "caser", "fpmc"}
    assert recipes["caser"].model.model_dump()["user_vector"] is False
    study = compare(split, ["bpr-mf"], small_plan(tmp_path))
    assert [note for note in study.to_dict()["notes"] if note.startswith("bpr-mf is left out: sessions")]
    assert study.to_dict()["owner"] == "session"


def test_recipes_are_tuned_only_where_there_is_a_budget() -> None:
    for tuned in (False, True):
        recipes, _ = recipes_for(small_split(), ["caser"], tuned=tuned, training={})
        assert bool(recipes["caser"].space) is tuned


def test_training_settings_apply_to_networks_and_keep_the_defaults_of_the_model() -> None:
    recipes, _ = recipes_for(small_split(), ["bpr-mf", "ease"], tuned=False, training={"epochs": 3})
    assert (training_of(recipes["bpr-mf"]).epochs, training_of(recipes["bpr-mf"]).loss) == (3, "bpr")


def test_all_models_but_the_blend_are_compared_by_default() -> None:
    recipes, _ = recipes_for(small_split(), (), tuned=False, training={})
    assert len(recipes) == 13
    assert "blend" not in recipes


def test_an_unknown_model_is_refused_before_anything_trains(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean markov"):
        compare(small_split(), ["markof"], small_plan(tmp_path))
    assert not list(tmp_path.iterdir())


def test_the_user_vector_is_left_out_if_it_is_a_setting() -> None:
    assert Caser().without_user_vectors() == Caser(user_vector=False)
    markov = model_settings("markov")
    assert markov.without_user_vectors() is markov
    assert model_settings("bpr-mf").without_user_vectors() is None


# Chance


def test_chance_is_the_value_of_a_random_order() -> None:
    table = RankTable.from_lists([[1.0]] * 2000, num_candidates=20)
    assert chance(table, "hit@5") == pytest.approx(0.25, abs=0.01)
    expected = np.mean([1 / np.log2(1 + rank) if rank <= 10 else 0 for rank in range(1, 21)])
    assert chance(table, "ndcg@10") == pytest.approx(expected, abs=0.01)


def test_targets_that_no_model_can_find_are_not_found_by_chance() -> None:
    table = RankTable.from_lists([[float("inf")]] * 50, num_candidates=5)
    assert chance(table, "hit@5") == 0


def test_beating_chance_is_corrected_for_the_number_of_models() -> None:
    lucky = Estimate(0.2, 0.099, 0.301)  # alone, just above the bound of one test
    assert beat_chance({"a": lucky}, by_chance=0.098) == ["a"]
    assert beat_chance({"a": lucky, **{f"b{n}": Estimate(0.09, 0.0, 0.2) for n in range(5)}}, by_chance=0.098) == []


def test_with_one_user_no_model_is_shown_to_beat_chance() -> None:
    assert beat_chance({"a": Estimate(1.0, float("nan"), float("nan"))}, by_chance=0.5) == []
