"""A log in shards is cut into the same parts as in one piece, whatever the protocol and wherever the shards end."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caser.data import shard_parts, time_cuts
from caser.data.left_out import is_in_part
from caser.data.log import InteractionLog
from caser.data.shard_parts import ShardedTape, masked_part, whole_log
from caser.data.shards import ShardedLog
from caser.data.split import Split
from caser.data.synthetic import chain_world
from caser.data.tape import Tape
from caser.errors import ConfigError, DataError
from caser.evaluation.fingerprint import describe
from caser.evaluation.protocols import PROTOCOLS, apply, resolve
from tests.data.logs import for_every_protocol

LENGTHS = np.random.default_rng(1).integers(1, 14, 50)


def ragged(log: InteractionLog) -> InteractionLog:
    """The log with users of very different lengths, some with a single interaction, and some equal times."""
    place = np.arange(len(log)) - np.searchsorted(log.users, log.users)
    return log.keep(place < LENGTHS[log.users - 1], "shorter")


LOG = ragged(for_every_protocol(chain_world(num_users=50, num_items=20, length=13, seed=5).log, every=3))
LOG = replace(LOG, times=LOG.times // 4_000_000 * 4_000_000)  # equal times, for d2l


def mapped(log: InteractionLog, folder: Path) -> InteractionLog:
    """The log with its arrays in files."""
    arrays = {}
    for name in ("users", "items", "times", "rows"):
        np.save(folder / f"{name}.npy", getattr(log, name))
        arrays[name] = np.load(folder / f"{name}.npy", mmap_mode="r")
    return replace(log, **arrays)


def equal_tapes(one: Tape, other: Tape) -> None:
    assert np.array_equal(one.items, other.items)
    assert np.array_equal(one.offsets, other.offsets)
    assert np.array_equal(one.owners, other.owners)
    assert np.array_equal(one.item_counts, other.item_counts)
    assert one.times is not None
    assert other.times is not None
    assert np.array_equal(one.times, other.times)


def equal_splits(one: Split, other: Split) -> None:
    """The same name, notes, tapes, queries and fingerprints."""
    assert (one.name, one.notes) == (other.name, other.notes)
    equal_tapes(one.fit, other.fit)
    equal_tapes(one.final, other.final)
    for part in ("validation", "test"):
        queries, again = getattr(one, part), getattr(other, part)
        assert np.array_equal(queries.histories(slice(None), None), again.histories(slice(None), None))
        for name in ("users", "owners", "starts", "ends", "targets", "target_offsets", "starts_of_seen"):
            assert np.array_equal(getattr(queries, name), getattr(again, name)), name
            assert getattr(queries, name).dtype == getattr(again, name).dtype, name
        rules, rules_again = (resolve(each.name, each, part) for each in (one, other))
        assert rules.notes == rules_again.notes
        assert describe(one, rules, part) == describe(other, rules_again, part)


@pytest.mark.parametrize("num_shards", [1, 2, 5, 50])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_shards_give_the_split_of_the_whole_log(protocol: str, num_shards: int) -> None:
    equal_splits(apply(protocol, ShardedLog.of(LOG, num_shards)), apply(protocol, LOG))


def test_shards_of_mapped_arrays_give_the_same_and_do_not_hold_the_items(tmp_path: Path) -> None:
    split = apply("leave-one-out", ShardedLog.of(mapped(LOG, tmp_path), 3))
    assert isinstance(split.fit, ShardedTape)
    assert split.test.items is split.log.items
    assert "items" not in vars(split.fit)
    equal_splits(split, apply("leave-one-out", LOG))


def test_the_shards_of_a_part_are_its_pieces_and_pools() -> None:
    split, whole = apply("leave-one-out", ShardedLog.of(LOG, 4)), apply("leave-one-out", LOG)
    pieces = list(split.final.pieces())
    assert [len(piece) for piece in pieces] == split.final.sizes
    assert sum(split.final.sizes) == len(split.final)
    for piece in pieces:
        for sequence, user in enumerate(piece.owners.tolist()):
            assert piece.sequence(sequence).tolist() == whole.final.sequence(user).tolist()
    pool = split.final.pool([1, 3])
    assert pool.items.tolist() == [*pieces[1].items, *pieces[3].items]
    assert pool.owners.tolist() == [0, *pieces[1].owners[1:], *pieces[3].owners[1:]]
    assert pool.lengths[1:].tolist() == split.final.lengths_of([1, 3]).tolist()


def test_another_process_gets_the_whole_part() -> None:
    part = apply("leave-one-out", ShardedLog.of(LOG, 4)).final
    sent = pickle.loads(pickle.dumps(part))
    assert not isinstance(sent, ShardedTape)
    equal_tapes(sent, part)


def test_the_whole_log_is_a_part_in_shards_too(tmp_path: Path) -> None:
    split = apply("leave-one-out", ShardedLog.of(mapped(LOG, tmp_path), 4))
    assert split.everything.sizes == [len(ShardedLog.of(LOG, 4).shard(k)) for k in range(4)]
    assert isinstance(split.everything.items, np.memmap)
    equal_tapes(split.everything, Tape.from_log(LOG))
    assert split.everything.pool([1, 2]).items.tolist() == [
        item for piece in list(split.everything.pieces())[1:3] for item in piece.items.tolist()
    ]


@pytest.mark.parametrize("protocol", ["leave-one-out", "global-time", "d2l"])
def test_what_a_part_leaves_out_is_found_by_shard(protocol: str) -> None:
    split, whole = apply(protocol, ShardedLog.of(LOG, 6)), apply(protocol, LOG)
    mask = is_in_part(split.log, split.final)
    assert np.array_equal(mask, is_in_part(whole.log, whole.final))
    if protocol != "d2l":  # which moves an interaction
        equal_tapes(masked_part(split.everything, mask), whole.final)


@pytest.mark.parametrize("block", [1, 3, 10**6])
def test_a_part_of_a_tape_is_counted_in_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_parts, "_BLOCK", block)
    mask = np.random.default_rng(2).random(len(LOG)) < 0.4
    tape = Tape.from_log(LOG)
    equal_tapes(masked_part(tape, mask), tape.where(mask))


@pytest.mark.parametrize("most", [1, 10, 10**6])
@pytest.mark.parametrize("bins", [2, 7, 2**16])
def test_times_at_places_are_those_of_the_sorted_times(bins: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_cuts, "_BINS", bins)
    monkeypatch.setattr(time_cuts, "MOST_SORTED", most)
    places = [0, 1, len(LOG) // 3, len(LOG) // 2, len(LOG) - 2, len(LOG) - 1]
    assert time_cuts.values_at(places, ShardedLog.of(LOG, 4)) == np.sort(LOG.times)[places].tolist()


def test_a_log_whose_users_are_all_too_short_is_refused_with_the_longest_length() -> None:
    short = LOG.keep(np.arange(len(LOG)) - np.searchsorted(LOG.users, LOG.users) < 2, "short")
    for log in (short, ShardedLog.of(short, 3)):
        with pytest.raises(DataError, match="at least 3 interactions; got at most 2"):
            apply("leave-one-out", log)


def test_work_that_needs_the_whole_log_is_refused_with_an_estimate_where_it_does_not_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("caser.system.memory.free_memory", lambda: 1000.0)
    shards: Any = ShardedLog.of(LOG, 3)
    with pytest.raises(ConfigError, match=r"interactions must fit into memory, .* take about 0.0 GB"):
        whole_log(shards)
    split = apply("leave-one-out", shards)
    with pytest.raises(ConfigError, match="all at once"):
        _ = split.fit.items
    assert whole_log(ShardedLog.of(LOG, 1)) is LOG
