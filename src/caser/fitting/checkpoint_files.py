"""Files of checkpoints: what a run records in them, and which are ours to overwrite and to remove, without torch.

A name proves nothing: a person may keep a file of their own under the name of a checkpoint. Only a file with the seal
and the record of a checkpoint (`training/checkpoint.py`) is ours.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from caser.artefact.manifest_facts import CalibrationFacts, EpochFacts, readable_as
from caser.config import Settings
from caser.errors import ArtefactError, ConfigError
from caser.fitting.progress import Stage
from caser.system.sealed import unseal_arrays
from caser.system.storage import discard, read_file


class CheckpointRecord(Settings):
    """What a run writes beside the arrays of its checkpoint."""

    model_config = ConfigDict(strict=True)

    key: str
    """The hash of the run that the checkpoint belongs to."""
    stage: Stage
    """What the run was doing."""
    history: Annotated[list[dict[str, Any]], readable_as(EpochFacts)]
    """The epochs of choosing so far."""
    threads: int = Field(ge=1, le=100_000)
    """With how many threads torch computed."""
    precision: Literal["auto", "float32", "bfloat16"]
    """The number type of the products."""
    calibration: Annotated[dict[str, Any], readable_as(CalibrationFacts)] | None = None
    """What the best epoch so far taught of the chances of answers; null where nobody asked."""


def checked_record(
    path: Path, values: dict[str, Any], epoch: int, most_choosing: int, most_refitting: int | None
) -> CheckpointRecord:
    """Check the record of a checkpoint against the run that is to continue from it, and return it.

    path            the checkpoint, for messages
    values          its record, as it was read
    epoch           how many epochs are done
    most_choosing   the most epochs of choosing
    most_refitting  the epochs of refitting; None if choosing decides them

    Raises ArtefactError for a record that this run did not write.
    """
    try:
        record = CheckpointRecord.of(values)
        numbers = [entry["number"] for entry in record.history]
        is_choosing = record.stage == "choosing"
        most = most_choosing if is_choosing or most_refitting is None else most_refitting
        if numbers != list(range(1, len(numbers) + 1)) or (is_choosing and epoch != len(numbers)) or epoch > most:
            raise ConfigError(f"the epochs must go together; got {epoch} done and {len(numbers)} in the history.")
    except ConfigError as error:
        raise ArtefactError(
            f"{path} must be a checkpoint of caser; got a wrong record: {error} Remove it to start over."
        ) from None
    return record


def is_checkpoint(path: Path) -> bool:
    """Whether a file holds an intact checkpoint of this library.

    path  the file, which need not exist

    >>> is_checkpoint(Path("no such file"))
    False
    """
    try:
        _, header = unseal_arrays(read_file(path))
    except (ArtefactError, ValueError):
        return False
    return isinstance(header, dict) and set(header) == {"epoch", "record"}


def refuse_taken(*paths: Path) -> None:
    """Raise ArtefactError, before any work begins, where a training would overwrite what is no checkpoint of ours.

    paths  the files that a training would write
    """
    for path in paths:
        if os.path.lexists(path) and not is_checkpoint(path):
            raise ArtefactError(
                f"{path} must be absent or a checkpoint of caser, because this training would write one there; it is "
                "something else. Move it away, or choose another place to write to."
            )


def remove_checkpoint(path: Path | None) -> None:
    """Remove the checkpoint of a training that is finished. A file that is no checkpoint stays.

    path  the file, which need not exist; None for a training that kept none
    """
    if path is not None and is_checkpoint(path):
        discard(path)
