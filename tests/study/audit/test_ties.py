"""Ties: what they decide, and how a metric varies over their orders."""

from __future__ import annotations

import numpy as np
import pytest

from caser.data.describe import describe
from caser.data.log import InteractionLog
from caser.data.split import d2l, leave_one_out
from caser.data.synthetic import chain_world
from caser.study.audit.ties import decided_by_ties, reordered, ties
from tests.data.logs import log_of


def rounded(log: InteractionLog, together: int) -> InteractionLog:
    """The log with every so many events of a user at one moment, in the order of events."""
    first = np.searchsorted(log.users, log.users)
    moments = (np.arange(len(log)) - first) // together
    raw = log.item_vocabulary.raw(log.items)
    return log_of(zip(log.users.tolist(), raw, (moments * 1_000_000).tolist(), strict=True))


CHAIN = chain_world(num_users=200, num_items=8, length=13).log


@pytest.mark.parametrize(
    ("times", "decided"),
    [([0, 1, 2, 3], (0, 0)), ([0, 0, 1, 2], (0, 0)), ([0, 1, 1, 2], (1, 0)), ([0, 1, 2, 2], (1, 1))],
)
def test_a_tie_decides_where_it_lies_across_a_cut(times: list[int], decided: tuple[float, float]) -> None:
    log = log_of((1, item, time) for item, time in enumerate(times, start=5))
    assert decided_by_ties(leave_one_out(log)) == decided
    assert decided_by_ties(d2l(log)) == decided


def test_events_change_places_at_one_moment_only() -> None:
    log = rounded(CHAIN, 4)
    other = reordered(log, seed=0, number=0)
    assert not np.array_equal(other.items, log.items)
    assert np.array_equal(other.times, log.times)
    for one in (0, 3):  # the first two moments of the first user
        assert sorted(other.items[one * 4 : one * 4 + 4]) == sorted(log.items[one * 4 : one * 4 + 4])


def test_a_log_without_ties_is_good() -> None:
    finding = ties(CHAIN, "leave-one-out", describe(CHAIN), 0, print)
    assert (finding.severity, finding.advice) == ("good", ())


def test_an_order_of_rows_with_more_information_than_the_times_is_a_warning() -> None:
    log = rounded(CHAIN, 4)
    finding = ties(log, "leave-one-out", describe(log), 0, lambda _: None)
    highest, in_file = finding.facts["highest ndcg@10"], finding.facts["ndcg@10 in file order"]
    assert isinstance(highest, float)
    assert isinstance(in_file, float)
    assert highest < in_file
    assert finding.severity == "warning"
    assert any("The order of rows flatters" in sentence for sentence in finding.advice)


def test_a_random_order_of_rows_is_no_warning() -> None:
    log = reordered(rounded(CHAIN, 13), seed=5, number=99)
    finding = ties(log, "leave-one-out", describe(log), 0, lambda _: None)
    assert not any("flatters" in sentence for sentence in finding.advice)


def test_a_log_without_times_is_a_note() -> None:
    log = InteractionLog.from_columns(CHAIN.user_vocabulary.ids, CHAIN.user_vocabulary.ids, None)
    assert ties(log, "leave-one-out", describe(log), 0, print).severity == "note"
