"""`caser refit`: the recipe of a run, trained on every interaction of its log, for answers in production."""

from __future__ import annotations

from pathlib import Path

from caser.answering.recommender import load
from caser.cli import show
from caser.cli.flags import Switch
from caser.cli.logs import log_of_run
from caser.cli.runs import checkpoint_of, save_run, writing_run
from caser.errors import ConfigError
from caser.fitting.tracking import tracking
from caser.study.refitting import refit as train_again
from caser.system.hints import command_line


def refit(
    run: Path,
    /,
    *,
    out: Path,
    log: str | None = None,
    items: Path | None = None,
    track: str | None = None,
    json: Switch = False,
) -> None:
    """Train the recipe of a run on every interaction of its log, the part for judging included: for production.

    Nothing is chosen again: the model, its settings and the number of epochs are those of the run. The new run cannot
    be judged; the old one stays, and says what the recipe reaches.

    Parameters
    ----------
    run
        A run folder.
    out
        The run folder to write.
    log
        Where the log is now, if it has moved; or a longer log of the same kind, with newer interactions.
    items
        The table of items, for a run that reads attributes of items: the same, or one with newer items.
    track
        Also send every epoch to a tracker: tensorboard:FOLDER, or mlflow:ADDRESS of a server or database.
    json
        Print one JSON document instead of a table.

    """
    if out.resolve() == run.resolve():
        raise ConfigError(f"--out must be another folder than the run, which can still be judged; got {out} for both.")
    judged = load(run)
    manifest = judged.artefact.manifest
    if track and manifest["training"] is None:
        raise ConfigError(
            f"--track has no effect on {judged.artefact.config.name}, which is fitted in one pass. Leave --track out."
        )
    checkpoint = None if manifest["training"] is None else checkpoint_of(out)
    with writing_run(out, checkpoint), tracking(track, out.name) as tracker:
        whole = log_of_run(judged, log)
        with show.fit_progress() as tell:
            again = train_again(judged, whole, checkpoint=checkpoint, tell=tracker.beside(tell), items=items)
        save_run(again, out, checkpoint)
        tracker.finish(again)
    facts = {
        "run": str(out),
        "model": again.artefact.config.name,
        "train_on": "all",
        "epochs": again.artefact.manifest["epochs"],
        "interactions": again.artefact.manifest["log"]["interactions"],
    }
    if json:
        show.document(facts)
        return
    show.table("trained", ["", ""], [(name, value) for name, value in facts.items() if value is not None])
    show.note(f"next: {command_line('recommend', str(out), '--user', 'ID')}")
