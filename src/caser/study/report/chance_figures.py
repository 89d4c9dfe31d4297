"""Draws how well the chances of a run hold: by chance, and by rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caser.study.report.figure import Axis, Figure, Panel, Series
from caser.study.report.study import StudyFacts


def reliability(study: StudyFacts) -> Figure:
    """Draw the share of items that came next against their chance, and both by rank.

    Raises KeyError if `study` lacks a key that it needs.
    """
    bins, ranks, owner = study["bins"], study["ranks"], study.get("owner") or "user"
    most = max(max(one["chance"], one["hits"]["high"] or one["hits"]["value"]) for one in bins)
    right = Series("line", [0, most], [0, most], "what right chances show", "neutral")
    by_rank = Series("line", _places(ranks), [one["chance"] for one in ranks], "chance", "neutral")
    return Figure(
        "reliability",
        "Do the chances hold?",
        "Left: items with about the same chance, and the share of them that came next; on the line, they are equal. "
        "Right: the mean chance at each rank of the answers, and the share of items there that came next. Each whisker "
        f"is a 95 % interval over {owner}s.",
        f"The share of hits against the chance in {len(bins)} bins, and at {len(ranks)} ranks, with intervals",
        (
            Panel(
                Axis("chance", limits=(0,)),
                Axis("came next", limits=(0,)),
                (right, _hits(bins, [one["chance"] for one in bins])),
            ),
            Panel(Axis("rank", limits=(1,)), Axis("came next", limits=(0,)), (by_rank, _hits(ranks, _places(ranks)))),
        ),
        columns=2,
    )


def _places(ranks: Sequence[Any]) -> list[int]:
    return list(range(1, len(ranks) + 1))


def _hits(groups: Sequence[Any], x: Sequence[float]) -> Series:
    """The share of hits in each group, with its interval."""
    value, low, high = ([one["hits"][end] for one in groups] for end in ("value", "low", "high"))
    return Series("points", x, value, "came next", "accent", low, high)
