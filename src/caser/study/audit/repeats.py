"""Repeats: how often users take an item again, and whether seen items must stay candidates."""

from __future__ import annotations

import numpy as np

from caser.data.describe import Facts
from caser.data.split import Split
from caser.evaluation import protocols
from caser.study.audit.findings import Fact, Finding, Severity, count, share

MANY_IN_A_ROW = 0.05
"""A larger share of events that repeat the item before is a warning."""


def repeats(split: Split, facts: Facts) -> Finding:
    """Return a finding on repeats in a log; `facts` are those of `describe`.

    The split's protocol decides whether seen items are removed from the candidates.
    """
    remove_seen = protocols.resolve(split.name, split, "validation").remove_seen
    repeated, in_a_row = facts["share_of_repeats"], facts["share_of_consecutive_repeats"]
    duplicates = int(facts["duplicates"])
    targets = _repeated_targets(split)
    numbers: dict[str, Fact] = {
        "share of events that repeat an item": repeated,
        "share of events that repeat the item before": in_a_row,
        "duplicates (same user, item and time)": duplicates,
        "share of validation targets seen before": targets,
        "seen items": "removed" if remove_seen else "kept",
    }
    sentence = (
        f"{share(repeated)} of events repeat an item of the user, and {share(in_a_row)} the item just before; "
        f"{share(targets)} of validation targets were seen before, and the protocol "
        f"{'removes seen items from' if remove_seen else 'keeps seen items among'} the candidates."
    )
    is_lost = remove_seen and targets > protocols.MOST_REPEATS
    advice = []
    if targets > protocols.MOST_REPEATS and not remove_seen:
        advice.append(
            "Seen items must stay candidates, also in production; read results for repeated and new items separately."
        )
    if is_lost:
        advice.append(
            f"{share(targets)} of targets were seen before, but the protocol removes seen items: no model can find "
            "them."
        )
    if remove_seen and repeated == 0:
        advice.append("No user takes an item twice: seen items need not be candidates.")
    if in_a_row > MANY_IN_A_ROW:
        advice.append(
            f"{share(in_a_row)} of events repeat the item just before, as a reloaded page does. If they are reloads, "
            "--drop-repeats keeps the first of each; the numbers will be lower, and mean more."
        )
    if duplicates:
        advice.append(
            f"{count(duplicates, 'row')} repeat the user, item and time of another row: --drop-duplicates removes them."
        )
    severity: Severity = (
        "warning" if duplicates or in_a_row > MANY_IN_A_ROW or (remove_seen and targets > 0.05) else "good"
    )
    return Finding("repeats", "Do users take an item again?", sentence, severity, numbers, advice=tuple(advice))


def _repeated_targets(split: Split) -> float:
    """The share of validation targets that are in the history of their query."""
    queries = split.validation
    if not len(queries.targets):
        return 0.0
    size = split.log.num_items + 1
    rows, seen = queries.seen(slice(None))
    asked, targets = queries.target_pairs(slice(None))
    return float(np.isin(asked * size + targets, rows * size + seen).mean())
