"""The gates of the published protocols: numbers without training noise, on the real logs.

A protocol counts as reproduced when its split equals the published one and its counting baselines come out right.
Sources: Tang & Wang 2018 and the author's own split files for `caser-paper`, the Dive into Deep Learning guide's own
code for `d2l`; the other figures were computed once with an independent script, but for those of session kNN and of
Markov under `sessions`, which are this library's own, pinned.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from caser.data import datasets
from caser.data.log import InteractionLog, Vocabulary
from caser.data.tape import Tape
from caser.evaluation.judge import counting_baselines, judge
from caser.evaluation.protocols import apply, protocol_named, resolve
from caser.evaluation.report import Report
from caser.models import counting_settings
from tests.skips import without_log

CACHE = Path(os.environ.get("CASER_CACHE", "no-cache"))
D2L_WINDOWS = CACHE.parent / "parity" / "d2l_ml100k.npz"

pytestmark = pytest.mark.data


def needs(path: Path) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not path.exists(), reason=without_log(path.name))


needs_ml_1m = needs(CACHE / "ml-1m.parquet")
needs_author_files = needs(CACHE / "caser-ml-1m" / "test-train.txt.gz")
needs_ml_100k = needs(CACHE / "ml-100k" / "u.data")
needs_d2l_windows = needs(D2L_WINDOWS)
needs_yoochoose = needs(CACHE / "yoochoose-clicks.parquet")


def silent(_: str) -> None:
    """Say nothing."""


@cache
def ml_1m() -> InteractionLog:
    return datasets.load("ml-1m", on_message=silent)


@cache
def yoochoose() -> InteractionLog:
    return datasets.load("yoochoose-clicks", on_message=silent)


@cache
def ml_100k() -> InteractionLog:
    return datasets.load("ml-100k", on_message=silent)


@cache
def ml_1m_as_the_author_numbers_items() -> InteractionLog:
    """Item indices in order of first appearance in ratings.dat, as in the author's files."""
    log = ml_1m()
    old = pl.Series(log.items[np.argsort(log.rows)], dtype=pl.Int64).unique(maintain_order=True)
    index = np.zeros(log.num_items + 1, dtype=np.int32)
    index[old] = np.arange(1, len(old) + 1)
    return replace(
        log, items=index[log.items], item_vocabulary=Vocabulary(log.item_vocabulary.ids.gather(old - 1)), titles=None
    )


@cache
def judged(name: str, log: InteractionLog, **rules: Any) -> Report:
    """The counting baselines under a protocol, with some of its rules changed."""
    split = apply(name, log)
    return judge(counting_baselines(split), split, replace(protocol_named(name), **rules))


def alone(model: str, name: str, log: InteractionLog) -> dict[str, float]:
    """The metrics of one counting model with its default settings."""
    split = apply(name, log)
    scorer = counting_settings(model).build(log.num_users, log.num_items)
    scorer.fit(split.final)
    return means(judge({model: scorer}, split), model)


def means(report: Report, model: str, digits: int = 4) -> dict[str, float]:
    return {metric: round(float(values.mean()), digits) for metric, values in report.values[model].items()}


def assert_includes(found: Mapping[str, float], expected: Mapping[str, float]) -> None:
    assert {metric: found[metric] for metric in expected} == expected


@needs_ml_1m
@needs_author_files
@pytest.mark.parametrize("part", ["test", "validation"])
def test_the_70_10_20_split_equals_the_authors_files(part: str) -> None:
    log = ml_1m_as_the_author_numbers_items()
    split = apply("caser-paper", log)
    tape, queries = (split.final, split.test) if part == "test" else (split.fit, split.validation)
    raw_users = np.array([0, *log.user_vocabulary.ids.to_list()])
    trained = np.stack([raw_users[tape.users], tape.items], axis=1)
    rows, targets = queries.target_pairs(slice(None))
    asked = np.stack([raw_users[queries.owners[rows]], targets], axis=1)
    np.testing.assert_array_equal(by_user(trained), by_user(author_file(f"{part}-train")))
    np.testing.assert_array_equal(by_user(asked), by_user(author_file(f"{part}-test")))


def author_file(name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """(N, 2): the author's user ids are MovieLens's, his item ids first appearances, from 1."""
    with gzip.open(CACHE / "caser-ml-1m" / f"{name}.txt.gz", "rt") as lines:
        return np.loadtxt(lines, dtype=np.int64)[:, :2]


def by_user(pairs: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    """The pairs sorted by user, with each user's items in their order."""
    return pairs[np.argsort(pairs[:, 0], kind="stable")]


@needs_ml_1m
def test_caser_paper_has_6040_users_and_3416_items() -> None:
    split = apply("caser-paper", ml_1m())
    assert (len(split.log), split.log.num_items, len(split.test)) == (999_611, 3_416, 6_040)
    assert round(float(split.test.num_targets.mean()), 1) == 32.7


@needs_ml_1m
def test_caser_paper_popularity_with_ties_against() -> None:
    assert_includes(means(judged("caser-paper", ml_1m()), "popularity", digits=6), {"map": 0.068635})


@needs_ml_1m
def test_caser_paper_popularity_with_ties_by_index_is_the_papers_row() -> None:
    report = judged("caser-paper", ml_1m_as_the_author_numbers_items(), ties="index")
    assert_includes(means(report, "popularity", digits=6), {"map": 0.068709})
    published = {"precision@1": 0.1280, "precision@5": 0.1113, "precision@10": 0.1011}
    published |= {"recall@1": 0.0050, "recall@5": 0.0213, "recall@10": 0.0375}
    assert_includes(means(report, "popularity"), published)


@needs_ml_1m
def test_caser_paper_markov_with_ties_by_popularity_and_then_by_index() -> None:
    report = judged("caser-paper", ml_1m_as_the_author_numbers_items(), ties="index")
    assert_includes(means(report, "markov"), {"map": 0.0969})
    assert_includes(means(judged("caser-paper", ml_1m()), "markov"), {"map": 0.0968})


@needs_ml_1m
def test_caser_paper_count_knn() -> None:
    expected = {
        "map": 0.1602,
        "precision@1": 0.2932,
        "precision@5": 0.2452,
        "precision@10": 0.2137,
        "recall@10": 0.1279,
    }
    assert_includes(means(judged("caser-paper", ml_1m()), "count-knn"), expected)


@needs_ml_1m
def test_caser_paper_ease() -> None:
    assert_includes(alone("ease", "caser-paper", ml_1m()), {"map": 0.1040})


@needs_ml_1m
@pytest.mark.parametrize(
    ("model", "hit", "ndcg"),
    [("popularity", 0.0363, 0.0178), ("markov", 0.2151, 0.1261), ("count-knn", 0.2661, 0.1545)],
)
def test_leave_one_out_on_movielens_1m(model: str, hit: float, ndcg: float) -> None:
    report = judged("leave-one-out", ml_1m())
    assert_includes(means(report, model), {"hit@10": hit, "ndcg@10": ndcg})
    assert "repeat" not in report.buckets  # MovieLens has none


@needs_yoochoose
@pytest.mark.parametrize(("seen", "ndcg"), [("auto", 0.333), ("keep", 0.333), ("remove", 0.121)])
def test_leave_one_out_on_clicks_depends_on_the_seen_rule(seen: str, ndcg: float) -> None:
    report = judged("leave-one-out", yoochoose(), seen=seen)
    assert_includes(means(report, "count-knn", digits=3), {"ndcg@10": ndcg})


@needs_yoochoose
@pytest.mark.parametrize(
    ("model", "hit", "mrr", "ndcg"), [("markov", 0.3045, 0.1395, 0.1693), ("session-knn", 0.4020, 0.1711, 0.2084)]
)
def test_sessions_of_clicks(model: str, hit: float, mrr: float, ndcg: float) -> None:
    assert_includes(alone(model, "sessions", yoochoose()), {"hit@20": hit, "mrr@20": mrr, "ndcg@10": ndcg})


@needs_yoochoose
def test_clicks_repeat_so_auto_keeps_seen_items_and_says_so() -> None:
    split = apply("leave-one-out", yoochoose())
    last = zip(split.test.users.tolist(), split.test.targets.tolist(), strict=True)
    share = np.mean([item in split.final.sequence(user) for user, item in last])
    assert round(float(share), 3) == 0.406
    assert resolve("leave-one-out", split).notes[0].startswith("items that a user had are ranked too (rule auto; ")


@needs_ml_100k
@needs_d2l_windows
def test_d2l_test_items_equal_the_guides() -> None:
    guide, log = np.load(D2L_WINDOWS), ml_100k()
    split = apply("d2l", log)
    items = dict(zip(guide["test_users"].tolist(), guide["test_items"].tolist(), strict=True))
    ours = zip(log.user_vocabulary.raw(split.test.users), log.item_vocabulary.raw(split.test.targets), strict=True)
    assert {int(user) - 1: int(item) - 1 for user, item in ours} == items


@needs_ml_100k
@needs_d2l_windows
def test_d2l_windows_equal_the_guides() -> None:
    guide, log = np.load(D2L_WINDOWS), ml_100k()
    final = apply("d2l", log).final
    raw_items = np.array([0, *log.item_vocabulary.ids.to_list()])
    raw_users = np.array([0, *log.user_vocabulary.ids.to_list()])
    ours = [window for user in np.argsort(raw_users[1:]) + 1 for window in windows(final, int(user), 5)]
    np.testing.assert_array_equal(raw_users[[user for user, _ in ours]] - 1, guide["users"])
    rows = raw_items[np.stack([items for _, items in ours])] - 1
    np.testing.assert_array_equal(rows[:, :5], guide["sequences"])
    np.testing.assert_array_equal(rows[:, 5], guide["targets"])


def windows(tape: Tape, user: int, length: int) -> list[tuple[int, Any]]:
    """(user, length items and the next one), newest first, as the guide orders them."""
    items = tape.sequence(user)
    return [(user, items[start : start + length + 1]) for start in range(len(items) - length - 1, -1, -1)]


@needs_ml_100k
@needs_d2l_windows
def test_d2l_queries_see_the_guides_test_sequences() -> None:
    guide, log = np.load(D2L_WINDOWS), ml_100k()
    test = apply("d2l", log).test
    raw_items = np.array([0, *log.item_vocabulary.ids.to_list()])
    histories = raw_items[test.histories(slice(None), 5)] - 1
    order = np.argsort(log.user_vocabulary.raw(test.users))
    np.testing.assert_array_equal(histories[order], guide["test_sequences"])


@needs_ml_100k
def test_d2l_count_knn_and_the_tied_last_timestamps() -> None:
    report = judged("d2l", ml_100k())
    assert_includes(means(report, "count-knn", digits=3), {"hit@50": 0.496})
    assert any("44.0% of users the last timestamp is tied" in note for note in report.notes)


@needs_ml_100k
def test_as_published_113_of_943_test_items_can_never_be_hit() -> None:
    report = judged("d2l-as-published", ml_100k())
    assert any(note.startswith("113 of 943 targets are not candidates") for note in report.notes)
    assert report.fingerprint != judged("d2l", ml_100k()).fingerprint
