"""The folder of a run: the names of its files, and when it may be read, written, replaced or removed."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path

from caser.artefact import manifest as manifests
from caser.artefact.file_errors import naming_file
from caser.errors import ArtefactError
from caser.system.kinds import must_be
from caser.system.locks import locked
from caser.system.storage import partial_path, read_file, refuse_foreign_previous, refused, settled

MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
VOCABULARY = "vocabulary.parquet"
HISTORIES = "histories.parquet"
INDEX = "index.safetensors"
ATTRIBUTES = "attributes.safetensors"
REJECTED = "rejected.safetensors"
LISTED = {WEIGHTS, VOCABULARY, HISTORIES}
MOST_MANIFEST_BYTES = 64 * 2**20


def counting(path: str | Path) -> AbstractContextManager[None]:
    """Within, no other process changes how often the test part was opened for the run in a folder.

    path  the folder of a run, which need not exist

    Raises ArtefactError where the lock beside the folder cannot be written.
    """
    folder = resolved(path)
    return locked(folder.with_name(f"{folder.name}.manifest"))


def is_run(folder: Path) -> bool:
    """Whether a folder holds a saved run and nothing else, so that it may be replaced or removed.

    folder  the folder, which need not exist

    Raises ArtefactError for a manifest that is a link or too large.
    """
    if not (folder.is_dir() and (folder / MANIFEST).is_file()) or foreign_files(folder):
        return False
    return read_file(folder / MANIFEST, MOST_MANIFEST_BYTES).startswith(manifests.OPENING)


def check_writable(path: str | Path) -> None:
    """Raise ArtefactError now, before hours of training, if `save` would refuse the folder later.

    path  the folder that a run will be saved to
    """
    folder = resolved(path)
    refuse_foreign(folder)
    refuse_foreign_previous(folder, is_run)
    probe = partial_path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise refused(folder, error, 0) from None


def resolved(path: str | Path) -> Path:
    """Return a path without links: a link to a run is followed; links inside a run are not.

    path  the path of a folder, which need not exist

    Raises ArtefactError for a text that is no path, and ConfigError for what is no text.
    """
    must_be("path", path, str | os.PathLike, "the path of a folder")
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{str(path)!r} must be a path; got: {error}.") from None


def settled_run(path: str | Path) -> Path:
    """Return the folder of a run, after a `save` that was killed has been completed or undone.

    path  the folder that `save` wrote

    Raises ArtefactError if there is none.
    """
    must_be("path", path, str | os.PathLike, "the path of a folder")
    with naming_file(Path(path)):
        folder = settled(resolved(path), is_run)
        if not folder.is_dir():
            raise ArtefactError("there must be the folder of a saved run; there is none. Check the path.")
        return folder


def foreign_files(folder: Path) -> list[str]:
    """Return the names of files that do not belong to an artefact.

    folder  the folder of a run

    The temporary file that a killed `update_manifest` leaves does belong to it; it is never read.
    """
    names = {entry.name for entry in folder.iterdir()} - LISTED - {INDEX, ATTRIBUTES, REJECTED, MANIFEST}
    return sorted(name for name in names if not (name.startswith(f".{MANIFEST}.") and name.endswith(".partial")))


def refuse_foreign(folder: Path) -> None:
    """Raise ArtefactError if there is something that a save must not replace.

    folder  the folder that a run will be saved to
    """
    with naming_file(folder):
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
        if not is_run(folder):
            raise ArtefactError(
                "must be absent, empty or a saved run, to be written to; it is not. Choose another folder."
            )
