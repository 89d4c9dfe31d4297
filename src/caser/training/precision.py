"""Which number type the matrix products of a loss use: bfloat16 where this machine multiplies it clearly faster.

Processors with instructions for bfloat16 (AVX512-BF16, AMX, and GPUs) multiply it two to sixteen times as fast as
float32; others take longer. So the choice is measured, once, before a training begins. Small products are not measured
and stay in float32: there is little to win, and their training depends on nothing but settings, data and seed.
"""

from __future__ import annotations

import statistics
import time

import torch
from torch import Tensor

from caser.config import Precision, Training
from caser.models.base import SequenceEncoder

CLEARLY_FASTER = 1.2
"""From this ratio of speeds on, products are in bfloat16."""

SMALL_TABLE = 2**16
"""With fewer numbers in the vectors of a product, it stays in float32."""

_NUM_STATES = 128
_MOST_ITEMS = 2**12
"""The measured product has at most so many states and items; the ratio does not depend on more."""

_REPEATS = 5


def settled(training: Training, network: SequenceEncoder) -> Training:
    """Return the training with the number type of its products decided. It trains again in the same way anywhere.

    training  how to train; with `precision="auto"`, the type is chosen now
    network   the network that trains, on its device

    A training whose loss has no such choice is returned as it is.
    """
    if training.precision != "auto" or "precision" not in training.used():
        return training
    return training.replace(precision=choose_precision(training, network))


def choose_precision(training: Training, network: SequenceEncoder) -> Precision:
    """Choose the number type of the products of a loss.

    training  how to train; a type that it names is taken
    network   the network that trains, on its device

    With "auto", the CPU is measured for some milliseconds, a CUDA GPU is asked, and other devices use float32.
    """
    if training.precision != "auto":
        return training.precision
    with torch.no_grad():
        vectors_ID, _ = network.item_vectors()
    num_items, width = vectors_ID.shape
    if training.loss_row.form == "sampled":
        num_items = min(num_items, training.num_negatives)
    if num_items * width < SMALL_TABLE:
        return "float32"
    if vectors_ID.device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    is_faster = vectors_ID.device.type == "cpu" and speed_of_bfloat16(num_items, width) >= CLEARLY_FASTER
    return "bfloat16" if is_faster else "float32"


def speed_of_bfloat16(num_items: int, width: int) -> float:
    """Measure how many times as fast as in float32 the products of a softmax are in bfloat16, on the CPU.

    num_items  the items that each state is multiplied with
    width      D, the numbers in a state

    Returns the median over repeats of the ratio of two times that are taken one after the other.
    """
    states, vectors = torch.ones(_NUM_STATES, width), torch.ones(min(num_items, _MOST_ITEMS), width)
    pairs = [(states, vectors), (states.bfloat16(), vectors.bfloat16())]
    ratios = []
    for repeat in range(_REPEATS + 1):
        exact, reduced = (_seconds(*pair) for pair in pairs)
        if repeat:  # the first one warms up
            ratios.append(exact / reduced)
    return statistics.median(ratios)


def _seconds(states_MD: Tensor, vectors_JD: Tensor) -> float:
    """The time of the three products of a softmax: scores, and the gradients of states and vectors."""
    began = time.perf_counter()
    scores_MJ = states_MD @ vectors_JD.T
    _ = scores_MJ @ vectors_JD, scores_MJ.T @ states_MD
    return time.perf_counter() - began
