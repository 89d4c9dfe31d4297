"""Names of the array types that several rooms use.

The type gives the dtype. The shape stands at the end of a variable's name, in the letters of docs/architecture.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RawId = str | int | float | bool
"""An id of a user or an item as the user's own data has it. Inside the library, users and items are indices."""

Int16 = NDArray[np.int16]
"""The bits of numbers in bfloat16, a type that NumPy does not have."""

Int32 = NDArray[np.int32]
"""Indices of users and items."""

Int64 = NDArray[np.int64]
"""Offsets, places and counts."""

Floats = NDArray[np.float64]
"""Numbers in double precision."""

Scores = NDArray[np.floating[Any]]
"""Scores, states and vectors, in the precision of the model."""

Mask = NDArray[np.bool_]
"""Which entries of another array are meant."""
