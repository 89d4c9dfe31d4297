"""Time of answers from NumPy against ONNX Runtime, for each kind of network at the sizes of MovieLens-1M.

Networks have default settings and random parameters, because the time does not depend on them. One thread. The states
of one query and of 64 queries are measured as a service computes them: through the scorer, from whole histories.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import polars as pl

from benchmarks.speed import _rounds
from caser.arrays.types import Int32
from caser.artefact.folder import Artefact
from caser.data.log import Vocabulary
from caser.data.tape import Tape
from caser.exported.read import read_onnx
from caser.exported.scorer import OnnxScorer
from caser.exported.write import write_onnx
from caser.models import network_settings
from caser.models.base import StateScorer
from caser.system.randomness import numpy_generator

NUM_USERS, NUM_ITEMS = 6040, 3416
MODELS = ("caser", "gru4rec", "sasrec", "esasrec", "nextitnet", "fpmc")
REPEATS = {1: 20, 64: 1}
"""The number of queries at once -> how often they are repeated in a round."""


def random_artefact(name: str) -> Artefact:
    """Return an artefact of a model with random parameters; the first user has interacted with every item once."""
    config = network_settings(name)
    random = numpy_generator(0, "initialisation")
    shapes = config.shapes(NUM_USERS, NUM_ITEMS)
    arrays = {letter: 0.1 * random.standard_normal(shape, dtype=np.float32) for letter, shape in shapes.items()}
    return Artefact(
        config=config,
        scorer=config.scorer(arrays, NUM_USERS, NUM_ITEMS),
        users=Vocabulary(pl.Series(range(NUM_USERS))),
        items=Vocabulary(pl.Series(range(NUM_ITEMS))),
        titles=None,
        histories=Tape.from_sequences([range(1, NUM_ITEMS + 1), *[[]] * (NUM_USERS - 1)], NUM_ITEMS),
        manifest={"protocol": "none", "fingerprint": "none", "seen": "remove"},
    )


def through_onnx(artefact: Artefact) -> OnnxScorer:
    """Export an artefact, and return a scorer that answers through the exported file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_onnx(artefact, path)
        return OnnxScorer(cast(StateScorer, artefact.scorer), read_onnx(path).content, path)


def repeat(states: Callable[[Int32, Int32], Any], users_B: Int32, histories_BH: Int32) -> float:
    """Compute the states of some queries a few times; return the number of states."""
    repeats = REPEATS[len(users_B)]
    for _ in range(repeats):
        states(users_B, histories_BH)
    return float(repeats * len(users_B))


def main() -> None:
    """Measure all contenders in rounds, and print milliseconds."""
    options = _rounds.parser(__doc__, rounds=11).parse_args()
    random = numpy_generator(1, "initialisation")
    rows: list[dict[str, Any]] = []
    for name in MODELS:
        artefact = random_artefact(name)
        scorers = {"NumPy": artefact.scorer, "ONNX Runtime": through_onnx(artefact)}
        for queries in REPEATS:
            shape = (queries, artefact.scorer.history_length or 1)
            users_B = random.integers(1, NUM_USERS + 1, queries).astype(np.int32)
            histories_BH = random.integers(1, NUM_ITEMS + 1, shape).astype(np.int32)
            contenders = {
                kind: partial(repeat, getattr(scorer, "states"), users_B, histories_BH)  # noqa: B009 (a Scorer has none)
                for kind, scorer in scorers.items()
            }
            rates = _rounds.rates(contenders, options.rounds)
            milliseconds = {f"{kind}, ms": 1000 * queries / rates.median(kind) for kind in scorers}
            faster = rates.ratio("ONNX Runtime", "NumPy")
            rows.append({"model": name, "queries": queries, **milliseconds, "ONNX Runtime is faster by": faster})
    single = [row for row in rows if row["queries"] == 1]
    _rounds.publish(
        "runtimes",
        rows,
        draw=lambda axes: axes.barh(
            [row["model"] for row in single], [row["ONNX Runtime is faster by"] for row in single]
        ),
    )


if __name__ == "__main__":
    main()
