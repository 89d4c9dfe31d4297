"""Small logs for the tests of protocols and fingerprints."""

from __future__ import annotations

import numpy as np
import polars as pl

from caser.data.log import InteractionLog


def log_of(sequences: dict[int, list[int]], shift: int = 0) -> InteractionLog:
    """Users one after another, one interaction a second; item ids start at `shift`."""
    users = [user for user, items in sequences.items() for _ in items]
    items = [item + shift for own in sequences.values() for item in own]
    return InteractionLog.from_columns(pl.Series(users), pl.Series(items), np.arange(len(users)) * 1_000_000)
