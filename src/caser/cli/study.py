"""`caser compare`, `caser ablate` and `caser sweep`: is it worth it, which part of it, and how much of it."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from pydantic import Field

from caser.cli import show
from caser.cli.flags import Switch, flat
from caser.cli.logs import Filters, Reading, open_log
from caser.config import Settings, Training
from caser.data.split import Split
from caser.errors import ConfigError
from caser.evaluation import protocols
from caser.models import MODELS
from caser.models.caser import Caser
from caser.storage import write_file
from caser.study.engine import Plan
from caser.study.recipes import Recipe

QUICK_EPOCHS = 12
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


class Options(Settings):
    """How a study is carried out, on the command line."""

    protocol: str = "leave-one-out"
    """How the log is split and judged."""
    seeds: int = Field(3, ge=1, le=100)
    """How many seeds each neural model is trained with."""
    budget: str = "0"
    """Time for tuning on validation, all models together and shared equally: 10m, 90s, 1h. 0 takes the defaults."""
    quick: bool = False
    """One seed and at most 12 epochs a model: an answer in minutes, not a claim."""
    jobs: int | None = Field(default=None, ge=1)
    """Trainings side by side; as many as there are cores by default."""
    store: Path = Path("runs/store")
    """Where finished runs are kept, to be used again."""
    out: Path | None = None
    """The folder for the report; named after the study and the log by default."""

    def plan(self) -> Plan:
        """What the engine is told."""
        return Plan(
            seeds=tuple(range(1 if self.quick else self.seeds)),
            budget=seconds_of(self.budget),
            workers=self.jobs,
            store=self.store.expanduser(),
        )

    def shortened(self, training: Training) -> Training:
        """The training, made short where a quick answer is wanted."""
        return training.but(epochs=min(training.epochs, QUICK_EPOCHS)) if self.quick else training


Studying = Annotated[Options, flat("The study")]
LogReading = Annotated[Reading, flat("Reading the log")]
LogFilters = Annotated[Filters, flat("Filtering the log")]


def compare(
    log: str,
    /,
    *,
    models: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = (),
    epochs: int | None = None,
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
    epochs
        Most epochs for every neural model; each model's own default otherwise.
    json
        Print one JSON document instead of a table.

    """
    from caser.study.compare import compare as run

    split = _split(log, options, reading, filters)
    shorter = QUICK_EPOCHS if options.quick else None
    most = min(filter(None, (epochs, shorter)), default=None)
    with show.studying() as tell:
        study = run(split, models, options.plan(), training={"epochs": most} if most else {}, tell=tell)
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
    from caser.study.ablate import ablate as run

    split = _split(log, options, reading, filters)
    with show.studying() as tell:
        how = options.shortened(training)
        study = run(split, settings, how, options.plan(), removals=removals, choose=choose, tell=tell)
    _finish(study, options, log, json)


def sweep_command(model_settings: Any) -> Callable[..., None]:
    """Make `caser sweep` with the flags of one model's settings."""

    def sweep(
        log: str,
        /,
        *,
        over: str,
        model: str = "caser",
        json: Switch = False,
        options: Studying = Options(),  # noqa: B008
        settings: Any = model_settings(),  # noqa: B008
        training: Training = model_settings.training(),  # noqa: B008
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
        from caser.study.sweep import parse_values
        from caser.study.sweep import sweep as run

        name, values = parse_values(over)
        split = _split(log, options, reading, filters)
        with show.studying() as tell:
            recipe = Recipe(settings, options.shortened(training))
            study = run(split, recipe, name, values, options.plan(), tell=tell)
        _finish(study, options, log, json)

    sweep.__annotations__["settings"] = Annotated[model_settings, flat(f"Model: {model_settings.name}")]
    sweep.__annotations__["training"] = Annotated[model_settings.training, flat("Training")]
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


def json_text(found: dict[str, Any]) -> bytes:
    """A study's numbers as the bytes of a file."""
    import json

    return json.dumps(found, indent=1, ensure_ascii=False).encode() + b"\n"


def _split(log: str, options: Options, reading: Reading, filters: Filters) -> Split:
    protocols.protocol_named(options.protocol)
    return protocols.apply(options.protocol, open_log(log, reading, filters))


def _finish(study: Any, options: Options, log: str, json: bool) -> None:
    """Write the report, and print what it amounts to."""
    study = replace(study, command=shlex.join(["caser", *sys.argv[1:]]))
    out = options.out or Path("runs") / f"{study.kind}-{re.sub(r'[^A-Za-z0-9]+', '-', Path(log).stem).strip('-')}"
    found = study.to_dict()
    written = write(study, found, out)
    if json:
        show.document(found)
        return
    show.study(found)
    show.say(f"the report is {written}; every number is in {out / 'study.json'}")


def write(study: Any, found: dict[str, Any], out: Path) -> Path:
    """Write what a study found into a folder; return the page to open."""
    write_file(out / "study.json", json_text(found))
    return out / "study.json"
