"""The facts of a split that settings depend on where a caller leaves them open."""

from __future__ import annotations

from caser.data.split import Split
from caser.evaluation import protocols
from caser.models.facts import LogFacts


def facts_of(split: Split) -> LogFacts:
    """Return the facts of a split that defaults depend on. They come from `fit` and `validation`, not from `test`.

    split  the split that a model will be fitted on

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> facts_of(leave_one_out(chain_world(num_users=4, num_items=6, length=5, seed=0).log)).mean_length
    3.0
    """
    asked = split.validation
    return LogFacts(
        num_users=int((split.fit.lengths > 0).sum()),
        num_items=split.log.num_items,
        num_interactions=len(split.fit),
        targets_per_query=len(asked.targets) / len(asked) if len(asked) else 1.0,
        anonymous=protocols.protocol_named(split.name).anonymous,
    )
