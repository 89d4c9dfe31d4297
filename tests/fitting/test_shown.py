"""What Python shows of the objects that a user holds is one short line, however large they are."""

from __future__ import annotations

import tempfile

import pytest

import caser

LOG = caser.chain_world(num_users=300, num_items=40, length=12, seed=0).log
SPLIT = caser.leave_one_out(LOG)
RECOMMENDER = caser.fit(caser.Markov(), SPLIT)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (LOG, "InteractionLog(3,600 interactions, 300 users, 40 items)"),
        (SPLIT, "validation=Queries(300 queries, 300 targets), test=Queries(300 queries, 300 targets))"),
        (SPLIT.fit, "Tape(3,000 interactions, 300 users, 40 items)"),
        (RECOMMENDER, "Recommender(markov, 300 users, 40 items)"),
        (RECOMMENDER.artefact, "Artefact(markov, 300 users, 40 items)"),
        (caser.best(SPLIT, caser.Markov()), "Winner(recommender=Recommender(markov"),
        (caser.evaluate(RECOMMENDER, SPLIT), "Report(leave-one-out, test, 300 users, popularity, "),
    ],
    ids=lambda one: type(one).__name__,
)
def test_an_object_is_shown_in_one_line(shown: object, expected: str) -> None:
    assert expected in repr(shown)
    assert len(repr(shown)) < 250
    assert "\n" not in repr(shown)


def test_a_study_is_shown_in_one_line() -> None:
    with tempfile.TemporaryDirectory() as store:
        study = caser.compare(SPLIT, ["markov"], caser.Plan(store=store, workers=1))
    assert repr(study).startswith("Study(compare, ")
    assert "markov" in repr(study)
    assert len(repr(study)) < 150
