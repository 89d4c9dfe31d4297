"""`caser evaluate`: a run beside the counting models, the count of test openings, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from caser.cli import evaluate
from caser.models import COUNTING_BASELINES
from tests.cli.terminal import caser, document, refusal
from tests.skips import NEEDS_EXTRAS


def test_every_model_is_judged_beside_the_counting_models(run: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(run, tmp_path / "own"))
    said = document("evaluate", own)
    assert set(said["models"]) == {run.name, *COUNTING_BASELINES}
    assert said["protocol"] == "leave-one-out"
    assert said["fingerprint"] == json.loads((run / "manifest.json").read_text(encoding="utf-8"))["fingerprint"]
    for metrics in said["models"].values():
        assert list(metrics) == ["hit@10", "ndcg@10", "mrr@10", "hit@50"]
        for estimate in metrics.values():
            assert set(estimate) == {"value", "low", "high"}
            assert 0 <= estimate["low"] <= estimate["value"] <= estimate["high"] <= 1


def test_the_table_marks_the_run_and_is_followed_by_a_verdict(own_run: Path) -> None:
    outcome = caser("evaluate", own_run)
    assert outcome.code == 0
    assert "caser ◂" in outcome.out
    assert "leave-one-out · test · 40 users · fingerprint" in outcome.out
    assert "ndcg@10: caser " in outcome.out


def test_opening_the_test_part_is_counted(own_run: Path) -> None:
    assert [document("evaluate", own_run)["test_openings"] for _ in range(3)] == [1, 2, 3]
    manifest = json.loads((own_run / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["test_openings"] == 3
    assert set(manifest["metrics"]) == {"hit@10", "ndcg@10", "mrr@10", "hit@50"}
    assert "  the test part was used 4 times so far\n" in caser("evaluate", own_run).out


def test_evaluate_does_not_change_the_answers_of_a_run(own_run: Path) -> None:
    before = document("recommend", own_run, "--user", 1)
    caser("evaluate", own_run)
    assert document("recommend", own_run, "--user", 1) == before


@pytest.mark.parametrize("name", ["values.parquet", "values.csv"])
def test_the_means_of_the_values_per_user_are_the_printed_metrics(name: str, own_run: Path, tmp_path: Path) -> None:
    said = document("evaluate", own_run, "--per-user", tmp_path / name)
    frame = pl.read_parquet(tmp_path / name) if name.endswith("parquet") else pl.read_csv(tmp_path / name)
    assert frame.columns[:4] == ["model", "seed", "query", "user_id"]
    assert len(frame) == 4 * 40
    means = frame.group_by("model").agg(pl.col("ndcg@10").mean())
    for model, value in means.rows():
        assert value == pytest.approx(said["models"][model]["ndcg@10"]["value"])


def test_a_log_that_changed_is_refused(log: Path, tmp_path: Path) -> None:
    own = tmp_path / "log.csv"
    own.write_text(log.read_text())
    document("train", own, "--model", "markov", "--out", tmp_path / "run")
    own.write_text("\n".join(log.read_text().splitlines()[:-1]) + "\n")
    code, line = refusal("evaluate", tmp_path / "run")
    assert code == 7
    assert "digest" in line
    assert "--log" in line


def test_a_moved_log_is_named_with_log(log: Path, tmp_path: Path) -> None:
    own = tmp_path / "log.csv"
    own.write_text(log.read_text())
    document("train", own, "--model", "markov", "--out", tmp_path / "run")
    own.rename(tmp_path / "moved.csv")
    code, line = refusal("evaluate", tmp_path / "run")
    assert code == 7
    assert f"must still be at {own}" in line
    assert "--log" in line
    assert document("evaluate", tmp_path / "run", "--log", tmp_path / "moved.csv")["test_openings"] == 1


def test_a_log_is_found_from_another_folder_and_read_as_it_was(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = pl.read_csv(log).rename({"user_id": "who", "item_id": "what"})
    renamed.write_csv(tmp_path / "log.csv")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    columns = ["--user", "who", "--item", "what", "--drop-repeats"]
    said = document("train", "log.csv", *columns, "--model", "markov", "--out", "run")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert document("evaluate", "../run")["fingerprint"] == said["fingerprint"]


def test_a_run_that_saw_the_test_part_is_refused(log: Path, tmp_path: Path) -> None:
    document("train", log, "--model", "markov", "--out", tmp_path / "run", "--all")
    code, line = refusal("evaluate", tmp_path / "run")
    assert code == 7
    assert "--all" in line


@pytest.mark.parametrize("protocol", ["d2l", "d2l-as-published", "caser-paper", "sessions", "global-time"])
def test_a_run_is_judged_under_the_protocol_it_was_trained_for(protocol: str, log: Path, tmp_path: Path) -> None:
    trained = document("train", log, "--model", "count-knn", "--protocol", protocol, "--out", tmp_path / "run")
    said = document("evaluate", tmp_path / "run")
    assert said["protocol"] == trained["protocol"] == protocol
    assert said["fingerprint"] == trained["fingerprint"]


def test_the_test_part_stays_closed_if_the_file_for_its_values_is_refused(own_run: Path, tmp_path: Path) -> None:
    assert refusal("evaluate", own_run, "--per-user", tmp_path / "values.xlsx")[0] == 2
    assert document("evaluate", own_run)["test_openings"] == 1


def test_a_damaged_run_is_not_judged(own_run: Path) -> None:
    (own_run / "weights.safetensors").write_bytes(b"damaged")
    code, line = refusal("evaluate", own_run)
    assert code == 7
    assert "weights.safetensors does not match its checksum" in line


def test_many_metrics_are_shown_without_breaking_a_number(log: Path, tmp_path: Path) -> None:
    document("train", log, "--model", "markov", "--protocol", "caser-paper", "--out", tmp_path / "run")
    said, out = document("evaluate", tmp_path / "run"), caser("evaluate", tmp_path / "run").out
    for metric, estimate in said["models"]["markov"].items():
        assert f" {metric}" in out
        assert f" {estimate['value']:.4f} ±" in out
    assert max(map(len, out.splitlines()[:10])) <= 80


def test_targets_and_lists_can_be_written_for_other_tools(own_run: Path, tmp_path: Path) -> None:
    document("evaluate", own_run, "--trec", tmp_path / "trec", "--trec-depth", 5)
    names = {path.name for path in (tmp_path / "trec").iterdir()}
    assert names == {"qrels.txt", "facts.json", "caser.run", *(f"{name}.run" for name in COUNTING_BASELINES)}
    assert len((tmp_path / "trec" / "caser.run").read_text().splitlines()) == 40 * 5


def test_a_depth_without_lists_and_a_file_as_their_folder_are_refused_before_the_test_part_opens(own_run: Path) -> None:
    assert refusal("evaluate", own_run, "--trec-depth", 5)[0] == 2
    assert refusal("evaluate", own_run, "--trec", own_run / "manifest.json")[0] == 2
    assert refusal("evaluate", own_run, "--trec", own_run / "trec", "--trec-depth", 0)[0] == 2
    assert document("evaluate", own_run)["test_openings"] == 1


def test_a_document_has_slices_measures_beyond_accuracy_and_a_value_per_seed(own_run: Path) -> None:
    said = document("evaluate", own_run)
    assert {"history", "popularity", "position", "repeat"} >= said["slices"].keys() > set()
    for name in said["models"]:
        assert said["beyond"][name].keys() == {"coverage@10", "gini@10", "head_share@10", "novelty@10", "diversity@10"}
        assert said["by_seed"][name]["hit@10"] == pytest.approx([said["models"][name]["hit@10"]["value"]])
    shown = caser("evaluate", own_run).out
    for words, key in (("of all that were ranked", "coverage@10"), ("with half of all interactions", "head_share@10")):
        values = ", ".join(f"{name} {one[key]:.1%}" for name, one in said["beyond"].items())
        assert f"{words}: {values}\n" in shown


def test_further_metrics_are_passed_on_and_a_wrong_one_opens_nothing(
    own_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_run, asked = vars(evaluate)["judge_run"], []

    def judged(*arguments: Any, **options: Any) -> Any:
        asked.append(options)
        return judge_run(*arguments)

    monkeypatch.setattr(evaluate, "judge_run", judged)
    code, line = refusal("evaluate", own_run, "--metrics", "hit@5", "hot@5")
    assert (code, line) == (2, "a metric must be a known name; got 'hot': did you mean hit?")
    assert document("evaluate", own_run, "--metrics", "hit@5", "map")["test_openings"] == 1
    assert document("evaluate", own_run)["test_openings"] == 2
    assert asked == [{"metrics": ("hit@5", "map")}, {}]


def test_the_chances_of_a_run_are_judged_on_a_page_with_a_figure(tmp_path: Path) -> None:
    log, run, page = tmp_path / "chain.csv", tmp_path / "run", tmp_path / "page"
    document("data", "simulate", "chain", "--out", log, "--num-users", 120, "--num-items", 8, "--length", 10)
    document("train", log, "--model", "markov", "--out", run)
    said = document("evaluate", run, "--reliability", page)
    assert said["test_openings"] == 1
    chances = said["chances"]
    assert chances["num_queries"] == 120
    assert chances["learned_on"] == 120
    assert 0 <= chances["expected_calibration_error"]["value"] < 0.1
    pytest.importorskip("plotly", reason=NEEDS_EXTRAS)
    assert sorted(path.name for path in page.rglob("*.*")) == ["reliability.png", "report.html", "study.json"]
    assert json.loads((page / "study.json").read_text(encoding="utf-8"))["bins"] == chances["bins"]
    outcome = caser("evaluate", run, "--reliability", page)
    assert "expected calibration error" in outcome.out
    assert "Brier score" in outcome.out
    assert f"open {page / 'report.html'}" in outcome.err


def test_a_run_that_learned_no_chances_is_refused_before_the_test_part_is_opened(own_run: Path, tmp_path: Path) -> None:
    code, sentence = refusal("evaluate", own_run, "--reliability", tmp_path / "page")
    assert code == 2
    assert "chance needs a run that learned on validation" in sentence
    assert json.loads((own_run / "manifest.json").read_text(encoding="utf-8"))["test_openings"] == 0
    assert not (tmp_path / "page").exists()
