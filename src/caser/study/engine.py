"""The engine of every study: choose each recipe on validation, refit it with every seed, rank it, side by side.

A recipe whose training diverges, or that does not fit the log or the machine, is left out of the table and named in the
notes; whatever was finished is kept. Will not say what the numbers mean; `study.py` and the studies themselves do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from caser.data.split import Split
from caser.errors import ConfigError, NumericalError
from caser.evaluation import protocols
from caser.evaluation.fingerprint import fingerprint
from caser.evaluation.protocols import Part
from caser.study.recipes import Recipe
from caser.study.runs import Run, Store
from caser.study.tuning import Tuned, tune
from caser.study.workers import Stores, Submit, default_number, workers


@dataclass(frozen=True)
class Step:
    """What has just been done: `done` of `total` steps."""

    what: Literal["chosen", "fitted", "left out"]
    label: str
    sentence: str
    done: int
    total: int


Tell = Callable[[Step], None]


@dataclass(frozen=True)
class Plan:
    """How a study is carried out.

    part     what judges: `test` opens the test part, `validation` leaves it closed
    seeds    with which each neural recipe is refitted; none ends after choosing
    budget   seconds of tuning, all recipes together
    is_hard  whether the budget also cuts a recipe's first trial short, instead of only ending its tuning
    workers  processes at once; None for as many as there are cores. More than one imports the script that asks again
             in each, so what a script does must then stand under `if __name__ == "__main__":`
    store    where finished runs are kept
    """

    part: Part = "test"
    seeds: tuple[int, ...] = (0, 1, 2)
    budget: float = 0.0
    is_hard: bool = False
    workers: int | None = 1
    store: Path = Path("runs/store")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a study.

    chosen  the recipes as they were tuned            runs   of each recipe, one per seed
    notes   what went wrong                           num_openings  how many studies have opened this test part
    """

    chosen: dict[str, Tuned] = field(default_factory=dict)
    runs: dict[str, list[Run]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    num_openings: int = 0


def carry_out(recipes: Mapping[str, Recipe], splits: Mapping[str, Split], plan: Plan, tell: Tell) -> Outcome:
    """Choose, refit and rank all recipes; `splits` has one for each view, and the first says what is asked.

    NumericalError and ConfigError of a recipe go into the notes; what is wrong with the data is raised.
    """
    stores = {view: Store(plan.store, split) for view, split in splits.items()}
    tuned = sum(bool(recipe.space) for recipe in recipes.values())
    share = plan.budget / tuned if tuned else 0.0
    with workers(stores, plan.workers or default_number()) as submit:
        return _Running(recipes, stores, plan, submit, tell).until_done(share)


class _Running:
    """A study under way: what is waited for, and what has come in."""

    def __init__(self, recipes: Mapping[str, Recipe], stores: Stores, plan: Plan, submit: Submit, tell: Tell) -> None:
        self.recipes, self.stores, self.plan, self.submit, self.tell = recipes, stores, plan, submit, tell
        self.openings = Openings(stores, plan.part)
        self.outcome = Outcome()
        self.left_out: set[str] = set()
        self.waiting: dict[Future[Any], tuple[str, int | None]] = {}
        self.done = 0
        self.total = sum(1 + len(self._seeds(recipe)) for recipe in recipes.values())

    def until_done(self, share: float) -> Outcome:
        for label, recipe in self.recipes.items():
            self.waiting[self.submit(choose_recipe, recipe, share, self.plan.is_hard)] = (label, None)
            self._collect(block=False)
        while self.waiting:
            self._collect(block=True)
        left = [label for label in self.recipes if label not in self.left_out]
        return Outcome(
            {label: self.outcome.chosen[label] for label in left},
            {label: sorted(self.outcome.runs.get(label, []), key=lambda run: run.seed) for label in left},
            self.outcome.notes,
            self.openings.number,
        )

    def _seeds(self, recipe: Recipe) -> Sequence[int]:
        return self.plan.seeds if recipe.is_neural else self.plan.seeds[:1]

    def _collect(self, block: bool) -> None:
        finished, _ = wait(self.waiting, timeout=None if block else 0, return_when=FIRST_COMPLETED)
        for future in finished:
            label, seed = self.waiting.pop(future)
            self.done += 1
            try:
                self._take(label, seed, future.result())
            except (NumericalError, ConfigError) as error:
                if label not in self.left_out:
                    self.outcome.notes.append(f"{label} is left out: {error}")
                self.left_out.add(label)
                self.tell(Step("left out", label, str(error), self.done, self.total))

    def _take(self, label: str, seed: int | None, result: Any) -> None:
        recipe = self.recipes[label]
        if seed is not None:
            self.outcome.runs.setdefault(label, []).append(result)
            seconds = result.seconds["training"]
            self.tell(Step("fitted", label, f"seed {seed}, {seconds:.1f} s", self.done, self.total))
            return
        self.outcome.chosen[label] = result
        choice = result.choice
        epochs = f"{choice.epochs} epochs, " if choice.epochs else ""
        trials = f"{result.num_trials} trials, " if result.num_trials > 1 else ""
        judged = "as given" if recipe.epochs else f"validation {choice.value:.4f}, {result.seconds:.1f} s"
        sentence = f"{trials}{epochs}{judged}"
        self.tell(Step("chosen", label, sentence, self.done, self.total))
        for one in self._seeds(recipe):
            if not self.stores[recipe.view].has(result.recipe, choice.epochs, one, self.plan.part):
                self.openings.count()
            future = self.submit(fit_recipe, result.recipe, choice.epochs, one, self.plan.part)
            self.waiting[future] = (label, one)


def choose_recipe(stores: Stores, recipe: Recipe, seconds: float, is_hard: bool) -> Tuned:
    """In a worker: how many epochs, and with what settings if there is time to tune."""
    return tune(stores[recipe.view], recipe, seconds, is_hard)


def fit_recipe(stores: Stores, recipe: Recipe, epochs: int | None, seed: int, part: Part) -> Run:
    """In a worker: fit and rank."""
    return stores[recipe.view].run(recipe, epochs, seed, part)


class Openings:
    """Counts, once for a study and before it happens, that the test part is opened."""

    def __init__(self, stores: Stores, part: Part) -> None:
        self.store = next(iter(stores.values()))
        split = self.store.split
        rules = protocols.resolve(split.name, split, part)
        self.fingerprint = fingerprint(split, rules, part) if part == "test" else None
        self.is_counted = False

    def count(self) -> None:
        """Something is about to be ranked that was not before."""
        if self.fingerprint and not self.is_counted:
            self.store.count_opening(self.fingerprint)
            self.is_counted = True

    @property
    def number(self) -> int:
        """How many studies have opened this test part."""
        return self.store.num_openings(self.fingerprint) if self.fingerprint else 0
