"""A split with parameters of its own is judged under its own name, by the rules of its protocol."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caser.data.cold_items import cold_items
from caser.data.log import InteractionLog
from caser.data.new_users import new_users
from caser.data.random_split import random_split
from caser.data.split import Split, global_time, sessions, user_fraction
from caser.data.synthetic import chain_world
from caser.data.user_sessions import user_sessions
from caser.errors import ConfigError
from caser.evaluation import protocols
from caser.evaluation.judge import counting_baselines, judge
from caser.fitting.evaluate import evaluate
from caser.fitting.fit import fit
from caser.models.counting.markov import Markov
from tests.data.logs import log_of, log_of_sequences, with_pauses

# One item is rare, so the filter of the protocol caser-paper would drop it.
LOG = log_of_sequences({user: "abcdabcdab"[user % 4 :] + ("r" if user == 0 else "a") for user in range(20)})
CROWD = log_of((f"u{n % 5}", f"i{n // 10}", n) for n in range(90))
WITH_PAUSES = with_pauses(chain_world(num_users=30, num_items=9, length=28, seed=0).log)


@pytest.mark.parametrize(
    ("make", "log", "parameters", "protocol"),
    [
        (user_fraction, LOG, {"test": 0.5, "validation": 0.123456789}, "caser-paper"),
        (global_time, LOG, {"test": 0.25, "validation": 0.2}, "global-time"),
        (sessions, LOG, {"test": 1 / 3, "validation": 0.1}, "sessions"),
        (cold_items, CROWD, {"test": 0.25, "validation": 0.25}, "cold-items"),
        (new_users, LOG, {"test": 0.2, "validation": 0.1, "seed": 4}, "new-users"),
        (random_split, LOG, {"test": 0.2, "validation": 0.1, "seed": 4}, "random"),
        (global_time, LOG, {"test": 0.25, "validation": 0.2, "end": 0.75}, "global-time"),
        (user_sessions, WITH_PAUSES, {"gap": 3600, "reads": "session"}, "user-sessions"),
    ],
)
def test_the_name_of_a_split_is_enough_to_make_it_again(
    make: Any, log: InteractionLog, parameters: dict[str, Any], protocol: str
) -> None:
    split: Split = make(log, **parameters)
    again = protocols.apply(split.name, log)
    assert again.name == split.name != protocol
    assert again.log.digest == split.log.digest
    for name in ("users", "items", "starts", "ends", "targets", "target_offsets", "owners"):
        np.testing.assert_array_equal(getattr(again.test, name), getattr(split.test, name))
    named, usual = protocols.protocol_named(split.name), protocols.protocol_named(protocol)
    assert (named.metrics, named.seen, named.catalogue, named.ties, named.anonymous) == (
        usual.metrics,
        usual.seen,
        usual.catalogue,
        usual.ties,
        usual.anonymous,
    )


def test_a_model_is_fitted_and_judged_on_a_split_with_shares_of_its_own() -> None:
    split = user_fraction(LOG, test=0.5)
    report = evaluate(fit(Markov(), split), split)
    assert report.to_dict()["protocol"] == "user-fraction test=0.5 validation=0.1"
    assert "map" in report.values["markov"]


def test_a_split_with_shares_of_its_own_is_not_judged_as_the_protocol_of_the_paper() -> None:
    split = user_fraction(LOG, test=0.5)
    with pytest.raises(ConfigError, match=r"a split for user-fraction .* and the protocol caser-paper"):
        judge(counting_baselines(split), split, "caser-paper")


@pytest.mark.parametrize(
    "name",
    [
        "user-fraction",
        "user-fraction test=0.5",
        "user-fraction test=0.5 validation=0.1 gap=3",
        "user-fraction test=much validation=0.1",
        "leave-one-out test=0.5",
        "leave-one-out ",
        "user-sessions  gap=3 reads=all",
        "leave-two-out test=0.5 validation=0.1",
    ],
)
def test_a_name_that_no_split_has_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="a protocol must be a known name"):
        protocols.protocol_named(name)
