"""What is said while a command works: the trial of a search, the time left, and why a difference does not count."""

from __future__ import annotations

from typing import Any

import pytest

from caser.cli import show
from caser.fitting.fit import Progress
from caser.study.engine import Step
from tests.study.report import studies


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (Progress("choosing", "ndcg@10", 1, 12), "choosing epoch 1/12"),
        (Progress("refitting", "ndcg@10", 2, 8, model="caser"), "refitting caser, epoch 2/8"),
        (
            Progress("choosing", "ndcg@10", 1, 12, model="caser", trial=3, seconds_left=290.0),
            "choosing caser, trial 3, epoch 1/12 · 5 min of its time left",
        ),
        (Progress("choosing", "ndcg@10", 1, 12, model="ease", trial=1, seconds_left=0.0), "choosing ease, epoch 1/12"),
    ],
)
def test_a_stage_names_its_model_its_trial_and_the_time_that_is_left(progress: Progress, words: str) -> None:
    assert show._stage_in_words(progress) == words


def test_each_step_of_a_study_says_about_how_long_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    with show.study_progress() as tell:
        tell(Step("chosen", "markov", "0.1 s", 1, 14, None))
        tell(Step("chosen", "caser", "20 s", 6, 14, 260.0))
        tell(Step("fitted", "caser", "20 s", 14, 14, 0.0))
    first, second, last = capsys.readouterr().err.splitlines()
    assert "left" not in first + last
    assert second.endswith("6/14  chosen caser: 20 s · about 4 min left")


@pytest.mark.parametrize("is_lost", [False, True])
def test_the_table_names_differences_that_only_the_correction_hides(
    is_lost: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    study: dict[str, Any] = studies.compare()
    for row in study["rows"]:
        if row["label"] == "sasrec":
            row["difference"] |= {"is_shown": False, "is_lost_to_correction": is_lost}
    show.study(study)
    said = capsys.readouterr().out
    assert "after Holm's correction for 11 comparisons" in said
    assert ("without that correction, the difference would count for sasrec too" in said) is is_lost
