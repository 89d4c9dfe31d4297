"""The best model for a log with no settings at all: what `caser train LOG` ships.

A few models are tried with their default settings on validation: Caser; SASRec, which costs less than it; GRU4Rec
where all users are sessions that training never saw, for which it was made; and the models that count. With a budget,
the networks are tuned as well. The best model is fitted on `final`, or a blend of the best network and the best
counting model, if validation shows that the blend is better. The test part stays closed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from caser.answering.recommender import Recommender, load
from caser.artefact.run_folder import check_writable, is_run
from caser.config import Training
from caser.data.split import Split
from caser.errors import ConfigError
from caser.evaluation import protocols
from caser.evaluation.judge import check_split
from caser.fitting.calibrate import calibration_facts, can_calibrate
from caser.fitting.checkpoint_files import refuse_taken, remove_checkpoint
from caser.fitting.checks import refuse_unused
from caser.fitting.defaults import facts_of
from caser.fitting.fit import Choice, Tell, TrainOn, choose
from caser.models.settings import CountingSettings, ModelSettings, NetworkSettings
from caser.study.blending import blend_weight, blended
from caser.study.recipes import Recipe, settings_of
from caser.study.runs import Store
from caser.study.tuning import fit_chosen, tune
from caser.system.storage import discard

COUNTED = ("popularity", "markov", "count-knn", "session-knn", "ease")
"""The counting models that are tried. They are fitted in seconds."""


_CHECKPOINTS, _KEPT = ("chosen.checkpoint", "fitted.checkpoint"), "chosen.kept"
"""The ends of the names of what is kept of a network while it is tried."""


@dataclass(frozen=True, eq=False)
class Winner:
    """The model that was chosen among several.

    recommender  the fitted winner
    why          sentences that say why it won
    tried        the value of the validation metric of every model that was tried, by name, best first
    checkpoints  the files and folders from which the same call would continue
    """

    recommender: Recommender
    why: tuple[str, ...]
    tried: dict[str, float]
    checkpoints: tuple[Path, ...] = ()

    def remove_checkpoints(self) -> None:
        """Remove what the search kept to continue from, once the winner is saved. What others wrote stays."""
        for path in self.checkpoints:
            remove_checkpoint(path)
            if is_run(path):
                discard(path)
        for folder in {path.parent for path in self.checkpoints}:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


@dataclass(frozen=True)
class _Tried:
    recipe: Recipe
    choice: Choice
    num_trials: int = 1

    @property
    def name(self) -> str:
        return self.recipe.model.name


def best(
    split: Split,
    model: ModelSettings | str | None = None,
    training: Training | None = None,
    *,
    budget: float = 0.0,
    store: Path | None = None,
    train_on: TrainOn = "final",
    checkpoints: Path | None = None,
    tell: Tell | None = None,
) -> Winner:
    """Try a few models on validation, and fit the best one, or a blend.

    split        what the models are trained and judged on
    model        try this model only, such as `caser.Caser(L=9)`; by default a few that suit the split
    training     settings for the training of every network, such as `caser.Training(seed=1)`; what it leaves open is
                 chosen for the log
    budget       seconds for tuning, shared by the models; 0 tries each model once, with its default settings. The
                 first trial of a network runs to its end in any case, so tuning never ships a worse model on validation
    store        the folder that keeps finished trials, so that the same call continues; needed for a budget
    train_on     the part that the winner is trained on, as for `fit`
    checkpoints  a folder for the checkpoints of the networks, from which the same call continues; None keeps none
    tell         called with Progress while a network trains

    Models that do not fit this machine are left out, and named. Raises ConfigError for what is no split, or if no model
    is left, DataError for a split without validation queries, NumericalError when training diverges, and ArtefactError,
    before anything is trained, if something else has the name of a checkpoint.

    >>> from caser.data.synthetic import chain_world
    >>> from caser.evaluation.protocols import apply
    >>> split = apply("leave-one-out", chain_world(num_users=40, num_items=6, length=9, seed=0).log)
    >>> best(split, training=Training(epochs=1, device="cpu")).recommender.artefact.manifest["train_on"]
    'final'
    """
    check_split(split)
    named = settings_of(model) if model else None
    _check(named, training, budget, store)
    search = _Search(split, training, budget, store, train_on, checkpoints, tell)
    try:
        tried, left_out = search.carry_out([named] if named else _shortlist(split))
    finally:
        search.remove_empty_folder()
    if not tried:
        raise ConfigError(f"a model that can be trained on this log and machine is needed; {'; '.join(left_out)}")
    first, *others = tried
    metric = protocols.protocol_named(split.name).validation_metric
    why = [f"{first.name} is best on validation: {metric} {first.choice.value:.4f}"]
    why += [f"{one.name} was tuned: {one.num_trials} trials" for one in tried if one.num_trials > 1]
    second = next((one for one in others if one.recipe.is_neural != first.recipe.is_neural), None)
    is_judged = second is not None or can_calibrate(split)
    judged, recommender = [search.on_fit(one) for one in (first, second) if one and is_judged], None
    if second is not None:
        kind = "network" if second.recipe.is_neural else "counting model"
        why.append(f"the best {kind} is {second.name}: {second.choice.value:.4f}")
        weight, sentence = blend_weight(split, *judged)
        why.append(sentence)
        if weight is not None:
            recommender = blended(search.fitted(first), search.fitted(second), weight)
            judged = [blended(judged[0], judged[1], weight)]
    recommender = recommender or search.fitted(first)
    why += left_out
    calibration = calibration_facts(judged[0].artefact.scorer, split) if judged else None
    recommender.artefact.manifest.update(why=why, calibration=calibration)
    kept = tuple(path for one in tried for path in search.places(one.recipe))
    return Winner(recommender, tuple(why), {one.name: one.choice.value for one in tried}, kept)


def _check(model: ModelSettings | None, training: Training | None, budget: float, store: Path | None) -> None:
    """Raise ConfigError for an argument of `best` that is wrong, or that has no effect on the model."""
    if isinstance(model, CountingSettings):
        refuse_unused(model, training)
    if budget < 0 or (budget and store is None):
        raise ConfigError(
            f"budget must be a number of seconds from 0 on, and needs a store for its trials; got {budget!r} with "
            f"store={store!r}."
        )
    if budget and model is not None and not model.space:
        raise ConfigError(f"budget must be left out for {model.name}, which has no settings to tune; got {budget:g} s.")


def _shortlist(split: Split) -> list[ModelSettings]:
    """The models that are tried on a split."""
    for_sessions = ["gru4rec"] if protocols.protocol_named(split.name).anonymous else []
    return [settings_of(name) for name in ("caser", "sasrec", *for_sessions, *COUNTED)]


@dataclass(frozen=True)
class _Search:
    """The arguments of `best` that every model gets."""

    split: Split
    training: Training | None
    budget: float
    store: Path | None
    train_on: TrainOn
    checkpoints: Path | None
    tell: Tell | None

    def carry_out(self, models: list[ModelSettings]) -> tuple[list[_Tried], list[str]]:
        """The models that could be tried, best first, and sentences on those that could not."""
        facts = facts_of(self.split)
        recipes = [self._recipe(model).for_log(facts) for model in models]
        self._refuse_taken(recipes)
        seconds_each = self.budget / max(1, sum(bool(one.model.space) for one in recipes))
        tried, left_out = [], []
        for recipe in recipes:
            try:
                tried.append(self._try(recipe, seconds_each))
            except ConfigError as error:
                left_out.append(f"{recipe.model.name} is left out: {error}")
        # Of two equal models the simpler one comes first: the one that only counts.
        return sorted(tried, key=lambda one: (-one.choice.value, one.recipe.is_neural)), left_out

    def _recipe(self, model: ModelSettings) -> Recipe:
        """The recipe of a model; what the caller set of the training goes to networks only."""
        is_set = self.training is not None and isinstance(model, NetworkSettings)
        return Recipe.of(model, training=self.training) if is_set else Recipe.of(model)

    def _try(self, recipe: Recipe, seconds: float) -> _Tried:
        if seconds and self.store and recipe.model.space:
            tuned = tune(
                Store(self.store, self.split), replace(recipe, space=recipe.model.space), seconds, tell=self.tell
            )
            return _Tried(tuned.recipe, tuned.choice, tuned.num_trials)
        if not recipe.is_neural:
            return _Tried(recipe, choose(recipe.model, self.split, keep=True))
        checkpoint, how = self._file(recipe, "chosen"), recipe.training
        choice = choose(recipe.model, self.split, how, checkpoint=checkpoint, tell=self._named(recipe), keep=True)
        if checkpoint and (kept := checkpoint.with_suffix(".kept")):
            # The model of the best epoch outlives an interruption of what comes later.
            choice = replace(choice, kept=choice.kept or (load(kept) if kept.exists() else None))
            if choice.kept and not kept.exists():
                choice.kept.save(kept)
        return _Tried(recipe, choice)

    def on_fit(self, one: _Tried) -> Recommender:
        """The model as validation judged it: kept, or trained again if it was read from a store or lost."""
        return one.choice.kept or self._fitted(one, "fit", None)

    def fitted(self, one: _Tried) -> Recommender:
        """The model, trained on `train_on` for the number of epochs that validation chose."""
        return self._fitted(one, self.train_on, self._file(one.recipe, "fitted"))

    def _fitted(self, one: _Tried, train_on: TrainOn, checkpoint: Path | None) -> Recommender:
        fitted = fit_chosen(
            one.recipe, one.choice, self.split, train_on=train_on, checkpoint=checkpoint, tell=self._named(one.recipe)
        )
        fitted.artefact.manifest["history"] = list(one.choice.history)
        return fitted

    def _named(self, recipe: Recipe) -> Tell | None:
        """The listener of the training of one model, which adds the name of the model."""
        tell = self.tell
        return tell and (lambda progress: tell(replace(progress, model=recipe.model.name)))

    def remove_empty_folder(self) -> None:
        """Remove the folder of checkpoints if nothing was written into it."""
        if self.checkpoints is not None:
            with suppress(OSError):
                self.checkpoints.rmdir()

    def places(self, recipe: Recipe) -> list[Path]:
        """The checkpoints of a model, and the folder of its model of the best epoch; none for a counting model."""
        if self.checkpoints is None or not recipe.is_neural:
            return []
        return [self.checkpoints / f"{recipe.model.name}-{name}" for name in (*_CHECKPOINTS, _KEPT)]

    def _refuse_taken(self, recipes: list[Recipe]) -> None:
        for *checkpoints, kept in filter(None, map(self.places, recipes)):
            check_writable(kept)
            refuse_taken(*checkpoints)

    def _file(self, recipe: Recipe, stage: str) -> Path | None:
        if self.checkpoints is None or not recipe.is_neural:
            return None
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        return self.checkpoints / f"{recipe.model.name}-{stage}.checkpoint"
