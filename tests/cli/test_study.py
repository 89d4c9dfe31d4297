"""`caser compare`, `ablate`, `sweep` and `train --model auto`: what they print, write and refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from caser.answering.recommender import load
from caser.cli import study_options, study_report
from caser.config import Training
from caser.errors import ConfigError, MissingDependencyError
from caser.study.auto import auto as try_auto
from tests.cli.terminal import caser, document, refusal

TINY = ("--d", "4", "--n-h", "2", "--n-v", "1", "--L", "2", "--epochs", "1", "--device", "cpu")
ONE_JOB = ("--jobs", "1")


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the extra `report` is missing; pictures have tests of their own."""

    def missing(*_: Any) -> Path:
        raise MissingDependencyError("a report needs plotly. Run: pip install 'caser[report]'.")

    monkeypatch.setattr(study_report, "write_report", missing)


@pytest.fixture
def places(tmp_path: Path) -> tuple[object, ...]:
    return ("--store", tmp_path / "store", "--out", tmp_path / "out", *ONE_JOB)


def test_a_comparison_prints_one_document_and_writes_the_same(
    log: Path, tmp_path: Path, places: tuple[object, ...]
) -> None:
    found = document("compare", log, "--models", "markov", *places)
    assert found["kind"] == "compare"
    assert [row["label"] for row in found["rows"]] == ["popularity", "markov", "count-knn"]
    assert json.loads((tmp_path / "out" / "study.json").read_text()) == found
    values = pl.read_parquet(tmp_path / "out" / "per_user.parquet")
    assert values.height == 3 * 40
    assert set(values["user_id"].to_list()) == set(range(1, 41))


def test_the_table_begins_with_the_verdict_and_the_missing_extra_is_named(
    log: Path, tmp_path: Path, places: tuple[object, ...]
) -> None:
    outcome = caser("compare", log, "--models", "markov", *places)
    assert outcome.code == 0
    assert outcome.out.startswith("markov is the best simple model: it counts which item follows which.")
    assert "pip install 'caser[report]'" in outcome.err
    assert f"every number is in {tmp_path / 'out' / 'study.json'}" in outcome.err
    assert max(map(len, outcome.out.splitlines())) <= 160


def test_the_default_folder_is_named_after_the_log(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    document("compare", log, "--models", "markov", *ONE_JOB)
    assert (tmp_path / "runs" / "compare-chain" / "study.json").exists()
    assert (tmp_path / "runs" / "store" / "fitted").is_dir()


def test_an_ablation_has_the_variants_of_the_paper(log: Path, places: tuple[object, ...]) -> None:
    found = document("ablate", log, "--no-removals", "--no-choose", "--seeds", "1", *TINY, *places)
    assert [row["label"] for row in found["rows"]] == ["p", "h", "v", "vh", "ph", "pv", "pvh"]
    assert {row["training"]["epochs"] for row in found["rows"]} == {1}


def test_a_sweep_has_a_row_for_each_value_and_keeps_the_test_part_closed(log: Path, places: tuple[object, ...]) -> None:
    found = document("sweep", log, "--model", "count-knn", "--over", "reach=1,3", *places)
    assert [row["setting"] for row in found["rows"]] == [1, 3]
    assert (found["part"], found["test_openings"]) == ("validation", 0)


def test_quick_is_one_seed_and_few_epochs(log: Path, places: tuple[object, ...]) -> None:
    found = document("sweep", log, "--over", "n_v=1,2", "--quick", *TINY[:4], *TINY[6:], *places)
    assert found["seeds"] == [0]
    assert found["advice"][-1].startswith("This study is quick (--quick): one seed, and training ends after 12 epochs")
    assert study_options.StudyOptions(quick=True).shortened(Training(epochs=90)).epochs == study_options.QUICK_EPOCHS
    assert study_options.StudyOptions(quick=True).shortened(Training(epochs=3)).epochs == 3


def test_the_same_command_again_trains_nothing(log: Path, places: tuple[object, ...]) -> None:
    first = document("compare", log, "--models", "markov", *places)
    again = document("compare", log, "--models", "markov", *places)
    assert again["rows"] == first["rows"]
    assert again["test_openings"] == first["test_openings"] == 1


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("compare", "--models", "markof"), 2, 'Did you mean "markov"'),
        (("compare", "--protocol", "leave-one-in"), 2, 'Did you mean "leave-one-out"'),
        (("compare", "--budget", "soon"), 2, "a time span must be a number"),
        (("compare", "--budget", "-3m"), 2, ""),
        (("compare", "--sessions", "half an hour"), 2, "a time span must be a number"),
        (("compare", "--sessions", "0", "--models", "markov"), 3, "longer than 0 seconds"),
        (("compare", "--sessions", "30m", "--protocol", "sessions"), 2, "protocol of their own"),
        (("compare", "--epochs", "0"), 2, ""),
        (("compare", "--seeds", "0"), 2, "seeds"),
        (("compare", "--jobs", "0"), 2, "jobs"),
        (("sweep", "--over", "L"), 2, "SETTING=VALUES"),
        (("sweep", "--over", "l=1..3"), 2, "must be over a setting of caser"),
        (("sweep", "--over", "L=0..3"), 2, "must be at least 1"),
        (("sweep", "--over", "seed=1,2"), 2, "must be over a setting"),
        (("sweep", "--over", "L=1,2", "--budget", "3m"), 2, ""),
        (("ablate", "--n-h", "0"), 2, "must start from the full model"),
        (("ablate", "--budget", "3m"), 2, ""),
    ],
)
def test_wrong_options_are_one_line_before_anything_trains(
    words: tuple[str, ...], code: int, message: str, log: Path, tmp_path: Path, places: tuple[object, ...]
) -> None:
    command, *others = words
    given = [place for place in places if "--jobs" not in words or place not in ONE_JOB]
    found, sentence = refusal(command, log, *others, *given)
    assert found == code
    assert message in sentence
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "store").rglob("*.json"))


def test_a_file_where_the_report_should_go_is_refused_before_anything_trains(log: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    code, sentence = refusal("compare", log, "--out", tmp_path / "file", "--store", tmp_path / "store", *ONE_JOB)
    assert code == 2
    assert "is a file" in sentence
    assert not (tmp_path / "store").exists()
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("text", ["", "m", "1d", "ten", "1e3", "--3", "3 m m"])
def test_a_text_that_is_no_time_span_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="a time span"):
        study_options.seconds_of(text)


@pytest.mark.parametrize("command", ["compare", "ablate", "sweep", "train --model auto"])
def test_help_fits_80_columns_and_explains_every_flag(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    outcome = caser(*command.split(), "--help")
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert "--store" in outcome.out


def test_auto_saves_the_best_model_and_says_why(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def counting(split: Any, plan: Any, **options: Any) -> Any:
        return try_auto(split, plan, ["markov"], **options)

    monkeypatch.setattr("caser.cli.auto.auto", counting)
    store = tmp_path / "store"
    options = ("--model", "auto", "--budget", "0", "--jobs", 1, "--store", store)
    said = document("train", log, "--out", tmp_path / "run", *options)
    assert said["model"] == load(tmp_path / "run").artefact.config.name
    assert said["why"] == load(tmp_path / "run").artefact.manifest["why"]
    assert list(said["validation"]) == sorted(said["validation"], key=lambda name: -said["validation"][name])
    outcome = caser("train", log, "--out", tmp_path / "again", *options)
    assert f"caser evaluate {tmp_path / 'again'}" in outcome.err
    assert said["why"][0] in outcome.out
