"""The chance that a recommended item is the next one, for runs that learned it on validation.

The chance belongs to the item, not to the list: it comes from the ranking of all candidates of the run's protocol, and
is the same whatever filters, rules and `only` leave of this ranking. That ranking is exact, also where a run has an
approximate index. Items that are not among its first `calibration.DEPTH` have no chance of their own.

Shape suffixes: B questions, N places of a ranking, M results of all questions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from caser.answering.best_items import MEMORY_MB, best_items, questions_at_once
from caser.answering.questions import Question
from caser.answering.reading import Reading
from caser.arrays.types import Floats, Int64
from caser.artefact.folder import Artefact
from caser.errors import ConfigError
from caser.evaluation.calibration import DEPTH, Calibration
from caser.search.exact import Candidates

_STRANGERS = ("fold-in", "mean user", "learned anonymous user")
"""How users are answered whose vector training did not learn."""


def calibration_of(artefact: Artefact, place: str = "") -> Calibration:
    """Return what a run learned of chances. Raises ConfigError for a run that learned nothing.

    artefact  the run        place  where the question stands, for the sentence about an error, such as "questions[3]."
    """
    facts = artefact.manifest.get("calibration")
    if facts is None:
        raise ConfigError(
            f"{place}chance needs a run that learned on validation how likely its answers are; this one did not: it "
            "was trained without choosing on validation, on too few targets, or by an earlier version. Train again."
        )
    return Calibration.of(facts)


def chances_of(
    artefact: Artefact, questions: Sequence[Question], rows: Int64, items: Int64, memory_mb: int = MEMORY_MB
) -> Floats:
    """Return the chance of each result of some questions: (M,) float64, NaN where there is none.

    artefact     the run that answered
    questions    B questions
    rows, items  (M,) int64, the question of each result, and the index of the item
    memory_mb    megabytes of memory for scores

    There is none for an item after the first DEPTH of the ranking, for one that the protocol of the run does not rank,
    such as an item of the history, and where nothing is known of the user. Raises ConfigError for a run that learned no
    chances, and NumericalError for a score that is not a number.
    """
    calibration, num_items = calibration_of(artefact), len(artefact.items) + 1
    candidates = Candidates(np.flatnonzero(~artefact.knows_item))
    chances_M = np.full(len(rows), np.nan)
    size = questions_at_once(artefact, memory_mb)
    for start in range(0, len(questions), size):
        some = questions[start : start + size]
        top = best_items(artefact, some, candidates, DEPTH, memory_mb, exclude_seen=None, exact=True)
        scores_BN = np.full((len(some), DEPTH), np.nan)
        places = np.arange(len(top.rows)) - np.searchsorted(top.rows, top.rows)
        scores_BN[top.rows, places] = top.scores
        chances = calibration.chances(scores_BN)[top.rows, places]
        chances[np.array([one.source == "popularity" for one in some], dtype=bool)[top.rows]] = np.nan
        # Find each result among the ranked items of its question.
        ranked, wanted = top.rows * num_items + top.items, (rows - start) * num_items + items
        order = ranked.argsort()
        found = order[np.searchsorted(ranked, wanted, sorter=order).clip(max=len(order) - 1)] if len(order) else order
        is_there = ranked[found] == wanted if len(order) else np.zeros(len(wanted), dtype=bool)
        chances_M[is_there] = chances[found[is_there]]
    return chances_M


def chances_in(artefact: Artefact, readings: Sequence[Reading]) -> list[list[float | None]]:
    """Return the chance of each item of some answers, None where there is none.

    artefact  the run that answered        readings  the answers

    Raises as `chances_of` does.
    """
    lengths = [len(one.items) for one in readings]
    rows = np.arange(len(readings)).repeat(lengths)
    items = np.array([item for one in readings for item in one.items], dtype=np.int64)
    chances = chances_of(artefact, [one.question for one in readings], rows, items)
    told = iter([None if np.isnan(chance) else float(chance) for chance in chances])
    return [[next(told) for _ in range(length)] for length in lengths]


def about_chances(question: Question, chances: Sequence[float | None]) -> tuple[str, ...]:
    """Return the sentences that a reader of the chances of one answer should see.

    question  the question        chances  the chances of the items of its answer
    """
    if question.source == "popularity":
        return ("no chance can be told where nothing is known of the user",)
    sentences = []
    if question.source in _STRANGERS:
        sentences.append("the chances were learned on users that training knew; this user is none of them")
    if num_without := sum(chance is None for chance in chances):
        sentences.append(
            f"no chance can be told of {num_without:,} item{'s'[: num_without > 1]}: not among the first {DEPTH} of "
            "the ranking that the chances were learned on"
        )
    return tuple(sentences)
