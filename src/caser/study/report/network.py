"""Draws the filters of a Caser network: their weights, and the items that the horizontal filters answer to most.

A vertical filter k is a weighted sum of the last L items; its weights G_k say how much each step back counts. A
horizontal filter F_hj reads h items in a row. Its row r answers to item i with F_hj[r] . Q_i, so the items with the
highest answers can be listed row by row, as in the case study of the paper.

Only some horizontal filters are shown: those to which W, the layer that reads them, gives the largest weights. The
lists leave out items of the tail, which make up the last fifth of all interactions, because the network has learned
little about them. Only Caser models have these pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from caser.artefact.folder import Artefact
from caser.evaluation.slices import POPULARITY, popularity_groups
from caser.models.base import Arrays
from caser.models.caser.caser import Caser
from caser.study.report.figure import Axis, Figure, Heat, Panel

FILTERS, ITEMS = 4, 5
"""How many horizontal filters are shown, and how many items for each of their rows."""

NetworkFacts = Mapping[str, Any]
"""The facts that the pictures show, as `network_facts` returns them."""


def network_facts(artefact: Artefact | None) -> dict[str, Any] | None:
    """Return what the pictures of a saved run show, as JSON values; None if it is no Caser network with filters.

    artefact    the saved run, None if there is none

    The keys of the result:

    L           the length of the window
    vertical    the weights of each vertical filter, (n_v, reach), oldest step first
    horizontal  for each filter shown: `height`, `number`, `weights` (h, d), and `items`, the best items of each row
    """
    if artefact is None or not isinstance(artefact.config, Caser) or not artefact.config.has_branches:
        return None
    config, arrays = artefact.config, artefact.scorer.arrays()
    vertical = arrays["G"].astype(float).tolist() if config.n_v else []
    horizontal = [_filter(artefact, arrays, h, j) for h, j in _strongest(config, arrays)] if config.n_h else []
    return {"L": config.L, "vertical": vertical, "horizontal": horizontal}


def network_figures(facts: NetworkFacts | None) -> list[Figure]:
    """Draw heat maps of the vertical filters and of some horizontal ones.

    facts  what `network_facts` returned; None, or a branch without filters, gives no figure
    """
    if facts is None:
        return []
    drawn = {"vertical": _vertical, "horizontal": _horizontal}
    return [draw(facts) for key, draw in drawn.items() if facts[key]]


def filter_name(facts: Mapping[str, Any]) -> str:
    """Return the name of a horizontal filter from its `facts`, which have its number and its height.

    >>> filter_name({"height": 2, "number": 3})
    'filter 3 of height 2'
    """
    return f"filter {facts['number']} of height {facts['height']}"


def steps_back(count: int) -> tuple[str, ...]:
    """Return the names of the last `count` steps, oldest first.

    >>> steps_back(3)
    ('3 back', '2 back', 'last')
    """
    return tuple("last" if step == 1 else f"{step} back" for step in range(count, 0, -1))


def _strongest(config: Caser, arrays: Arrays) -> list[tuple[int, int]]:
    """Height and number of the horizontal filters that have the largest weights in the next layer.

    Filters of height 1, which read a single item, are shown only if there are no others.
    """
    first_row = config.n_v * config.d
    heights = config.filter_heights
    norms = np.linalg.norm(arrays["W"][first_row:], axis=1).reshape(-1, config.n_h)
    by_height = dict(zip(heights, norms, strict=True))
    shown_heights = [h for h in heights if h > 1] or heights
    filters = [(h, j) for h in shown_heights for j in range(config.n_h)]
    return sorted(filters, key=lambda one: -by_height[one[0]][one[1]])[:FILTERS]


def _filter(artefact: Artefact, arrays: Arrays, height: int, j: int) -> dict[str, Any]:
    """The facts of one horizontal filter."""
    weights_hd = arrays[f"F{height}"][:, :, j]
    # The answer of each row of the filter to each item outside the tail.
    candidates = np.flatnonzero(popularity_groups(artefact.trained) < POPULARITY.index("tail"))
    scores_hN = weights_hd @ arrays["Q"][candidates].T
    # The items with the highest answers, row by row.
    titles = artefact.titles.to_list() if artefact.titles is not None else [None] * len(artefact.items)
    rows = []
    for scores_N in scores_hN:
        best = np.argsort(-scores_N, kind="stable")[:ITEMS]
        raw_ids = artefact.items.raw(candidates[best])
        rows.append(
            [
                {"item_id": raw_id, "title": titles[candidates[i] - 1], "score": float(scores_N[i])}
                for raw_id, i in zip(raw_ids, best, strict=True)
            ]
        )
    return {"height": height, "number": j + 1, "weights": weights_hd.astype(float).tolist(), "items": rows}


def _vertical(facts: NetworkFacts) -> Figure:
    weights = facts["vertical"]
    names = tuple(f"filter {k}" for k in range(1, len(weights) + 1))
    panel = Panel(Axis(names=steps_back(len(weights[0]))), Axis(names=names), heat=Heat(weights))
    return Figure(
        "vertical-filters",
        "How far back each vertical filter looks",
        "Each row is one filter, and each column is one step back in the history. A strong colour means that the "
        "filter gives the step a large weight; the two colours stand for positive and negative weights.",
        f"Heat map of the weights of {len(weights)} vertical filters on the last {len(weights[0])} items",
        (panel,),
    )


def _horizontal(facts: NetworkFacts) -> Figure:
    panels = [
        Panel(
            Axis("dimension of the item vectors", tuple(map(str, range(1, len(one["weights"][0]) + 1)))),
            Axis(names=tuple(f"item {row}" for row in range(1, one["height"] + 1))),
            title=filter_name(one),
            heat=Heat(one["weights"]),
        )
        for one in facts["horizontal"]
    ]
    return Figure(
        "horizontal-filters",
        "What horizontal filters look for",
        "Each panel is one filter. Its rows are the items that it reads one after the other, oldest first. If the rows "
        "differ, the filter looks for items in a certain order; if they are alike, the order does not matter to it.",
        f"Heat maps of the weights of {len(panels)} horizontal filters",
        tuple(panels),
        columns=2,
    )
