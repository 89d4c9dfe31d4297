"""The estimates of memory that bound the caches of histories: they are not below what Python really takes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from caser.answering.recommender import load
from caser.service.answers.catalogue import Catalogue
from caser.service.answers.loaded_model import LoadedModel, _Kept, _num_bytes_of
from caser.service.answers.one_history import Interaction, RunHistory, one_history
from caser.service.events.store import RecentHistory

LENGTH = 1000


def memory_of(make: Callable[[], Any]) -> tuple[Any, int]:
    tracemalloc.start()
    try:
        made = make()
        return made, tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def recent(prefix: str = "i", user: int = 0) -> RecentHistory:
    items = tuple(f"{prefix}{user}-{number}" for number in range(LENGTH))
    return RecentHistory(items, tuple(1e9 + user + number / 7 for number in range(LENGTH)))


@pytest.mark.parametrize("prefix", ["i", "x" * 300, "\u4e00" * 100])
def test_the_estimate_of_a_recent_history_is_not_below_its_memory(prefix: str) -> None:
    history, size = memory_of(lambda: recent(prefix))
    assert size <= history.num_bytes * 1.02
    assert history.num_bytes < 2 * size


@pytest.mark.parametrize("are_texts", [False, True])
def test_the_estimate_of_a_kept_history_is_not_below_its_memory(run: Path, are_texts: bool) -> None:
    recommender = load(run)

    def make() -> _Kept:
        items = tuple(f"item {number}" if are_texts else 10**6 + number for number in range(LENGTH))
        run = RunHistory(items, tuple(10**15 + 7 * 10**6 * number for number in range(LENGTH)))
        events = [Interaction(f"event {number}", 1e9 + 7 * number + 0.5) for number in range(LENGTH)]
        history = one_history(run, events, LENGTH)
        return _Kept(recent(), run, history, recommender.question(None, history.items))

    kept, size = memory_of(make)
    assert size <= _num_bytes_of(kept)
    assert _num_bytes_of(kept) < 3 * size


def test_histories_of_a_model_are_bounded_by_bytes(run: Path) -> None:
    recommender = load(run)
    model = LoadedModel(recommender, Catalogue.of(recommender), "1", 0.0, max_cached=3_000_000)
    for user in range(30):
        items = model.history(f"user {user}", recent(user=user), LENGTH).items
        assert items[-1] == f"i{user}-{LENGTH - 1}"
        assert model.num_bytes_cached <= 3_000_000
    assert model.num_bytes_cached > 1_000_000


def test_long_ids_of_items_are_not_kept(run: Path) -> None:
    recommender = load(run)
    model = LoadedModel(recommender, Catalogue.of(recommender), "1", 0.0)
    assert [model.raw_item("x" * 1000), model.raw_item("10")] == ["x" * 1000, 10]
    assert model._raw_item.cache_info().currsize == 1
