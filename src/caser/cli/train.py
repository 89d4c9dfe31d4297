"""`caser train` and `caser evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number
from cyclopts.validators import Path as PathKind

from caser.answering.recommender import load
from caser.artefact import folder as artefact
from caser.cli import show
from caser.cli.flags import Switch, TableFile, Whole, flat, training_flags, typed
from caser.cli.logs import Filters, Reading, open_log, reopen_log
from caser.cli.runs import checkpoint_of, save_run
from caser.config import Training
from caser.errors import ConfigError
from caser.evaluation import protocols
from caser.evaluation.trec import DEPTH, write_trec
from caser.fitting.evaluate import compared, judging_part
from caser.fitting.evaluate import evaluate as judge_run
from caser.fitting.fit import fit
from caser.models import MODELS
from caser.models.settings import ModelSettings, NetworkSettings
from caser.system.frames import write_frames


def train_command(settings: type[ModelSettings]) -> Callable[..., None]:
    """Make `caser train` with the flags of one model's settings."""
    flags_of_training = training_flags(settings)

    def train(
        log: str,
        /,
        *,
        out: Path,
        model: str = "caser",
        protocol: str = "leave-one-out",
        choose: bool = True,
        all: Switch = False,
        json: Switch = False,
        settings: Any = settings(),  # noqa: B008 (frozen)
        training: Training = flags_of_training(),  # noqa: B008
        reading: Annotated[Reading, flat("Reading the log")] = Reading(),  # noqa: B008
        filters: Annotated[Filters, flat("Filtering the log")] = Filters(),  # noqa: B008
    ) -> None:
        """Train a model on a log and save it as a run folder.

        A neural model is first trained on `fit` and judged on validation after each epoch, then refitted on `final` for
        the best number of epochs. Run the same command again to continue a run that was interrupted.

        `caser train --model NAME --help` shows the settings of another model.

        Parameters
        ----------
        log
            A file (CSV, TSV, JSON lines, Parquet, .inter, u.data, ratings.dat, ...) or the name of a public data set.
        out
            The run folder to write.
        model
            Model by name.
        protocol
            How the log is split and judged.
        choose
            Find the number of epochs on validation first; otherwise train exactly --epochs.
        all
            Train on everything, test part included: for a model that will not be judged.
        json
            Print one JSON document instead of a table.

        """
        protocols.protocol_named(protocol)
        artefact.check_writable(out)
        interactions = open_log(log, reading, filters)
        split = protocols.apply(protocol, interactions)
        with show.fitting() as tell:
            recommender = fit(
                settings,
                split,
                _given(settings, training),
                epochs=None if choose else training.epochs,
                train_on="all" if all else "final",
                checkpoint=checkpoint_of(out) if isinstance(settings, NetworkSettings) else None,
                tell=tell,
            )
        save_run(recommender, out)
        manifest = recommender.artefact.manifest
        facts = {
            "run": str(out),
            "model": model,
            "protocol": protocol,
            "fingerprint": manifest["fingerprint"],
            "train_on": manifest["train_on"],
            "epochs": manifest["epochs"],
            **_validation(protocol, manifest["history"]),
            "interactions": len(interactions),
            "users": interactions.num_users,
            "items": interactions.num_items,
        }
        if json:
            show.document({**facts, "history": manifest["history"], "notes": list(split.notes)})
            return
        show.table("trained", ["", ""], [(name, value) for name, value in facts.items() if value is not None])
        show.say(f"judge it with: caser evaluate {out}" if not all else f"ask it with: caser recommend {out} --user ID")

    heading = (
        "Training" if issubclass(settings, NetworkSettings) else f"Training (no effect: {settings.name} only counts)"
    )
    train.__annotations__["settings"] = Annotated[settings, flat(f"Model: {settings.name}")]
    train.__annotations__["training"] = Annotated[flags_of_training, flat(heading)]
    train.__annotations__["model"] = Literal[("auto", *sorted(MODELS))]
    train.__annotations__["protocol"] = Literal[tuple(protocols.PROTOCOLS)]
    return train


def evaluate(
    run: Path,
    /,
    *,
    log: str | None = None,
    per_user: TableFile | None = None,
    trec: Annotated[Path, Parameter(validator=PathKind(file_okay=False))] | None = None,
    trec_depth: Annotated[Whole, Parameter(validator=Number(gte=1))] = DEPTH,
    json: Switch = False,
) -> None:
    """Judge a run beside the counting models, under the protocol it was trained for.

    Opens the test part, and counts in the manifest that it did.

    Parameters
    ----------
    run
        A run folder.
    log
        Where the log is now, if it has moved; it must be the same log.
    per_user
        Also write every model's value for every query to this Parquet or CSV file.
    trec
        Also write the targets and every model's ranked lists into this folder, as TREC qrels and run files.
    trec_depth
        How long those lists are at most.
    json
        Print one JSON document instead of a table.

    """
    if trec_depth != DEPTH and not trec:
        raise ConfigError("--trec-depth says how long the lists in --trec are; got no --trec. Name a folder for them.")
    recommender = load(run)
    facts = recommender.artefact.manifest
    split = protocols.apply(facts["protocol"], reopen_log(facts["log"], log))
    part = judging_part(recommender, split)
    if part == "test":  # counted before it is opened: a run that cannot count is not judged
        artefact.update_manifest(run, test_openings=facts["test_openings"] + 1)
    report = judge_run(recommender, split)
    if per_user:
        frame = report.to_frame(split.log.user_vocabulary)
        write_frames(per_user, [frame], frame.schema)
    if trec:
        write_trec(trec, split, compared(recommender, split, part), part, depth=trec_depth)
    result = {**report.to_dict(), "test_openings": facts["test_openings"]}
    if json:
        show.document(result)
    else:
        show.report(result, subject=recommender.artefact.config.name)
    artefact.update_manifest(run, metrics=facts["metrics"])


def _given(settings: ModelSettings, training: Training) -> Training | None:
    """How to train; for a model that only counts, the flags that were typed, which `fit` refuses, or None."""
    if isinstance(settings, NetworkSettings):
        return typed(settings, training)
    return training if training.model_fields_set else None


def _validation(protocol: str, history: list[Mapping[str, Any]]) -> dict[str, Any]:
    """What chose the number of epochs, and its best value; None if nothing was chosen."""
    best = max((entry["validation"] for entry in history), default=None)
    return {
        "validation_metric": protocols.protocol_named(protocol).validation_metric if history else None,
        "validation": best,
    }
