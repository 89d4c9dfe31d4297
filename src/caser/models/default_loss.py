"""Which loss a network trains with where none is named: the full softmax, or an estimate of it for large catalogues."""

from __future__ import annotations

from typing import Any

MOST_FOR_SOFTMAX = 10_000
"""The largest catalogue for which the full softmax is proposed.

The cost of the full softmax grows with the catalogue, that of the sampled one does not. A step of Caser with states of
128 numbers and batches of 2,048 took 1.5 times as long with the full softmax at 3,400 items, 2.4 at 6,000, 4.0 at
10,000 and 7.0 at 20,000; in bfloat16 1.3, 2.1, 3.4 and 5.4. The sampled softmax is only an estimate, so the full one is
given up where an epoch costs several times as much.
"""

NUM_NEGATIVES = 2048
"""Negatives of a batch. They then cost about as much as 2,048 items of the full softmax."""


def default_loss(num_items: int) -> dict[str, Any]:
    """Return the settings of training that choose the loss for a catalogue, by name.

    num_items  items of the log

    For a large catalogue, all states of a batch share negatives that are drawn as often as users take them. The logQ
    correction makes the result an estimate of the full softmax; frequent items are those whose scores matter most to
    its sum, so this estimate varies least (Bengio & Senécal, 2008).

    >>> default_loss(3_416)
    {'loss': 'softmax'}
    >>> default_loss(100_000)["negatives"]
    'shared'
    """
    if num_items <= MOST_FOR_SOFTMAX:
        return {"loss": "softmax"}
    return {
        "loss": "sampled-softmax",
        "negatives": "shared",
        "num_negatives": NUM_NEGATIVES,
        "popularity_exponent": 1.0,
    }
