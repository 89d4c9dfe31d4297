"""What an update of a network trains on, and how: the new events and the newest old ones, at the rate of the recipe.

The values were found on the last week of yoochoose-clicks with GRU4Rec; docs/operations.md has what they reach on
another week, and what the alternatives reached.
"""

from __future__ import annotations

import numpy as np

from caser.arrays.offsets import offsets_of, places_of
from caser.arrays.types import Int64, Mask
from caser.config import Training
from caser.data.tape import Tape

REPLAY = 7
"""Old interactions that train again, for each new one: of a nightly update, about the week before. They are the newest,
because old ones drawn at random train again what the weights know already, and made the model worse."""

MOST_CONTEXT = 50
"""The most interactions before the new ones of a user that are read with them."""

EPOCHS = 10
"""Epochs of an update. A new item occurs a few times only, and its rows need as many steps as those of a full training
get from a few epochs of many occurrences."""

LEAST_STEPS = 10
"""Steps of an epoch, if batches of SMALLEST_BATCH can give so many."""

SMALLEST_BATCH = 64
"""Batches are not made smaller than this for more steps."""


def update_training(recipe: Training, num_positions: int, batch_size: int) -> Training:
    """Return how an update of a network trains.

    recipe         how the network was trained in full
    num_positions  interactions that the update trains on, at least 1
    batch_size     positions of a batch of the full training

    The learning rate begins as that of the recipe, because new rows have the whole way to go, and falls to 0, because
    the rows around them are good already. A batch is as large as in the full training, or smaller for LEAST_STEPS.
    There is no weight decay: it would move rows that nothing touched.

    >>> training = update_training(Training(learning_rate=1e-3, weight_decay=1e-6), 4_000, 2048)
    >>> training.learning_rate, training.schedule, training.epochs, training.batch_size, training.weight_decay
    (0.001, 'linear', 10, 256, 0.0)
    """
    for_steps = 1 << (max(num_positions // LEAST_STEPS, 1).bit_length() - 1)
    return recipe.replace(
        schedule="linear",
        epochs=EPOCHS,
        batch_size=min(batch_size, max(SMALLEST_BATCH, for_steps)),
        weight_decay=0.0,
    )


def update_tape(trained: Tape, is_new: Mask, history_length: int | None) -> Tape:
    """Return the sequences that an update trains on.

    trained         all that the new run is trained on, with times, one sequence per user
    is_new          (N,) bool, which of these interactions are new
    history_length  how many items of a history the model reads; None if it reads all

    A user with new events has one sequence that begins some items before the first of them. Further sequences are the
    newest others of the log: histories are cut into stretches, from their ends, and the stretches with the latest ends
    are taken, until they hold REPLAY interactions for each new one.

    >>> log_times = np.array([1, 2, 3, 1, 4])
    >>> tape = Tape(np.array([3, 1, 4, 1, 5]), np.array([0, 0, 3, 5]), num_items=5, log_times=log_times)
    >>> small = update_tape(tape, np.array([0, 0, 0, 0, 1], bool), 2)
    >>> [small.sequence(number).tolist() for number in (1, 2, 3)], small.owners.tolist()
    ([[3], [1, 4], [1, 5]], [0, 1, 1, 2])
    """
    context = MOST_CONTEXT if history_length is None else min(history_length, MOST_CONTEXT)
    stretch = max(context, 2)
    # The sequence of each user with new events: from some items before the first of them to the end.
    first_U = trained.lengths.copy()
    np.minimum.at(first_U, trained.users[is_new], places_of(trained.lengths)[is_new])
    begin_U = np.where(first_U < trained.lengths, np.maximum(first_U - context, 0), trained.lengths)
    users = np.flatnonzero(begin_U < trained.lengths)
    # What comes before, in stretches, the newest first.
    num_U = -(-begin_U // stretch)
    owner_P = np.repeat(np.arange(len(num_U)), num_U)
    end_P = begin_U[owner_P] - places_of(num_U) * stretch
    start_P = np.maximum(end_P - stretch, 0)
    times = np.arange(len(trained)) if trained.times is None else trained.times
    by_time = np.argsort(-times[trained.offsets[owner_P] + end_P - 1], kind="stable")
    sizes = np.cumsum((end_P - start_P)[by_time])
    newest = by_time[: int(np.searchsorted(sizes, REPLAY * int(is_new.sum()))) + 1]
    return _pieces(
        trained,
        np.concatenate([users, owner_P[newest]]),
        np.concatenate([begin_U[users], start_P[newest]]),
        np.concatenate([trained.lengths[users], end_P[newest]]),
    )


def _pieces(tape: Tape, owners: Int64, starts: Int64, ends: Int64) -> Tape:
    """Pieces of the sequences of a tape, as sequences in the order of their owners: from place `starts` to `ends`."""
    order = np.lexsort((starts, owners))
    owners, starts, lengths = owners[order], starts[order], (ends - starts)[order]
    places = np.repeat(tape.offsets[owners] + starts, lengths) + places_of(lengths)
    return Tape(
        items=np.asarray(tape.items)[places],
        offsets=offsets_of(np.concatenate([[0], lengths])),
        num_items=tape.num_items,
        sequence_owners=np.concatenate([[0], owners]).astype(np.int32),
    )
