"""Sentences about unknown names: one colon, then what is meant or what is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import caser
from caser.cli.app import build_app
from caser.errors import CaserError, did_you_mean
from caser.models import model_class
from caser.study.report.study import checked

ANY: Any = caser  # the type checker would refuse some of these calls
SPLIT = caser.leave_one_out(caser.chain_world(num_users=20, num_items=8, length=9, seed=0).log)
FRAME = pl.DataFrame({"user": [1], "item": [1], "time": [1]})

CALLS: dict[str, Callable[[], object]] = {
    "setting": lambda: ANY.Caser(zzz=1),
    "setting of a loss": lambda: caser.Training(loss="gbce", loss_settings={"zzz": 1}),
    "loss": lambda: caser.Training(loss="zzz"),
    "model": lambda: model_class("zzz"),
    "model of the command line": lambda: build_app("zzz"),
    "protocol": lambda: caser.split("zzz", SPLIT.log),
    "part that trains": lambda: ANY.fit(caser.Markov(), SPLIT, train_on="zzz"),
    "metric": lambda: caser.evaluate(caser.fit(caser.Markov(), SPLIT), SPLIT, metrics=["zzz"]),
    "field of a recipe": lambda: caser.Recipe.of("markov", zzz=1),
    "setting of a sweep": lambda: caser.sweep(SPLIT, caser.Recipe.of("count-knn"), "zzz", [1, 2]),
    "data set": lambda: caser.load_dataset("zzz"),
    "column": lambda: caser.read_log(FRAME, caser.Reading(user="zzz")),
    "format": lambda: caser.read_log(Path(__file__), caser.Reading(format="zzz")),
    "study": lambda: checked({"kind": "zzz"}),
}


@pytest.mark.parametrize("what", CALLS)
def test_an_unknown_name_is_refused_in_a_sentence_with_one_colon(what: str) -> None:
    with pytest.raises(CaserError) as refused:
        CALLS[what]()
    sentence = str(refused.value)
    assert "zzz" in sentence
    assert "known name" in sentence
    assert sentence.count(":") == 1, sentence
    assert sentence.endswith(".")


def test_one_known_name_is_not_several() -> None:
    assert did_you_mean("zzz", ["markov"]) == "the only known name is markov."
