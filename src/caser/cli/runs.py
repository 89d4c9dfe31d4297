"""The run folder on the command line: its checkpoint, and what it keeps when a new run replaces it."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from caser.answering.recommender import Recommender
from caser.artefact import folder as artefact


def typed_command() -> str:
    """Return the command line of this process, as a person types it."""
    return shlex.join(["caser", *sys.argv[1:]])


def checkpoint_of(out: Path) -> Path:
    """Return the checkpoint file of a run folder: it is beside the folder."""
    folder = out.expanduser().resolve()
    return folder.with_name(f"{folder.name}.checkpoint")


def parts_of(out: Path) -> Path:
    """Return the folder for the checkpoints of several models, one of which a run folder will hold: it is beside it."""
    folder = out.expanduser().resolve()
    return folder.with_name(f"{folder.name}.checkpoints")


def save_run(recommender: Recommender, out: Path) -> None:
    """Write the run folder and remove its checkpoints.

    recommender  the fitted model; the command line is added to its manifest
    out          the run folder. If it holds a run that is judged on the same test part, the new run inherits how often
                 that part was opened.
    """
    manifest = recommender.artefact.manifest
    manifest["command"] = typed_command()
    manifest["test_openings"] += artefact.test_openings(out, manifest["fingerprint"])
    recommender.save(out)
    checkpoint_of(out).unlink(missing_ok=True)
    shutil.rmtree(parts_of(out), ignore_errors=True)
