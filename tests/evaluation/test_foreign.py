"""Scorers from outside are judged like the library's own, or refused in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import caser
from caser.data.split import Split, leave_one_out
from caser.data.synthetic import chain_world
from caser.errors import ConfigError
from caser.fitting.evaluate import evaluate
from caser.models.counting.markov import Markov


@pytest.fixture(scope="module")
def split() -> Split:
    return leave_one_out(chain_world(num_users=40, num_items=12, length=6, seed=0).log)


def test_a_scorer_is_judged_as_the_model_that_it_holds(split: Split) -> None:
    fitted = caser.fit(Markov(), split)
    wanted = evaluate(fitted, split).estimate("markov", "ndcg@10")

    class Theirs:
        """An object that knows nothing of this library."""

        name = "theirs"

        def scores(self, users: Any, histories: Any) -> Any:
            return fitted.artefact.scorer.scores(users, histories)

    def by_function(users: Any, histories: Any) -> Any:
        return Theirs().scores(users, histories)

    for model, name in ((Theirs(), "theirs"), (by_function, "by_function"), (fitted.artefact.scorer, "MarkovScorer")):
        report = evaluate(model, split)
        found = next(label for label in report.values if label not in ("popularity", "markov", "count-knn"))
        assert found == name or model is fitted.artefact.scorer
        assert report.estimate(found, "ndcg@10").value == wanted.value
        assert len(report.values) == 4
    assert list(evaluate(Theirs(), split, baselines=False, metrics=["hit@3"]).values) == ["theirs"]
    Theirs.name = "markov"
    assert "markov (yours)" in evaluate(Theirs(), split).values


@pytest.mark.parametrize("value", [None, "runs/mine", 3, Markov, {"scores": 1}])
def test_what_is_no_scorer_is_refused_in_words(value: Any, split: Split) -> None:
    with pytest.raises(ConfigError, match=r"must be a recommender, .*or a scorer: .*scores\(users_B, histories_BH\)"):
        evaluate(value, split)


def test_scores_of_another_shape_are_refused_in_words(split: Split) -> None:
    with pytest.raises(ConfigError, match=r"a score per query and item, shape \(40, 13\); got \(40, 12\)"):
        evaluate(lambda users, histories: np.zeros((len(users), 12)), split)
