"""The public functions refuse an argument of the wrong kind with one sentence that says what to give instead."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import caser
from caser.errors import CaserError, ConfigError, DataError

LOG = caser.chain_world(num_users=40, num_items=12, length=10, seed=0).log
SPLIT = caser.leave_one_out(LOG)
REC = caser.fit(caser.Markov(), SPLIT)
SMALL = caser.Caser(d=4, L=2, n_h=2)
ANY: Any = caser  # the type checker would refuse every one of these calls

CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "fit a number": (lambda: ANY.fit(3, SPLIT), "a model must be settings"),
    "fit on a log": (
        lambda: ANY.fit(SMALL, LOG),
        "split must be a split of a log; got .*InteractionLog.* Split the log",
    ),
    "fit by a dict": (
        lambda: ANY.fit(SMALL, SPLIT, {"epochs": 1}),
        "training must be caser.Training.*got {'epochs': 1}",
    ),
    "checkpoint": (lambda: ANY.fit(SMALL, SPLIT, checkpoint=3), "checkpoint must be the path of a file"),
    "evaluate on a log": (lambda: ANY.evaluate(REC, LOG), "split must be a split of a log"),
    "evaluate settings": (lambda: ANY.evaluate(SMALL, SPLIT), "recommender must be a recommender"),
    "one metric": (lambda: ANY.evaluate(REC, SPLIT, metrics="ndcg@5"), "metrics must be a list of names.*'ndcg@5'"),
    "metric without a name": (lambda: ANY.evaluate(REC, SPLIT, metrics=[5]), "each of the metrics must be the name"),
    "rank a recommender": (lambda: ANY.rank(REC, SPLIT), "a scorer must have a method `scores`; got a Recommender"),
    "rank on a log": (lambda: ANY.rank(REC.artefact.scorer, LOG), "split must be a split of a log"),
    "baselines of a log": (lambda: ANY.counting_baselines(LOG), "split must be a split of a log"),
    "split by nothing": (lambda: ANY.split(None, LOG), "protocol must be the name of a protocol.*got None. Known: d2l"),
    "swapped": (lambda: ANY.split(LOG, "leave-one-out"), "protocol must be the name of a protocol"),
    "split nothing": (lambda: ANY.split("user-sessions", None), "log must be an interaction log; got None"),
    "leave one out": (lambda: ANY.leave_one_out("x"), "log must be an interaction log; got 'x'.*caser.read_log"),
    "d2l": (lambda: ANY.d2l(None), "log must be an interaction log"),
    "global time": (lambda: ANY.global_time(None), "log must be an interaction log"),
    "sessions": (lambda: ANY.sessions(None), "log must be an interaction log"),
    "user fraction": (lambda: ANY.user_fraction(None), "log must be an interaction log"),
    "fraction": (lambda: ANY.user_fraction(LOG, test="a"), "test must be a share between 0 and 1; got 'a'"),
    "load": (lambda: ANY.load(None), "path must be the path of a folder; got None"),
    "save": (lambda: ANY.Recommender.save(REC, 3), r"path must be the path of a folder; got 3 \(int\)"),
    "explain many": (
        lambda: ANY.explain(REC, item=[1], user=1),
        "item must be one raw id; got .1. .list.. Ask about one",
    ),
    "explain to many": (lambda: ANY.explain(REC, item=1, user=[1]), "user must be one raw id"),
    "reading": (lambda: ANY.read_log("log.csv", "x"), "reading must be caser.Reading.* or None; got 'x'"),
    "user sessions": (lambda: ANY.user_sessions("x"), "log must be an interaction log; got 'x'.*caser.read_log"),
    "gap": (lambda: ANY.user_sessions(LOG, gap="30m"), "gap must be a number of seconds; got '30m'"),
    "answer from a path": (lambda: ANY.Recommender("RUN"), r"artefact must be an artefact; .* got 'RUN'"),
    "compare on a log": (lambda: ANY.compare(LOG), "split must be a split of a log"),
    "sweep on a log": (lambda: ANY.sweep(LOG, "count-knn", "reach", [1, 2]), "split must be a split of a log"),
    "explain by settings": (lambda: ANY.explain(SMALL, item=1), "recommender must be a recommender"),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_argument_of_the_wrong_kind_is_refused(name: str) -> None:
    call, message = CALLS[name]
    with pytest.raises((ConfigError, DataError), match=message):
        call()


def test_integers_of_numpy_are_whole_numbers() -> None:
    epochs: Any = np.int64(1)
    rec = caser.fit(SMALL, SPLIT, epochs=epochs)
    assert type(rec.artefact.manifest["epochs"]) is int
    item: Any = np.int64(REC.artefact.items.raw([1])[0])
    assert caser.explain(REC, item=item).item_id == item


def test_only_a_model_with_the_setting_is_told_to_set_user_vector() -> None:
    with pytest.raises(ConfigError, match=r"Leave it out\.$"):
        caser.fit(caser.GRU4Rec(), SPLIT, caser.Training(user_dropout=0.1))
    with pytest.raises(ConfigError, match=r"or set user_vector=True\.$"):
        caser.fit(SMALL.replace(user_vector=False), SPLIT, caser.Training(user_dropout=0.1))


def arguments(name: str, value: object) -> tuple[list[object], dict[str, object]]:
    """The arguments that a call of a public function must have, all with one value: by position, and by name."""
    parameters = inspect.signature(getattr(caser, name)).parameters.values()
    needed = [one for one in parameters if one.default is one.empty and one.kind is not one.VAR_KEYWORD]
    by_name = {one.name: value for one in needed if one.kind is one.KEYWORD_ONLY}
    return [value] * (len(needed) - len(by_name)), by_name


FUNCTIONS = [name for name in caser.__all__ if inspect.isfunction(getattr(caser, name)) and arguments(name, 0)[0]]


@pytest.mark.parametrize("value", ["x", 3, None])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_refuses_text_a_number_and_nothing_as_its_arguments(name: str, value: object) -> None:
    by_position, by_name = arguments(name, value)
    with pytest.raises(CaserError):
        getattr(caser, name)(*by_position, **by_name)
