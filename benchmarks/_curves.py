"""Curves of training: the quality after each epoch, kept in a file as soon as the epoch is done."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from caser.system.storage import read_file, write_file


class Curve:
    """The training of one model: for each epoch its seconds, and the value of a metric on validation.

    path         the file: curve.json in a folder that belongs to this training alone
    facts        what the training is, and where it ran, as JSON values
    epochs       an entry per epoch: `seconds` of training, `validation` (the value), `validation_seconds`
    is_finished  whether no further epoch will be trained
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """Read the file of an earlier training, if there is one.

        folder  the folder of the training
        facts   what the training is; facts that are in the file already keep their values
        """
        self.path = folder / "curve.json"
        saved = json.loads(read_file(self.path)) if self.path.exists() else {}
        self.facts: dict[str, Any] = {**facts, **saved.get("facts", {})}
        self.epochs: list[Mapping[str, Any]] = saved.get("epochs", [])
        self.is_finished: bool = saved.get("is_finished", False)

    def keep(self, epochs: Sequence[Mapping[str, Any]], *, is_finished: bool = False, **facts: Any) -> None:
        """Write the epochs, and further facts, to the file.

        epochs       all epochs so far
        is_finished  whether no further epoch will be trained; then the other files of the folder are removed, such as
                     the checkpoint
        facts        further facts
        """
        self.epochs, self.is_finished = [*epochs], is_finished
        self.facts |= facts
        write_file(self.path, json.dumps(self.to_dict(), indent=1).encode())
        if is_finished:
            for path in set(self.path.parent.iterdir()) - {self.path}:
                path.unlink()

    def to_dict(self) -> dict[str, Any]:
        """Return the curve as JSON values."""
        return {"facts": self.facts, "is_finished": self.is_finished, "epochs": self.epochs}

    @property
    def seconds(self) -> list[float]:
        """The seconds of training until the end of each epoch. The time of judging does not count."""
        return list(accumulate(float(epoch["seconds"]) for epoch in self.epochs))

    @property
    def values(self) -> list[float]:
        """The value on validation after each epoch."""
        return [float(epoch["validation"]) for epoch in self.epochs]

    def seconds_to(self, value: float) -> float | None:
        """Return the seconds of training until the first epoch that ends with at least this value; None if none does.

        value  of the metric
        """
        reached = (seconds for seconds, found in zip(self.seconds, self.values, strict=True) if found >= value)
        return next(reached, None)

    def is_over(self, patience: int, most: int) -> bool:
        """Return whether there are enough epochs, or the last ones brought no better value.

        patience  how many epochs without a better value end the training
        most      the largest number of epochs
        """
        values = self.values
        if len(values) >= most:
            return True
        return len(values) > patience and max(values[-patience:]) <= max(values[:-patience])
