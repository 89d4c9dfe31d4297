"""The arms of an experiment: what each showed, the verdict, the share, and how often equal arms are told apart."""

from __future__ import annotations

import json
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from caser.arrays.types import Int32
from caser.artefact.folder import save
from caser.errors import ConfigError, DataError
from caser.evaluation.statistics import paired_difference, unpaired_difference
from caser.study.arms import binomial_p, compare_arms
from tests.cli.terminal import caser, document
from tests.runs import popularity_run

LINES = list[dict[str, Any]]


def shown(user: str | None, arm: str, *items: str, share: float = 0.5, experiment: str = "e1") -> dict[str, Any]:
    texts = {"model": arm, "source": "history", "arm": arm, "experiment": experiment}
    return {"kind": "answer", "user": user, "items": list(items), "share": share, **texts}


def took(user: str, item: str) -> dict[str, Any]:
    return {"kind": "event", "user": user, "item": item}


def written(path: Path, lines: LINES) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def experiment(seed: int, rates: dict[str, float], num_users: int = 600, share: float = 0.2) -> LINES:
    """Users who take few or many items, each with a taste of their own for what is shown."""
    random, lines = np.random.default_rng(seed), LINES()
    for user in range(num_users):
        arm = "candidate" if random.random() < share else "incumbent"
        chance = random.beta(20 * rates[arm], 20 * (1 - rates[arm]))
        lines.append(shown(f"u{user}", arm, "1", "2", "3", share=share))
        for _ in range(random.geometric(0.3) - 1):
            lines.append(took(f"u{user}", str(random.integers(1, 4)) if random.random() < chance else "9"))
    return lines


# --- the numbers


def test_an_event_counts_for_the_last_answer_and_for_the_arm_of_its_user(tmp_path: Path) -> None:
    lines = [
        took("a", "1"),  # nothing was shown before
        shown("a", "candidate", "1", "2", "3"),
        shown("b", "incumbent", "1", "2", "3"),
        shown(None, "incumbent", "1"),
        took("a", "2"),  # in the second place
        took("b", "3"),  # beyond the first two
        took("b", "1"),
        shown("c", "candidate", "5"),
    ]
    found = compare_arms(written(tmp_path / "log", lines), k=2)
    candidate, incumbent = found.arms["candidate"], found.arms["incumbent"]
    assert (candidate.answers, candidate.users, candidate.judged, candidate.events) == (2, 2, 1, 1)
    assert (candidate.hit.value, candidate.ndcg.value) == (1.0, 1 / log2(3))
    assert (incumbent.users, incumbent.events, incumbent.hit.value, incumbent.ndcg.value) == (1, 2, 0.5, 0.5)
    assert found.metric == "ndcg@2"
    assert found.difference is not None
    assert found.difference.value == pytest.approx(1 / log2(3) - 0.5)
    assert found.verdict == "cannot tell"
    assert "below 30 nothing is concluded" in " ".join(found.sentences)


def test_users_of_both_arms_and_earlier_experiments_do_not_count(tmp_path: Path) -> None:
    lines = [
        {"kind": "answer", "user": "z", "items": ["1"], "model": "m", "source": "history"},
        shown("a", "candidate", "1", experiment="e0"),
        shown("a", "incumbent", "1"),
        took("a", "1"),
        shown("b", "incumbent", "1"),
        shown("b", "candidate", "1"),
        took("b", "1"),
        shown("c", "candidate", "1"),
    ]
    found = compare_arms(written(tmp_path / "log", lines))
    assert (found.num_changed, found.num_earlier) == (1, 2)
    assert [one.users for one in found.arms.values()] == [1, 1]
    assert found.difference is None
    assert "nothing to compare" in found.sentences[0]
    changed_share = written(tmp_path / "log", [*lines, shown("d", "candidate", "1", share=0.2)])
    assert compare_arms(changed_share).num_earlier == len([line for line in lines if line["kind"] == "answer"])


def test_a_log_without_arms_is_refused(tmp_path: Path) -> None:
    answer = {"kind": "answer", "user": "z", "items": ["1"], "model": "m", "source": "history"}
    with pytest.raises(DataError, match="got none that names an arm"):
        compare_arms(written(tmp_path / "log", [answer, {**answer, "arm": "third"}, {**answer, "arm": "candidate"}]))
    for wrong in ({"metric": "recall"}, {"margin": 1.0}, {"margin": float("nan")}):
        with pytest.raises(ConfigError, match="must be ndcg or hit"):
            compare_arms(tmp_path / "log", **wrong)


# --- the verdict


def test_a_better_candidate_is_better_and_a_worse_one_is_worse(tmp_path: Path) -> None:
    rates = {"incumbent": 0.2, "candidate": 0.4}
    better = compare_arms(written(tmp_path / "log", experiment(0, rates, share=0.5)))
    assert (better.verdict, better.passes) == ("better", True)
    rates = {"incumbent": 0.4, "candidate": 0.2}
    worse = compare_arms(written(tmp_path / "log", experiment(0, rates, share=0.5)), metric="hit")
    assert (worse.verdict, worse.passes) == ("worse", False)
    assert "hit@10: the candidate loses to the incumbent" in worse.sentences[0]


def test_a_margin_passes_a_candidate_that_loses_little(tmp_path: Path) -> None:
    log = written(tmp_path / "log", experiment(1, {"incumbent": 0.3, "candidate": 0.3}, num_users=3000, share=0.5))
    assert compare_arms(log).verdict == "cannot tell"
    assert compare_arms(log, margin=0.3).verdict == "not worse"
    assert compare_arms(log, margin=0.001).verdict == "cannot tell"


def test_arms_that_do_not_hold_their_share_decide_nothing(tmp_path: Path) -> None:
    lines = experiment(0, {"incumbent": 0.2, "candidate": 0.5}, share=0.5)
    lost = {line["user"] for line in lines if line.get("arm") == "candidate"} - {f"u{n}" for n in range(300)}
    found = compare_arms(written(tmp_path / "log", [line for line in lines if line["user"] not in lost]))
    assert found.difference is not None
    assert found.difference.is_shown
    assert (found.holds_share, found.verdict, found.passes) == (False, "cannot tell", False)
    assert any("users are missing from an arm" in sentence for sentence in found.sentences)


def test_the_check_of_the_share_is_a_binomial_test() -> None:
    for found, number, share in [(0, 20, 0.1), (7, 20, 0.1), (50, 100, 0.5), (300, 5000, 0.05), (20, 20, 0.9)]:
        tails = stats.binom.cdf(found, number, share), stats.binom.sf(found - 1, number, share)
        assert binomial_p(found, number, share) == pytest.approx(min(1, 2 * min(tails)))
    random = np.random.default_rng(0)
    false_alarms = sum(binomial_p(random.binomial(2000, 0.05), 2000, 0.05) < 0.05 for _ in range(1000))
    assert false_alarms <= 70


def owners(number: int) -> Int32:
    return np.arange(number, dtype=np.int32)


def test_an_unpaired_difference_is_that_of_welch() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(0.5, 1, 40), random.normal(0, 3, 90)
    found = unpaired_difference(first, owners(40), second, owners(90))
    welch = stats.ttest_ind(first, second, equal_var=False)
    assert found.p_value == pytest.approx(welch.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(welch.confidence_interval()))
    with pytest.raises(ConfigError, match="values of both"):
        unpaired_difference(first, owners(40), np.empty(0), owners(0))
    assert paired_difference(first, first, owners(40)).value == 0


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["ndcg", "hit"])
def test_of_equal_arms_at_most_one_in_twenty_is_taken_for_better_or_worse(metric: str, tmp_path: Path) -> None:
    verdicts = [
        compare_arms(
            written(tmp_path / "log", experiment(seed, {"incumbent": 0.3, "candidate": 0.3}, num_users=300)),
            metric=metric,
        ).verdict
        for seed in range(200)
    ]
    assert (
        200 - verdicts.count("cannot tell") <= 16
    )  # of 200 with probability 5 %, more than 16 happen once in 40 times


# --- the command


def test_the_command_ends_with_the_verdict(tmp_path: Path) -> None:
    save(popularity_run(), tmp_path / "run")
    words = ("replay", tmp_path / "run", "--log", tmp_path / "log", "--arms")
    written(tmp_path / "log", experiment(0, {"incumbent": 0.2, "candidate": 0.4}, share=0.5))
    passed = caser(*words)
    assert passed.code == 0
    assert "verdict on the candidate: better" in passed.out
    found = document(*words, "--metric", "hit", "--k", "2")["arms"]
    assert (found["passes"], found["metric"], found["holds_share"]) == (True, "hit@2", True)
    written(tmp_path / "log", experiment(0, {"incumbent": 0.3, "candidate": 0.3}, share=0.5))
    held = caser(*words)
    assert held.code == 11
    assert "the verdict is 'cannot tell'. The incumbent stays." in held.err
    assert caser(*words, "--margin", "0.5").code == 0
    plain = caser(*words[:-1])
    assert plain.code == 0
    assert "arm candidate" in plain.out
