"""SASRec of RecTools as a contender: it trains in a process of its own, epoch by epoch, and is ranked by our judge.

RecTools is installed into an environment of its own (about 1.3 GB, made in runs/benchmarks on first use).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._environment import environment
from caser.arrays.types import Int32, Mask, Scores
from caser.data.split import Split
from caser.models.base import Arrays

PACKAGES = ("rectools[torch]==0.19.0",)
SCRIPT = Path(__file__).with_name("_rectools_process.py").absolute()


class UnavailableError(Exception):
    """RecTools cannot be installed or run here; the message says why."""


@dataclass(eq=False)
class ProductScorer:
    """Scores that are products of the state of a user and the vector of an item; a Scorer.

    states_UD   the state of each user, after the user's whole history; 0 for a user without one
    vectors_ID  the vector of each item
    is_known_I  whether the model knows the item; the others get the lowest score
    """

    states_UD: Scores
    vectors_ID: Scores
    is_known_I: Mask
    history_length: int | None = 1  # the states have read the histories already

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Score every item for every query. See `Scorer.scores`; the histories are not read again."""
        scores_BI: Scores = self.states_UD[users_B] @ self.vectors_ID.T
        scores_BI[:, ~self.is_known_I] = -np.inf
        return scores_BI

    def arrays(self) -> Arrays:
        """Return the states and the vectors."""
        return {"states": self.states_UD, "vectors": self.vectors_ID}


@dataclass(frozen=True)
class TrainedEpoch:
    """One epoch that RecTools has trained.

    number          from 1
    seconds         the time of training
    states_seconds  the time that it took to compute the states, which belongs to judging
    scorer          the model after the epoch
    """

    number: int
    seconds: float
    states_seconds: float
    scorer: ProductScorer


class Training:
    """A running process that trains SASRec of RecTools on the part `fit` of a split.

    versions  the versions of RecTools and of the packages that it computes with
    """

    def __init__(self, process: subprocess.Popen[str], split: Split, folder: Path) -> None:
        self._process, self._split, self._folder = process, split, folder
        self.versions: Mapping[str, str] = json.loads(self._answer("ready"))

    def train(self) -> TrainedEpoch:
        """Train one epoch. Raises UnavailableError if the process has ended."""
        try:
            print("train", file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise UnavailableError("its process ended by itself, see stderr") from None
        number, seconds, states_seconds = self._answer("epoch").split()
        return TrainedEpoch(int(number), float(seconds), float(states_seconds), self._scorer())

    def _answer(self, kind: str) -> str:
        """The next answer of the process; other lines are remarks of the libraries."""
        for line in self._process.stdout or ():
            word, _, rest = line.partition(" ")
            if word == kind:
                return rest
        raise UnavailableError("its process ended by itself, see stderr")

    def _scorer(self) -> ProductScorer:
        """The scorer with the states of the last epoch, in our indices of users and items."""
        with np.load(self._folder / "states.npz") as file:
            users, states, items, vectors = (file[name] for name in ("users", "states", "items", "vectors"))
        log = self._split.log
        states_UD = np.zeros((log.num_users + 1, states.shape[1]), dtype=np.float32)
        vectors_ID = np.zeros((log.num_items + 1, vectors.shape[1]), dtype=np.float32)
        is_known_I = np.zeros(log.num_items + 1, dtype=np.bool_)
        states_UD[users], vectors_ID[items], is_known_I[items] = states, vectors, True
        return ProductScorer(states_UD, vectors_ID, is_known_I)


@contextmanager
def training(split: Split, settings: Mapping[str, Any], folder: Path, threads: int) -> Iterator[Training]:
    """Start a process that trains, and end it after the `with` block.

    split     a split by leave-one-out: its validation queries have the users' sequences in `fit` as histories
    settings  keyword arguments of RecTools' SASRecModel, as JSON values
    folder    where the process keeps its files; a training that was interrupted there goes on
    threads   how many threads compute

    Raises UnavailableError if the environment cannot be made, or if the process ends by itself.
    """
    try:
        python = environment("rectools", PACKAGES)
    except subprocess.CalledProcessError as error:
        raise UnavailableError(
            f"{PACKAGES[0]} could not be installed; a command ended with status {error.returncode}, see stderr"
        ) from None
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "log.npz", users=split.fit.users, items=split.fit.items)
    command = [python, "-P", "-W", "ignore", SCRIPT, folder.absolute(), json.dumps(settings)]
    process = subprocess.Popen(
        [*map(str, command)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
    )
    with process:
        try:
            yield Training(process, split, folder)
        finally:
            process.kill()
