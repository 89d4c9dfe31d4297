"""Kinds of events: which are predicted, and which are history only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from caser.config import Training
from caser.data.filters import LogFilters
from caser.data.log import InteractionLog
from caser.data.prepared.prepare import prepare_log
from caser.data.readers import read_log
from caser.data.shards import ShardedLog
from caser.data.split import Split, global_time, leave_one_out, sessions
from caser.data.tape import Tape
from caser.data.unjudged import unjudged
from caser.data.user_sessions import user_sessions
from caser.errors import ArtefactError, CaserError, ConfigError, DataError
from caser.evaluation import protocols
from caser.evaluation.split_facts import repeat_share
from caser.fitting.fit import fit
from caser.models.caser.caser import Caser
from caser.models.counting.count_knn import CountKNN
from caser.models.counting.markov import Markov
from caser.models.counting.popularity import Popularity, RecentPopularity
from caser.study.audit.shuffles import shuffled
from caser.study.audit.ties import reordered
from caser.training.lanes import batches_of
from tests.data.logs import raw_queries, raw_sequences

# Each word is a user; small letters are views, capitals are buys of the same item.
TWO = ("buy=3", "view")
WORDS = {"ann": "abAcBdCe", "ben": "aBcdDe", "cid": "abc", "dan": "Abc", "eve": "abC"}


def frame_of(words: dict[str, str]) -> pl.DataFrame:
    rows = [(user, letter) for user, word in words.items() for letter in word]
    return pl.DataFrame(
        {
            "user": [user for user, _ in rows],
            "item": [letter.lower() for _, letter in rows],
            "time": [1_600_000_000 + 60 * place for place in range(len(rows))],
            "event": ["buy" if letter.isupper() else "view" for _, letter in rows],
        }
    )


def log_of(words: dict[str, str]) -> InteractionLog:
    return read_log(frame_of(words), target_events=("buy",))


def test_the_last_target_tests_and_everything_before_it_is_history() -> None:
    split = leave_one_out(log_of(WORDS))
    assert raw_queries(split, "test") == [
        ("ann", list("abacbd"), ["c"]), ("ben", list("abcd"), ["d"]), ("eve", list("ab"), ["c"]),
    ]  # fmt: skip
    assert raw_queries(split, "validation") == [("ann", list("abac"), ["b"]), ("ben", ["a"], ["b"])]
    # cid buys nothing, and dan bought the first thing, so they only train; eve has no target to validate.
    assert raw_sequences(split, "fit") == {
        "ann": list("abac"), "ben": ["a"], "cid": list("abc"), "dan": list("abc"), "eve": list("ab"),
    }  # fmt: skip
    assert raw_sequences(split, "final")["ann"] == list("abacbd")


@pytest.mark.parametrize("make", [leave_one_out, global_time, protocols.PROTOCOLS["new-users"].split, sessions])
def test_where_every_event_is_a_target_nothing_changes(make: Callable[[InteractionLog], Split]) -> None:
    frame = frame_of({f"user {number}": "abcdefgh"[number % 3 :] for number in range(30)})
    plain, marked = make(read_log(frame)), make(read_log(frame, target_events=("view",)))
    for part in ("fit", "final"):
        assert raw_sequences(plain, part) == raw_sequences(marked, part)
    for part in ("validation", "test"):
        assert raw_queries(plain, part) == raw_queries(marked, part)
    assert repeat_share(plain.fit) == repeat_share(marked.fit)


def test_only_targets_are_judged_under_each_protocol() -> None:
    frame = frame_of({f"user {number}": "abAcBdC" for number in range(20)})
    log = read_log(frame.with_columns(pl.col("time") - 420 * pl.col("user").rank("dense")), target_events=("buy",))
    bought = {"a", "b", "c"}
    for name, protocol in protocols.PROTOCOLS.items():
        if protocol.seen == "remove":
            with pytest.raises(ConfigError, match="always removes them"):
                protocols.apply(name, log)
        elif name not in ("user-sessions", "cold-items"):  # which have tests of their own
            split = protocols.apply(name, log)
            judged = [*raw_queries(split, "validation"), *raw_queries(split, "test")]
            targets = {item for _, _, some in judged for item in some}
            assert targets
            assert targets <= bought
            assert split.fit.kinds is not None
            assert len(split.fit.kinds.codes) == len(split.fit)


def test_sessions_of_users_ask_for_targets_only() -> None:
    frame = frame_of({"ann": "abA" * 4}).with_columns(pl.col("time") + pl.Series(np.arange(12) // 3 * 86_400))
    split = user_sessions(read_log(frame, target_events=("buy",)), reads="session")
    assert raw_queries(split, "test") == [("ann", ["a", "b"], ["a"])]
    assert split.fit.kinds is not None
    assert split.fit.kinds.is_target.tolist() == [False, False, True] * 2


def test_an_unjudged_log_chooses_by_the_last_target() -> None:
    split = unjudged(log_of({"ann": "abAc", "ben": "ab"}), "leave-one-out")
    assert raw_queries(split, "validation") == [("ann", ["a", "b"], ["a"])]


def test_a_filter_keeps_each_target_with_its_event() -> None:
    frame = frame_of({"ann": "aBbCa", "ben": "bCz"})
    log = read_log(frame, target_events=("buy",), filters=LogFilters(min_item_count=2))
    assert log.kinds is not None
    assert log.item_vocabulary.raw(log.items[log.kinds.is_target]) == ["b", "c", "c"]


def test_rows_out_of_order_keep_their_kinds() -> None:
    log = read_log(frame_of(WORDS).sample(fraction=1.0, shuffle=True, seed=3), target_events=("buy",))
    assert log.digest == log_of(WORDS).digest
    assert log.digest != read_log(frame_of(WORDS)).digest


def test_counting_models_count_what_is_predicted() -> None:
    tape = Tape.from_log(log_of({"ann": "abB", "ben": "aAb"}))  # a = 1, b = 2
    scores = {}
    for model in (Markov(), Popularity(), RecentPopularity(half_life=1), CountKNN(reach=1)):
        scorer = model.build(2, 2)
        scorer.fit(tape)
        scores[model.name] = scorer.scores(np.array([0]), np.array([[1]]))[0].round(2).tolist()
    assert scores["markov"] == [0, 1.33, 0.33]  # after a comes the buy of a, and never that of b
    assert scores["popularity"] == [0, 1, 1]
    assert scores["recent-popularity"] == [0, 0.5, 1]
    assert scores["count-knn"][1] > 0 == scores["count-knn"][2]


def test_seen_items_stay_where_users_buy_what_they_viewed() -> None:
    split = leave_one_out(log_of({f"user {number}": "aAbBcCdD" for number in range(10)}))
    assert repeat_share(split.fit) == 1
    assert repeat_share(leave_one_out(log_of({"ann": "aabBcCdD"})).fit) == 1.0
    assert not protocols.resolve("leave-one-out", split).remove_seen
    assert "only buy events are predicted, 40 of 80 interactions" in protocols.resolve("leave-one-out", split).notes


def test_the_audit_moves_kinds_with_their_items() -> None:
    log = log_of({f"user {number}": "abAcBdC" for number in range(30)})
    split = leave_one_out(log)
    mixed = shuffled(split, "whole", np.random.default_rng(0))
    assert mixed.fit.kinds is not None
    assert split.fit.kinds is not None
    assert (mixed.fit.items != split.fit.items).any()
    assert sorted(mixed.fit.items[mixed.fit.kinds.is_target]) == sorted(split.fit.items[split.fit.kinds.is_target])
    tied = read_log(frame_of(WORDS).with_columns(time=pl.lit(1_600_000_000)), target_events=("buy",))
    other = reordered(tied, 0, 1)
    assert other.kinds is not None
    assert tied.kinds is not None
    assert sorted(other.items[other.kinds.is_target]) == sorted(tied.items[tied.kinds.is_target])


@pytest.mark.parametrize("name", ["leave-one-out", "global-time", "new-users", "sessions"])
def test_a_log_in_shards_has_the_parts_of_the_whole_log(name: str) -> None:
    log = read_log(frame_of({f"user {number}": "abAcBdCaDb"[number % 4 :] for number in range(40)}), target_events=TWO)
    whole, pieces = (protocols.apply(name, each) for each in (log, ShardedLog.of(log, 3)))
    for part in ("fit", "final", "everything"):
        one, many = getattr(whole, part), getattr(pieces, part)
        assert one.kinds.codes.tolist() == many.kinds.codes.tolist()
        assert one.target_counts.tolist() == many.target_counts.tolist()
        assert one.mean_weight == many.mean_weight != 1
        assert repeat_share(one) == repeat_share(many)
    for part in ("validation", "test"):
        one, many = getattr(whole, part), getattr(pieces, part)
        assert one.targets.tolist() == many.targets.tolist()
        assert one.kinds.codes.tolist() == many.kinds.codes.tolist()


def test_a_prepared_log_trains_as_the_log_in_memory(tmp_path: Path) -> None:
    frame = frame_of({f"user {number}": "abAcBdCaDb"[number % 4 :] for number in range(40)})
    frame.write_csv(tmp_path / "log.csv")
    prepared = prepare_log(tmp_path / "log.csv", tmp_path / "log", target_events=TWO, num_shards=3)
    log = read_log(tmp_path / "log.csv", target_events=TWO)
    assert prepared.num_shards == 3
    assert read_log(tmp_path / "log").digest == prepared.digest == log.digest
    training = Training(epochs=2, patience=0, batch_size=64)
    for model in (Caser(L=2, T=2, d=4, reach=2), Markov(), Popularity(), CountKNN()):
        own = training if isinstance(model, Caser) else None
        one, many = (fit(model, leave_one_out(each), own).artefact for each in (log, prepared))
        for array, other in zip(one.scorer.arrays().values(), many.scorer.arrays().values(), strict=True):
            assert np.array_equal(array, other) if own else np.allclose(array, other, rtol=1e-12)
        assert one.manifest["fingerprint"] == many.manifest["fingerprint"]


def test_kinds_of_a_prepared_log_are_checked(tmp_path: Path) -> None:
    frame_of(WORDS).write_csv(tmp_path / "log.csv")
    prepare_log(tmp_path / "log.csv", tmp_path / "plain")
    assert not (tmp_path / "plain" / "kinds.npy").exists()
    prepare_log(tmp_path / "log.csv", tmp_path / "log", target_events=TWO)
    content = bytearray((tmp_path / "log" / "kinds.npy").read_bytes())
    content[-1] = 3
    (tmp_path / "log" / "kinds.npy").write_bytes(content)
    with pytest.raises(ArtefactError, match="must hold kinds that the manifest names"):
        read_log(tmp_path / "log")
    (tmp_path / "log" / "kinds.npy").unlink()
    with pytest.raises(ArtefactError, match=r"kinds\.npy"):
        read_log(tmp_path / "log")


REFUSED: list[tuple[Callable[[], object], type[CaserError], str]] = [
    (lambda: read_log(frame_of(WORDS), target_events=("Buy",)), DataError, "'Buy', which never occurs.*buy"),
    (
        lambda: read_log(frame_of(WORDS), target_events=("buy",), filters=LogFilters(event_types=("view",))),
        DataError,
        "among event_types",
    ),
    (lambda: read_log(frame_of(WORDS).drop("event"), target_events=("buy",)), DataError, "event_type"),
    (lambda: leave_one_out(log_of({"ann": "Aab"})), DataError, "with a target after the first"),
]


@pytest.mark.parametrize(("act", "error", "words"), REFUSED)
def test_what_cannot_be_is_refused(act: Callable[[], object], error: type[CaserError], words: str) -> None:
    with pytest.raises(error, match=words):
        act()


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_networks_learn_what_is_bought_after_what_is_viewed(loss: str) -> None:
    # After viewing x, users view y and buy the item after x: a model of all events would recommend y first.
    following = dict(zip("abcdef", "BCDEFA", strict=True))
    words = {}
    for number in range(60):
        first = "abcdef"[number % 6 :] + "abcdef"[: number % 6]
        words[f"user {number}"] = "".join(f"{letter}z{following[letter]}" for letter in first)
    split = leave_one_out(log_of(words))
    model = Caser(L=2, T=2 if loss == "bce" else 1, d=8, n_h=4, reach=2, user_vector=False, dropout=0.0)
    training = Training(loss=loss, epochs=25, patience=0, batch_size=64, learning_rate=0.03)
    items = fit(model, split, training).recommend(histories=[["a", "z"]], k=7, exclude_seen=False)[0].items
    assert items[0] == "b"
    assert items[-1] == "z"


@pytest.mark.slow
def test_two_lanes_learn_targets_as_one_does() -> None:
    words = {f"user {number}": "abAcBdCaDb"[number % 4 :] for number in range(40)}
    split = leave_one_out(log_of(words))
    for lanes in (1, 2):
        part = batches_of(
            split.fit, Caser(L=2, T=1, reach=2).build(40, 4, seed=0), Training(lanes=lanes), num_targets=1
        )
        targets = [
            batch.targets_CWT[batch.valid_CW]
            for lane in part.by_lane.values()
            for batch in lane.epoch(torch.Generator())
        ]
        assert split.fit.kinds is not None
        assert sum(len(some) for some in targets) == split.fit.kinds.is_target.sum()
