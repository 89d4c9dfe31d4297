"""Each metric by hand, the names that are read, and metrics from outside the library."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest

from caser.arrays.types import Int64
from caser.data.synthetic import chain_world
from caser.errors import ConfigError
from caser.evaluation import metrics
from caser.evaluation.judge import counting_baselines, judge
from caser.evaluation.metrics import METRICS, MetricDefinition, Values, parse_metric, register_metric
from caser.evaluation.protocols import apply, protocol_named
from caser.system import registry

# Three queries over 11 candidates: targets at 1 and 4; at 3 and nowhere; at 9.
RANKS = np.array([[1.0, 4.0], [np.inf, 3.0], [9.0, np.inf]])
NUM_TARGETS = np.array([2, 2, 1])
NUM_CANDIDATES = np.array([11, 11, 11])


@pytest.fixture
def own_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test a table of metrics of its own, so that what it registers is gone afterwards."""
    monkeypatch.setattr(
        metrics, "METRICS", registry.Registry("a metric", "caser.metrics", dict(METRICS), METRICS.check)
    )


def at_the_top(ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64, k: float) -> Values:
    """1 if a target has rank 1, else 0."""
    return np.where((ranks_UT == 1).any(axis=1), 1.0, 0.0)


def share_found(ranks_UT: Values, num_targets_U: Int64, num_candidates_U: Int64, k: float) -> Values:
    """The same as recall."""
    share: Values = (ranks_UT <= k).sum(axis=1) / num_targets_U
    return share


ROW = MetricDefinition(share_found)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hit@3", [1, 1, 0]),
        ("hit@1", [1, 0, 0]),
        ("precision@4", [2 / 4, 1 / 4, 0]),
        ("recall@4", [1, 1 / 2, 0]),
        ("recall@9", [1, 1 / 2, 1]),
        ("mrr@3", [1, 1 / 3, 0]),
        ("ndcg@3", [1 / (1 + 1 / math.log2(3)), 0.5 / (1 + 1 / math.log2(3)), 0]),
        ("ndcg@1", [1, 0, 0]),
        ("map", [(1 + 2 / 4) / 2, (1 / 3) / 2, 1 / 9]),
        ("auc", [(10 + 7) / 10 / 2, 8 / 10 / 2, 2 / 10]),
    ],
)
def test_metrics_equal_values_worked_out_by_hand(name: str, expected: list[float]) -> None:
    np.testing.assert_allclose(parse_metric(name)(RANKS, NUM_TARGETS, NUM_CANDIDATES), expected)


def test_auc_of_the_only_candidate_is_zero() -> None:
    assert parse_metric("auc")(np.array([[1.0]]), np.array([1]), np.array([1])).tolist() == [0.0]


def test_a_misspelt_metric_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"did you mean ndcg\?"):
        parse_metric("ndgc@10")


@pytest.mark.parametrize("name", ["ndcg", "hit@", "hit@0", "hit@-1", "hit@ten", "hit@1.5", "map@10", "auc@", "", "@10"])
def test_a_cutoff_that_is_missing_malformed_or_not_taken_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        parse_metric(name)


@pytest.mark.usefixtures("own_metrics")
def test_a_registered_metric_is_judged_and_reported() -> None:
    register_metric("at-the-top", at_the_top, takes_cutoff=False)
    register_metric("share-found", share_found)
    split = apply("leave-one-out", chain_world(num_users=40, num_items=6, length=9, predictability=0.8, seed=0).log)
    names = ("hit@1", "at-the-top", "recall@3", "share-found@3")
    report = judge(
        counting_baselines(split),
        split,
        replace(protocol_named("leave-one-out"), metrics=names, validation_metric="share-found@3"),
    )
    values = report.values["markov"]
    np.testing.assert_array_equal(values["at-the-top"], values["hit@1"])
    np.testing.assert_array_equal(values["share-found@3"], values["recall@3"])
    assert 0 < values["share-found@3"].mean() < 1
    found = json.loads(json.dumps(report.to_dict()))
    assert list(found["models"]["markov"]) == list(names)


@pytest.mark.usefixtures("own_metrics")
def test_a_misspelt_metric_gets_the_name_of_a_registered_one() -> None:
    register_metric("share-found", share_found)
    with pytest.raises(ConfigError, match=r"did you mean share-found\?"):
        parse_metric("share-fuond@3")


@pytest.mark.usefixtures("own_metrics")
def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ConfigError, match="'recall'"):
        register_metric("recall", share_found)
    assert parse_metric("recall@3").function is metrics.recall


@pytest.mark.usefixtures("own_metrics")
def test_the_same_metric_may_be_registered_twice() -> None:
    for _ in range(2):
        register_metric("share-found", share_found)
    assert metrics.METRICS["share-found"] == ROW


@pytest.mark.usefixtures("own_metrics")
@pytest.mark.parametrize("name", ["", "own@10", "Own", "my own", "1st"])
def test_a_name_that_a_protocol_could_not_read_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="lower-case letters"):
        register_metric(name, share_found)


@pytest.mark.usefixtures("own_metrics")
def test_a_metric_of_the_wrong_kind_is_refused() -> None:
    number: Any = 3
    with pytest.raises(ConfigError, match="the function of the metric own must be callable; got 3"):
        register_metric("own", number)
    with pytest.raises(ConfigError, match="lower-case letters, digits, - and _, a letter first; got 3"):
        register_metric(number, share_found)


@pytest.mark.usefixtures("own_metrics")
def test_a_metric_of_a_package_must_be_a_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(metrics.METRICS._rows, "bare", f"{__name__}:share_found")
    with pytest.raises(
        ConfigError, match=r"bare of .* caser\.metrics must be a caser\.evaluation\.metrics\.MetricDefinition"
    ):
        parse_metric("bare@3")


def test_a_metric_of_an_installed_package_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("share-found", f"{__name__}:ROW", "caser.metrics")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "caser.metrics" else [])
    monkeypatch.setattr(metrics, "METRICS", registry.Registry("a metric", METRICS.group, dict(METRICS)))
    assert parse_metric("share-found@3").function is share_found


@pytest.mark.usefixtures("own_metrics")
def test_a_metric_that_returns_one_number_for_all_queries_is_refused() -> None:
    register_metric("mean-hit", lambda ranks_UT, *_: np.mean(ranks_UT <= 1))
    with pytest.raises(ConfigError, match=r"one number per query, shape \(3,\); mean-hit@1 returned shape \(\)"):
        parse_metric("mean-hit@1")(RANKS, NUM_TARGETS, NUM_CANDIDATES)
