"""Pictures of a Caser network: what its filters weigh, and which items excite them.

A vertical filter k is a weighted sum of the last L items: its weights G_k say how much each step back counts. A
horizontal filter F_hj looks at h items in a row; the answer of its row r to item i is F_hj[r] . Q_i, so the items that
excite it most can be listed row by row, as in the paper's case study. Of the horizontal filters those are
shown whose row in W, the layer that reads them, is largest. Items in the tail, which make the last fifth of all
interactions, are left out: little was learned about them. Assumes a Caser model; of any other there is no picture.
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


def network_facts(artefact: Artefact | None) -> dict[str, Any] | None:
    """What the pictures show, as JSON values; None if there is no Caser network, or one without filters.

    vertical    weights per filter, oldest step first        horizontal  height, number, weights (h, d), and for each
    of its rows the items with the highest scores
    """
    if artefact is None or not isinstance(artefact.config, Caser) or not artefact.config.has_branches:
        return None
    config, arrays = artefact.config, artefact.scorer.arrays()
    vertical = arrays["G"].astype(float).tolist() if config.n_v else []
    horizontal = [_filter(artefact, arrays, h, j) for h, j in _strongest(config, arrays)] if config.n_h else []
    return {"L": config.L, "vertical": vertical, "horizontal": horizontal}


def network_figures(facts: dict[str, Any] | None) -> list[Figure]:
    """Heat maps of the vertical filters and of some horizontal ones."""
    if facts is None:
        return []
    drawn = {"vertical": _vertical, "horizontal": _horizontal}
    return [draw(facts) for key, draw in drawn.items() if facts[key]]


def filter_name(told: Mapping[str, Any]) -> str:
    """A horizontal filter's name.

    >>> filter_name({"height": 2, "number": 3})
    'filter 3 of height 2'
    """
    return f"filter {told['number']} of height {told['height']}"


def steps_back(count: int) -> tuple[str, ...]:
    """Names of the last `count` steps, oldest first.

    >>> steps_back(3)
    ('3 back', '2 back', 'last')
    """
    return tuple("last" if step == 1 else f"{step} back" for step in range(count, 0, -1))


def _strongest(config: Caser, arrays: Arrays) -> list[tuple[int, int]]:
    """Height and number of the horizontal filters that the next layer reads most; of height 2 and more if there are."""
    first = config.n_v * config.d
    heights = config.filter_heights
    sizes = dict(zip(heights, np.linalg.norm(arrays["W"][first:], axis=1).reshape(-1, config.n_h), strict=True))
    unions = [h for h in heights if h > 1] or heights
    found = sorted(((h, j) for h in unions for j in range(config.n_h)), key=lambda one: -sizes[one[0]][one[1]])
    return found[:FILTERS]


def _filter(artefact: Artefact, arrays: Arrays, height: int, j: int) -> dict[str, Any]:
    weights_hd = arrays[f"F{height}"][:, :, j]
    popular = popularity_groups(artefact.histories) < POPULARITY.index("tail")
    taken = np.flatnonzero(popular)
    scores_hN = weights_hd @ arrays["Q"][taken].T
    titles = artefact.titles.to_list() if artefact.titles is not None else [None] * len(artefact.items)
    rows = []
    for scores_N in scores_hN:
        best = np.argsort(-scores_N, kind="stable")[:ITEMS]
        raw = artefact.items.raw(taken[best])
        rows.append(
            [
                {"item_id": one, "title": titles[taken[i] - 1], "score": float(scores_N[i])}
                for one, i in zip(raw, best, strict=True)
            ]
        )
    return {"height": height, "number": j + 1, "weights": weights_hd.astype(float).tolist(), "items": rows}


def _vertical(facts: dict[str, Any]) -> Figure:
    weights = facts["vertical"]
    names = tuple(f"filter {k}" for k in range(1, len(weights) + 1))
    panel = Panel(Axis(names=steps_back(facts["L"])), Axis(names=names), heat=Heat(weights))
    return Figure(
        "vertical-filters",
        "How far back each vertical filter looks",
        "Each row is one filter and each column a step back: strong colour marks the steps that count, and opposite "
        "colours are set against each other.",
        f"Heat map of the weights of {len(weights)} vertical filters on the last {facts['L']} items",
        (panel,),
    )


def _horizontal(facts: dict[str, Any]) -> Figure:
    panels = [
        Panel(
            Axis("dimension of the item vectors", tuple(map(str, range(1, len(told["weights"][0]) + 1)))),
            Axis(names=_rows(told["height"])),
            title=filter_name(told),
            heat=Heat(told["weights"]),
        )
        for told in facts["horizontal"]
    ]
    return Figure(
        "horizontal-filters",
        "What horizontal filters look for",
        "Each panel is one filter, each of its rows one item of a run, oldest first: rows that differ make the filter "
        "answer to an order of items, equal rows to their presence.",
        f"Heat maps of the weights of {len(panels)} horizontal filters",
        tuple(panels),
        columns=2,
    )


def _rows(height: int) -> tuple[str, ...]:
    return tuple(f"item {row}" for row in range(1, height + 1))
