"""The split for items that training never saw: where it cuts, what it asks, and that nothing later trains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caser.data.cold_items import cold_items
from caser.data.event_kinds import EventKinds
from caser.data.log import InteractionLog
from caser.data.shards import ShardedLog
from caser.errors import DataError
from caser.evaluation.judge import counting_baselines, judge
from caser.evaluation.protocols import apply, resolve
from tests.data.logs import log_of

# In each second, one of ten users takes an item; a new item appears every tenth second, and old ones recur.
LOG = log_of((f"u{n * 7 % 10}", f"i{n // 10 if n % 3 else n // 20}", n) for n in range(300))


def test_targets_first_occur_after_the_cut_and_nothing_later_than_it_trains() -> None:
    split = cold_items(LOG, test=0.2, validation=0.1)
    first = {item: int(LOG.times[LOG.items == item].min()) for item in range(1, LOG.num_items + 1)}
    cuts = sorted(first.values())
    for tape, queries, cut in (
        (split.fit, split.validation, cuts[-LOG.num_items * 3 // 10]),
        (split.final, split.test, cuts[-LOG.num_items * 2 // 10]),
    ):
        assert tape.times is not None
        assert tape.times.max() < cut
        assert min(first[item] for item in queries.targets.tolist()) >= cut
        assert (tape.item_counts[queries.targets] == 0).all()
    assert (split.final.item_counts == 0)[1:].sum() == LOG.num_items * 2 // 10
    new = {item for item, time in first.items() if time >= cuts[-LOG.num_items * 2 // 10]}
    assert len(split.test) == np.isin(LOG.items, list(new)).sum()


def test_the_history_is_all_that_came_before_and_names_no_user() -> None:
    split = cold_items(LOG)
    for row, owner in enumerate(split.test.owners.tolist()):
        own = LOG.items[LOG.users == owner].tolist()
        history = split.test.histories(slice(row, row + 1), None)[0].tolist()
        assert own[: len(history) + 1] == [*history, split.test.targets[row]]
    assert not split.test.users.any()


def test_a_log_in_shards_is_split_like_one_in_one_piece() -> None:
    whole, pieces = cold_items(LOG), cold_items(ShardedLog.of(LOG, 3))
    for name in ("fit", "final"):
        assert getattr(whole, name).items.tolist() == getattr(pieces, name).items.tolist()
    for name in ("validation", "test"):
        one, many = getattr(whole, name), getattr(pieces, name)
        assert (one.owners.tolist(), one.targets.tolist()) == (many.owners.tolist(), many.targets.tolist())
    assert whole.notes == pieces.notes


def test_every_item_of_the_log_is_a_candidate_and_counting_finds_no_new_one() -> None:
    split = apply("cold-items", LOG)
    assert resolve("cold-items", split).candidates[1:].all()
    report = judge(counting_baselines(split), split)
    assert report.estimate("popularity", "hit@10").value == 0
    assert set(report.slices) <= {"history", "position", "repeat"}  # all targets are new: no slice on training


@pytest.mark.parametrize(
    ("log", "shares", "says"),
    [
        (replace(LOG, has_times=False), {}, "cold-items needs timestamps"),
        (log_of((f"u{n % 2}", "i", n) for n in range(9)), {}, "got 1 items, 0 of them for the test"),
        (log_of((f"u{n}", f"i{n}", n) for n in range(40)), {}, "a new item with an earlier interaction of its user"),
        (LOG, {"test": 0.9, "validation": 0.2}, "fractions must be positive with a sum below 1"),
    ],
)
def test_a_log_that_cannot_be_cut_is_refused(log: InteractionLog, shares: dict[str, float], says: str) -> None:
    with pytest.raises(DataError, match=says):
        cold_items(log, **shares)


def test_of_new_items_only_the_kinds_of_events_that_are_predicted_are_targets() -> None:
    is_target = LOG.times % 2 == 0
    split, every = cold_items(replace(LOG, kinds=EventKinds(is_target.astype(np.uint8), {"buy": 1.0}))), cold_items(LOG)
    assert split.fit.items.tolist() == every.fit.items.tolist()
    wanted = is_target[every.test.ends]
    assert 0 < wanted.sum() < len(wanted)
    assert split.test.targets.tolist() == every.test.targets[wanted].tolist()
