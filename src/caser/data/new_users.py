"""The split for strong generalisation: models are judged on users whom training never saw, by their history alone.

Under leave-one-out every judged user also trains, so a user vector may have learned what the history does not say. A
service answers mostly for users whom its model has not seen; this split measures that.
"""

from __future__ import annotations

from caser.data.cuts import Parts, are_last_targets, check_seed, numbers_of, positions, prefix_queries, stages
from caser.data.log import InteractionLog
from caser.data.shard_parts import cut_shards
from caser.data.shards import ShardedLog
from caser.data.split import Split, in_shards, split_name
from caser.data.tape import Tape
from caser.errors import DataError
from caser.system.randomness import numpy_generator


def new_users(log: InteractionLog | ShardedLog, test: float = 0.1, validation: float = 0.1, seed: int = 0) -> Split:
    """Draw users who test, and users who validate; all interactions of the others train.

    log         the log to split
    test        share of the users for testing, rounded down        validation  share for validation, rounded down
    seed        decides which users are drawn, at least 0

    The shares must be positive, with a sum below 1. Of each drawn user, the last interaction (the last target, where
    only some are targets) is the target of one query, and all before it are the history. No user vector is used. A
    drawn user whose target has no history is not judged; `notes` has the number of such users.

    Returns a split named "new-users", with the parameters in the name if they are not the default ones. Raises
    DataError if no user is left to train on or to judge, and for shares that are not allowed.
    Source: Marlin 2003 (Modeling user rating profiles for collaborative filtering), who calls this strong
    generalisation; the last interaction as target is ours.

    >>> from caser.data.synthetic import chain_world
    >>> split = new_users(chain_world(num_users=20, num_items=6, length=5, seed=0).log)
    >>> len(split.fit), len(split.validation), len(split.final), len(split.test)
    (80, 2, 90, 2)
    """
    shards = in_shards(log)
    check_seed(seed)
    num_users = shards.num_users
    num_test, num_validation = numbers_of(num_users, test, validation)
    place_U = numpy_generator(seed, "new users").permutation(num_users)

    def cut(shard: InteractionLog, first: int) -> Parts:
        place = place_U[shard.users + (first - 2)]
        stage = stages(place < num_test + num_validation, place < num_test)
        position, _ = positions(shard)
        is_last = are_last_targets(shard)
        return Parts(
            fit=Tape.from_log(shard, stage == 0),
            validation=prefix_queries(shard, is_last & (stage == 1)),
            final=Tape.from_log(shard, stage <= 1),
            test=prefix_queries(shard, is_last & (stage == 2)),
            counted=int((is_last & (stage > 0) & (position == 0)).sum()),
        )

    parts = cut_shards(shards, cut)
    if not (len(parts.fit) and len(parts.validation) and len(parts.test)):
        raise DataError(
            "new-users needs users to train on, and for each part that judges a user with 2 interactions; got "
            f"{num_users:,} users, of whom {num_validation:,} and {num_test:,} are drawn."
        )
    without = f"{parts.counted:,} drawn users have no history before their target and are not judged"
    notes = (without,) if parts.counted else ()
    name = split_name(new_users, test=test, validation=validation, seed=seed)
    return Split(name, shards.log, parts.fit, parts.validation, parts.final, parts.test, notes, shards)
