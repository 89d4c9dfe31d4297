"""What the shuffles show, and to which models a statement is limited.

A loss is a fact of the log, whichever model shows it. No loss is a fact of the models that were judged: a model loses
nothing where it cannot read the effect. So each sentence that says that something does not matter, or matters only a
little, is limited to these models. If none of them reads the order of several items, the advice is to train one that
does; it is never to leave the order out.
"""

from __future__ import annotations

from collections.abc import Iterable

from caser.evaluation.statistics import LEAST_OWNERS, Difference
from caser.study.audit.findings import count
from caser.study.audit.order import Effects

UNREAD = "No model of this audit reads the order of several items, so what such an order is worth cannot be seen here."
"""Said if no network was judged, or one that cannot read the order."""


def losses(effects: Effects) -> tuple[Difference, Difference]:
    """Return from `effects` what the best model loses with the order of a block, and further with recency."""
    best = effects.best_model
    return effects.loss(best, 1, effects.block), effects.loss(best, effects.block, "whole")


def beats_popularity(model: str, effects: Effects) -> bool:
    """Whether a model is shown to beat popularity. Too few users show nothing.

    model    its name      effects  of the model and of popularity
    """
    return model != "popularity" and effects.gain(model).low > 0 and not too_few(effects)


def too_few(effects: Effects) -> str:
    """Return a sentence that says that `effects` has too few users to conclude anything; empty if it has enough."""
    if effects.num_owners >= LEAST_OWNERS:
        return ""
    verb = "is" if effects.num_owners == 1 else "are"
    return f"{count(effects.num_owners, effects.owner)} {verb} too few to say whether order matters."


def readers_that_learned(effects: Effects) -> list[str]:
    """Return the models of `effects` that read the order of several items and beat popularity."""
    return [reader for reader in effects.readers if beats_popularity(reader, effects)]


def reader_that_loses(effects: Effects) -> str | None:
    """Return a model of `effects` that reads the order, beats popularity and is shown to lose with the order, if any.

    Another model may be better and lose nothing. Even so, the order holds information.
    """
    for reader in readers_that_learned(effects):
        if effects.loss(reader, 1, effects.block).low > 0:
            return reader
    return None


def is_order_of_rows(effects: Effects, without: Effects | None) -> bool:
    """Whether the order is shown to matter, but no longer when events at equal times are in random order.

    effects  on the log in file order
    without  on the same log with events at equal times in random order; None if there are few such events

    The best model on the second log decides. It is false if the best model on the first log was not judged on the
    second, because then nothing is known of what that model loses there.
    """
    if without is None or effects.best_model not in without.values or not losses(effects)[0].low > 0:
        return False
    return not losses(without)[0].low > 0


def scope(effects: Effects) -> str:
    """Return the limit of what `effects` do not show: to the best model, and to those that read the order."""
    return as_far_as([effects.best_model, *readers_that_learned(effects)])


def as_far_as(models: Iterable[str]) -> str:
    """Return the limit of a sentence that says that something is not shown.

    models  the names of the models that were asked; empty if there were none

    >>> as_far_as(["markov", "count-knn", "markov"]), as_far_as([])
    (', as far as markov and count-knn can use it', '')
    """
    names = list(dict.fromkeys(models))
    if not names:
        return ""
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f", as far as {listed} can use it"


def bounded(difference: Difference) -> str:
    """Write a difference that is shown, with its interval.

    difference  of two values of a metric

    >>> bounded(Difference(0.01, 0.005, 0.015, 0.007))
    '0.0100 (95 % interval 0.0050 to 0.0150)'
    """
    return f"{difference.value:.4f} (95 % interval {difference.low:.4f} to {difference.high:.4f})"


def not_shown(difference: Difference, effects: Effects) -> str:
    """Write a difference that is not shown, and how large it would have to be.

    difference  of two values of a metric
    effects     whose users or sessions were judged
    """
    owners = count(effects.num_owners, effects.owner)
    if effects.num_owners < LEAST_OWNERS:
        return f"{difference.value:+.4f}; {owners} cannot show a difference"
    interval = f"{difference.value:+.4f}, 95 % interval {difference.low:+.4f} to {difference.high:+.4f}"
    if not difference.smallest_detectable > 0:  # every user has the same difference
        return interval
    return f"{interval}; {owners} would show one of about {difference.smallest_detectable:.4f} or more"
