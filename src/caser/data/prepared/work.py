"""The work on a log that is being prepared: a folder beside the result, which carries our mark and survives a kill.

asked.json      sealed: what was asked for; work of something else is not continued
pieces/         the staged pieces        ids/  the numbering        out/  the files of the prepared log
NAME.json       sealed: a step that is done, and what it found
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caser.data.prepared.staged import Staged
from caser.errors import ArtefactError
from caser.system.sealed import seal_json, unseal_json
from caser.system.storage import discard, refused, write_file

SEAL = "prepare_work_sha256"


@dataclass(frozen=True)
class Work:
    """The folder of the work.

    folder  the folder beside the result        result  where the prepared log belongs
    """

    folder: Path
    result: Path

    @classmethod
    def of(cls, result: Path, asked: Mapping[str, Any], on_message: Callable[[str], None], *, goes_on: bool) -> Work:
        """Find the work on a prepared log, or begin it.

        result      where the prepared log belongs        asked  what decides it: JSON values
        on_message  is called if work is continued, or thrown away
        goes_on     whether rows that were read before may be used again

        Raises ArtefactError if the folder of the work holds something else, or cannot be written.
        """
        work = cls(cls.beside(result), result)
        found = work._found()
        if found == asked and (goes_on or work.marked("read") is not None):
            if work.staged():
                on_message(f"going on with what is in {work.folder.name}")
            return work
        if found is not None:
            on_message("beginning again: the source or the settings are others than before")
        discard(work.folder)
        try:
            for folder in (work.pieces, work.ids, work.out):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise refused(result, error, 0) from None
        write_file(work.folder / "asked.json", seal_json(asked, SEAL))
        return work

    @staticmethod
    def beside(result: Path) -> Path:
        """Return the folder of the work on a prepared log.

        result  where the prepared log belongs
        """
        return result.with_name(f".{result.name}.caser-prepare.partial")

    @property
    def pieces(self) -> Path:
        """The folder of the staged pieces."""
        return self.folder / "pieces"

    @property
    def ids(self) -> Path:
        """The folder of the numbering."""
        return self.folder / "ids"

    @property
    def out(self) -> Path:
        """The folder that becomes the prepared log."""
        return self.folder / "out"

    def staged(self) -> list[Staged]:
        """Return the staged pieces in their order."""
        return [Staged(path) for path in sorted(self.pieces.iterdir()) if path.suffix == ""]

    def marked(self, step: str) -> dict[str, Any] | None:
        """Return what a step found when it was done; None if it is not done.

        step  its name
        """
        path = self.folder / f"{step}.json"
        return unseal_json(path.read_bytes(), SEAL) if path.exists() else None

    def mark(self, step: str, found: Mapping[str, Any]) -> None:
        """Say that a step is done.

        step  its name        found  what it found: JSON values
        """
        write_file(self.folder / f"{step}.json", seal_json(found, SEAL))

    def _found(self) -> Any:
        """Return what was asked for when the work began; None if there is none."""
        path = self.folder / "asked.json"
        try:
            if path.is_file() and not self.folder.is_symlink():
                return unseal_json(path.read_bytes(), SEAL)
            names = {one.name for one in self.folder.iterdir()} if self.folder.exists() else set[str]()
            begun = names <= {"pieces", "ids", "out"}
        except (OSError, ValueError):
            begun = False
        if not begun:
            raise ArtefactError(
                f"{self.folder} must be absent, or the work of a command that was killed; it is something else. Move "
                "it away."
            )
        return None
