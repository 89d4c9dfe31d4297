"""The engine of every study: choose each recipe on validation, refit it with every seed, and rank it.

A recipe whose training diverges, or that does not fit the log or the machine, is left out of the table and named in the
notes. Finished runs are kept. The engine does not interpret the numbers: `study.py` and the single studies do.
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
from caser.study.keys import is_never_kept
from caser.study.recipes import Recipe
from caser.study.runs import Run, Store
from caser.study.tuning import Tuned, tune
from caser.study.workers import Stores, Submit, default_number, workers

DEFAULT_STORE = Path("runs/store")
"""Where finished runs are kept unless another folder is named."""

AS_MANY_AS_CORES = None
"""A number of workers: one for each core, or one where a GPU does the work. It is the default of the command line."""


@dataclass(frozen=True)
class Step:
    """A step that a study has just finished: step `done` of `total`.

    action    what was done to the recipe
    label     the row of the recipe
    sentence  details for people, such as the chosen number of epochs or the reason why the recipe is left out
    """

    action: Literal["chosen", "fitted", "left out"]
    label: str
    sentence: str
    done: int
    total: int


StepListener = Callable[[Step], None]
"""A function that a study calls after each step."""


@dataclass(frozen=True)
class Plan:
    """How a study is carried out.

    part     the part that judges: `test` opens the test part, `validation` leaves it closed
    seeds    the seeds that each neural recipe is refitted with; without any, the study ends after choosing
    budget   seconds of tuning, shared equally by all recipes that are tuned; 0 takes the settings as they are
    is_hard  whether the budget also stops the first trial of a recipe; otherwise that trial runs to its end
    workers  how many processes train at once; None (`AS_MANY_AS_CORES`) for one on each core. Each process imports the
             calling script again, so a script that asks for more than one must start its work under
             `if __name__ == "__main__":`. This is why the default is 1 here, but None on the command line
    store    the folder where finished runs are kept
    """

    part: Part = "test"
    seeds: tuple[int, ...] = (0, 1, 2)
    budget: float = 0.0
    is_hard: bool = False
    workers: int | None = 1
    store: Path = DEFAULT_STORE


@dataclass(frozen=True, eq=False)
class Outcome:
    """The results of the recipes of a study, by label.

    chosen        the recipes after tuning, and what validation said of them
    runs          the runs of each recipe, one per seed, in the order of seeds
    notes         sentences on what went wrong
    num_openings  how many studies have opened this test part, this one included
    """

    chosen: dict[str, Tuned] = field(default_factory=dict)
    runs: dict[str, list[Run]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    num_openings: int = 0


def carry_out(recipes: Mapping[str, Recipe], splits: Mapping[str, Split], plan: Plan, tell: StepListener) -> Outcome:
    """Choose, refit and rank all recipes.

    recipes  by label
    splits   the split of each view that a recipe may name; the first one's test part is the one that is opened
    plan     seeds, budget, workers and store
    tell     called after each step

    A NumericalError or ConfigError of a recipe goes into the notes. Raises other errors, such as DataError.
    """
    stores = {view: Store(plan.store, split) for view, split in splits.items()}
    num_tuned = sum(bool(recipe.space) for recipe in recipes.values())
    seconds_each = plan.budget / num_tuned if num_tuned else 0.0
    with workers(stores, plan.workers or default_number()) as submit:
        return _StudyInProgress(recipes, stores, plan, submit, tell).finish(seconds_each)


class _StudyInProgress:
    """A study that is being carried out: the tasks it waits for, and the results that have come in."""

    def __init__(
        self, recipes: Mapping[str, Recipe], stores: Stores, plan: Plan, submit: Submit, tell: StepListener
    ) -> None:
        self.recipes, self.stores, self.plan, self.submit, self.tell = recipes, stores, plan, submit, tell
        self.openings = Openings(stores, plan.part)
        self.outcome = Outcome(notes=[_never_kept(label) for label, one in recipes.items() if is_never_kept(one)])
        self.left_out: set[str] = set()
        self.pending: dict[Future[Any], tuple[str, int | None]] = {}  # the label, and the seed unless it is choosing
        self.done = 0
        self.total = sum(1 + len(self._seeds(recipe)) for recipe in recipes.values())

    def finish(self, seconds_each: float) -> Outcome:
        # Submit every recipe. What is finished meanwhile is collected at once, so that its refits start early.
        for label, recipe in self.recipes.items():
            future = self.submit(choose_recipe, recipe, seconds_each, self.plan.is_hard)
            self.pending[future] = (label, None)
            self._collect(block=False)
        while self.pending:
            self._collect(block=True)
        labels = [label for label in self.recipes if label not in self.left_out]
        return Outcome(
            {label: self.outcome.chosen[label] for label in labels},
            {label: sorted(self.outcome.runs.get(label, []), key=lambda run: run.seed) for label in labels},
            self.outcome.notes,
            self.openings.number,
        )

    def _seeds(self, recipe: Recipe) -> Sequence[int]:
        return self.plan.seeds if recipe.is_neural else self.plan.seeds[:1]

    def _collect(self, block: bool) -> None:
        """Take the results of finished tasks; wait for at least one if `block`."""
        finished, _ = wait(self.pending, timeout=None if block else 0, return_when=FIRST_COMPLETED)
        for future in finished:
            label, seed = self.pending.pop(future)
            self.done += 1
            try:
                if seed is None:
                    self._take_choice(label, future.result())
                else:
                    self._take_run(label, future.result())
            except (NumericalError, ConfigError) as error:
                if label not in self.left_out:
                    self.outcome.notes.append(f"{label} is left out: {error}")
                self.left_out.add(label)
                self.tell(Step("left out", label, str(error), self.done, self.total))

    def _take_run(self, label: str, run: Run) -> None:
        self.outcome.runs.setdefault(label, []).append(run)
        sentence = f"seed {run.seed}, {run.seconds['training']:.1f} s"
        self.tell(Step("fitted", label, sentence, self.done, self.total))

    def _take_choice(self, label: str, tuned: Tuned) -> None:
        """Keep what was chosen, and submit a refit for each seed."""
        recipe, choice = self.recipes[label], tuned.choice
        self.outcome.chosen[label] = tuned
        trials = f"{tuned.num_trials} trials, " if tuned.num_trials > 1 else ""
        epochs = f"{choice.epochs} epochs, " if choice.epochs else ""
        judged = "as given" if recipe.epochs else f"validation {choice.value:.4f}, {tuned.seconds:.1f} s"
        self.tell(Step("chosen", label, f"{trials}{epochs}{judged}", self.done, self.total))
        for seed in self._seeds(recipe):
            if not self.stores[recipe.view].has(tuned.recipe, choice.epochs, seed, self.plan.part):
                self.openings.count()
            future = self.submit(fit_recipe, tuned.recipe, choice.epochs, seed, self.plan.part)
            self.pending[future] = (label, seed)


def choose_recipe(stores: Stores, recipe: Recipe, seconds: float, is_hard: bool) -> Tuned:
    """Choose the number of epochs, and the settings if there is time to tune. Runs in a worker.

    stores             the store of each view
    recipe             what to choose for
    seconds, is_hard   the time for tuning, as for `tune`
    """
    return tune(stores[recipe.view], recipe, seconds, is_hard)


def fit_recipe(stores: Stores, recipe: Recipe, epochs: int | None, seed: int, part: Part) -> Run:
    """Fit and rank a recipe. Runs in a worker.

    stores               the store of each view
    recipe               what to fit
    epochs, seed, part   as for `Store.run`
    """
    return stores[recipe.view].run(recipe, epochs, seed, part)


class Openings:
    """Counts that a study opens the test part: once per study, and before it happens."""

    def __init__(self, stores: Stores, part: Part) -> None:
        """`stores` has the store of each view, and the first one counts; only the part `test` is counted."""
        self.store = next(iter(stores.values()))
        split = self.store.split
        rules = protocols.resolve(split.name, split, part)
        self.fingerprint = fingerprint(split, rules, part) if part == "test" else None
        self.is_counted = False

    def count(self) -> None:
        """Count an opening, unless this study is counted already; to be called before something new is ranked."""
        if self.fingerprint and not self.is_counted:
            self.store.count_opening(self.fingerprint)
            self.is_counted = True

    @property
    def number(self) -> int:
        """How many studies have opened this test part; 0 for another part."""
        return self.store.num_openings(self.fingerprint) if self.fingerprint else 0


def _never_kept(label: str) -> str:
    return (
        f"{label} is trained anew each time: the code of its model is not in a file that can be read, so nothing can "
        "say whether an earlier result still holds. Put the class into a .py file to keep its results."
    )
