"""Which items a question may be answered with: those of `only`, without `exclude`, that meet all filters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from caser.answering.asked import Ids, listed
from caser.answering.questions import spelling_hints
from caser.arrays.types import Int64, RawId
from caser.artefact.folder import Artefact
from caser.data.attributes import Attributes, Wanted, conditions, items_that_meet, unknown_values
from caser.errors import ConfigError
from caser.search.exact import Candidates
from caser.system.kinds import must_be


class Leaves(NamedTuple):
    """What decides how many items an answer can have at most.

    what    the beginning of a sentence, such as "the filters leave"
    number  how many items
    """

    what: str
    number: int


@dataclass(frozen=True, eq=False)
class WantedItems:
    """The items that an answer may have.

    candidates  their indices
    leaves      how many items the filters, `only` or the model leave
    ignored     ids of `exclude` and `only` that the model does not know
    hints       sentences about filtered values that no item has, and about ids that were probably meant
    """

    candidates: Candidates
    leaves: Leaves
    ignored: tuple[RawId, ...] = ()
    hints: tuple[str, ...] = ()

    def remarks(self, num_found: int, k: int) -> tuple[str, ...]:
        """Return the sentences about the wanted items that belong to an answer.

        num_found  how many items the answer has        k  how many were asked for
        """
        return self.hints if num_found >= k else (*self.hints, why_few(num_found, k, self.leaves))

    def refuse_none(self) -> None:
        """Raise ConfigError if no item meets the filters."""
        if self.leaves == (FILTERS_LEAVE, 0):
            raise ConfigError(f"filters must leave some items; {'; '.join(self.hints) or 'none meets all of them'}.")


FILTERS_LEAVE = "the filters leave"
ONLY_NAMES = "`only` names"
MODEL_KNOWS = "the model knows"


def why_few(num_found: int, k: int, leaves: Leaves) -> str:
    """Return a sentence about an answer with fewer items than asked for.

    num_found  how many items the answer has        k  how many were asked for
    leaves     how many items the filters, `only` or the model leave

    >>> why_few(2, 10, Leaves(MODEL_KNOWS, 6))
    'only 2 of 10 items: the model knows 6, and the rest is in the history, excluded or removed by a rule'
    >>> why_few(0, 10, Leaves(FILTERS_LEAVE, 0))
    'nothing is left to recommend: no item meets all filters'
    """
    begins = f"only {num_found:,} of {k:,} items" if num_found else "nothing is left to recommend"
    if leaves == (FILTERS_LEAVE, 0):
        return f"{begins}: no item meets all filters"
    rest = ", and the rest is in the history, excluded or removed by a rule" if num_found < leaves.number else ""
    return f"{begins}: {leaves.what} {leaves.number:,}{rest}"


def wanted_items(
    artefact: Artefact,
    untrained: Int64,
    attributes: Attributes,
    exclude: Ids | None,
    only: Ids | None,
    filters: Mapping[str, Wanted] | None,
) -> WantedItems:
    """Return the items that may be recommended.

    artefact    the run                                   untrained  (N,) indices of items that training did not see
    attributes  the columns that filters may name         exclude    raw ids that must not be recommended, or None
    only        the only raw ids that may be recommended; None allows all
    filters     what an item must have, by column, or None

    Raises ConfigError for a filter that does not fit the columns.
    """
    if filters is not None:
        must_be("filters", filters, Mapping, "a dictionary, such as {'genre': 'Drama'}, or None")
    excluded = [] if exclude is None else listed(exclude, "exclude")
    chosen = [] if only is None else listed(only, "only")
    vocabulary = artefact.items
    # `untrained` holds padding too.
    known = Leaves(MODEL_KNOWS, len(vocabulary) + 1 - len(untrained))
    if only is None and not excluded and not filters:
        return WantedItems(Candidates(untrained), known)
    barred = np.union1d(untrained, vocabulary.indices(excluded))
    named = [*excluded, *chosen]
    ignored = tuple(raw for raw, index in zip(named, vocabulary.indices(named), strict=True) if not index)
    hints = spelling_hints(vocabulary, ignored, "item")
    allowed = None if only is None else np.unique(vocabulary.indices(chosen)).astype(np.int64)
    if not filters:
        leaves = known if allowed is None else Leaves(ONLY_NAMES, len(np.setdiff1d(allowed, untrained)))
        return WantedItems(Candidates(barred, allowed), leaves, ignored, hints)
    wanted = conditions(attributes, filters)
    meeting = np.unique(vocabulary.indices(items_that_meet(wanted))).astype(np.int64)
    allowed = meeting if allowed is None else np.intersect1d(allowed, meeting)
    leaves = Leaves(FILTERS_LEAVE, len(meeting))
    return WantedItems(Candidates(barred, allowed), leaves, ignored, (*hints, *unknown_values(wanted)))
