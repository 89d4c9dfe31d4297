"""How a network trains on a log where neither its model nor the caller says so: loss, epochs, learning rate.

docs/recipe.md tells how these values were found.
"""

from __future__ import annotations

from typing import Any

from caser.models.facts import LogFacts

MOST_FOR_SOFTMAX = 10_000
"""The largest catalogue for which the full softmax is proposed.

The cost of the full softmax grows with the catalogue, that of the sampled one does not. A step of Caser with states of
128 numbers and batches of 2,048 took 1.5 times as long with the full softmax at 3,400 items, 2.4 at 6,000, 4.0 at
10,000 and 7.0 at 20,000; in bfloat16 1.3, 2.1, 3.4 and 5.4. The sampled softmax is only an estimate, so the full one is
given up where an epoch costs several times as much.
"""

TARGETS_TO_SEE = 12_000_000
"""How many targets a training sees by default, all epochs together."""

FEWEST_EPOCHS, MOST_EPOCHS = 5, 25
"""The bounds of the default number of epochs."""

LEAST_PATIENCE = 3
"""The least default patience. It is a quarter of the planned epochs where that is more."""

FEW_INTERACTIONS = 20_000
"""A log with fewer trains to the end of its plan, which takes a minute or two."""

NUM_NEGATIVES = 2048
"""Negatives of a batch. They then cost about as much as 2,048 items of the full softmax."""


def default_training(log: LogFacts) -> dict[str, Any]:
    """Return the settings of training that suit a log, by name.

    log  the facts of the log

    The learning rate falls to 0 over the epochs that are planned here; validation may end earlier, because the averages
    of the parameters are good at every epoch. A large log needs fewer epochs.

    >>> default_training(LogFacts(num_users=6_040, num_items=3_416, num_interactions=993_571))
    {'schedule': 'linear', 'epochs': 12, 'patience': 3, 'loss': 'softmax'}
    """
    planned = round(TARGETS_TO_SEE / max(1, log.num_interactions))
    epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, planned))
    # On a small log an epoch is short, and validation is noisy: an early peak must not end the training. On a very
    # small one, validation may stand still for epochs before the network finds what decides.
    is_short = log.num_interactions < FEW_INTERACTIONS
    patience = epochs if is_short else max(LEAST_PATIENCE, round(epochs / 4))
    return {"schedule": "linear", "epochs": epochs, "patience": patience, **default_loss(log.num_items)}


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
