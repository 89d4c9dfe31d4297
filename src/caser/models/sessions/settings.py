"""The settings that session models share: GRU4Rec, SASRec, eSASRec and NextItNet."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from caser.config import Training
from caser.models.settings import NetworkSettings


class SessionSettings(NetworkSettings):
    """Base of the settings of session models: networks that read only the last items of a history, not the user."""

    training: ClassVar[Training] = Training(learning_rate=1e-3, weight_decay=0.0, epochs=60)

    d: int = Field(default=64, ge=1, le=100_000)
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


class AttentionSettings(SessionSettings):
    """Base of the settings of SASRec and eSASRec, whose blocks begin with attention."""

    num_blocks: int = Field(default=2, ge=1, le=100)
    """Number of blocks; a block is attention and then layers that see one place at a time."""
    num_heads: int = Field(default=1, ge=1, le=100_000)
    """Number of attention heads; must divide d."""

    @model_validator(mode="after")
    def _heads_divide_d(self) -> Self:
        if self.d % self.num_heads:
            raise ValueError(f"num_heads must divide d = {self.d}; got {self.num_heads}")
        return self
