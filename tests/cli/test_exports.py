"""What a researcher takes along: the table of a report, the options of a study, and BibTeX."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import polars as pl
import pytest

from caser import __version__
from caser.cli import cite
from caser.cli.cite import SOURCES, entries_of
from caser.data.datasets import DATASETS
from caser.evaluation.protocols import PROTOCOLS
from caser.models import MODELS
from tests.cli.conftest import TrainedRun
from tests.cli.terminal import caser, document, refusal

BIB = Path(cite.__file__).with_name("references.bib").read_text(encoding="utf-8")


def test_evaluate_writes_the_table_that_it_prints(trained: TrainedRun, tmp_path: Path) -> None:
    judged = document("evaluate", trained("markov"), "--table", tmp_path / "table.csv")
    rows = {(row["model"], row["metric"]): row["value"] for row in pl.read_csv(tmp_path / "table.csv").to_dicts()}
    assert rows == {
        (model, name): of["value"] for model, metrics in judged["models"].items() for name, of in metrics.items()
    }


def test_a_study_writes_its_table_and_the_file_that_repeats_it(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("--models", "markov", "--jobs", 1, "--out", "study", "--table", "table.tex")
    found = document("compare", log, *words)
    text = Path("table.tex").read_text(encoding="utf-8")
    assert all(f"\n{row['label']} & " in text for row in found["rows"])
    assert found["fingerprint"] in text.splitlines()[0]
    options = tomllib.loads(Path("study/configuration.toml").read_text(encoding="utf-8"))["compare"]
    assert options == {
        "log": str(log),
        "models": ["markov"],
        "json": True,
        "jobs": 1,
        "out": "study",
        "table": "table.tex",
    }
    Path("table.tex").unlink()
    assert document("compare", "--config", "study/configuration.toml")["rows"] == found["rows"]
    assert Path("table.tex").read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    "words", [("evaluate", "no-such-run"), ("compare", "no-such-log"), ("sweep", "no-such-log", "--over", "L=1,2")]
)
def test_another_ending_of_a_table_is_refused_before_any_work(words: tuple[str, ...]) -> None:
    code, line = refusal(*words, "--table", "table.xls")
    assert code == 2
    assert "must end in .tex, .md" in line


def test_every_name_has_entries_that_exist_and_every_entry_a_name() -> None:
    keys = set(re.findall(r"^@\w+\{([\w-]+),$", BIB, re.MULTILINE))
    assert {key for named in SOURCES.values() for key in named} | {"caser"} == keys
    assert set(SOURCES) <= {*MODELS, *DATASETS, *PROTOCOLS}
    assert set(DATASETS) <= set(SOURCES)
    # Models without a source are those that the library made up, or that nobody published first.
    assert set(MODELS) - set(SOURCES) == {"blend", "count-knn", "markov", "popularity", "recent-popularity"}


@pytest.mark.parametrize("name", sorted({*MODELS, *DATASETS, *PROTOCOLS}))
def test_an_entry_is_whole(name: str) -> None:
    for key, entry in entries_of([name]).items():
        assert re.match(rf"@(software|inproceedings|article|book)\{{{key},\n", entry)
        assert entry.count("{") == entry.count("}")
        assert "VERSION" not in entry
        fields = dict(re.findall(r"^  (\w+) *= \{(.*)\},?$", entry, re.MULTILINE))
        assert {"title", "author", "year"} <= fields.keys()
        assert key == "caser" or {"doi", "eprint", "url"} & fields.keys()  # a reader can find the paper
        # A number alone, or with one hyphen, is typeset wrongly.
        assert re.fullmatch(r"([\d:]+--[\d:]+)?", fields.get("pages", ""))


def test_cite_prints_the_library_and_its_paper_first() -> None:
    said = caser("cite").out
    assert re.findall(r"^@\w+\{([\w-]+),", said, re.MULTILINE) == ["caser", "tang2018caser"]
    assert f"version = {{{__version__}}}" in said


def test_cite_a_run_names_its_model_and_its_protocol(trained: TrainedRun) -> None:
    assert list(document("cite", trained("gru4rec"))["entries"]) == [
        "caser", "tang2018caser", "hidasi2016gru4rec", "hidasi2018topk"]  # fmt: skip
    assert list(document("cite", "ease", "ml-1m", "d2l")["entries"])[2:] == [
        "steck2019ease",
        "harper2015movielens",
        "zhang2023d2l",
    ]


def test_what_cannot_be_cited_is_refused() -> None:
    assert refusal("cite", "sasrc") == (2, refusal("cite", "sasrc")[1])
    assert "did you mean sasrec?" in refusal("cite", "sasrc")[1]
