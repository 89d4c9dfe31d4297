"""`caser compare`, `caser ablate` and `caser sweep`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from caser.cli import show
from caser.cli.flags import DEFAULT_MODEL, Command, FilterFlags, ReadingFlags, Switch, Whole, one_of
from caser.cli.logs import open_log
from caser.cli.model_flags import with_model_flags
from caser.cli.study_options import QUICK_EPOCHS, StudyFlags, StudyOptions, seconds_of
from caser.cli.study_report import finish_backtest, finish_study
from caser.config import Training
from caser.data.filters import LogFilters
from caser.data.log import InteractionLog
from caser.data.readers import Reading
from caser.errors import ConfigError
from caser.evaluation import protocols
from caser.models import MODELS, model_class
from caser.models.caser.caser import Caser
from caser.models.settings import ModelSettings
from caser.study.ablate import ablate as run_ablate
from caser.study.backtest import backtest as run_backtest
from caser.study.compare import compare as run_compare
from caser.study.engine import Plan
from caser.study.recipes import Recipe
from caser.study.sessions import compare_sessions
from caser.study.study import Study
from caser.study.sweep import parse_values
from caser.study.sweep import sweep as run_sweep


def compare(
    log: str,
    /,
    *,
    models: Annotated[tuple[str, ...], one_of(MODELS, several=True)] = (),
    sessions: str | None = None,
    windows: Annotated[Whole | None, Parameter(validator=Number(gte=2, lte=50))] = None,
    budget: str = "0",
    epochs: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    json: Switch = False,
    options: StudyFlags = StudyOptions(),  # noqa: B008 (frozen)
    reading: ReadingFlags = Reading(),  # noqa: B008
    filters: FilterFlags = LogFilters(),  # noqa: B008
) -> None:
    """Compare models under one protocol: is a sequence model worth it on this log?

    Every model is chosen on validation, refitted with each seed, and judged on the test part. The counting baselines
    are always in the table. Run the same command again to continue; finished runs are used again.

    Parameters
    ----------
    log
        A file, or the name of a public data set.
    models
        Names of models; all of them by default.
    sessions
        Compare models that read one session with models that know the user, on the same targets. The value is the
        pause that begins a new session, such as 30m. If each user of the log is a session, use --protocol sessions.
    windows
        Compare in so many rolling windows of time, such as 5: each is cut by one moment for all users, and the later
        half of the log is what they test on. A log with times only.
    budget
        Time for tuning on validation, such as 10m, 90s or 1h; all models share it equally, in each window. 0 keeps the
        defaults.
    epochs
        Largest number of epochs for every neural model; by default each model's own.
    json
        Print one JSON document instead of a table.

    """
    plan = options.plan(budget)
    gap = None if sessions is None else seconds_of(sessions)
    if windows is not None:
        _check_by_time(options.protocol, gap)
    read = open_log(log, reading, filters)
    limit = min(epochs or QUICK_EPOCHS, QUICK_EPOCHS) if options.quick else epochs
    if windows is not None:
        with show.study_progress() as tell:
            result = run_backtest(read, windows, models, plan, training=_limited(limit), tell=tell)
        finish_backtest(result, options, log, json=json)
        return
    with show.study_progress() as tell:
        study = _compared(read, gap, models, options.protocol, plan, limit, tell)
    finish_study(study, options, log, json=json)


def ablate(
    log: str,
    /,
    *,
    removals: bool = True,
    choose: bool = True,
    json: Switch = False,
    options: StudyFlags = StudyOptions(),  # noqa: B008
    settings: Caser,
    training: Training,
    reading: ReadingFlags = Reading(),  # noqa: B008
    filters: FilterFlags = LogFilters(),  # noqa: B008
) -> None:
    """Train Caser without some of its parts: which parts carry the result, and what does each cost?

    The rows are the paper's variants p, h, v, vh, ph, pv and pvh, and the full model with one part removed at a time.

    Parameters
    ----------
    log
        A file, or the name of a public data set.
    removals
        Also remove one part at a time: each filter height, the activations, dropout, further targets.
    choose
        Choose each row's number of epochs on validation; otherwise all rows train exactly --epochs.
    json
        Print one JSON document instead of a table.

    """
    plan = options.plan()
    split = protocols.apply(options.protocol, open_log(log, reading, filters))
    with show.study_progress() as tell:
        study = run_ablate(
            split, settings, options.shortened(training), plan, removals=removals, choose=choose, tell=tell
        )
    finish_study(study, options, log, json=json)


def sweep(
    log: str,
    /,
    *,
    over: str,
    model: Annotated[str, one_of(MODELS)] = DEFAULT_MODEL,
    json: Switch = False,
    options: StudyFlags = StudyOptions(),  # noqa: B008
    settings: ModelSettings,
    training: Training | None = None,
    reading: ReadingFlags = Reading(),  # noqa: B008
    filters: FilterFlags = LogFilters(),  # noqa: B008
) -> None:
    """Train a model with each value of one setting: how much of it does this log need?

    The targets of training and of validation are the same for every value. The result is judged on validation; the test
    part stays closed.

    Parameters
    ----------
    log
        A file, or the name of a public data set.
    over
        The setting and its values: L=1..20, L=1..21/5, d=16,32,64, dropout=0,0.3,0.5.
    model
        Name of the model.
    json
        Print one JSON document instead of a table.

    """
    name, values = parse_values(over)
    plan = options.plan()
    recipe = Recipe.of(settings) if training is None else Recipe(settings, options.shortened(training))
    split = protocols.apply(options.protocol, open_log(log, reading, filters))
    with show.study_progress() as tell:
        study = run_sweep(split, recipe, name, values, plan, tell=tell)
    finish_study(study, options, log, json=json)


def ablate_command() -> Command:
    """Return `caser ablate` with the flags of Caser."""
    return with_model_flags(ablate, Caser)


def sweep_command(model: str) -> Command:
    """Return `caser sweep` with the flags of a model. Raises ConfigError for an unknown name."""
    return with_model_flags(sweep, model_class(model))


def _compared(
    log: InteractionLog,
    gap: float | None,
    models: Sequence[str],
    protocol: str,
    plan: Plan,
    max_epochs: int | None,
    tell: show.StudyTell,
) -> Study:
    """Compare models, on sessions that a pause of `gap` seconds cuts, or under a protocol if `gap` is None."""
    training = _limited(max_epochs)
    if gap is not None:
        return compare_sessions(log, gap, models, plan, training=training, tell=tell)
    return run_compare(protocols.apply(protocol, log), models, plan, training=training, tell=tell)


def _limited(max_epochs: int | None) -> dict[str, int]:
    """The setting of training for a largest number of epochs, or for each model's own."""
    return {} if max_epochs is None else {"epochs": max_epochs}


def _check_by_time(protocol: str, gap: float | None) -> None:
    """Raise ConfigError if windows of time are asked for together with another way to cut the log."""
    if gap is not None:
        raise ConfigError("--windows and --sessions cut the log in two ways; got both. Choose one.")
    if protocol not in (protocols.DEFAULT_PROTOCOL, "global-time"):
        raise ConfigError(f"--windows cuts the log by time, as --protocol global-time does; got {protocol}.")
