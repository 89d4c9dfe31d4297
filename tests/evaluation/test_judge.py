"""Judging: what a report contains, what its verdicts say, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from caser.arrays.types import Int32, Scores
from caser.data.split import Split
from caser.data.synthetic import chain_world, noise_world
from caser.errors import ConfigError, NumericalError
from caser.evaluation.judge import counting_baselines, judge, value
from caser.evaluation.protocols import apply, parts, protocol_named, resolve
from caser.models.base import Arrays

SPLIT = apply("leave-one-out", chain_world(num_users=80, num_items=60, length=12, predictability=0.9, seed=0).log)


class Oracle:
    """Ranks the test target of every user first; or, `upside_down`, last."""

    history_length: int | None = 1

    def __init__(self, split: Split, upside_down: bool = False) -> None:
        self.table = np.zeros((split.log.num_users + 1, split.log.num_items + 1))
        self.table[split.test.users, split.test.targets] = -1 if upside_down else 1

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        return self.table[users_B]

    def arrays(self) -> Arrays:
        return {}


def test_a_report_contains_every_metric_of_every_model_with_an_interval_around_the_value() -> None:
    report = judge(counting_baselines(SPLIT), SPLIT).to_dict()
    assert list(report["models"]) == ["popularity", "markov", "count-knn"]
    for metrics in report["models"].values():
        assert list(metrics) == list(protocol_named("leave-one-out").metrics)
        assert all(one["low"] <= one["value"] <= one["high"] for one in metrics.values())
    assert (report["protocol"], report["part"]) == ("leave-one-out", "test")
    assert report["num_queries"] == report["num_users"] == 80


def test_a_report_becomes_json_and_is_the_same_twice() -> None:
    first, second = (json.dumps(judge(counting_baselines(SPLIT), SPLIT).to_dict(), allow_nan=False) for _ in range(2))
    assert first == second


def test_a_verdict_compares_a_model_with_the_best_baseline() -> None:
    scorers = {**counting_baselines(SPLIT), "oracle": Oracle(SPLIT), "wrong": Oracle(SPLIT, upside_down=True)}
    wins, loses = judge(scorers, SPLIT).verdicts()
    assert wins.startswith("ndcg@10: oracle beats ")
    assert loses.startswith("ndcg@10: wrong loses to ")


def test_a_copy_of_the_best_baseline_shows_no_difference() -> None:
    scorers = counting_baselines(SPLIT)
    best = max(scorers, key=lambda name: judge(scorers, SPLIT).estimate(name, "ndcg@10").value)
    report = judge({**scorers, "copy": scorers[best]}, SPLIT)
    assert f"copy against {best}: no difference that 80 users can show" in report.verdicts()[0]


def test_without_a_comparison_the_verdict_names_the_model_with_the_largest_mean() -> None:
    (alone,) = judge({"oracle": Oracle(SPLIT)}, SPLIT).verdicts()
    assert alone.startswith("ndcg@10: oracle is the only model of this report (")
    report = judge(counting_baselines(SPLIT), SPLIT)
    best = max(report.values, key=lambda name: report.estimate(name, "ndcg@10").value)
    (largest,) = report.verdicts()
    assert largest == f"ndcg@10: {best} has the largest mean of 3 models ({report.estimate(best, 'ndcg@10').value:.4f})"


def test_a_name_that_a_report_does_not_have_is_refused_with_the_nearest_one() -> None:
    report = judge(counting_baselines(SPLIT), SPLIT, metrics=["ndcg@5"])
    assert report.estimate("markov", "ndcg@5").value <= report.estimate("markov", "ndcg@10").value
    with pytest.raises(ConfigError, match=r"has popularity, markov, count-knn; got 'markv': did you mean markov\?"):
        report.difference("popularity", "markv", "ndcg@10")
    with pytest.raises(ConfigError, match="got 'pars': the known names are count-knn, markov, popularity"):
        report.estimate("pars", "ndcg@10")
    with pytest.raises(ConfigError, match=r"has hit@10, .*, ndcg@5; got 'ndcg@15': did you mean ndcg@.*metrics=\["):
        report.estimate("markov", "ndcg@15")
    with pytest.raises(ConfigError, match="got 'marko'"):
        report.differences("marko", "ndcg@10")


def test_the_oracle_finds_every_target_that_is_a_candidate() -> None:
    rules = resolve("leave-one-out", SPLIT)
    findable = rules.candidates[SPLIT.test.targets]
    if rules.remove_seen:
        rows, seen = SPLIT.test.seen(slice(None))
        repeats = set(zip(rows.tolist(), seen.tolist(), strict=True))
        findable &= [(row, int(item)) not in repeats for row, item in enumerate(SPLIT.test.targets)]
    (hits,) = judge({"oracle": Oracle(SPLIT)}, SPLIT).values["oracle"]["hit@10"]
    np.testing.assert_array_equal(hits, findable)


def test_the_value_for_validation_equals_the_value_of_the_report() -> None:
    scorers = counting_baselines(SPLIT, "validation")
    report = judge(scorers, SPLIT, part="validation")
    queries, rules = parts(SPLIT, "validation")[1], resolve("leave-one-out", SPLIT, "validation")
    assert value(scorers["markov"], queries, rules, "ndcg@10") == report.estimate("markov", "ndcg@10").value


def test_means_of_repeated_and_of_new_targets_add_up_to_the_mean_of_all() -> None:
    keep = replace(protocol_named("leave-one-out"), seen="keep")
    report = judge(counting_baselines(SPLIT), SPLIT, keep)
    is_repeat = np.array(
        [
            item in SPLIT.final.sequence(int(user))
            for user, item in zip(SPLIT.test.users, SPLIT.test.targets, strict=True)
        ]
    )
    share = is_repeat.mean()
    assert 0 < share < 1
    hits = {name: bucket.models["markov"]["hit@10"].value for name, bucket in report.slices["repeat"].items()}
    whole = share * hits["repeat"] + (1 - share) * hits["new"]
    assert whole == pytest.approx(report.estimate("markov", "hit@10").value)


def test_under_the_protocol_sessions_the_owners_are_sessions() -> None:
    split = apply("sessions", chain_world(num_users=60, num_items=6, length=8, seed=0).log)
    report = judge(counting_baselines(split), split)
    assert (report.num_owners, len(report.owners)) == (6, 42)
    assert report.to_dict()["num_sessions"] == 6


def test_nothing_beats_chance_in_a_noise_world() -> None:
    split = apply("leave-one-out", noise_world(num_users=400, num_items=50, length=12, seed=3).log)
    keep = replace(protocol_named("leave-one-out"), seen="keep")
    report = judge(counting_baselines(split), split, keep)
    for name in report.values:
        assert report.estimate(name, "hit@10").low <= 10 / 50


def test_a_split_made_for_another_protocol_is_refused() -> None:
    with pytest.raises(ConfigError, match="made for"):
        judge(counting_baselines(SPLIT), SPLIT, "d2l")


def test_an_error_about_a_nan_score_names_the_raw_id_of_the_user() -> None:
    oracle = Oracle(SPLIT)
    user = int(SPLIT.test.users[7])
    oracle.table[user, 3] = np.nan
    with pytest.raises(NumericalError, match=f"user {SPLIT.log.user_vocabulary.raw([user])[0]!r}"):
        judge({"oracle": oracle}, SPLIT)
