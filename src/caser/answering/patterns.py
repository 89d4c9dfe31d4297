"""The patterns that Caser finds in a history: the answer of each filter, and the items that caused it.

A horizontal filter of height h slides over the window and keeps its largest answer. The h neighbouring items that gave
this answer are a union-level pattern. A vertical filter is a weighted sum of the rows of the window, so its weights
describe it: a point-level pattern. A place before the first item of a history is padding, which has no id.
The equations are those of `models/caser/caser.py`. Source: ours, after the paper's own look at its filters.

Shape suffixes: L window, d width of vectors, h height of a filter, n_h filters of a height, n_v vertical filters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from caser.answering.asked import listed
from caser.answering.recommender import Recommender
from caser.arrays.ragged import last_columns
from caser.arrays.types import Int32, Int64, RawId, Scores
from caser.data.id_text import json_id
from caser.errors import ConfigError
from caser.models.activations import ACTIVATIONS
from caser.models.base import Arrays
from caser.models.caser.caser import Caser, filter_answers
from caser.system.kinds import must_be


@dataclass(frozen=True)
class UnionPattern:
    """A horizontal filter: its largest answer, and the neighbouring items that gave it.

    height  the number of items that the filter reads
    filter  its number within its height, from 0
    answer  the activation of its largest answer
    items   the raw ids of the items, oldest first; None for padding
    titles  their titles; None for padding and for an item without a title
    """

    height: int
    filter: int
    answer: float
    items: list[RawId | None]
    titles: list[str | None]

    def to_dict(self) -> dict[str, Any]:
        """Return the pattern as JSON values, ids as `id_text.json_id` gives them."""
        return {
            "height": self.height,
            "filter": self.filter,
            "answer": self.answer,
            "items": _json_ids(self.items),
            "titles": self.titles,
        }


@dataclass(frozen=True)
class PointPattern:
    """A vertical filter: a weighted sum of the items in the window.

    filter   its number, from 0
    weights  the weight of each place of the window, oldest first
    """

    filter: int
    weights: list[float]

    def to_dict(self) -> dict[str, Any]:
        """Return the pattern as JSON values."""
        return {"filter": self.filter, "weights": self.weights}


@dataclass(frozen=True)
class Patterns:
    """What the filters of Caser answered to a history.

    window  the raw ids of the last items that were read (L, or the reach of the vertical filters), oldest first; None
            for padding
    titles  their titles; None for padding and for an item without a title
    union   the horizontal filters, by height, the strongest first within a height
    point   all vertical filters
    """

    window: list[RawId | None]
    titles: list[str | None]
    union: list[UnionPattern]
    point: list[PointPattern]

    def to_dict(self) -> dict[str, Any]:
        """Return the patterns as JSON values, ids as `id_text.json_id` gives them."""
        return {
            "window": _json_ids(self.window),
            "titles": self.titles,
            "union": [one.to_dict() for one in self.union],
            "point": [one.to_dict() for one in self.point],
        }


def filters_fired(recommender: Recommender, history: Iterable[RawId], most: int = 3) -> Patterns:
    """Return the strongest horizontal filters of each height for a history, and all vertical filters.

    recommender  a trained Caser
    history      raw ids of items, oldest first; items that the model does not know are left out, as in an answer
    most         the largest number of horizontal filters per height

    Among equal answers the earlier place comes first, and the filter with the lower number. A filter whose answer is 0
    under relu did not fire, and is left out. Raises ConfigError for what is no recommender, and for a model that is not
    Caser.

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> from caser.fitting.fit import fit
    >>> from caser.config import Training
    >>> split = leave_one_out(chain_world(num_users=20, num_items=6, length=9, seed=0).log)
    >>> training = Training(epochs=1, device="cpu", seed=0)
    >>> model = Caser(L=3, d=8, n_v=4, reach=3, n_h=2, heights=(2,), phi_c="tanh")
    >>> recommender = fit(model, split, training, epochs=1)
    >>> found = filters_fired(recommender, [4, 1], most=1)
    >>> found.window, [(one.height, len(one.items)) for one in found.union], len(found.point)
    ([None, 4, 1], [(2, 2)], 4)
    """
    must_be("recommender", recommender, Recommender, "a recommender, which caser.fit and caser.load return")
    config = recommender.artefact.config
    if not isinstance(config, Caser):
        raise ConfigError(f"only Caser has filters that can be shown; this run is a {config.name}.")
    indices = recommender.artefact.items.indices(listed(history, "history", is_ordered=True))
    return patterns_in(recommender, config, indices[indices > 0], most)


def patterns_in(recommender: Recommender, config: Caser, history: Int32, most: int = 3) -> Patterns:
    """Return what `filters_fired` returns, for a history in indices.

    recommender  a trained Caser                                config  its settings
    history      (H,) int32, item indices, oldest first         most    the most horizontal filters per height
    """
    artefact = recommender.artefact
    window_R = last_columns(history[None, -config.window :], config.window)[0]
    items: list[RawId | None] = [artefact.items.raw([index])[0] if index else None for index in window_R.tolist()]
    titles = [None if item is None else recommender.title(item) for item in items]
    first = config.window - config.L  # where the window of the horizontal filters begins
    arrays = artefact.scorer.arrays()
    union = []
    for row, h in enumerate(config.filter_heights):
        answers_n, places_n = _largest_answers(config, arrays, window_R[first:], row, h)
        for j in np.argsort(-answers_n, kind="stable")[:most].tolist():
            if config.phi_c != "relu" or answers_n[j] > 0:
                span = slice(first + int(places_n[j]), first + int(places_n[j]) + h)
                union.append(UnionPattern(h, j, float(answers_n[j]), items[span], titles[span]))
    weights = arrays["G"].astype(float).tolist() if config.n_v else []
    return Patterns(items, titles, union, [PointPattern(k, row) for k, row in enumerate(weights)])


def _json_ids(items: list[RawId | None]) -> list[str | int | None]:
    return [None if item is None else json_id(item) for item in items]


def _largest_answers(config: Caser, arrays: Arrays, window_L: Int32, row: int, h: int) -> tuple[Scores, Int64]:
    """The largest answer of each filter of height h, (n_h,), and the place where it was found, (n_h,).

    `row` is the row of the biases bF that belongs to this height. These are equations 3 to 5.
    """
    answers_Pn = filter_answers(config, arrays, arrays["Q"][window_L][None], h)[:, 0]
    answers_n = ACTIVATIONS[config.phi_c].numpy(answers_Pn.max(axis=0) + arrays["bF"][row])
    return answers_n, answers_Pn.argmax(axis=0)
