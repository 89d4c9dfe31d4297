"""Sentences on a split that a report must print: what is predicted, what no model can find, what is known too early."""

from __future__ import annotations

from caser.arrays.types import Mask
from caser.data.log import InteractionLog
from caser.data.queries import Queries
from caser.data.split import Split
from caser.data.tape import Tape
from caser.evaluation.split_facts import later_share

TARGET_TIME = "reads the target's time: no"
"""The note on what published models of others may do: they are told when the target happened, ours are not."""


def note_on_targets(log: InteractionLog) -> list[str]:
    """Return a note on a log of which only some interactions are predicted; no note if all are.

    log  the log of a split
    """
    if log.kinds is None:
        return []
    kinds = ", ".join(log.kinds.names)
    return [f"only {kinds} events are predicted, {log.kinds.num_targets:,} of {len(log):,} interactions"]


def notes_on_part(split: Split, tape: Tape, queries: Queries, candidates: Mask) -> list[str]:
    """Return notes on times of targets, on targets that are no candidates, and on what trains but is later than one.

    split       the split log
    tape        the part of it that trains        queries  the part of it that judges
    candidates  (I,) bool, the items that are ranked
    """
    notes = [TARGET_TIME] if split.log.has_times else []
    if missing := int((~candidates[queries.targets]).sum()):
        notes.append(f"{missing:,} of {len(queries.targets):,} targets are not candidates: no model can find them")
    later = later_share(split, tape, queries)
    if later is not None:
        notes.append(f"{later:.1%} of training interactions are later than the one they help to predict")
    return notes
