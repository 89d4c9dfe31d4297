"""What an event of a kind means for a run: whether it is history, predicted, or negative.

A run says in its manifest how its log was read. Events that come later, over HTTP, follow the same rules. An event
without a kind counts as events of a log in which all kinds are alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from caser.data.event_kinds import weights_of


@dataclass(frozen=True)
class KindRules:
    """The rules of one run, in names of kinds.

    targets  those that are predicted; empty: all
    negatives  those that say "not this"
    kept     those that a filter keeps; empty: all
    known    those that the log has; empty: the run was trained on events of all kinds alike
    """

    targets: frozenset[str] = frozenset()
    negatives: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Return the rules of a log from what a manifest says of it.

        facts  the entry `log` of the manifest

        >>> KindRules.of({"reading": {"target_events": ["buy=2"]}, "event_kinds": ["view", "buy"]}).is_target("view")
        False
        """
        reading, filters = facts.get("reading", {}), facts.get("filter_settings", {})
        return cls(
            targets=frozenset(weights_of(tuple(reading.get("target_events") or ()))),
            negatives=frozenset(reading.get("negative_events") or ()),
            kept=frozenset(filters.get("event_types") or ()),
            known=frozenset(facts.get("event_kinds") or ()),
        )

    def is_history(self, kind: str | None) -> bool:
        """Whether an event of a kind belongs to the history of its user; None for an event without a kind."""
        return kind is None or (kind not in self.negatives and (not self.kept or kind in self.kept))

    def is_target(self, kind: str | None) -> bool:
        """Whether the run predicts events of a kind; None for an event without a kind."""
        return self.is_history(kind) and (kind is None or not self.targets or kind in self.targets)

    def is_unknown(self, kind: str | None) -> bool:
        """Whether a kind is none that the log of the run has."""
        return kind is not None and bool(self.known) and kind not in self.known
