"""`caser compare`, `caser ablate` and `caser sweep`: is it worth it, which part of it, and how much of it."""

from __future__ import annotations

import json as json_format
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number
from pydantic import Field

from caser.artefact import folder as artefact
from caser.artefact.folder import Artefact
from caser.cli import show
from caser.cli.flags import Switch, flat, training_flags, typed
from caser.cli.logs import Filters, Reading, open_log
from caser.config import Settings, Training
from caser.data.split import Split
from caser.errors import ConfigError, MissingDependencyError
from caser.evaluation import protocols
from caser.models import MODELS, model_class
from caser.models.caser.caser import Caser
from caser.models.settings import ModelSettings, NetworkSettings
from caser.study.ablate import ablate as run_ablate
from caser.study.compare import compare as run_compare
from caser.study.engine import AS_MANY_AS_CORES, DEFAULT_STORE, Plan
from caser.study.recipes import Recipe
from caser.study.report.study import checked
from caser.study.report.write import write_report
from caser.study.sessions import compare_sessions
from caser.study.study import Study
from caser.study.sweep import parse_values
from caser.study.sweep import sweep as run_sweep
from caser.system.frames import write_frames
from caser.system.storage import write_file

QUICK_EPOCHS = 12
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


class Options(Settings):
    """How a study is carried out, on the command line."""

    protocol: str = "leave-one-out"
    """How the log is split and judged."""
    seeds: int = Field(3, ge=1, le=100)
    """How many seeds each neural model is trained with."""
    quick: bool = False
    """One seed and at most 12 epochs a model: an answer in minutes, not a claim."""
    jobs: int | None = Field(default=AS_MANY_AS_CORES, ge=1)
    """Trainings side by side; as many as there are cores by default."""
    store: Path = DEFAULT_STORE
    """Where finished runs are kept, to be used again."""
    out: Path | None = None
    """The folder for the report; named after the study and the log by default."""

    def plan(self, budget: str = "0") -> Plan:
        """What the engine is told. Raises ConfigError now for a folder that the report could not go into."""
        if self.out is not None and self.out.exists() and not self.out.is_dir():
            raise ConfigError(f"a report needs a folder; {self.out} is a file. Choose another --out.")
        return Plan(
            seeds=tuple(range(1 if self.quick else self.seeds)),
            budget=seconds_of(budget),
            workers=self.jobs,
            store=self.store.expanduser(),
        )

    def shortened(self, training: Training) -> Training:
        """The training, made short where a quick answer is wanted."""
        return training.replace(epochs=min(training.epochs, QUICK_EPOCHS)) if self.quick else training


Studying = Annotated[Options, flat("The study")]
LogReading = Annotated[Reading, flat("Reading the log")]
LogFilters = Annotated[Filters, flat("Filtering the log")]


def compare(
    log: str,
    /,
    *,
    models: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = (),
    sessions: str | None = None,
    budget: str = "0",
    epochs: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    json: Switch = False,
    options: Studying = Options(),  # noqa: B008 (frozen)
    reading: LogReading = Reading(),  # noqa: B008
    filters: LogFilters = Filters(),  # noqa: B008
) -> None:
    """Compare models under one protocol: is a sequence model worth it on this log?

    Every model is chosen on validation, refitted with each seed and judged on the test part, beside the counting
    models. Run the same command again to continue; finished runs are kept and used again.

    Parameters
    ----------
    log
        A file, or the name of a public data set.
    models
        Models by name; all by default. The counting baselines are always there.
    sessions
        Compare models that read a session with models that know the user, on the same targets: the pause that begins
        a new session, such as 30m. Where a user of the log is a session, use --protocol sessions instead.
    budget
        Time for tuning on validation, all models together and shared equally: 10m, 90s, 1h. 0 takes the defaults.
    epochs
        Most epochs for every neural model; each model's own default otherwise.
    json
        Print one JSON document instead of a table.

    """
    shorter = QUICK_EPOCHS if options.quick else None
    most = min(filter(None, (epochs, shorter)), default=None)
    training = {"epochs": most} if most else {}
    plan = options.plan(budget)
    for name in models:
        model_class(name)
    with show.studying() as tell:
        if sessions is not None:
            if options.protocol != Options().protocol:
                raise ConfigError(f"--sessions is a protocol of its own; got --protocol {options.protocol} beside it.")
            gap = seconds_of(sessions)
            study = compare_sessions(open_log(log, reading, filters), gap, models, plan, training=training, tell=tell)
        else:
            study = run_compare(_split(log, options, reading, filters), models, plan, training=training, tell=tell)
    _finish(study, options, log, json)


def ablate(
    log: str,
    /,
    *,
    removals: bool = True,
    choose: bool = True,
    json: Switch = False,
    options: Studying = Options(),  # noqa: B008
    settings: Annotated[Caser, flat("Model: caser")] = Caser(),  # noqa: B008
    training: Annotated[Training, flat("Training")] = Training(),  # noqa: B008
    reading: LogReading = Reading(),  # noqa: B008
    filters: LogFilters = Filters(),  # noqa: B008
) -> None:
    """Take Caser apart: which of its parts carry the result, and what does each cost?

    The paper's variants p, h, v, vh, ph, pv and pvh, and the full model with one part removed at a time.

    Parameters
    ----------
    log
        A file, or the name of a public data set.
    removals
        Also remove one part at a time: each filter height, the activations, dropout, further targets.
    choose
        Find each row's number of epochs on validation; otherwise all train exactly --epochs.
    json
        Print one JSON document instead of a table.

    """
    plan, how = options.plan(), options.shortened(training)
    split = _split(log, options, reading, filters)
    with show.studying() as tell:
        study = run_ablate(split, settings, how, plan, removals=removals, choose=choose, tell=tell)
    _finish(study, options, log, json)


def sweep_command(model_settings: type[ModelSettings]) -> Callable[..., None]:
    """Make `caser sweep` with the flags of one model's settings."""
    flags_of_training = training_flags(model_settings)

    def sweep(
        log: str,
        /,
        *,
        over: str,
        model: str = "caser",
        json: Switch = False,
        options: Studying = Options(),  # noqa: B008
        settings: Any = model_settings(),  # noqa: B008
        training: Training = flags_of_training(),  # noqa: B008
        reading: LogReading = Reading(),  # noqa: B008
        filters: LogFilters = Filters(),  # noqa: B008
    ) -> None:
        """Train a model with each value of one setting: how much of it does this log need?

        Test and training targets stay the same whatever the value is. Judged on validation; the test part stays closed.

        Parameters
        ----------
        log
            A file, or the name of a public data set.
        over
            The setting and its values: L=1..20, L=1..21/5, d=16,32,64, dropout=0,0.3,0.5.
        model
            Model by name.
        json
            Print one JSON document instead of a table.

        """
        name, values = parse_values(over)
        how = options.shortened(typed(settings, training)) if isinstance(settings, NetworkSettings) else None
        plan, recipe = options.plan(), Recipe(settings, how)
        split = _split(log, options, reading, filters)
        with show.studying() as tell:
            study = run_sweep(split, recipe, name, values, plan, tell=tell)
        _finish(study, options, log, json)

    sweep.__annotations__["settings"] = Annotated[model_settings, flat(f"Model: {model_settings.name}")]
    sweep.__annotations__["training"] = Annotated[flags_of_training, flat("Training")]
    sweep.__annotations__["model"] = Literal[tuple(sorted(MODELS))]
    return sweep


def seconds_of(text: str) -> float:
    """Read a time span.

    >>> seconds_of("10m"), seconds_of("90s"), seconds_of("1.5h"), seconds_of("0")
    (600.0, 90.0, 5400.0, 0.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if not found:
        raise ConfigError(f"a time span must be a number with s, m or h; got {text!r}. Write for example 10m.")
    return float(found[1]) * UNITS[found[2]]


def _split(log: str, options: Options, reading: Reading, filters: Filters) -> Split:
    protocols.protocol_named(options.protocol)
    return protocols.apply(options.protocol, open_log(log, reading, filters))


def _finish(study: Study, options: Options, log: str, json: bool) -> None:
    """Write the report, and print what it amounts to."""
    study = replace(study, command=shlex.join(["caser", *sys.argv[1:]]))
    out = options.out or default_folder(study.kind, log)
    found = study.to_dict()
    users = study.report.to_frame(study.split.log.user_vocabulary)
    write_frames(out / "per_user.parquet", [users], users.schema)
    written = write(found, out, _network_of(study))
    if json:
        show.document(found)
        return
    show.study(found)
    show.say(f"open {written}" if written.suffix == ".html" else f"every number is in {written}")


def default_folder(kind: str, log: str) -> Path:
    """Where a study of a log is put unless it is said otherwise.

    >>> default_folder("compare", "data/my events.csv").as_posix()
    'runs/compare-my-events'
    """
    return Path("runs") / f"{kind}-{re.sub(r'[^A-Za-z0-9]+', '-', Path(log).stem).strip('-')}"


def write(found: Mapping[str, Any], out: Path, network: Artefact | None = None) -> Path:
    """Write the page of a study and its numbers; only the numbers where the extra `report` is missing."""
    try:
        return write_report(found, out, network)
    except MissingDependencyError as error:
        show.say(f"{error} Then the same command again writes the page; nothing is trained twice.")
        write_file(out / "study.json", (json_format.dumps(checked(found), indent=2) + "\n").encode())
        return out / "study.json"


def _network_of(study: Study) -> Artefact | None:
    """A Caser network to picture: of the study's reference if it is one, else the first there is."""
    labels = [study.reference, *study.outcome.runs]
    folders = [study.outcome.runs[label][0].folder for label in labels if study.recipe(label).model.name == "caser"]
    return artefact.load(folders[0]) if folders else None
