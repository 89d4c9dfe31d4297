"""Slices: the targets of a part sorted into buckets, to show which targets a mean comes from.

A slice has a name and buckets, for example "popularity" with "head", "middle" and "tail". A bucket is a mask over the
targets, and every target lies in exactly one bucket of a slice. Empty buckets are left out, and so are slices with only
one bucket.

Shape suffixes: P targets of all queries, Q queries, I items and padding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caser.arrays.offsets import places_of
from caser.arrays.types import Int64, Mask
from caser.data.queries import Queries
from caser.data.tape import Tape
from caser.evaluation.statistics import Estimate

Buckets = Mapping[str, Mask]
"""Name of a bucket -> which targets it holds, (P,) bool."""

HISTORY_BOUNDS = (0, 1, 6, 21, 51, 201)
"""The smallest history length of each bucket."""

POSITION_BOUNDS = (1, 2, 3, 5, 10)
"""The smallest position of each bucket."""

POPULARITY = ("head", "middle", "tail", "never seen")
"""Groups of items: the most popular ones, with half of the interactions that train; the next, with 30 %; the rest; and
items without an interaction."""

TRAINING = ("item seen in training", "item never seen in training")
"""Whether the part that trains has an interaction with the target."""

# The shares of interactions at which the head and the middle end.
_HEAD, _MIDDLE = 0.5, 0.8


@dataclass(frozen=True)
class Bucket:
    """What models are worth on the targets of one bucket.

    num_targets  the number of targets in the bucket
    models       model -> metric -> estimate
    """

    num_targets: int
    models: Mapping[str, Mapping[str, Estimate]]

    def to_dict(self) -> dict[str, Any]:
        """Return the bucket as JSON values."""
        estimates = {
            model: {metric: estimate.to_dict() for metric, estimate in by_metric.items()}
            for model, by_metric in self.models.items()
        }
        return {"num_targets": self.num_targets, "models": estimates}


def slices(queries: Queries, tape: Tape, is_repeat: Mask) -> dict[str, Buckets]:
    """Sort the targets of queries into the buckets of every slice, and return the slices with at least two buckets.

    queries    the queries that judge
    tape       the part that trained for them
    is_repeat  (P,) bool, whether each target is in its query's history, as a RankTable holds it

    Returns slice -> bucket -> (P,) bool. The slices are:

    history     the number of items in the query's history
    popularity  how often the target occurs in the part that trained, see POPULARITY
    position    the place of the target among the targets of its user or session; in a session, the query's place
    repeat      whether the target is in the history
    earlier     the number of items in earlier sessions, where the history is the current session alone
    training    whether the part that trained has the target at all
    kind        the kind of event of the target, where several kinds are predicted

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> split = leave_one_out(chain_world(num_users=4, num_items=6, length=5, seed=0).log)
    >>> found = slices(split.test, split.final, np.array([True, False, False, False]))
    >>> {bucket: int(mask.sum()) for bucket, mask in found["repeat"].items()}
    {'new': 3, 'repeat': 1}
    """
    lengths_P = np.repeat(queries.ends - queries.starts, queries.num_targets)
    owners_P = np.repeat(queries.owners, queries.num_targets)
    earlier_P = np.repeat(queries.starts - queries.starts_of_seen, queries.num_targets)
    all_slices = {
        "history": _between(lengths_P, HISTORY_BOUNDS),
        "popularity": _named(popularity_groups(tape)[queries.targets], POPULARITY),
        "position": _between(_place_in_owner(owners_P), POSITION_BOUNDS),
        "repeat": _named(is_repeat.astype(np.int64), ("new", "repeat")),
        "earlier": _between(earlier_P, HISTORY_BOUNDS),
        "training": _named((tape.item_counts[queries.targets] == 0).astype(np.int64), TRAINING),
    }
    if queries.kinds is not None:
        all_slices["kind"] = _named(queries.kinds.codes.astype(np.int64) - 1, queries.kinds.names)
    return {name: buckets for name, buckets in all_slices.items() if len(buckets) > 1}


def popularity_groups(tape: Tape) -> Int64:
    """Sort items into the groups of POPULARITY.

    tape  the part that trains

    Returns (I,) int64, the place of each item's group in POPULARITY. Items are ordered by popularity, equally popular
    ones by index; an item is in the head if the items before it have less than half of all interactions.

    >>> groups = popularity_groups(Tape.from_sequences([[1, 1, 1, 2, 2, 3]], num_items=4))
    >>> [POPULARITY[group] for group in groups[1:]]
    ['head', 'middle', 'tail', 'never seen']
    """
    order = np.argsort(-tape.item_counts, kind="stable")
    interactions_before = np.cumsum(tape.item_counts[order]) - tape.item_counts[order]
    share_before_I = np.empty(len(order))
    share_before_I[order] = interactions_before / max(len(tape), 1)
    groups = (share_before_I >= _HEAD) * 1 + (share_before_I >= _MIDDLE) * 1
    return np.where(tape.item_counts > 0, groups, POPULARITY.index("never seen"))


def _place_in_owner(owners_P: NDArray[np.integer[Any]]) -> Int64:
    """1 for the first target of an owner, 2 for the second, and so on, (P,)."""
    order = np.argsort(owners_P, kind="stable")
    places_P = np.empty(len(owners_P), dtype=np.int64)
    places_P[order] = places_of(np.unique(owners_P, return_counts=True)[1]) + 1
    return places_P


def _between(numbers: Int64, bounds: Sequence[int]) -> Buckets:
    """Buckets of numbers that begin at the bounds, named `1-5`, `6`, `201+`."""
    lasts = [bound - 1 for bound in bounds[1:]]
    spans = zip(bounds, lasts, strict=False)
    names = [f"{first}" if first == last else f"{first}-{last}" for first, last in spans]
    return _named(np.searchsorted(bounds, numbers, "right") - 1, (*names, f"{bounds[-1]}+"))


def _named(groups: Int64, names: Sequence[str]) -> Buckets:
    """One bucket for every group that has a member; `groups` are places in `names`."""
    return {name: groups == place for place, name in enumerate(names) if (groups == place).any()}
