"""The settings that GRU4Rec, SASRec and NextItNet share."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from caser.config import Training
from caser.models.settings import NetworkSettings


class SessionSettings(NetworkSettings):
    """Base of the settings of session models: networks that read only the last items of a history, not the user."""

    training: ClassVar[Training] = Training(learning_rate=1e-3, weight_decay=0.0, epochs=60)

    d: int = Field(default=64, ge=1)
    """Width of item vectors and states."""
    max_length: int = Field(default=200, ge=1, le=10_000)
    """How many of the last items of a history the model reads."""
    dropout: float = Field(default=0.2, ge=0, le=255 / 256)
    """Share of item vectors and of outputs dropped in training, in steps of 1/256."""
    T: int = Field(default=1, ge=1, le=100)
    """How many next items each state must predict in training."""

    @property
    def reads_order(self) -> bool:
        """Always true. See `ModelSettings.reads_order`."""
        return True

    @property
    def num_targets(self) -> int:
        """T, how many next items each state must predict in training."""
        return self.T
