"""`caser update`: a run learns the events since it was trained, without a training from the beginning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from caser.answering.recommender import Recommender, load
from caser.artefact.folder import model_version
from caser.cli import show
from caser.cli.flags import Switch
from caser.cli.logs import open_new_events
from caser.cli.runs import checkpoint_of, save_run, tell_next, writing_run
from caser.errors import ConfigError
from caser.study.updating import update as train_further


def update(
    run: Path,
    new_events: str | None = None,
    /,
    *,
    out: Path,
    all: Switch = False,
    full: Switch = False,
    json: Switch = False,
) -> None:
    """Train a run further on new events, from where it is: a fraction of the time of a new training.

    An event that the run holds already counts once, so NEW_EVENTS may hold the new events alone, or old and new. It is
    read as the log of the run was; the old log is not needed. Of a network, only the vectors and biases of the users
    and items among the new events, and the newest old ones, change. A model that counts is fitted again on everything.
    Run the same command again to continue an update that was interrupted.

    Parameters
    ----------
    run
        A run folder, of a log with times; it stays as it is.
    new_events
        A log as for `caser train`. Without it, the run learns what it holds and was not trained on, because it was kept
        for judging; with --all.
    out
        The run folder to write.
    all
        Train on all new events. Otherwise those that the protocol keeps for judging are left out, for `caser promote`.
    full
        Train the recipe of the run from the beginning, on old and new events.
    json
        Print one JSON document instead of a table.

    """
    if out.resolve() == run.resolve():
        raise ConfigError(f"--out must be another folder than the run, which stays as it is; got {out} for both.")
    parent = load(run)
    facts = parent.artefact.manifest
    checkpoint = None if facts["training"] is None else checkpoint_of(out)
    with writing_run(out, checkpoint):
        log = None if new_events is None else open_new_events(new_events, facts["log"])
        with show.fit_progress() as tell:
            updated = train_further(
                parent,
                log,
                train_on="all" if all else "final",
                full=full,
                checkpoint=checkpoint,
                tell=tell,
                parent=model_version(run),
            )
        save_run(updated, out, checkpoint)
    said = _facts(updated, out)
    if json:
        show.document(said)
        return
    show.table("updated", ["", ""], [(name, value) for name, value in said.items() if value is not None])
    tell_next(out, updated.artefact.manifest)


def _facts(updated: Recommender, out: Path) -> dict[str, Any]:
    """Return what a person wants to know of a run that was just updated."""
    manifest = updated.artefact.manifest
    made = manifest.get("updated") or {}
    names = ("interactions", "replayed", "repeated", "late", "epochs", "updates", "parent")
    named = {"interactions": "new interactions", "epochs": "epochs of the update"}
    return {
        "run": str(out),
        "model": updated.artefact.config.name,
        "train_on": manifest["train_on"],
        **{named.get(name, name): made.get(name) for name in names},
        **{name: manifest["log"][name] for name in ("interactions", "users", "items")},
    }
