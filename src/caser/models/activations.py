"""The activation functions of Caser by name, with the form that each runtime needs. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from caser.arrays.types import Scores

Activation = Literal["identity", "relu", "tanh", "sigmoid"]


def sigmoid(values: Scores) -> Scores:
    """Compute 1 / (1 + e^-x) without overflow.

    values  floats of any shape

    >>> sigmoid(np.array([-1000.0, 0.0])).tolist()
    [0.0, 0.5]
    """
    result: Scores = 0.5 * (np.tanh(0.5 * values) + 1)
    return result


@dataclass(frozen=True)
class ActivationForms:
    """One activation function in the runtimes that compute it.

    numpy  the function of NumPy arrays
    torch  the name of the function in the module `torch`
    onnx   the name of the ONNX operator
    """

    numpy: Callable[[Scores], Scores]
    torch: str
    onnx: str


ACTIVATIONS: dict[Activation, ActivationForms] = {
    "identity": ActivationForms(lambda x: x, "positive", "Identity"),
    "relu": ActivationForms(lambda x: np.maximum(x, 0), "relu", "Relu"),
    "tanh": ActivationForms(np.tanh, "tanh", "Tanh"),
    "sigmoid": ActivationForms(sigmoid, "sigmoid", "Sigmoid"),
}
"""The activation functions by name. The compiled loops of Caser know them by their place in this table, from 0."""
