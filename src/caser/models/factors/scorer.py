"""Factor models in NumPy: a state is the mean vector of the last items, the user's vector, or both side by side.

What BPR-MF and FPMC share. The network that trains the same parameters is in `factor_network.py` and needs torch.
Assumes the parameters that the settings made: a part that a model leaves out has none.

    Q (I, d) items as what came last     P (U, d) users     V (I, D), c (I,) items as what comes next
"""

from __future__ import annotations

import numpy as np

from caser.arrays.ragged import last_columns
from caser.arrays.types import Int32, Scores
from caser.models.base import Arrays
from caser.models.states import ArrayScorer


def factor_shapes(
    num_users: int, num_items: int, d: int, *, last_items: bool, user_vector: bool
) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter, with the parts that a model has.

    >>> factor_shapes(2, 3, 5, last_items=False, user_vector=True)
    {'V': (4, 5), 'c': (4,), 'P': (3, 5)}
    """
    shapes: dict[str, tuple[int, ...]] = {"V": (num_items + 1, d * (last_items + user_vector)), "c": (num_items + 1,)}
    if last_items:
        shapes |= {"Q": (num_items + 1, d)}
    if user_vector:
        shapes |= {"P": (num_users + 1, d)}
    return shapes


class FactorScorer(ArrayScorer):
    """States [mean of Q over the last `window` items; p_u]. A padded place does not count in the mean.

    >>> arrays = {"V": np.array([[0.0], [1.0], [2.0]]), "c": np.zeros(3), "Q": np.array([[0.0], [3.0], [5.0]])}
    >>> FactorScorer(arrays, window=3).states(np.array([0, 0]), np.array([[0, 1, 2], [0, 0, 0]])).tolist()
    [[4.0], [0.0]]
    """

    def __init__(self, arrays: Arrays, window: int) -> None:
        super().__init__(arrays, history_length=window)
        self.window = window

    def states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Scores:
        """(B, D); `users_B` are indices, or vectors (B, d)."""
        parts: list[Scores] = []
        if "Q" in self._arrays:
            last_BL = last_columns(histories_BH, self.window)
            num_B = np.count_nonzero(last_BL, axis=1).clip(min=1).astype(self._arrays["Q"].dtype)
            parts.append(self._arrays["Q"][last_BL].sum(axis=1) / num_B[:, None])
        if "P" in self._arrays:
            parts.append(self.vectors_of(users_B))
        return np.concatenate(parts, axis=1)
