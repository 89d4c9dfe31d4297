"""Repeats against new items: what the same item twice means, and whether seen items must stay candidates."""

from __future__ import annotations

import numpy as np

from caser.data.describe import Facts
from caser.data.split import Split
from caser.evaluation import protocols
from caser.study.audit.findings import Fact, Finding, Severity, count, share

MANY_IN_A_ROW = 0.05


def repeats(split: Split, facts: Facts) -> Finding:
    """Judge repeats in a log. `facts` are those of `describe`; the seen rule is the protocol's, as it settled it."""
    remove_seen = protocols.resolve(split.name, split, "validation").remove_seen
    repeated, in_a_row = facts["share_of_repeats"], facts["share_of_consecutive_repeats"]
    duplicates = int(facts["duplicates"])
    targets = _repeated_targets(split)
    found: dict[str, Fact] = {
        "share of events that repeat an item": repeated,
        "share of events that repeat the item before": in_a_row,
        "duplicates (same user, item and time)": duplicates,
        "share of validation targets seen before": targets,
        "seen items": "removed" if remove_seen else "kept",
    }
    sentence = (
        f"Of all events {share(repeated)} repeat an item of the user, {share(in_a_row)} the very item before; "
        f"{share(targets)} of validation targets were seen before, and seen items "
        f"{'leave' if remove_seen else 'stay'} the candidates."
    )
    is_lost = remove_seen and targets > protocols.MOST_REPEATS
    advice = []
    if targets > protocols.MOST_REPEATS and not remove_seen:
        advice.append("Seen items must stay candidates, live as well; read results for repeated and new items apart.")
    if is_lost:
        advice.append(
            f"{share(targets)} of targets were seen before, but the protocol removes seen items: nobody can find them."
        )
    if remove_seen and targets == 0:
        advice.append("Nobody takes an item twice: seen items need not be candidates.")
    if in_a_row > MANY_IN_A_ROW:
        advice.append(
            f"{share(in_a_row)} of events repeat the item before, as a reloaded page does: if that is what they are, "
            "--drop-repeats keeps the first of each; numbers will be lower and mean more."
        )
    if duplicates:
        advice.append(f"{count(duplicates, 'row')} repeat user, item and time of another: --drop-duplicates.")
    severity: Severity = (
        "warning" if duplicates or in_a_row > MANY_IN_A_ROW or (remove_seen and targets > 0.05) else "good"
    )
    return Finding("repeats", "Do users take an item again?", sentence, severity, found, advice=tuple(advice))


def _repeated_targets(split: Split) -> float:
    """Share of validation targets that are in their query's history."""
    queries = split.validation
    if not len(queries.targets):
        return 0.0
    size = split.log.num_items + 1
    rows, seen = queries.seen(slice(None))
    asked, targets = queries.target_pairs(slice(None))
    return float(np.isin(asked * size + targets, rows * size + seen).mean())
