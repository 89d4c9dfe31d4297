"""Negative events: no interactions, and their items are left out of answers, in memory and from a saved run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from caser.answering.recommender import load
from caser.artefact.rejected import rejected_from_bytes, rejected_to_bytes
from caser.artefact.run_folder import REJECTED
from caser.config import Training
from caser.data.filters import LogFilters
from caser.data.joined_log import joined
from caser.data.log import InteractionLog
from caser.data.prepared.prepare import prepare_log
from caser.data.readers import read_log
from caser.data.rejected import Rejected
from caser.data.split import leave_one_out
from caser.errors import ArtefactError, CaserError, ConfigError, DataError
from caser.fitting.fit import fit
from caser.models.counting.markov import Markov
from caser.models.counting.popularity import Popularity
from caser.models.factors.bpr_mf import BPRMF

VIEWS = {"ann": "abcd", "ben": "abce", "cid": "bcde"}
NO = {"ann": "e", "ben": "dd", "cid": "b", "eve": "a"}
"""What users skip, after all views; nobody viewed z, and eve viewed nothing."""


def frame_of(views: dict[str, str], skips: dict[str, str]) -> pl.DataFrame:
    rows = [(user, item, "view") for user, word in views.items() for item in word]
    rows += [(user, item, "skip") for user, word in skips.items() for item in word]
    return pl.DataFrame(
        {
            "user": [user for user, _, _ in rows],
            "item": [item for _, item, _ in rows],
            "time": [1_600_000_000 + 60 * place for place in range(len(rows))],
            "event": [kind for _, _, kind in rows],
        }
    )


FRAME = frame_of(VIEWS, NO)


def pairs_of(log: InteractionLog) -> list[tuple[object, object]]:
    assert log.rejected is not None
    users, items = log.user_vocabulary.raw(log.rejected.users), log.item_vocabulary.raw(log.rejected.items)
    return list(zip(users, items, strict=True))


def test_negative_events_are_no_interactions() -> None:
    log, views = read_log(FRAME, negative_events=("skip",)), read_log(FRAME.filter(pl.col("event") == "view"))
    assert log.digest == views.digest
    assert pairs_of(log) == [("ann", "e"), ("ben", "d"), ("cid", "b")]
    assert log.provenance["filters"] == [{"filter": "negative_events=skip", "dropped": 5}]
    assert (
        "negative events (skip): answers leave out 3 items of users; 1 of a user or an item without another event "
        "are not kept" in log.provenance["notes"]
    )


def test_the_last_event_of_a_user_with_an_item_decides() -> None:
    later = pl.DataFrame(
        {"user": ["ann", "ben"], "item": ["e", "a"], "time": [1_700_000_000] * 2, "event": ["view", "skip"]}
    )
    for frame in (pl.concat([FRAME, later]), pl.concat([later, FRAME])):
        log = read_log(frame, negative_events=("skip",))
        assert sorted(map(str, pairs_of(log))) == sorted(map(str, [("ben", "d"), ("ben", "a"), ("cid", "b")]))
    untimed = read_log(pl.concat([FRAME, later]).drop("time"), negative_events=("skip",))
    assert ("ann", "e") not in pairs_of(untimed)
    assert untimed.rejected is not None
    assert untimed.rejected.times is None
    assert ("ann", "e") in pairs_of(read_log(pl.concat([later, FRAME]).drop("time"), negative_events=("skip",)))


def test_filters_keep_the_pairs_of_what_is_left() -> None:
    log = read_log(FRAME, negative_events=("skip",), filters=LogFilters(min_item_count=2))
    assert pairs_of(log) == [("ann", "e"), ("ben", "d"), ("cid", "b")]
    few = read_log(FRAME, negative_events=("skip",), filters=LogFilters(min_item_count=3))
    assert pairs_of(few) == [("cid", "b")]
    assert few.item_vocabulary.ids.to_list() == ["b", "c"]
    # No filter on columns drops negative events: they have a low rating, and are of another kind.
    rated = FRAME.with_columns(rating=pl.when(pl.col("event") == "view").then(5).otherwise(1))
    for filters in (LogFilters(min_rating=4), LogFilters(event_types=("view",))):
        assert len(pairs_of(read_log(rated, negative_events=("skip",), filters=filters))) == 3


def test_ids_of_a_text_file_keep_their_pairs(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time,event\n7,10,1,view\n7,11,2,view\n8,10,3,view\n8,11,4,skip\n")
    assert pairs_of(read_log(tmp_path / "log.csv", negative_events=("skip",))) == [(8, 11)]


@pytest.mark.parametrize("model", [Popularity(), Markov(), BPRMF()], ids=lambda model: model.name)
def test_no_answer_has_what_its_user_rejected(model: Popularity | Markov | BPRMF, tmp_path: Path) -> None:
    split = leave_one_out(read_log(FRAME, negative_events=("skip",)))
    training = Training(epochs=1, patience=0) if isinstance(model, BPRMF) else None
    plain = leave_one_out(read_log(FRAME.filter(pl.col("event") == "view")))
    recommender, without = fit(model, split, training, train_on="all"), fit(model, plain, training, train_on="all")
    recommender.save(tmp_path / "run")
    for answering in (recommender, load(tmp_path / "run")):
        for user, rejected in (("ann", {"e"}), ("ben", {"d"}), ("cid", {"b"})):
            for options in ({}, {"histories": [["a", "b"]]}, {"only": ["d", "e", "b"]}):
                found = answering.recommend(users=user, k=5, exclude_seen=False, **options)[0].items
                expected = without.recommend(users=user, k=5, exclude_seen=False, **options)[0].items
                assert list(found) == [item for item in expected if item not in rejected]
        # Nobody else is concerned, and neither are histories without a user.
        assert "e" in answering.recommend(histories=[["a"]], k=5, exclude_seen=False)[0].items
        answering.recommend_all(tmp_path / "all.csv", k=5, exclude_seen=False)
        table = pl.read_csv(tmp_path / "all.csv")
        assert set(table.rows_by_key("user_id")) == {"ann", "ben", "cid"}
        assert not set(table.select("user_id", "item_id").rows()) & {("ann", "e"), ("ben", "d"), ("cid", "b")}


def test_seen_items_are_left_out_too_where_the_run_says_so() -> None:
    split = leave_one_out(read_log(FRAME, negative_events=("skip",)))
    recommender = fit(Popularity(), split, train_on="all")
    assert recommender.recommend(users="ann", k=5, exclude_seen=True)[0].items == []
    assert recommender.recommend(users="cid", k=5, exclude_seen=True)[0].items == ["a"]


def test_a_run_without_negative_events_has_no_file_of_them(tmp_path: Path) -> None:
    fit(Markov(), leave_one_out(read_log(FRAME))).save(tmp_path / "run")
    assert not (tmp_path / "run" / REJECTED).exists()
    fit(Markov(), leave_one_out(read_log(FRAME, negative_events=("skip",)))).save(tmp_path / "run")
    (tmp_path / "run" / REJECTED).write_bytes(b"")
    with pytest.raises(ArtefactError, match="checksum"):
        load(tmp_path / "run")


GOOD = Rejected(np.array([1, 1, 2], np.int32), np.array([1, 3, 3], np.int32), np.array([5, 6, 7]))


@pytest.mark.parametrize(
    "bad",
    [
        replace(GOOD, users=np.array([1, 1, 3], np.int32)),
        replace(GOOD, users=np.array([0, 1, 2], np.int32)),
        replace(GOOD, users=np.array([2, 1, 1], np.int32)),
        replace(GOOD, items=np.array([1, 1, 3], np.int32)),
        replace(GOOD, items=np.array([1, 4, 3], np.int32)),
        replace(GOOD, items=np.array([1, 3], np.int32)),
        replace(GOOD, times=np.array([5, 6])),
        replace(GOOD, items=np.array([1.0, 2.0, 3.0])),
    ],
)
def test_a_file_with_other_pairs_is_refused(bad: Rejected) -> None:
    read = rejected_from_bytes(rejected_to_bytes(GOOD), 2, 3)
    assert read.users.tolist() == [1, 1, 2]
    with pytest.raises(ValueError, match=r"."):
        rejected_from_bytes(rejected_to_bytes(bad), 2, 3)


def read(**options: Any) -> Callable[[], object]:
    return lambda: read_log(FRAME, **options)


REFUSED: list[tuple[Callable[[], object], type[CaserError], str]] = [
    (read(negative_events=("Skip",)), DataError, "negative_events .*'Skip', which never occurs.*skip"),
    (read(negative_events=("skip", "view")), DataError, "must leave other events"),
    (read(negative_events=("skip",), target_events=("skip=2",)), DataError, "predicted or negative; got skip"),
    (read(negative_events="skip"), ConfigError, "negative_events"),
    (read(negative_events=(1,)), ConfigError, "negative_events"),
    (lambda: read_log(FRAME.drop("event"), negative_events=("skip",)), DataError, "event type"),
    (lambda: prepare_log("log.csv", "folder", negative_events=("skip",)), ConfigError, "does not keep negative events"),
    (
        lambda: joined(read_log(FRAME), read_log(FRAME, negative_events=("skip",))),
        DataError,
        "the new log has negative_events",
    ),
]


@pytest.mark.parametrize(("act", "error", "words"), REFUSED)
def test_what_cannot_be_is_refused(act: Callable[[], object], error: type[CaserError], words: str) -> None:
    with pytest.raises(error, match=words):
        act()


def test_targets_and_negative_events_go_together() -> None:
    buys = FRAME.with_columns(
        event=pl.when((pl.col("event") == "view") & (pl.col("item") == "c")).then(pl.lit("buy")).otherwise("event")
    )
    log = read_log(buys, target_events=("buy",), negative_events=("skip",))
    assert log.kinds is not None
    assert log.item_vocabulary.raw(log.items[log.kinds.is_target]) == ["c", "c", "c"]
    assert pairs_of(log) == [("ann", "e"), ("ben", "d"), ("cid", "b")]
