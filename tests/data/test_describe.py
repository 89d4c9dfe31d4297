"""Facts about a log: computed by hand for a small log, and the published facts of ML-100K."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from caser.data.describe import describe
from caser.data.log import InteractionLog
from caser.data.readers import read_log
from caser.data.synthetic import chain_world
from tests.skips import without_log


def test_every_fact_of_a_small_log_is_right() -> None:
    users = pl.Series(["a", "a", "a", "a", "b", "b"])
    items = pl.Series([1, 1, 2, 1, 1, 3])
    log = InteractionLog.from_columns(users, items, np.array([0, 0, 5, 9, 7, 7]) * 1_000_000)
    facts = describe(log)
    assert (facts["interactions"], facts["users"], facts["items"]) == (6, 2, 3)
    assert facts["density"] == 1.0
    assert (facts["interactions_per_user_least"], facts["interactions_per_user_most"]) == (2, 4)
    assert facts["interactions_per_user_median"] == 3
    assert (facts["first_time"], facts["last_time"]) == ("1970-01-01T00:00:00Z", "1970-01-01T00:00:09Z")
    assert facts["share_of_rows_tied"] == pytest.approx(4 / 6)
    assert facts["share_of_users_with_tied_last_time"] == 0.5
    assert facts["share_of_repeats"] == pytest.approx(2 / 6)
    assert facts["share_of_consecutive_repeats"] == pytest.approx(1 / 6)
    assert facts["duplicates"] == 1
    assert facts["popularity_gini"] == pytest.approx((4 - 1) * 2 / (3 * 6))
    assert facts["share_of_top_1_percent_of_items"] == pytest.approx(4 / 6)


def test_a_log_without_times_has_no_facts_about_times() -> None:
    facts = describe(InteractionLog.from_columns(pl.Series([1, 1]), pl.Series([1, 1]), None))
    assert facts["first_time"] is None
    assert facts["share_of_rows_tied"] is None
    assert facts["duplicates"] == 0


def test_equal_popularity_has_a_gini_of_zero() -> None:
    log = InteractionLog.from_columns(pl.Series([1, 2]), pl.Series([1, 2]), None)
    assert describe(log)["popularity_gini"] == 0


def test_facts_are_json() -> None:
    facts = describe(chain_world(num_users=3).log)
    assert json.loads(json.dumps(facts)) == facts


def test_a_time_far_from_today_can_be_written() -> None:
    log = InteractionLog.from_columns(pl.Series([1, 1]), pl.Series([1, 2]), np.array([-(2**61), 2**61]))
    assert describe(log)["last_time"].endswith("Z")


@pytest.mark.data
def test_the_ties_of_ml_100k_are_those_of_the_protocol() -> None:
    path = Path(os.environ.get("CASER_CACHE", "")) / "ml-100k" / "u.data"
    if not path.is_file():
        pytest.skip(without_log("ml-100k/u.data"))
    facts = describe(read_log(path))
    assert (facts["interactions"], facts["users"], facts["items"]) == (100_000, 943, 1_682)
    assert facts["share_of_rows_tied"] == pytest.approx(0.758, abs=0.0005)
    assert facts["share_of_users_with_tied_last_time"] == pytest.approx(0.440, abs=0.0005)
    assert facts["share_of_repeats"] == 0
