"""Helpers for tests of studies: a small log, recipes that train in a moment, and a switch that forbids training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest

from caser.config import Training
from caser.data.split import Split
from caser.data.synthetic import chain_world
from caser.evaluation import judge, protocols
from caser.models.caser.caser import Caser
from caser.study import runs
from caser.study.engine import Plan
from caser.study.recipes import Recipe

TINY = Recipe(Caser(L=3, T=1, d=6, n_v=1, n_h=2), Training(epochs=2, device="cpu"))
MARKOV, POPULARITY = Recipe.of("markov"), Recipe.of("popularity")


def small_split(protocol: str = "leave-one-out", **world: Any) -> Split:
    """A chain of 6 items."""
    log = chain_world(**{"num_users": 40, "num_items": 6, "length": 9, "seed": 0, **world}).log
    return protocols.apply(protocol, log)


def small_plan(store: Path, **changes: Any) -> Plan:
    """A plan with one process and one seed."""
    return Plan(**{"store": store, "workers": 1, "seeds": (0,), **changes})


def training_of(recipe: Recipe) -> Training:
    """The training of a recipe for a network."""
    assert recipe.training is not None
    return recipe.training


def forbid_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, fitting, choosing and ranking raise AssertionError."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("something was trained or ranked again")

    monkeypatch.setattr(runs, "fit", refuse)
    monkeypatch.setattr(runs, "choose", refuse)
    monkeypatch.setattr(judge, "rank", refuse)


def watch_parts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """From now on, every part that is ranked is added to the list that is returned."""
    parts: list[str] = []
    rank = judge.rank

    def watched(scorer: Any, split: Any, part: Any, **options: Any) -> Any:
        parts.append(part)
        return rank(scorer, split, part, **options)

    monkeypatch.setattr(judge, "rank", watched)
    return parts
