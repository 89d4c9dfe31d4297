"""Small networks of each kind with random parameters, as artefacts and as exported files."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from caser.artefact.folder import Artefact
from caser.data.log import Vocabulary
from caser.data.tape import Tape
from caser.exported.read import read_onnx
from caser.exported.scorer import session
from caser.exported.write import write_onnx
from caser.models import network_settings
from caser.system.randomness import numpy_generator
from tests.runs import caser_run

NUM_USERS, NUM_ITEMS = 5, 40
UNTRAINED = 7

SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "bpr-mf": ("bpr-mf", {"d": 6}),
    "fpmc": ("fpmc", {"d": 6}),
    "fpmc of three items without users": ("fpmc", {"d": 6, "L": 3, "user_vector": False}),
    "caser": ("caser", {"d": 6, "L": 4, "n_h": 3, "n_v": 2}),
    "caser p": ("caser", {"d": 6, "n_h": 0, "n_v": 0}),
    "caser h, heights 2 and 3, tanh": (
        "caser",
        {"d": 6, "L": 4, "n_v": 0, "n_h": 2, "heights": (2, 3), "user_vector": False, "phi_c": "tanh"},
    ),
    "caser v, sigmoid": ("caser", {"d": 6, "n_h": 0, "phi_a": "sigmoid"}),
    "caser of one item, identity": ("caser", {"d": 6, "L": 1, "n_h": 2, "phi_c": "identity", "phi_a": "identity"}),
    "caser of a long window": ("caser", {"d": 6, "L": 40, "n_h": 1}),
    "caser that reaches back": ("caser", {"d": 6, "L": 3, "n_h": 2, "n_v": 2, "reach": 7}),
    "caser, tied": ("caser", {"d": 6, "L": 3, "n_h": 2, "n_v": 2, "reach": 7, "user_vector": False, "tied": True}),
    "caser with a short reach": ("caser", {"d": 6, "L": 4, "n_h": 2, "n_v": 2, "reach": 2}),
    "gru4rec": ("gru4rec", {"d": 6, "max_length": 6}),
    "sasrec": ("sasrec", {"d": 6, "max_length": 6, "num_heads": 2}),
    "sasrec of one block": ("sasrec", {"d": 6, "max_length": 6, "num_blocks": 1}),
    "esasrec": ("esasrec", {"d": 6, "max_length": 6, "num_heads": 2}),
    "esasrec of one block": ("esasrec", {"d": 6, "max_length": 6, "num_blocks": 1, "expansion": 1}),
    "nextitnet": ("nextitnet", {"d": 6, "max_length": 9, "dilations": (1, 2), "kernel": 2}),
}


@cache
def made(name: str) -> Artefact:
    """The network under a name of SMALL, as an artefact in which no user has item 7."""
    model, settings = SMALL[name]
    config = network_settings(model, settings)
    random = numpy_generator(len(name), "initialisation")
    shapes = config.shapes(NUM_USERS, NUM_ITEMS)
    arrays = {letter: random.normal(size=shape).astype(np.float32) for letter, shape in shapes.items()}
    for table in {"Q", "V"} & set(arrays):
        arrays[table][0] = 0
    taken = [item for item in range(1, NUM_ITEMS + 1) if item != UNTRAINED]
    return replace(
        caser_run(),
        config=config,
        scorer=config.scorer(arrays, NUM_USERS, NUM_ITEMS),
        users=Vocabulary(pl.Series([f"user {n}" for n in range(1, NUM_USERS + 1)])),
        items=Vocabulary(pl.Series(range(101, 101 + NUM_ITEMS))),
        titles=None,
        histories=Tape.from_sequences([taken, taken[:5], [], [3], [4, 4]], NUM_ITEMS),
    )


def of_biases(levels: list[int]) -> Artefact:
    """A network whose score of an item is its bias for every user; all items are trained."""
    artefact = made("bpr-mf")
    arrays = {**artefact.scorer.arrays(), "c": np.array(levels, dtype=np.float32)}
    arrays["P"] = np.zeros_like(arrays["P"])
    histories = Tape.from_sequences([range(1, NUM_ITEMS + 1), [], [], [], []], NUM_ITEMS)
    return replace(artefact, scorer=artefact.config.scorer(arrays, NUM_USERS, NUM_ITEMS), histories=histories)


def exported(artefact: Artefact) -> bytes:
    """The bytes of the artefact's exported file."""
    with TemporaryDirectory() as folder:
        write_onnx(artefact, Path(folder) / "model.onnx")
        return read_onnx(Path(folder) / "model.onnx").content


@cache
def running(name: str) -> Any:
    """An ONNX Runtime session for the network under a name of SMALL."""
    return session(exported(made(name)), name)
