"""Runs that are kept: what a study has trained and judged, so that it is never done twice.

    STORE/choices/KEY.json               what validation said of a recipe
    STORE/fitted/KEY/                    a fitted recipe: an artefact
    STORE/fitted/KEY.ranks.safetensors   where its targets rank
    STORE/fitted/KEY.json                its cost; written last, so what has it is whole
    STORE/openings.json                  how many studies have opened each test part

A key holds the recipe, the data and the code. A training that was killed has a checkpoint and goes on from there.
"""

from __future__ import annotations

import json
import math
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.numpy

from caser.artefact.file_errors import naming_file
from caser.data.split import Split
from caser.evaluation import judge
from caser.evaluation.protocols import Part
from caser.evaluation.rank_table import RankTable
from caser.fitting.checks import for_given_epochs
from caser.fitting.fit import Choice, choose, fit
from caser.study.recipes import Recipe, digest_of, key_of
from caser.system.memory import peak_memory
from caser.system.storage import read_file, write_file


@dataclass(frozen=True, eq=False)
class Run:
    """One recipe, fitted with one seed and ranked.

    seconds  of training and of ranking          peak_memory_mb  taken at most while training, where the system tells
    folder   its artefact
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
        self.folder, self.split = folder, split
        self.digest = digest_of(split)

    def choice(self, recipe: Recipe, most_seconds: float = math.inf) -> Choice:
        """What validation says of a recipe; a choice that the clock cut short is one of its own."""
        limit = None if math.isinf(most_seconds) else round(most_seconds)
        path = self.folder / "choices" / f"{key_of(recipe, self.digest, limit=limit)}.json"
        if (kept := _read_json(path)) is not None:
            with _naming(path):
                return Choice(**{**kept["choice"], "history": tuple(kept["choice"]["history"])})
        checkpoint = path.with_suffix(".checkpoint")
        found = choose(
            recipe.model,
            self.split,
            recipe.training if recipe.is_neural else None,
            most_seconds=most_seconds,
            checkpoint=_made(checkpoint) if recipe.is_neural else None,
        )
        _write_json(path, {**recipe.facts(), "choice": asdict(found)})
        checkpoint.unlink(missing_ok=True)
        return found

    def run(self, recipe: Recipe, epochs: int | None, seed: int, part: Part) -> Run:
        """The recipe fitted on what trains for `part`, for `epochs` and with `seed`, and ranked on `part`."""
        path = self.path_of(recipe, epochs, seed, part)
        facts = _read_json(path.with_suffix(".json"))
        if facts is None:
            facts = self._make(path, replace(recipe, training=recipe.training.replace(seed=seed)), epochs, part)
        content = read_file(_ranks(path))
        with _naming(_ranks(path)):
            table = RankTable.from_arrays(safetensors.numpy.load(content))
        with _naming(path.with_suffix(".json")):
            return Run(table=table, seed=seed, folder=path, **facts["run"])

    def has(self, recipe: Recipe, epochs: int | None, seed: int, part: Part) -> bool:
        """Whether a run is there, whole."""
        return self.path_of(recipe, epochs, seed, part).with_suffix(".json").exists()

    def path_of(self, recipe: Recipe, epochs: int | None, seed: int, part: Part) -> Path:
        """Where a fitted recipe is kept."""
        return self.folder / "fitted" / key_of(recipe.replace(seed=seed), self.digest, epochs=epochs, part=part)

    def count_opening(self, fingerprint: str) -> None:
        """Write down that a study opens a test part: before it does."""
        openings = self._openings()
        _write_json(self.folder / "openings.json", {**openings, fingerprint: openings.get(fingerprint, 0) + 1})

    def num_openings(self, fingerprint: str) -> int:
        """How many studies have opened a test part."""
        return int(self._openings().get(fingerprint, 0))

    def _openings(self) -> dict[str, int]:
        return _read_json(self.folder / "openings.json") or {}

    def _make(self, path: Path, recipe: Recipe, epochs: int | None, part: Part) -> dict[str, Any]:
        checkpoint = path.with_suffix(".checkpoint")
        training = recipe.training if epochs is None else for_given_epochs(recipe.training)
        with peak_memory() as peak:
            began = time.perf_counter()
            fitted = fit(
                recipe.model,
                self.split,
                training if recipe.is_neural else None,
                epochs=epochs if recipe.is_neural else None,
                train_on="fit" if part == "validation" else "final",
                checkpoint=_made(checkpoint) if recipe.is_neural else None,
            )
            training_seconds = time.perf_counter() - began
        began = time.perf_counter()
        table = judge.rank(fitted.artefact.scorer, self.split, part)
        ranking_seconds = time.perf_counter() - began
        fitted.artefact.manifest["test_openings"] += part == "test"
        fitted.save(path)
        write_file(_ranks(path), safetensors.numpy.save(table.to_arrays()))
        run = {
            "epochs": fitted.artefact.manifest["epochs"],
            "num_parameters": sum(array.size for array in fitted.artefact.scorer.arrays().values()),
            "seconds": {"training": round(training_seconds, 3), "ranking": round(ranking_seconds, 3)},
            "peak_memory_mb": peak.megabytes,
        }
        facts = {**recipe.facts(), "part": part, "run": run}
        _write_json(path.with_suffix(".json"), facts)
        checkpoint.unlink(missing_ok=True)
        return facts


def _ranks(path: Path) -> Path:
    return path.with_suffix(".ranks.safetensors")


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _read_json(path: Path) -> Any:
    """What a file holds; None if there is none. Raises ArtefactError for one that is no JSON."""
    if not path.exists():
        return None
    content = read_file(path)
    with _naming(path):
        return json.loads(content)


def _naming(path: Path) -> AbstractContextManager[None]:
    """Within, whatever is wrong with a file becomes one ArtefactError that names it."""
    advice = "Remove it, and what has its name beside it; the same study again then makes it anew."
    return naming_file(path, "what a study wrote", advice, reword_all=True)


def _write_json(path: Path, values: Any) -> None:
    write_file(path, json.dumps(values, indent=1, sort_keys=True).encode() + b"\n")
