"""Small artefacts for tests, made by hand, so that every index and every answer is known; and a fit of any model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from caser.answering.recommender import Recommender
from caser.artefact.folder import Artefact
from caser.config import Training
from caser.data.log import Vocabulary
from caser.data.split import Split
from caser.data.tape import Tape
from caser.fitting.fit import TrainOn, fit
from caser.models.caser.caser import Caser
from caser.models.counting.popularity import Popularity
from caser.models.settings import ModelSettings, NetworkSettings
from caser.system.randomness import numpy_generator

FACTS: dict[str, Any] = {
    "protocol": "leave-one-out",
    "fingerprint": "0123456789abcdef",
    "seen": "remove",
    "train_on": "final",
    "left_out": None,
    "training": None,
    "epochs": None,
    "history": [],
    "anonymous_user": "mean",
    "log": {"digest": "abc"},
    "environment": {"threads": 1},
    "metrics": None,
    "test_openings": 0,
    "trained_at": 1_700_000_000.0,
    "why": [],
    "command": None,
    "calibration": None,
    "updated": None,
}

USERS = ["ann", "bob", "eve", "zoe"]
ITEMS = [10, 20, 30, 40, 50, 60]
SEQUENCES: list[list[int]] = [[1, 2, 3], [2, 3], [5, 1, 2, 2], []]
"""Zoe has no interaction in the training part, and no user has item 40 or 60."""


def caser_run(seed: int = 0, **settings: Any) -> Artefact:
    """An artefact of Caser with random parameters."""
    config = Caser(**{"L": 2, "d": 3, "n_v": 1, "n_h": 2, **settings})
    random = numpy_generator(seed, "initialisation")
    shapes = config.shapes(len(USERS), len(ITEMS))
    arrays = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return _run(config, config.scorer(arrays, len(USERS), len(ITEMS)))


def settings_of(run: Artefact) -> Caser:
    """The settings of a run of Caser."""
    assert isinstance(run.config, Caser)
    return run.config


def popularity_run() -> Artefact:
    """An artefact of popularity, which ranks item 20 first, then 10 and 30, then 50."""
    config = Popularity()
    scorer = config.build(len(USERS), len(ITEMS))
    scorer.fit(Tape.from_sequences(SEQUENCES, len(ITEMS)))
    return _run(config, scorer)


def fitted(
    model: ModelSettings, split: Split, training: Training, epochs: int | None = None, train_on: TrainOn = "final"
) -> Recommender:
    """Fit any model; only a network takes `training` and `epochs`."""
    if isinstance(model, NetworkSettings):
        return fit(model, split, training, epochs=epochs, train_on=train_on)
    return fit(model, split, train_on=train_on)


def _run(config: Any, scorer: Any) -> Artefact:
    return Artefact(
        config=config,
        scorer=scorer,
        users=Vocabulary(pl.Series(USERS)),
        items=Vocabulary(pl.Series(ITEMS)),
        titles=pl.Series(["Ten", "Twenty", None, "Forty", "Fifty", "Sixty"]),
        histories=Tape.from_sequences(SEQUENCES, len(ITEMS)),
        manifest=dict(FACTS),
    )


def resign(folder: Path, **changes: Any) -> None:
    """Correct the checksums of a changed artefact, as an attacker can; a change to None removes the key."""
    path = folder / "manifest.json"
    values = {**json.loads(path.read_bytes()), **changes}
    values = {name: value for name, value in values.items() if name not in changes or value is not None}
    if "files" in values and "files" not in changes:
        values["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in values["files"]}
    text = json.dumps(values, indent=2).encode()
    start = text.index(b'": "') + 4
    rest = text[start + 64 :]
    path.write_bytes(text[:start] + hashlib.sha256(rest).hexdigest().encode() + rest)
