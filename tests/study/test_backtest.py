"""A backtest: one comparison for each window, means over windows as they are defined, and nothing trained twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from caser.data.synthetic import chain_world
from caser.errors import DataError
from caser.study.backtest import Backtest, backtest
from caser.study.engine import Plan, Step
from tests.cli.terminal import caser, document, refusal


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def result(store: Path) -> Backtest:
    log = chain_world(num_users=60, num_items=8, length=30, predictability=0.8, seed=0).log
    return backtest(log, 6, ["markov"], Plan(workers=1, store=store))


def test_a_model_has_one_value_for_each_window_and_the_windows_are_the_unit(result: Backtest) -> None:
    values = [study.report.estimate("markov", "ndcg@10").value for study in result.windows]
    assert result.values["markov"].tolist() == values
    estimate = result.estimate("markov")
    low, high = stats.t.interval(0.95, 5, loc=np.mean(values), scale=stats.sem(values))
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((np.mean(values), low, high))
    assert result.reference == "markov"
    gap = np.array(result.values["popularity"]) - values
    difference = result.differences["popularity"]
    assert difference.value == pytest.approx(gap.mean())
    assert difference.p_value == pytest.approx(stats.ttest_1samp(gap, 0).pvalue)
    assert any(sentence.startswith("ndcg@10: popularity loses to markov") for sentence in result.verdicts)


def test_each_window_is_a_comparison_with_its_own_fingerprint(result: Backtest) -> None:
    said = result.to_dict()
    assert len({one["fingerprint"] for one in said["windows"]}) == 6
    assert [row["label"] for row in said["rows"]] == list(result.values)
    assert said["rows"][0]["difference"] is None
    assert "t intervals over the windows" in said["notes"][0]


def test_a_backtest_goes_on_where_it_was_stopped(result: Backtest, store: Path) -> None:
    log = chain_world(num_users=60, num_items=8, length=30, predictability=0.8, seed=0).log
    folders = sorted(store.rglob("manifest.json"))
    before = [path.stat().st_mtime_ns for path in folders]
    steps: list[Step] = []
    again = backtest(log, 6, ["markov"], Plan(workers=1, store=store), tell=steps.append)
    assert sorted(store.rglob("manifest.json")) == folders
    assert [path.stat().st_mtime_ns for path in folders] == before
    assert steps
    assert again.to_dict()["rows"] == result.to_dict()["rows"]


def test_few_windows_show_no_difference_and_say_so(result: Backtest) -> None:
    few = Backtest(result.windows[:5])
    assert all("5 windows are too few to show a difference" in sentence for sentence in few.verdicts)


def test_the_command_prints_every_window_and_writes_all_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log = chain_world(num_users=40, num_items=8, length=20, seed=0).log
    frame = pl.DataFrame({"user_id": log.users, "item_id": log.items, "timestamp": log.times // 1_000_000})
    frame.write_csv("log.csv")
    words = ("compare", "log.csv", "--windows", 2, "--models", "markov", "--jobs", 1, "--out", "out")
    printed = caser(*words)
    assert printed.code == 0, printed.err
    for part in (
        "ndcg@10 in 2 windows of time",
        "over windows",
        "global-time test=0.25 validation=0.25 end=0.75",
        "too few",
    ):
        assert part in printed.out
    said: Any = document(*words)
    assert said["kind"] == "backtest"
    assert (tmp_path / "out" / "backtest.json").exists()
    assert (tmp_path / "out" / "window-2" / "per_user.parquet").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--protocol", "sessions"), "--windows cuts the log by time, as --protocol global-time does; got sessions."),
        (("--sessions", "30m"), "--windows and --sessions cut the log in two ways; got both. Choose one."),
    ],
)
def test_windows_and_another_way_to_cut_are_refused(words: tuple[str, ...], sentence: str) -> None:
    assert refusal("compare", "log.csv", "--windows", 3, *words) == (2, sentence)


def test_a_log_that_is_too_short_is_refused_before_anything_trains(store: Path) -> None:
    with pytest.raises(DataError, match="window 1 of 5"):
        backtest(chain_world(num_users=2, num_items=3, length=3, seed=0).log, 5, ["caser"], Plan(store=store))
