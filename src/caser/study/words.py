"""The sentences of studies on differences: which row is better, by how much, and why a difference may be chance.

A reader who knows no statistics is to understand each sentence. The first sentence stands alone: a report makes it the
headline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from caser.evaluation.statistics import ENOUGH_OWNERS, LEAST_OWNERS, Difference
from caser.study.study import Study

SEVERAL = 2
"""From this number of training epochs on, a curve can be said to rise."""
LEAST_GAIN = 0.01
"""The share of its value that a network gains in the last quarter of its epochs if it is still improving."""


def concluded(study: Study, verdicts: Iterable[str], advice: Iterable[str] = ()) -> Study:
    """Return a study with its verdicts and its advice, unless it has too few users to say anything.

    study     judged, without verdicts
    verdicts  sentences on the results, the most important first
    advice    sentences on what to do

    A last verdict names the networks whose training ended while they were still improving.
    """
    if study.report.num_owners < LEAST_OWNERS:
        few = f"{_owners(study)} too few to say anything about these models."
        needed = f"Test on more {study.report.owner_word}s: at least {LEAST_OWNERS}, and better some hundreds."
        return replace(study, verdicts=(few,), advice=(needed,))
    return replace(study, verdicts=(*verdicts, *_cut_short(study)), advice=tuple(advice))


def sentence(study: Study, first: str, second: str) -> str:
    """Return sentences, without the last full stop, that compare the rows `first` and `second` of `study`.

    Raises KeyError for a label that is not in the study.
    """
    is_reference = second == study.reference
    difference = study.differences[first] if is_reference else study.report.difference(first, second, study.metric)
    return ". ".join(_compared(study, first, second, difference))


def still_improving(study: Study) -> list[str]:
    """Return the labels of the networks in `study` that were still improving when their number of epochs was used up.

    They used all epochs that their training allows, and in the last quarter of these they gained at least 1 %.
    """
    labels = []
    for label in study.report.values:
        recipe, history = study.recipe(label), study.outcome.chosen[label].choice.history
        if recipe.training is None or not SEVERAL <= len(history) == recipe.training.epochs:
            continue
        values = [float(epoch["validation"]) for epoch in history]
        last = -(-len(values) // 4)
        if max(values[-last:]) > max(values[:-last]) * (1 + LEAST_GAIN):
            labels.append(label)
    return labels


def listed(names: Iterable[str]) -> str:
    """Join names with commas, and the last two with "and".

    >>> listed(["caser", "sasrec", "fpmc"]), listed(["caser"])
    ('caser, sasrec and fpmc', 'caser')
    """
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _compared(study: Study, first: str, second: str, difference: Difference) -> Iterator[str]:
    """The sentences on one difference: the result, its interval, and what limits it."""
    report, metric, size = study.report, study.metric, f"{abs(difference.value):.4f}"
    low, high = sorted((abs(difference.low), abs(difference.high)))
    if report.num_owners < LEAST_OWNERS:
        yield f"{_owners(study)} too few to say whether {first} or {second} is better"
        return
    if difference.is_shown:
        yield f"{first} {'beats' if difference.value > 0 else 'loses to'} {second} by {size} {metric}"
        yield f"The true difference probably lies between {low:.4f} and {high:.4f} (95 % interval)"
    elif difference.low == difference.high == 0:
        yield f"{first} and {second} are equally good"
        yield f"Both have the same {metric} for each of the {report.num_owners:,} {report.owner_word}s"
    else:
        yield f"{report.num_owners:,} {report.owner_word}s show no clear difference between {first} and {second}"
        better = first if difference.value >= 0 else second
        here = f"In this test, the {metric} of {better} is higher by {size}"
        yield from _may_be_chance(difference, here, f"{report.num_owners:,} {report.owner_word}s")
    if report.num_owners < ENOUGH_OWNERS:
        yield f"Only {report.num_owners} {report.owner_word}s were tested, so these numbers are rough"


def _may_be_chance(difference: Difference, here: str, owners: str) -> Iterator[str]:
    """Why a difference is not shown: `here` begins the sentence, `owners` is how many users were tested."""
    ends = f"{difference.low:+.4f} to {difference.high:+.4f}"
    if difference.is_lost_to_correction:
        yield f"{here}, and the 95 % interval of the difference ({ends}) does not contain 0"
        yield (
            f"But this study makes {difference.family} comparisons, and among so many, some look clear by chance alone"
        )
        yield "After Holm's correction, which allows for that, this difference may be chance"
        return
    yield f"{here}, but that may be chance: the 95 % interval of the difference ({ends}) contains 0"
    if difference.smallest_detectable > 0:
        size = f"{difference.smallest_detectable:.4f}"
        yield f"With {owners}, only a difference of about {size} or more would show in most tests (4 of 5)"


def _owners(study: Study) -> str:
    number, word = study.report.num_owners, study.report.owner_word
    return f"{number} {word} is" if number == 1 else f"{number} {word}s are"


def _cut_short(study: Study) -> Iterator[str]:
    """A sentence on networks that were still improving when they ended."""
    labels = still_improving(study)
    if not labels:
        return
    epochs = sorted({len(study.outcome.chosen[label].choice.history) for label in labels})
    after = f"after {listed(map(str, epochs))} epochs" if len(epochs) < 3 else "after the last of their epochs"
    they, were = ("its", "was") if len(labels) == 1 else ("their", "were")
    yield (
        f"{listed(labels)} {were} still improving when training ended {after}, the most that this study allows: with "
        f"more epochs, {they} result may be better."
    )
