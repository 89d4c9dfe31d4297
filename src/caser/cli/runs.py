"""The run folder on the command line: its checkpoint beside it, and what it keeps when it is written again."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from caser.answering.recommender import Recommender
from caser.artefact import folder as artefact


def checkpoint_of(out: Path) -> Path:
    """Where the training of a run keeps its checkpoint: a file beside the folder."""
    folder = out.expanduser().resolve()
    return folder.with_name(f"{folder.name}.checkpoint")


def save_run(recommender: Recommender, out: Path) -> None:
    """Write the run folder and remove the checkpoint.

    A run that takes the place of one judged by the same test part inherits how often that part was opened.
    """
    manifest = recommender.artefact.manifest
    manifest["command"] = shlex.join(["caser", *sys.argv[1:]])
    manifest["test_openings"] += artefact.test_openings(out, manifest["fingerprint"])
    recommender.save(out)
    checkpoint_of(out).unlink(missing_ok=True)
