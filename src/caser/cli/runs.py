"""The run folder on the command line: its checkpoint, and what it keeps when a new run replaces it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from caser.answering.recommender import Recommender
from caser.artefact import folder as artefact
from caser.artefact.run_folder import check_writable, counting
from caser.cli import show
from caser.cli.configuration import typed_command
from caser.data.split import Split
from caser.fitting.checkpoint_files import refuse_taken, remove_checkpoint
from caser.fitting.evaluate import JUDGED_ON
from caser.system.hints import command_line
from caser.system.locks import locked


def tell_left_out(run: Path, manifest: Mapping[str, Any]) -> None:
    """Say on stderr which interactions the weights of a run leave out, and how to train on them; nothing for none.

    run       the run folder
    manifest  its manifest
    """
    if sentence := about_left_out(run, manifest):
        show.note(f"  {sentence}")


def to_train_on_all(run: Path, manifest: Mapping[str, Any], out: str) -> str:
    """Return the command that trains a run on everything: of an updated run, another update.

    run  the run folder        manifest  its facts        out  the folder to write
    """
    how = ["refit", str(run)] if manifest.get("updated") is None else ["update", str(run), "--all"]
    return command_line(*how, "--out", out)


def about_left_out(run: Path, manifest: Mapping[str, Any]) -> str | None:
    """Return a sentence on the interactions that the weights of a run leave out, and how to train on them.

    run       the run folder
    manifest  its manifest

    Returns None if the run leaves out none.
    """
    left_out, advice = manifest["left_out"], to_train_on_all(run, manifest, f"{run}-all")
    if left_out is not None:
        events, users, total = left_out["interactions"], left_out["users"], manifest["log"]["interactions"]
        since, until = left_out["since"], left_out["until"]
        days = "" if since is None else f", {since}" if since == until else f", {since} to {until}"
        return (
            f"answers read all interactions, also the newest, but {events:,} of {total:,} did not train the model, "
            f"so that they can judge it ({users:,} user{'s' * (users != 1)}{days}); to train it on everything: {advice}"
        )
    if manifest["train_on"] in JUDGED_ON:  # format 1
        return (
            "this run was saved by an older caser: its answers ignore the interactions that judge it; to train it on "
            f"everything: {advice}"
        )
    return None


def tell_unjudged(split: Split) -> None:
    """Say on stderr that nothing of a log can be judged, if that is so.

    split  the split of the log
    """
    if not len(split.test):
        for sentence in split.notes:
            show.note(f"  {sentence}")


def tell_next(run: Path, manifest: Mapping[str, Any]) -> None:
    """Say on stderr what a person types after training.

    run       the run folder
    manifest  its manifest
    """
    if manifest["train_on"] in JUDGED_ON:
        how = ["evaluate", str(run)] if manifest.get("updated") is None else ["promote", str(run), "--over", "OLD"]
        show.note(f"judge it with: {command_line(*how)}")
        tell_left_out(run, manifest)
    else:
        show.note(f"next: {command_line('recommend', str(run), '--user', 'ID')}")


def checkpoint_of(out: Path) -> Path:
    """Return the checkpoint file of a run folder: it is beside the folder."""
    folder = out.resolve()
    return folder.with_name(f"{folder.name}.checkpoint")


def parts_of(out: Path) -> Path:
    """Return the folder for the checkpoints of several models, one of which a run folder will hold: it is beside it."""
    folder = out.resolve()
    return folder.with_name(f"{folder.name}.checkpoints")


@contextmanager
def writing_run(out: Path, checkpoint: Path | None = None) -> Iterator[None]:
    """Within, this command alone writes the run folder. Another one is refused at once, with the reason.

    out         the run folder
    checkpoint  the checkpoint that the command will write; None for none

    Raises ArtefactError, before any work begins, if the folder or the checkpoint must not be written.
    """
    with locked(Path(os.path.realpath(out)), wait=False):
        check_writable(out)
        refuse_taken(*([checkpoint] if checkpoint else []))
        yield


def save_run(
    recommender: Recommender, out: Path, checkpoint: Path | None = None, *, command: str | None = None
) -> None:
    """Write the run folder, and remove the checkpoint of its training.

    recommender  the fitted model; the command line is added to its manifest
    out          the run folder. If it holds a run that is judged on the same test part, the new run inherits how often
                 that part was opened.
    checkpoint   the file that this training continued from and wrote; None for a training without one
    command      the command line, if this process is a worker that it started; by default that of this process
    """
    manifest = recommender.artefact.manifest
    manifest["command"] = command or typed_command()
    with counting(out):
        manifest["test_openings"] += artefact.test_openings(out, manifest["fingerprint"])
        recommender.save(out)
    remove_checkpoint(checkpoint)
