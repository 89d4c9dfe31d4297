"""Seconds to answer all 22,332 users of amazon-beauty with counting models: sparse products against all scores.

Count kNN and session kNN score an item by a sum over few neighbours, so most scores are 0. With numba, many questions
are answered from the entries that are not 0; without it, as for a single question, from the scores of the whole
catalogue. The lists are the same.
"""

from __future__ import annotations

from functools import partial
from unittest.mock import patch

from benchmarks.speed import _rounds
from caser.answering.every_user import EveryUser
from caser.answering.recommender import Recommender
from caser.data import datasets
from caser.data.split import leave_one_out
from caser.fitting.fit import fit
from caser.models.counting.count_knn import CountKNN
from caser.models.counting.session_knn import SessionKNN

LOG = "amazon-beauty"
PRODUCTS, ALL_SCORES = "sparse products", "all scores"


def answer_all(recommender: Recommender, *, has_numba: bool) -> float:
    """Answer every user, and return how many there are."""
    with patch("caser.search.products.has_numba", return_value=has_numba):
        users = EveryUser(recommender, "answers.parquet")
        for _ in users.frames():
            pass
    return len(users)


def main() -> None:
    """Measure both ways in rounds, and print medians."""
    options = _rounds.parser(__doc__).parse_args()
    split = leave_one_out(datasets.load(LOG))
    models = [fit(model, split) for model in (CountKNN(), SessionKNN())]
    names = [recommender.artefact.config.name for recommender in models]
    contenders: dict[str, _rounds.Contender] = {
        f"{name}, {way}": partial(answer_all, recommender, has_numba=way == PRODUCTS)
        for name, recommender in zip(names, models, strict=True)
        for way in (PRODUCTS, ALL_SCORES)
    }
    rates = _rounds.rates(contenders, options.rounds)
    num_users = split.final.num_users
    rows = [
        {
            "model, way": name,
            "seconds for all users": num_users / rates.median(name),
            "users a second": rates.median(name),
        }
        for name in contenders
    ]
    bars = [
        bar
        for name in names
        for bar in (
            _rounds.Bar(
                f"all users of {LOG}, {name}", num_users / rates.median(f"{name}, {PRODUCTS}"), "s", 1, 0.2, "lower"
            ),
            _rounds.Bar(
                f"{PRODUCTS} against {ALL_SCORES}, {name}",
                rates.ratio(f"{name}, {PRODUCTS}", f"{name}, {ALL_SCORES}"),
                "x",
                2,
                10,
            ),
        )
    ]
    _rounds.publish(
        "batch_counting",
        rows,
        bars,
        lambda axes: axes.barh([str(row["model, way"]) for row in rows], [row["users a second"] for row in rows]),
        users=num_users,
        items=split.final.num_items,
    )


if __name__ == "__main__":
    main()
