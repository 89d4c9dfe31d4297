"""Slices: the targets of a part in buckets, so that beside a mean stands where it comes from.

A slice is a name and buckets; a bucket is a mask over the targets, and every target lies in one bucket. Empty buckets
are left out, and so are slices with one bucket. Assumes the queries of a split and the tape that trained for them.

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

HISTORY_BOUNDS = (0, 1, 6, 21, 51, 201)
"""Where the buckets of history lengths begin."""

POSITION_BOUNDS = (1, 2, 3, 5, 10)
"""Where the buckets of positions begin."""

POPULARITY = ("head", "middle", "tail", "never seen")
"""Items that make the first 50 % of the interactions that train, the next 30 %, the rest, and those without one."""

_HEAD, _MIDDLE = 0.5, 0.8


@dataclass(frozen=True)
class Bucket:
    """How many targets a bucket holds, and model -> metric -> estimate over them."""

    num_targets: int
    models: Mapping[str, Mapping[str, Estimate]]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        estimates = {
            model: {metric: estimate.to_dict() for metric, estimate in own.items()}
            for model, own in self.models.items()
        }
        return {"num_targets": self.num_targets, "models": estimates}


def slices(queries: Queries, tape: Tape, is_repeat: Mask) -> dict[str, Buckets]:
    """All slices of the targets that have two buckets at least: name -> bucket -> (P,) mask.

    history     items in the history of the query
    popularity  of the target, in the part that trains
    position    of the target among the targets of its user or session, which is the query's place in a session
    repeat      whether the target is in the history, (P,) as a RankTable has it
    earlier     items of earlier sessions, where a query's history is its session alone

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> split = leave_one_out(chain_world(num_users=4, num_items=6, length=5, seed=0).log)
    >>> found = slices(split.test, split.final, np.array([True, False, False, False]))
    >>> {bucket: int(mask.sum()) for bucket, mask in found["repeat"].items()}
    {'new': 3, 'repeat': 1}
    """
    lengths_P = np.repeat(queries.ends - queries.starts, queries.num_targets)
    owners_P = np.repeat(queries.owners, queries.num_targets)
    found = {
        "history": _between(lengths_P, HISTORY_BOUNDS),
        "popularity": _named(popularity_groups(tape)[queries.targets], POPULARITY),
        "position": _between(_place_in_owner(owners_P), POSITION_BOUNDS),
        "repeat": _named(is_repeat.astype(np.int64), ("new", "repeat")),
        "earlier": _between(np.repeat(queries.starts - queries.starts_of_seen, queries.num_targets), HISTORY_BOUNDS),
    }
    return {name: buckets for name, buckets in found.items() if len(buckets) > 1}


def popularity_groups(tape: Tape) -> Int64:
    """The place in POPULARITY of every item, (I,).

    Items are taken from the most popular on, ties to the lowest index; an item is in the head as long as those before
    it make less than half of all interactions.

    >>> groups = popularity_groups(Tape.from_sequences([[1, 1, 1, 2, 2, 3]], num_items=4))
    >>> [POPULARITY[group] for group in groups[1:]]
    ['head', 'middle', 'tail', 'never seen']
    """
    order = np.argsort(-tape.item_counts, kind="stable")
    before = np.cumsum(tape.item_counts[order]) - tape.item_counts[order]
    share = np.empty(len(order))
    share[order] = before / max(len(tape), 1)
    groups = (share >= _HEAD) * 1 + (share >= _MIDDLE) * 1
    return np.where(tape.item_counts > 0, groups, POPULARITY.index("never seen"))


def _place_in_owner(owners_P: NDArray[np.integer[Any]]) -> Int64:
    """1 for the first target of an owner, 2 for the second, and so on, (P,)."""
    order = np.argsort(owners_P, kind="stable")
    place = np.empty(len(owners_P), dtype=np.int64)
    place[order] = places_of(np.unique(owners_P, return_counts=True)[1]) + 1
    return place


def _between(numbers: Int64, bounds: Sequence[int]) -> Buckets:
    """Buckets that begin at the bounds, named `1-5`, `6`, `201+`."""
    lasts = [bound - 1 for bound in bounds[1:]]
    spans = zip(bounds, lasts, strict=False)
    names = [f"{first}" if first == last else f"{first}-{last}" for first, last in spans]
    return _named(np.searchsorted(bounds, numbers, "right") - 1, (*names, f"{bounds[-1]}+"))


def _named(groups: Int64, names: Sequence[str]) -> Buckets:
    """A mask for every group that has a member."""
    return {name: groups == place for place, name in enumerate(names) if (groups == place).any()}
