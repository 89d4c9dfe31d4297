"""The sentences on differences: what they say of few users, of Holm's correction, and of training cut short."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from caser.config import Training
from caser.data.log import InteractionLog
from caser.evaluation import protocols
from caser.evaluation.statistics import Difference
from caser.fitting.fit import Choice
from caser.models.caser.caser import Caser
from caser.study.compare import compare
from caser.study.recipes import Recipe
from caser.study.study import Study
from caser.study.words import concluded, listed, sentence, still_improving
from tests.study.small import small_plan, small_split


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Three counting models on eighty users."""
    return compare(small_split(), ["markov"], small_plan(tmp_path_factory.mktemp("store")))


def said(study: Study, difference: Difference) -> list[str]:
    """The sentences on `difference`, as if it were that of popularity to markov."""
    judged = replace(study, reference="markov", differences={"popularity": difference})
    return f"{sentence(judged, 'popularity', 'markov')}.".replace(". ", ".\n").splitlines()


SHOWN = Difference(0.05, 0.02, 0.08, 0.04)


@pytest.mark.parametrize(
    ("difference", "headline"),
    [
        (SHOWN, "popularity beats markov by 0.0500 ndcg@10."),
        (Difference(-0.05, -0.08, -0.02, 0.04), "popularity loses to markov by 0.0500 ndcg@10."),
        (Difference(0.01, -0.02, 0.04, 0.05), "{n} users show no clear difference between popularity and markov."),
        (Difference(0.0, 0.0, 0.0, 0.0), "popularity and markov are equally good."),
    ],
)
def test_the_first_sentence_stands_alone_and_every_other_has_a_subject(
    study: Study, difference: Difference, headline: str
) -> None:
    first, *rest = said(study, difference)
    assert first == headline.format(n=study.report.num_owners)
    assert rest
    subjects = (
        "The true difference ",
        "In this test, ",
        "Both have ",
        f"With {study.report.num_owners} users, only a ",
    )
    assert all(one.startswith(subjects) for one in rest)


def test_what_the_users_can_show_is_said_in_plain_words_and_never_as_zero(study: Study) -> None:
    sentences = " ".join(said(study, Difference(0.01, -0.02, 0.04, 0.05)))
    assert "the 95 % interval of the difference (-0.0200 to +0.0400) contains 0." in sentences
    assert "only a difference of about 0.0500 or more would show in most tests (4 of 5)." in sentences
    assert "smallest" not in sentences
    assert "of about" not in " ".join(said(study, Difference(0.0, 0.0, 0.0, 0.0)))


def test_holms_correction_is_named_where_it_is_why_an_interval_without_zero_is_not_shown(study: Study) -> None:
    lost = Difference(0.05, 0.01, 0.09, 0.06, p_value=0.03, p_adjusted=0.33, family=11)
    sentences = " ".join(said(study, lost))
    assert "the 95 % interval of the difference (+0.0100 to +0.0900) does not contain 0." in sentences
    assert "this study makes 11 comparisons" in sentences
    assert "After Holm's correction" in sentences
    for other in (SHOWN, replace(lost, low=-0.01), replace(lost, p_adjusted=0.01), Difference(0.01, -0.02, 0.04, 0.05)):
        assert "Holm" not in " ".join(said(study, other))


@pytest.mark.parametrize("num_users", [2, 3, 5])
def test_too_few_users_say_nothing_at_all(num_users: int, tmp_path: Path) -> None:
    rows = [(f"u{user}", f"i{(user + step) % 6}", step) for user in range(num_users) for step in range(5)]
    users, items, times = (list(column) for column in zip(*rows, strict=True))
    log = InteractionLog.from_columns(pl.Series(users), pl.Series(items), pl.Series(times).to_numpy())
    found = compare(protocols.apply("leave-one-out", log), ["markov"], small_plan(tmp_path))
    assert found.verdicts == (f"{num_users} users are too few to say anything about these models.",)
    assert found.advice == ("Test on more users: at least 6, and better some hundreds.",)
    assert not any(one.is_shown for one in found.differences.values())


def test_users_who_have_taken_every_item_are_judged_without_a_crash(tmp_path: Path) -> None:
    rows = [(f"u{user}", f"i{(user + step) % 6}", step) for user in range(8) for step in range(7)]
    users, items, times = (list(column) for column in zip(*rows, strict=True))
    log = InteractionLog.from_columns(pl.Series(users), pl.Series(items), pl.Series(times).to_numpy())
    found = compare(protocols.apply("leave-one-out", log), ["markov"], small_plan(tmp_path))
    assert found.verdicts[0].startswith("No model beats chance")


def with_curve(study: Study, values: list[float], epochs: int) -> Study:
    """The study, as if the network `caser` had been trained with this curve."""
    recipe = Recipe(Caser(), Training(epochs=epochs))
    history: list[dict[str, Any]] = [{"number": i, "validation": one} for i, one in enumerate(values, start=1)]
    tuned = replace(study.outcome.chosen["markov"], recipe=recipe, choice=Choice(max(values), 1.0, 1, tuple(history)))
    return replace(study, outcome=replace(study.outcome, chosen={**study.outcome.chosen, "markov": tuned}))


@pytest.mark.parametrize(
    ("values", "epochs", "improves"),
    [
        ([0.1, 0.2, 0.3, 0.4], 4, True),  # the best epoch is the last that was allowed
        ([0.1, 0.2, 0.3, 0.4], 9, False),  # more epochs were allowed, so training stopped by itself
        ([0.1, 0.4, 0.3, 0.2], 4, False),  # the best epoch is long past
        ([0.1, 0.4, 0.4, 0.403], 4, False),  # the curve is flat
        ([0.2, 0.2, 0.2, 0.2], 4, False),
        ([0.1], 1, False),
    ],
)
def test_a_network_that_was_still_improving_is_named(
    study: Study, values: list[float], epochs: int, improves: bool
) -> None:
    cut = with_curve(study, values, epochs)
    assert still_improving(cut) == ["markov"] * improves
    last = concluded(cut, ["First."]).verdicts[-1]
    assert ("markov was still improving when training ended after 4 epochs" in last) is improves


def test_names_are_listed_in_words() -> None:
    assert listed(["a", "b"]) == "a and b"
