"""BPR-MF and FPMC in NumPy: a state is the mean vector of the last items, the user's vector, or both side by side.

The network that trains the same parameters is in `network.py` and needs torch. A part that a model does not have has no
parameters:

    Q (I, d)  vectors of the last items     P (U, d)  user vectors     V (I, D), c (I,)  item vectors and biases

Shape suffixes: B queries, H history length, L last items that are read, I catalogue + padding, D state width, d width
of vectors, U users + the anonymous one.
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
    """Return the shape of every parameter by name.

    num_users    number of users, without the anonymous one
    num_items    number of items, without padding
    d            width of vectors
    last_items   whether the model reads the last items
    user_vector  whether the model has user vectors

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
    """A StateScorer with states [mean of Q over the last `window` items; p_u]. Padding does not count in the mean.

    >>> arrays = {"V": np.array([[0.0], [1.0], [2.0]]), "c": np.zeros(3), "Q": np.array([[0.0], [3.0], [5.0]])}
    >>> FactorScorer(arrays, window=3).states(np.array([0, 0]), np.array([[0, 1, 2], [0, 0, 0]])).tolist()
    [[4.0], [0.0]]
    """

    def __init__(self, arrays: Arrays, window: int) -> None:
        """Keep the parameters.

        arrays  the parameters by name, float32, with the shapes of `factor_shapes`
        window  how many last items are read
        """
        super().__init__(arrays, history_length=window)
        self.window = window

    def states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Scores:
        """Compute the state of every query. See `StateScorer.states`.

        users_B       (B,) int32, the user of each query; or (B, d) floats, a user vector for each query
        histories_BH  (B, H) int32, left-padded with 0

        Returns floats (B, D).
        """
        parts: list[Scores] = []
        if "Q" in self._arrays:
            last_BL = last_columns(histories_BH, self.window)
            num_B = np.count_nonzero(last_BL, axis=1).clip(min=1).astype(self._arrays["Q"].dtype)
            parts.append(self._arrays["Q"][last_BL].sum(axis=1) / num_B[:, None])
        if "P" in self._arrays:
            parts.append(self.vectors_of(users_B))
        return np.concatenate(parts, axis=1)
