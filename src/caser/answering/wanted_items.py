"""Which items a question may be answered with: those of `only`, without `exclude`, that meet all filters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from caser.answering.asked import Ids, listed
from caser.arrays.types import Int64, RawId
from caser.artefact.folder import Artefact
from caser.data.attributes import Attributes, Wanted, conditions, items_that_meet, unknown_values
from caser.errors import ConfigError
from caser.search.exact import Candidates
from caser.system.kinds import must_be


@dataclass(frozen=True, eq=False)
class WantedItems:
    """The items that an answer may have.

    candidates  their indices
    ignored     ids of `exclude` and `only` that the model does not know
    unknown     a sentence about each filtered value that no item has
    filtered    how many items meet the filters; None without filters
    """

    candidates: Candidates
    ignored: tuple[RawId, ...] = ()
    unknown: tuple[str, ...] = ()
    filtered: int | None = None

    def remarks(self, num_found: int, k: int) -> tuple[str, ...]:
        """Return the sentences about the filters that belong to an answer.

        num_found  how many items the answer has        k  how many were asked for
        """
        if self.filtered is None or num_found >= k:
            return self.unknown
        if not self.filtered:
            return (*self.unknown, "no item meets all filters")
        meet = f"only {num_found} of {k} items: {self.filtered:,} meet{'s' * (self.filtered == 1)} the filters"
        hidden = ", and the others are in the history or excluded" if num_found < self.filtered else ""
        return (*self.unknown, meet + hidden)

    def refuse_none(self) -> None:
        """Raise ConfigError if no item meets the filters."""
        if self.filtered == 0:
            raise ConfigError(f"filters must leave some items; {'; '.join(self.unknown) or 'none meets all of them'}.")


def wanted_items(
    artefact: Artefact,
    untrained: Int64,
    attributes: Attributes,
    exclude: Ids,
    only: Ids | None,
    filters: Mapping[str, Wanted] | None,
) -> WantedItems:
    """Return the items that may be recommended.

    artefact    the run                                   untrained  (N,) indices of items that training did not see
    attributes  the columns that filters may name         exclude    raw ids that must not be recommended
    only        the only raw ids that may be recommended; None allows all
    filters     what an item must have, by column

    Raises ConfigError for a filter that does not fit the columns.
    """
    must_be("filters", filters, Mapping | None, "a dictionary, such as {'genre': 'Drama'}, or None")
    excluded = listed(exclude, "exclude")
    chosen = [] if only is None else listed(only, "only")
    if only is None and not excluded and not filters:
        return WantedItems(Candidates(untrained))
    vocabulary = artefact.items
    barred = np.union1d(untrained, vocabulary.indices(excluded))
    named = [*excluded, *chosen]
    ignored = tuple(raw for raw, index in zip(named, vocabulary.indices(named), strict=True) if not index)
    allowed = None if only is None else np.unique(vocabulary.indices(chosen)).astype(np.int64)
    if not filters:
        return WantedItems(Candidates(barred, allowed), ignored)
    wanted = conditions(attributes, filters)
    meeting = np.unique(vocabulary.indices(items_that_meet(wanted))).astype(np.int64)
    allowed = meeting if allowed is None else np.intersect1d(allowed, meeting)
    return WantedItems(Candidates(barred, allowed), ignored, unknown_values(wanted), len(meeting))
