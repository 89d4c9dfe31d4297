"""An option that the other options make void is an error in one sentence, before any work; a default never is."""

from __future__ import annotations

from pathlib import Path

import pytest

from caser.cli.unused import RULES
from tests.cli.terminal import caser, refusal

CASES = [
    ("data describe LOG --rating stars", "--rating has an effect only with --min-rating"),
    ("data prepare LOG --out FOLDER --sql query", "--sql has an effect only with --connection"),
    ("data prepare LOG --out FOLDER --connection address", "--connection has an effect only with --sql"),
    (
        "compare LOG --windows 3 --table new.tex",
        "--table has no effect with --windows: each window has a table of its own, in its report",
    ),
    (
        "data describe LOG --event-type kind",
        "--event-type has an effect only with --event-types or --target-events or --negative-events",
    ),
    ("data describe LOG --format parquet --separator ,", "--separator has no effect with --format parquet"),
    ("data describe LOG --format jsonl --header", "--header has no effect with --format jsonl"),
    ("data describe LOG --format jsonl --no-header", "--no-header has no effect with --format jsonl"),
    ("train LOG --out NEW --rating stars", "--rating has an effect only with --min-rating"),
    ("train LOG --out NEW --no-choose --patience 3", "--patience has no effect with --no-choose"),
    ("train LOG --out NEW --jobs 2", "--jobs has an effect only with --model auto"),
    ("train LOG --out NEW --store runs/mine", "--store has an effect only with --budget"),
    ("train LOG --out NEW --no-choose --epochs 2 --budget 5m", "--budget has no effect with --no-choose"),
    ("train LOG --out NEW --model markov --jobs 2", "--jobs has an effect only with --model auto"),
    ("train LOG --out NEW --model markov --epochs 5", "markov, which is fitted in one pass and has no training"),
    ("train LOG --out NEW --model=markov --epochs=5", "--epochs has no effect on markov"),
    ("train LOG --out NEW --model ease --choose", "--choose has no effect on ease"),
    ("train LOG --out NEW --model ease --no-choose", "--no-choose has no effect on ease"),
    ("train LOG --out NEW --model markov --seed 1", "--seed has no effect on markov"),
    ("train LOG --out NEW --model markov --loss-settings.calibration 1", "--loss-settings has no effect on markov"),
    ("train LOG --out NEW --model auto --epochs 5", "--epochs has no effect with --model auto"),
    ("train LOG --out NEW --model auto --no-choose", "--no-choose has no effect with --model auto"),
    ("evaluate RUN --trec-depth 1000", "--trec-depth has an effect only with --trec"),
    ("compare LOG --quick --seeds 3", "--seeds has no effect with --quick: it trains one seed"),
    ("compare LOG --quick --epochs 20", "--epochs 20 has no effect with --quick, which trains at most 12"),
    ("compare LOG --sessions 30m --protocol leave-one-out", "--protocol has no effect with --sessions"),
    (
        "compare LOG --models markov ease --epochs 5",
        "--epochs has no effect on models that are fitted in one pass: markov, ease",
    ),
    ("compare LOG --models markov --seeds 5", "--seeds has no effect on models that are fitted in one pass: markov"),
    ("compare LOG --models markov --quick", "--quick has no effect on models that are fitted in one pass: markov"),
    ("ablate LOG --quick --seeds 5", "--seeds has no effect with --quick"),
    ("ablate LOG --quick --epochs 13", "--epochs 13 has no effect with --quick"),
    ("ablate LOG --no-choose --patience 5", "--patience has no effect with --no-choose"),
    ("sweep LOG --over L=1,2 --quick --seeds 5", "--seeds has no effect with --quick"),
    ("sweep LOG --over L=1,2 --L 5", "--L has no effect with --over L, which replaces it"),
    ("sweep LOG --over learning_rate=1,2 --learning-rate 3", "--learning-rate has no effect with --over learning-rate"),
    ("sweep LOG --over user_vector=true,false --no-user-vector", "--no-user-vector has no effect with --over"),
    ("sweep LOG --over reach=1,2 --model count-knn --epochs 5", "--epochs has no effect on count-knn"),
    (
        "sweep LOG --over reach=1,2 --model count-knn --seeds 5",
        "--seeds has no effect on models that are fitted in one pass",
    ),
    ("audit LOG --no-neural --model caser", "--model has no effect with --no-neural: no neural model is trained"),
    ("recommend RUN --user 1 --memory-mb 16", "--memory-mb has an effect only with --all"),
    ("recommend RUN --user 1 --engine ray", "--engine has an effect only with --all"),
    ("recommend RUN --all --out NEW.csv --user 1", "--user has no effect with --all"),
    ("recommend RUN --all --out NEW.csv --item 1", "--item has no effect with --all"),
    ("recommend RUN --all --out NEW.csv --history 1", "--item has no effect with --all"),
    ("recommend RUN --user 1 --csv-safe", "--csv-safe has an effect only with --out"),
    ("recommend RUN --all --out NEW.jsonl --csv-safe", "--csv-safe has an effect only on a .csv or .tsv file"),
    ("evaluate RUN --csv-safe", "--csv-safe has an effect only with --per-user"),
    ("evaluate RUN --per-user NEW.parquet --csv-safe", "--csv-safe has an effect only on a .csv or .tsv file"),
    ("data events RUN --out NEW.parquet --csv-safe", "--csv-safe has an effect only on a .csv or .tsv file"),
    ("replay RUN --log NEW --users 5", "--users has an effect only with --against"),
    ("replay RUN --against URL --arms", "--arms has an effect only with --log"),
    ("replay RUN --log NEW --metric hit", "--metric has an effect only with --arms"),
    ("replay RUN --log NEW --margin 0.1", "--margin has an effect only with --arms"),
    ("replay RUN --log NEW --seed 0", "--seed has an effect only with --against"),
    ("serve RUN --burst 5", "--burst has an effect only with --rate"),
]


@pytest.mark.parametrize(("line", "sentence"), CASES, ids=[line for line, _ in CASES])
def test_an_option_without_effect_is_refused_before_any_work(
    line: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [word.replace("NEW", "new") for word in line.split()]  # neither LOG nor RUN exists: nothing is read
    code, line_of_error = refusal(*words)
    assert code == 2
    assert sentence in line_of_error
    assert line_of_error.endswith("out.")
    assert list(tmp_path.iterdir()) == []


def test_every_command_with_a_rule_has_a_case() -> None:
    assert {name for name in RULES if not any(line.startswith(f"{name} ") for line, _ in CASES)} == set()


def test_the_default_of_an_option_is_never_refused(log: Path, tmp_path: Path) -> None:
    words = ("--models", "markov", "--jobs", "1", "--out", tmp_path / "out", "--store", tmp_path / "store")
    assert caser("compare", log, *words).code == 0
    assert caser("data", "describe", log, "--format", "delimited", "--separator", ",").code == 0
