"""Names for the array types that cross the borders of rooms.

Shapes stand in the names of variables, by the letters of docs/architecture.md; dtypes stand here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RawId = str | int | float | bool
"""An id as the user's own data has it; inside the library users and items are indices."""

Int32 = NDArray[np.int32]
"""Indices of users and items."""

Int64 = NDArray[np.int64]
"""Offsets, places and counts."""

Floats = NDArray[np.float64]
"""Numbers in double precision."""

Scores = NDArray[np.floating[Any]]
"""Scores, states and vectors, in whatever precision the model has."""
