"""The engine of all studies. It chooses each recipe's epochs and settings on validation, refits it, and ranks.

Each network is refitted with several seeds. A recipe is left out of the table, and a note names it, if its training
diverges or if it cannot be used with this log or machine. Finished runs are kept. The engine does not interpret the
numbers; `study.py` and the single studies (`compare.py`, `ablate.py` and others) do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from caser.config import Settings
from caser.data.split import Split
from caser.errors import ConfigError, NumericalError
from caser.evaluation import protocols
from caser.evaluation.fingerprint import fingerprint
from caser.evaluation.protocol import Part
from caser.fitting.defaults import facts_of
from caser.study.keys import is_never_kept
from caser.study.recipes import Recipe
from caser.study.runs import Run, Store
from caser.study.time_left import seconds_left
from caser.study.tuning import Tuned, tune
from caser.study.workers import Stores, Submit, default_number, workers

DEFAULT_STORE = Path("runs/store")
"""The folder for finished runs if the user names no other."""

DEFAULT_SEEDS = (0, 1, 2)
"""The seeds of a study if the user names no others."""

AS_MANY_AS_CORES = None
"""As the number of workers: one worker per core, or a single worker if there is a GPU. Default on the command line."""


Action = Literal["chosen", "fitted", "left out"]


@dataclass(frozen=True)
class Step:
    """A step that a study has just finished: step `done` of `total`.

    action        what was done to the recipe
    label         the label of the recipe, which is its row in the table
    sentence      details in words, such as the chosen number of epochs or the reason why the recipe is left out
    seconds_left  how many seconds the study still needs, about; None before a network has finished a step
    """

    action: Action
    label: str
    sentence: str
    done: int
    total: int
    seconds_left: float | None = None


StepListener = Callable[[Step], None]
"""A function that a study calls after each step."""


class Plan(Settings):
    """How a study is carried out.

    Raises ConfigError for a wrong value, and for a hard limit without a budget.

    >>> Plan(seeds=[0], store="runs/mine").replace(workers=2).workers
    2
    """

    part: Part = "test"
    """The part on which the refitted models are judged: `test`, which is counted as an opening of the test part, or
    `validation`."""
    seeds: tuple[int, ...] = DEFAULT_SEEDS
    """Each recipe of a network is refitted once per seed. Without seeds, `carry_out` ends after the choice."""
    budget: float = Field(0.0, ge=0)
    """Seconds for tuning, shared equally by all recipes that are tuned; with 0, the settings stay as they are."""
    is_hard: bool = False
    """Whether the budget is a hard limit: then it also stops the first trial of a recipe, which otherwise runs to its
    end."""
    workers: int | None = Field(1, ge=1)
    """How many processes train at the same time; None (`AS_MANY_AS_CORES`) for one per core. Each process imports the
    calling script again, so a script that uses more than one must start its work under `if __name__ == "__main__":`.
    This is why the default is 1 here, but None on the command line."""
    store: Path = DEFAULT_STORE
    """The folder where finished runs are kept."""

    @field_validator("seeds", mode="before")
    @classmethod
    def _read_seeds(cls, seeds: Any) -> tuple[int, ...]:
        listed = tuple(seeds) if isinstance(seeds, Iterable) and not isinstance(seeds, str) else (None,)
        if not all(isinstance(seed, Integral) and not isinstance(seed, bool) for seed in listed):
            raise ConfigError(f"seeds of a plan must be a tuple of whole numbers, such as (0, 1, 2); got {seeds!r}.")
        if len(set(listed)) < len(listed):
            raise ConfigError(
                f"seeds of a plan must differ, because equal seeds train the same model again; got {listed!r}."
            )
        return tuple(map(int, listed))

    @field_validator("budget", mode="before")
    @classmethod
    def _refuse_text(cls, budget: Any) -> Any:
        if isinstance(budget, str):
            raise ConfigError(f"budget of a plan must be a number of seconds, such as 600; got {budget!r}.")
        return budget

    @field_validator("store", mode="before")
    @classmethod
    def _refuse_what_is_no_path(cls, store: Any) -> Any:
        if not isinstance(store, str | Path):
            raise ConfigError(f"store of a plan must be the path of a folder; got {store!r}.")
        return store

    @model_validator(mode="after")
    def _refuse_a_hard_limit_without_a_budget(self) -> Self:
        if self.is_hard and not self.budget:
            raise ConfigError(
                "is_hard of a plan has an effect only with a budget, which it makes a hard limit; got budget=0. Add a "
                "budget, or leave is_hard out."
            )
        return self


def plan_of(plan: Plan | None) -> Plan:
    """Return the plan of a study: `Plan()` for None. Raises ConfigError for anything that is no plan.

    plan  what the caller of a study gave
    """
    if plan is not None and not isinstance(plan, Plan):
        raise ConfigError(f"a plan must be a caser.Plan, such as caser.Plan(seeds=(0,)); got {plan!r}.")
    return plan or Plan()


@dataclass(frozen=True, eq=False)
class Outcome:
    """The results of the recipes of a study, by label.

    chosen        each recipe after tuning, with its result on validation
    runs          the runs of each recipe, one per seed, in the order of seeds
    notes         sentences about recipes that were left out, and about results that cannot be kept
    num_openings  how many studies have ranked models on this test part, including this one
    """

    chosen: dict[str, Tuned] = field(default_factory=dict)
    runs: dict[str, list[Run]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    num_openings: int = 0


def carry_out(recipes: Mapping[str, Recipe], splits: Mapping[str, Split], plan: Plan, tell: StepListener) -> Outcome:
    """Choose, refit and rank all recipes.

    recipes  the recipes by label
    splits   the splits by the name of the view; a recipe names its view. The opening of the test part is counted for
             the first split only
    plan     part, seeds, budget, workers and store
    tell     a function that is called after each step

    If a recipe raises NumericalError or ConfigError, it is left out with a note. Other errors, such as DataError, are
    raised.
    """
    stores = {view: Store(plan.store, split) for view, split in splits.items()}
    facts = {view: facts_of(split) for view, split in splits.items()}
    recipes = {label: recipe.for_log(facts[recipe.view]) for label, recipe in recipes.items()}
    num_tuned = sum(bool(recipe.space) for recipe in recipes.values())
    seconds_each = plan.budget / num_tuned if num_tuned else 0.0
    with workers(stores, plan.workers or default_number()) as submit:
        return _StudyInProgress(recipes, stores, plan, submit, tell, seconds_each).finish()


class _StudyInProgress:
    """A study that is being carried out: the tasks that are not finished, and the results so far."""

    def __init__(
        self,
        recipes: Mapping[str, Recipe],
        stores: Stores,
        plan: Plan,
        submit: Submit,
        tell: StepListener,
        seconds_each: float,
    ) -> None:
        self.recipes, self.stores, self.plan, self.submit, self.tell = recipes, stores, plan, submit, tell
        self.seconds_each = seconds_each
        self.openings = Openings(stores, plan.part)
        self.outcome = Outcome(notes=[_never_kept_note(label) for label, one in recipes.items() if is_never_kept(one)])
        self.left_out: set[str] = set()
        # The label and the seed of each task. The seed is None for a task that chooses.
        self.pending: dict[Future[Any], tuple[str, int | None]] = {}
        self.done = 0
        self.total = sum(1 + len(self._seeds(recipe)) for recipe in recipes.values())

    def finish(self) -> Outcome:
        # Submit a choosing task for every recipe. Collect finished tasks in between, so that their refits start early.
        for label, recipe in self.recipes.items():
            keep = self.plan.part == "validation"
            future = self.submit(choose_recipe, recipe, self.seconds_each, self.plan.is_hard, keep)
            self.pending[future] = (label, None)
            self._collect(block=False)
        while self.pending:
            self._collect(block=True)
        # Keep the recipes that were not left out, in the given order.
        labels = [label for label in self.recipes if label not in self.left_out]
        return Outcome(
            {label: self.outcome.chosen[label] for label in labels},
            {label: sorted(self.outcome.runs.get(label, []), key=lambda run: run.seed) for label in labels},
            self.outcome.notes,
            self.openings.number,
        )

    def _seeds(self, recipe: Recipe) -> Sequence[int]:
        """All seeds for a network; one for a counting model, which does not use it."""
        return self.plan.seeds if recipe.is_neural else self.plan.seeds[:1]

    def _collect(self, block: bool) -> None:
        """Collect the results of finished tasks. If `block`, wait until at least one task is finished."""
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
                self._tell_step("left out", label, str(error))

    def _tell_step(self, action: Action, label: str, sentence: str) -> None:
        """Tell what was just done, and about how long the rest takes."""
        left = seconds_left(
            self.recipes,
            self.outcome.chosen,
            self.outcome.runs,
            self.left_out,
            num_seeds=len(self.plan.seeds),
            seconds_each=self.seconds_each,
            num_workers=self.plan.workers or default_number(),
        )
        self.tell(Step(action, label, sentence, self.done, self.total, left))

    def _take_run(self, label: str, run: Run) -> None:
        self.outcome.runs.setdefault(label, []).append(run)
        sentence = f"seed {run.seed}, {run.seconds['training']:.1f} s"
        self._tell_step("fitted", label, sentence)

    def _take_choice(self, label: str, tuned: Tuned) -> None:
        """Keep the choice, and submit a refit for each seed."""
        recipe, choice = self.recipes[label], tuned.choice
        self.outcome.chosen[label] = tuned
        trials = f"{tuned.num_trials} trials, " if tuned.num_trials > 1 else ""
        epochs = f"{choice.epochs} epochs, " if choice.epochs else ""
        basis = "as given" if recipe.epochs else f"validation {choice.value:.4f}, {tuned.seconds:.1f} s"
        self._tell_step("chosen", label, f"{trials}{epochs}{basis}")
        for seed in self._seeds(recipe):
            # A run that the store already has does not open the test part again.
            if not self.stores[recipe.view].has(tuned.recipe, choice.epochs, seed, self.plan.part):
                self.openings.count()
            future = self.submit(fit_recipe, tuned.recipe, choice.epochs, seed, self.plan.part)
            self.pending[future] = (label, seed)


def choose_recipe(stores: Stores, recipe: Recipe, seconds: float, is_hard: bool, keep: bool) -> Tuned:
    """Choose the number of epochs, and the settings if there is time to tune. This function runs in a worker.

    stores                  the store of each view
    recipe                  the recipe to start from
    seconds, is_hard, keep  the time limit of tuning, and whether the first model is kept, as for `tune`
    """
    return tune(stores[recipe.view], recipe, seconds, is_hard, keep)


def fit_recipe(stores: Stores, recipe: Recipe, epochs: int | None, seed: int, part: Part) -> Run:
    """Fit and rank a recipe. This function runs in a worker.

    stores               the store of each view
    recipe               what to fit
    epochs, seed, part   as for `Store.run`
    """
    return stores[recipe.view].run(recipe, epochs, seed, part)


class Openings:
    """Counts the studies that open the test part. A study is counted once, before it ranks anything new."""

    def __init__(self, stores: Stores, part: Part) -> None:
        """`stores` has the store of each view; the first one keeps the count. Only the part `test` is counted."""
        self.store = next(iter(stores.values()))
        split = self.store.split
        rules = protocols.resolve(split.name, split, part)
        self.fingerprint = fingerprint(split, rules, part) if part == "test" else None
        self.is_counted = False

    def count(self) -> None:
        """Count this study, unless it is already counted. Call this before something new is ranked."""
        if self.fingerprint and not self.is_counted:
            self.store.count_opening(self.fingerprint)
            self.is_counted = True

    @property
    def number(self) -> int:
        """How many studies have opened this test part; 0 if the part is `validation`."""
        return self.store.num_openings(self.fingerprint) if self.fingerprint else 0


def _never_kept_note(label: str) -> str:
    return (
        f"{label} is trained anew each time: the code of its model is not in a file that can be read, so it is unknown "
        "whether an earlier result is still valid. Put the class into a .py file to keep its results."
    )
