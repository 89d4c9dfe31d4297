"""Slices: buckets by hand, and means of buckets that add up to the mean of all."""

from __future__ import annotations

import numpy as np
import pytest

from caser.arrays.types import Int64
from caser.data.queries import Queries
from caser.data.synthetic import chain_world
from caser.data.tape import Tape
from caser.evaluation.judge import counting_baselines, judge
from caser.evaluation.protocols import PROTOCOLS, apply
from caser.evaluation.slices import POPULARITY, popularity_groups, slices
from tests.data.logs import for_every_protocol

# Two users: histories of 1 and 7 items; targets 3 and 4 for the first, 1 for the second.
TAPE = Tape.from_sequences([[1], [1, 1, 1, 2, 2, 2, 3]], num_items=4)
QUERIES = Queries(
    users=np.array([1, 2], dtype=np.int32),
    items=TAPE.items,
    starts=np.array([0, 1]),
    ends=np.array([1, 8]),
    targets=np.array([3, 4, 1], dtype=np.int32),
    target_offsets=np.array([0, 2, 3]),
    owners=np.array([1, 2], dtype=np.int32),
)
IS_REPEAT = np.array([False, False, True])


def test_every_slice_equals_the_buckets_worked_out_by_hand() -> None:
    found = {
        name: {bucket: np.flatnonzero(mask).tolist() for bucket, mask in buckets.items()}
        for name, buckets in slices(QUERIES, TAPE, IS_REPEAT).items()
    }
    assert found == {
        "history": {"1-5": [0, 1], "6-20": [2]},
        "popularity": {"head": [2], "tail": [0], "never seen": [1]},
        "position": {"1": [0, 2], "2": [1]},
        "repeat": {"new": [0, 1], "repeat": [2]},
        "training": {"item seen in training": [0, 2], "item never seen in training": [1]},
    }


def test_a_slice_with_one_bucket_is_left_out() -> None:
    assert "repeat" not in slices(QUERIES, TAPE, np.zeros(3, dtype=bool))


def test_the_head_has_half_of_the_interactions_that_train() -> None:
    # Counts 5, 2, 2, 1 of 10: before the items lie 0, 50 %, 70 % and 90 % of the interactions.
    tape = Tape.from_sequences([[1] * 5 + [2] * 2 + [3] * 2 + [4]], num_items=5)
    named = [POPULARITY[group] for group in popularity_groups(tape)]
    assert named == ["never seen", "head", "middle", "middle", "tail", "never seen"]


def test_queries_of_a_session_are_sliced_by_their_place() -> None:
    split = apply("sessions", chain_world(num_users=60, num_items=6, length=12, seed=0).log)
    queries = split.test
    found = slices(queries, split.final, np.zeros(len(queries), dtype=bool))["position"]
    length = queries.ends - queries.starts
    assert {bucket: set(length[mask].tolist()) for bucket, mask in found.items()} == {
        "1": {1},
        "2": {2},
        "3-4": {3, 4},
        "5-9": {5, 6, 7, 8, 9},
        "10+": {10, 11},
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_target_lies_in_one_bucket_and_means_of_buckets_add_up(protocol: str) -> None:
    log = chain_world(num_users=60, num_items=30, length=25, predictability=0.6, seed=1).log
    split = apply(protocol, for_every_protocol(log))
    report = judge(counting_baselines(split), split)
    assert report.slices
    for buckets in report.slices.values():
        assert sum(bucket.num_targets for bucket in buckets.values()) == len(split.test.targets)
        assert all(bucket.num_targets > 0 for bucket in buckets.values())
    if (split.test.num_targets == 1).all():  # a mean over queries is then one over targets
        metric = report.protocol.metrics[0]
        for buckets in report.slices.values():
            parts = [bucket.num_targets * bucket.models["markov"][metric].value for bucket in buckets.values()]
            assert sum(parts) / len(split.test.targets) == pytest.approx(report.estimate("markov", metric).value)
    said = report.to_dict()["slices"]
    assert said.keys() == report.buckets.keys()
    assert set(next(iter(said["history" if "history" in said else "popularity"].values()))) == {"num_targets", "models"}


def test_every_bound_is_the_first_number_of_its_bucket() -> None:
    # One query for each length of a history; the items before it that were seen are as many again.
    lengths = [0, 1, 5, 6, 20, 21, 50, 51, 200, 201, 300]
    ends: Int64 = np.cumsum(np.array(lengths) * 2)
    numbers = np.arange(len(lengths))
    queries = Queries(
        users=np.ones(len(lengths), dtype=np.int32),
        items=np.ones(ends[-1], dtype=np.int32),
        starts=ends - np.array(lengths),
        ends=ends,
        targets=np.ones(len(lengths), dtype=np.int32),
        target_offsets=np.arange(len(lengths) + 1),
        owners=np.ones(len(lengths), dtype=np.int32),
        seen_starts=ends - 2 * np.array(lengths),
    )
    found = slices(queries, TAPE, np.zeros(len(lengths), dtype=bool))
    expected = {"0": [0], "1-5": [1, 5], "6-20": [6, 20], "21-50": [21, 50], "51-200": [51, 200], "201+": [201, 300]}
    for name in ("history", "earlier"):
        named = {bucket: [lengths[place] for place in numbers[mask]] for bucket, mask in found[name].items()}
        assert named == expected
    places = {bucket: (numbers[mask] + 1).tolist() for bucket, mask in found["position"].items()}
    assert places == {"1": [1], "2": [2], "3-4": [3, 4], "5-9": [5, 6, 7, 8, 9], "10+": [10, 11]}


def test_the_middle_begins_at_half_and_the_tail_at_four_fifths_of_the_interactions() -> None:
    # Before the items lie 0, 50 %, 60 %, 70 %, 80 % and 90 %; among equals the lowest index comes first.
    tape = Tape.from_sequences([[6, 6, 6, 6, 6, 1, 2, 3, 4, 5]], num_items=7)
    named = [POPULARITY[group] for group in popularity_groups(tape)]
    assert named == ["never seen", "middle", "middle", "middle", "tail", "tail", "head", "never seen"]
    nothing = popularity_groups(Tape.from_sequences([[]], num_items=2))
    assert [POPULARITY[group] for group in nothing] == ["never seen"] * 3
