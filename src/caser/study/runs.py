"""The store of finished runs: what a study has trained and judged, so that nothing is done twice.

    STORE/choices/KEY.json               what validation said of a recipe
    STORE/fitted/KEY/                    a fitted recipe: a run folder
    STORE/fitted/KEY.ranks.safetensors   the ranks of its targets
    STORE/fitted/KEY.json                its cost; written last, so a run that has this file is complete
    STORE/openings.json                  how many studies have opened each test part

A key is a hash of the recipe, the data and the code (`keys.py`). Every file is sealed, and a file of ranks names the
run that it belongs to, so a flipped bit and a file from elsewhere are refused. A training that was killed leaves a
checkpoint, and the same study continues from it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field

from caser.answering.recommender import Recommender
from caser.artefact.file_errors import naming_file
from caser.artefact.manifest_facts import MOST_EPOCHS, MOST_SECONDS, EpochFacts, readable_as
from caser.config import Settings
from caser.data.split import Split
from caser.evaluation import judge
from caser.evaluation.protocol import Part
from caser.evaluation.rank_table import RankTable
from caser.fitting.checkpoint_files import remove_checkpoint
from caser.fitting.checks import for_given_epochs
from caser.fitting.fit import Choice, Tell, choose, fit
from caser.study.keys import digest_of, key_of
from caser.study.recipes import Recipe
from caser.system.locks import locked
from caser.system.memory import peak_memory
from caser.system.sealed import seal_arrays, seal_json, unseal_arrays, unseal_json
from caser.system.storage import read_file, write_file


class StoredChoice(Settings):
    """What the store writes down of a choice (`caser.fitting.progress.Choice`)."""

    model_config = ConfigDict(strict=True)

    value: float
    """The validation metric at the best epoch."""
    seconds: float = Field(ge=0, le=MOST_SECONDS)
    """The time of training and of judging."""
    epochs: int | None = Field(ge=1, le=MOST_EPOCHS)
    """The number of the best epoch; None for a counting model."""
    history: Annotated[list[dict[str, Any]], readable_as(EpochFacts)]
    """One entry per epoch."""


class StoredRun(Settings):
    """What the store writes down of a run, beside its ranks: fields of `Run`."""

    model_config = ConfigDict(strict=True)

    epochs: int | None = Field(ge=1, le=MOST_EPOCHS)
    """How many epochs it trained; None for a counting model."""
    num_parameters: int = Field(ge=0)
    """How many numbers the fitted model holds."""
    seconds: dict[Literal["training", "ranking"], Annotated[float, Field(ge=0, le=MOST_SECONDS)]]
    """What training and ranking took."""
    peak_memory_mb: float | None = Field(ge=0)
    """The most memory taken while training, in megabytes."""


class Openings(Settings):
    """How many studies have opened each test part."""

    model_config = ConfigDict(strict=True)

    openings: dict[str, Annotated[int, Field(ge=0, le=1_000_000)]]
    """The number by the fingerprint of the test part."""


Kept = TypeVar("Kept", bound=Settings)

_VALUES = "values"
"""The name under which a file holds what is read back; the rest of it is for people."""


@dataclass(frozen=True, eq=False)
class Run:
    """One recipe, fitted with one seed and ranked.

    table           where every target ranks
    epochs          how many epochs it trained; None for a counting model
    seed            the seed it was fitted with
    num_parameters  how many numbers the fitted model holds
    seconds         what `training` and `ranking` took, in seconds
    peak_memory_mb  the most memory taken while training, in megabytes; None where the system does not tell
    folder          the run folder of the fitted model
    """

    table: RankTable
    epochs: int | None
    seed: int
    num_parameters: int
    seconds: dict[str, float]
    peak_memory_mb: float | None
    folder: Path


class Store:
    """A folder of finished runs on one split."""

    def __init__(self, folder: Path, split: Split) -> None:
        """`folder` is made when something is written; `split` is what every recipe is trained and judged on."""
        self.folder, self.split = folder, split
        self.digest = digest_of(split)

    def choice(
        self,
        recipe: Recipe,
        most_seconds: float = math.inf,
        *,
        keep: bool = False,
        bars: Sequence[float] = (),
        tell: Tell | None = None,
    ) -> Choice:
        """Return what validation says of a recipe: read if it is in the store, otherwise found by training.

        most_seconds  after so many seconds of training no further epoch begins; a choice with a limit is kept apart
        keep          also keep the model of the best epoch, as `run` would make it for `validation`
        bars          the values that a network must reach after each epoch, as for `choose`
        tell          called with Progress while a network trains

        Raises ArtefactError for a damaged file, and as `caser.fitting.fit.choose` does.
        """
        limit = None if math.isinf(most_seconds) else round(most_seconds)
        task = {"limit": limit, "bars": list(bars)} if bars else {"limit": limit}
        path = self.folder / "choices" / f"{self._key(recipe, **task)}.json"
        kept = _read_json(path, StoredChoice)
        if kept is None:
            # Two studies at once with one store train each model once.
            with locked(path):
                kept = _read_json(path, StoredChoice)
                if kept is None:
                    return self._choose(path, recipe, most_seconds, keep, bars, tell)
        return Choice(kept.value, kept.seconds, kept.epochs, tuple(kept.history))

    def _choose(
        self, path: Path, recipe: Recipe, most_seconds: float, keep: bool, bars: Sequence[float], tell: Tell | None
    ) -> Choice:
        """Train, and write down what validation says."""
        checkpoint = _checkpoint(path, recipe)
        model, training = recipe.model, recipe.training
        choice = choose(
            model,
            self.split,
            training,
            most_seconds=most_seconds,
            checkpoint=checkpoint,
            tell=tell if recipe.is_neural else None,
            keep=keep,
            bars=bars,
        )
        if choice.kept is not None:
            run = self.path_of(recipe, choice.epochs, recipe.seed, "validation")
            self._save(run, recipe, choice.kept, "validation", choice.seconds, None)
        kept = StoredChoice(
            value=choice.value, seconds=choice.seconds, epochs=choice.epochs, history=list(choice.history)
        )
        _write_json(path, {**recipe.facts(), _VALUES: kept.model_dump()})
        remove_checkpoint(checkpoint)
        return replace(choice, kept=None)

    def run(self, recipe: Recipe, epochs: int | None, seed: int, part: Part) -> Run:
        """Return a recipe fitted and ranked: read if it is in the store, otherwise made.

        epochs  how many to train; None for a counting model
        seed    the seed of training; a counting model has none
        part    the part to rank: a model ranked on `validation` trains on `fit`, one ranked on `test` on `final`

        Raises ArtefactError for a damaged file, and as `caser.fit` and `caser.evaluation.judge.rank` do.
        """
        path = self.path_of(recipe, epochs, seed, part)
        facts = _read_json(path.with_suffix(".json"), StoredRun)
        if facts is None:
            with locked(path):
                facts = _read_json(path.with_suffix(".json"), StoredRun)
                facts = facts or self._make(path, recipe.with_seed(seed), epochs, part)
        with _naming(_ranks(path)):
            arrays, owner = unseal_arrays(read_file(_ranks(path)))
            if owner != path.name:
                raise ValueError(f"the ranks of another run, {str(owner)[:70]}")
            table = RankTable.from_arrays(arrays)
        return Run(table=table, seed=seed, folder=path, **facts.model_dump())

    def has(self, recipe: Recipe, epochs: int | None, seed: int, part: Part) -> bool:
        """Whether the store holds a complete run; `recipe`, `epochs`, `seed` and `part` are those of `run`."""
        return self.path_of(recipe, epochs, seed, part).with_suffix(".json").exists()

    def path_of(self, recipe: Recipe, epochs: int | None, seed: int, part: Part) -> Path:
        """Return the run folder of a recipe, there or not; `epochs`, `seed` and `part` are those of `run`."""
        return self.folder / "fitted" / self._key(recipe.with_seed(seed), epochs=epochs, part=part)

    def count_opening(self, fingerprint: str) -> None:
        """Write down that a study opens a test part; to be called before it does.

        fingerprint  names the test part and the rules it is judged by
        """
        path = self.folder / "openings.json"
        with locked(path):
            openings = {**self._openings(), fingerprint: self.num_openings(fingerprint) + 1}
            _write_json(path, {_VALUES: Openings(openings=openings).model_dump()})

    def num_openings(self, fingerprint: str) -> int:
        """Return how many studies have opened the test part with this fingerprint."""
        return self._openings().get(fingerprint, 0)

    def _openings(self) -> dict[str, int]:
        kept = _read_json(self.folder / "openings.json", Openings)
        return {} if kept is None else kept.openings

    def _key(self, recipe: Recipe, **task: Any) -> str:
        return key_of(recipe, self.digest, __name__, **task)

    def _make(self, path: Path, recipe: Recipe, epochs: int | None, part: Part) -> StoredRun:
        # Train.
        checkpoint = _checkpoint(path, recipe)
        training = recipe.training
        if training is not None and epochs is not None:
            training = for_given_epochs(training)
        with peak_memory() as peak:
            began = time.perf_counter()
            fitted = fit(
                recipe.model,
                self.split,
                training,
                epochs=epochs,
                train_on="fit" if part == "validation" else "final",
                checkpoint=checkpoint,
                calibrate=False,
            )
            training_seconds = time.perf_counter() - began
        facts = self._save(path, recipe, fitted, part, training_seconds, peak.megabytes)
        remove_checkpoint(checkpoint)
        return facts

    def _save(
        self, path: Path, recipe: Recipe, fitted: Recommender, part: Part, training_seconds: float, peak: float | None
    ) -> StoredRun:
        """Judge a fitted recipe and keep it; `peak` is the memory of its training in MB, if it is known."""
        # Judge.
        began = time.perf_counter()
        table = judge.rank(fitted.artefact.scorer, self.split, part)
        ranking_seconds = time.perf_counter() - began
        # Save. The JSON file comes last, because it says that the others are complete.
        fitted.artefact.manifest["test_openings"] += part == "test"
        fitted.save(path)
        write_file(_ranks(path), seal_arrays(table.to_arrays(), path.name))
        run = StoredRun(
            epochs=fitted.artefact.manifest["epochs"],
            num_parameters=sum(array.size for array in fitted.artefact.scorer.arrays().values()),
            seconds={"training": round(training_seconds, 3), "ranking": round(ranking_seconds, 3)},
            peak_memory_mb=peak,
        )
        _write_json(path.with_suffix(".json"), {**recipe.facts(), "part": part, _VALUES: run.model_dump()})
        return run


def _ranks(path: Path) -> Path:
    return path.with_suffix(".ranks.safetensors")


def _checkpoint(path: Path, recipe: Recipe) -> Path | None:
    """The checkpoint of a training, in a folder that exists; a counting model has none."""
    if not recipe.is_neural:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_suffix(".checkpoint")


def _read_json(path: Path, kind: type[Kept]) -> Kept | None:
    """The values in a file; None if there is no file. Raises ArtefactError for a file that holds anything else."""
    if not path.exists():
        return None
    with _naming(path):
        return kind.of(unseal_json(read_file(path)).get(_VALUES))


def _naming(path: Path) -> AbstractContextManager[None]:
    """Turn any error about the content of a file into one ArtefactError that names the file."""
    advice = "Remove it, and the files and the folder beside it that have the same name; then run the same study again."
    return naming_file(path, "what a study wrote", advice, reword_all=True)


def _write_json(path: Path, values: Any) -> None:
    write_file(path, seal_json(values))
