"""The random split of the guide: interactions are drawn without regard to time, so histories read the future.

It is here for those who follow Dive into Deep Learning, or compare with numbers that were made so. A model that is
judged on it has trained on what its users did later; no service can do that.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from caser.arrays.types import Int64
from caser.data.cuts import by_stage, check_seed, numbers_of, positions, stages
from caser.data.log import InteractionLog
from caser.data.queries import Queries
from caser.data.shard_parts import whole_log
from caser.data.shards import ShardedLog
from caser.data.split import Split, check_log, split_name
from caser.errors import DataError
from caser.system.randomness import numpy_generator

READS_FUTURE = (
    "interactions are drawn at random: histories and training hold what users did after the targets, so these numbers "
    "do not say how well the future is predicted"
)
"""The note of every random split."""


def random_split(log: InteractionLog | ShardedLog, test: float = 0.1, validation: float = 0.1, seed: int = 0) -> Split:
    """Draw interactions that test, and interactions that validate; all others train.

    log         the log to split; one in shards is put together
    test        share of the interactions for testing, rounded down
    validation  share for validation, rounded down
    seed        decides which interactions are drawn, at least 0

    The shares must be positive, with a sum below 1. There is one query per user with a drawn interaction; its targets
    are the user's drawn items, and its history is all that trains of the user, in time order, before and after the
    targets. A user of whom nothing trains is not judged; `notes` has the number of such users.

    Returns a split named "random", or one whose name holds the parameters if they are not the default ones. Raises
    DataError if a part is empty, and for shares or a seed that are not allowed.
    Source: Zhang et al., Dive into Deep Learning, "The MovieLens Dataset", mode `random`, which draws each interaction
    on its own; the exact number of drawn interactions and the validation part are ours.

    >>> from caser.data.synthetic import chain_world
    >>> split = random_split(chain_world(num_users=10, num_items=6, length=10, seed=0).log)
    >>> len(split.fit), len(split.final), split.name
    (80, 90, 'random')
    """
    check_log(log)
    log = whole_log(log)
    check_seed(seed)
    num_test, num_validation = numbers_of(len(log), test, validation)
    place = numpy_generator(seed, "random split").permutation(len(log))
    stage = stages(place < num_test + num_validation, place < num_test)
    # Within a user, what is asked comes after what trains, which keeps its order in time.
    position, _ = positions(log)
    order = np.lexsort((position, stage, log.users))
    chosen = by_stage(log, stage[order], order=order)
    validation_part = _with_times(chosen.validation, log, order)
    is_test = np.where(stage == 2, 2, 0)
    order = np.lexsort((position, is_test, log.users))
    parts = by_stage(log, is_test[order], order=order)
    if not (len(chosen.fit) and len(validation_part) and len(parts.test)):
        raise DataError(
            "a random split needs users of whom some interactions train and others judge; of "
            f"{len(log):,} interactions, {num_validation:,} and {num_test:,} are drawn."
        )
    without = f"{parts.counted:,} users have no interaction that trains and are not judged"
    return Split(
        name=split_name(random_split, test=test, validation=validation, seed=seed),
        log=log,
        fit=chosen.fit,
        validation=validation_part,
        final=parts.final,
        test=_with_times(parts.test, log, order),
        notes=(READS_FUTURE, *([without] if parts.counted else [])),
    )


def _with_times(queries: Queries, log: InteractionLog, order: Int64) -> Queries:
    """Queries on a log whose interactions stand in another order, with the times of their first targets."""
    return replace(queries, target_times=log.times[order][queries.ends]) if log.has_times else queries
