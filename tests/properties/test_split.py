"""Properties of every split of every log: the parts are disjoint and ordered, and training never reads a target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caser.data.log import InteractionLog
from caser.data.split import Split, d2l, global_time, leave_one_out, sessions, user_fraction
from caser.data.tape import Tape
from caser.errors import DataError
from caser.system.randomness import torch_generator
from caser.training.batches import Batches
from tests.data.logs import Row, log_of

# Fewer examples than usual: each splits a log of its own.
sometimes = settings(max_examples=30, derandomize=True)
SPLITS: dict[str, Callable[[InteractionLog], Split]] = {
    split.__name__: split for split in (leave_one_out, user_fraction, global_time, sessions, d2l)
}
every_split = pytest.mark.parametrize("name", SPLITS)


@st.composite
def rows(draw: st.DrawFn, distinct_times: bool = False, distinct_items: bool = False) -> list[Row]:
    """Rows of a log that every split can split: 10 users, 20 interactions, at most two at a time, in shuffled order."""
    lengths = [draw(st.integers(11, 15)), *draw(st.lists(st.integers(1, 8), min_size=9, max_size=13))]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    users = random.permutation(np.repeat(np.arange(1, len(lengths) + 1), lengths))
    size = len(users)
    times = random.permutation(size) // (1 if distinct_times else 2)
    items = np.arange(1, size + 1) if distinct_items else random.integers(1, 10, size)
    return list(zip(users.tolist(), items.tolist(), times.tolist(), strict=True))


def arrays(part: Any) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(getattr(part, field.name)) for field in fields(part)]


def same(first: Split, second: Split) -> bool:
    return all(
        np.array_equal(one, other)
        for part in ("fit", "validation", "final", "test")
        for one, other in zip(arrays(getattr(first, part)), arrays(getattr(second, part)), strict=True)
    )


def read_by_training(tape: Tape) -> set[int]:
    """Every item that a model sees or is taught in one epoch."""
    batches = Batches(tape, window=3, num_targets=2, batch_size=8)
    seen: set[int] = set()
    for batch in batches.epoch(torch_generator(0, "order")):
        seen |= set(batch.tape_CX.flatten().tolist()) | set(batch.targets_CWT.flatten().tolist())
    return seen - {0}


@every_split
@sometimes
@given(rows(distinct_items=True))
def test_training_never_reads_a_target_of_the_queries(name: str, distinct: list[Row]) -> None:
    # Every item occurs once, so an item identifies an interaction.
    split = SPLITS[name](log_of(distinct))
    test, validation = set(split.test.targets.tolist()), set(split.validation.targets.tolist())
    assert not test & validation
    assert not test & read_by_training(split.final)
    assert not (test | validation) & read_by_training(split.fit)


@every_split
@sometimes
@given(rows(distinct_items=True))
def test_no_history_holds_its_target_or_anything_later(name: str, distinct: list[Row]) -> None:
    log = log_of(distinct)
    time_of = dict(zip(log.items.tolist(), log.times.tolist(), strict=True))
    split = SPLITS[name](log)
    for queries in (split.validation, split.test):
        for row in range(len(queries)):
            block = slice(row, row + 1)
            history = queries.histories(block, None)[queries.histories(block, None) > 0].tolist()
            targets = queries.target_pairs(block)[1].tolist()
            assert history
            assert not set(history) & set(targets)
            assert max(time_of[item] for item in history) <= min(time_of[item] for item in targets)


@every_split
@sometimes
@given(rows())
def test_the_final_part_is_the_fit_part_followed_by_the_validation_targets(name: str, any_rows: list[Row]) -> None:
    split = SPLITS[name](log_of(any_rows))
    asked = set(split.validation.owners.tolist())
    for user in range(1, split.log.num_users + 1):
        fit, final = split.fit.sequence(user).tolist(), split.final.sequence(user).tolist()
        assert final[: len(fit)] == fit
        if user in asked:
            targets = split.validation.target_pairs(slice(None))
            own = targets[1][split.validation.owners[targets[0]] == user].tolist()
            assert set(own) == set(final[len(fit) :] if fit else final[1:])


@pytest.mark.parametrize("name", sorted(set(SPLITS) - {"sessions"}))  # test sessions are not in the final part at all
@sometimes
@given(rows())
def test_the_history_of_a_test_query_is_the_users_final_part(name: str, any_rows: list[Row]) -> None:
    split = SPLITS[name](log_of(any_rows))
    for row, owner in enumerate(split.test.owners.tolist()):
        history = split.test.histories(slice(row, row + 1), None)[0].tolist()
        assert history == split.final.sequence(owner).tolist()


@every_split
@sometimes
@given(rows())
def test_targets_are_distinct_within_a_query(name: str, any_rows: list[Row]) -> None:
    split = SPLITS[name](log_of(any_rows))
    for queries in (split.validation, split.test):
        pairs = list(zip(*(array.tolist() for array in queries.target_pairs(slice(None))), strict=True))
        assert len(set(pairs)) == len(pairs)
        assert queries.num_targets.min(initial=1) >= 1


@every_split
@sometimes
@given(rows(distinct_times=True), st.randoms(use_true_random=False))
def test_shuffling_rows_of_distinct_times_changes_nothing(name: str, distinct: list[Row], random: Any) -> None:
    shuffled = random.sample(distinct, len(distinct))
    assert same(SPLITS[name](log_of(distinct)), SPLITS[name](log_of(shuffled)))


@every_split
@sometimes
@given(rows(), st.integers(0, 80))
def test_a_log_of_two_chunks_splits_as_one_of_a_single_chunk(name: str, any_rows: list[Row], cut: int) -> None:
    users, items, times = (
        pl.concat([pl.Series(column[:cut], dtype=pl.Int64), pl.Series(column[cut:], dtype=pl.Int64)], rechunk=False)
        for column in zip(*any_rows, strict=True)
    )
    pieces = InteractionLog.from_columns(users, items, times.to_numpy())
    assert same(SPLITS[name](log_of(any_rows)), SPLITS[name](pieces))


@every_split
@sometimes
@given(rows(), st.permutations(range(1, 15)))
def test_renaming_ids_changes_nothing(name: str, any_rows: list[Row], names: list[int]) -> None:
    renamed = log_of((f"u{names[int(user) - 1]}", -int(item), time) for user, item, time in any_rows)
    assert same(SPLITS[name](log_of(any_rows)), SPLITS[name](renamed))


@every_split
@sometimes
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 3)), min_size=1, max_size=12))
def test_any_log_is_split_or_refused_in_one_sentence(name: str, few: list[Row]) -> None:
    try:
        split = SPLITS[name](log_of(few))
    except DataError as refused:
        assert "\n" not in str(refused)  # noqa: PT017 (most logs this small are refused, not all)
    else:
        assert 0 < len(split.fit) <= len(split.final) <= len(split.everything) == len(few)
