"""The best items for a block of questions, within a given amount of memory: with an approximate index or exactly.

Shape suffixes: B questions, I catalogue + padding, D state width, N some items.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from typing import TypeVar, cast

import numpy as np
import polars as pl

from caser.answering.answers import AnswerSource
from caser.answering.questions import Question, catalogue_scores, inputs_of, scores_of, states_of
from caser.arrays.types import Int64, RawId, Scores
from caser.artefact.folder import Artefact
from caser.errors import ConfigError, NumericalError
from caser.models.base import SparseScorer
from caser.models.settings import CountingSettings
from caser.search.exact import Candidates, NotFiniteError, ScoresOf, TopK, find_top_k
from caser.search.products import find_positive_top_k, loop_pays

MEMORY_MB = 16
"""Memory for scores, in megabytes."""

_BYTES_PER_SCORE = 24
"""Bytes for a score, for a copy of it, and for selecting the best."""

_MOST_QUESTIONS = 512
"""Most questions that are answered at once."""


Block = TypeVar("Block", list[Question], list[tuple[RawId | None, Iterable[RawId] | None]], pl.Series)
"""Questions that are answered at once: in indices, as pairs of (user, history), or as raw ids of users."""


def blocks_of(questions: Block, artefact: Artefact, memory_mb: int) -> Iterator[Block]:
    """Return slices of the questions. The scores of one slice fit into the memory.

    questions  any number of them       artefact  the model that answers       memory_mb  megabytes of memory for scores
    """
    size = questions_at_once(artefact, memory_mb)
    return (questions[start : start + size] for start in range(0, len(questions), size))


def questions_at_once(artefact: Artefact, memory_mb: int, *, every_score: bool = False) -> int:
    """Return how many questions can be answered at once, at least 1. Raises ConfigError for less than a megabyte.

    artefact     the model that answers
    memory_mb    megabytes of memory for scores
    every_score  whether the scores of the whole catalogue are needed, where the best items could do without
    """
    most = _most_scores(memory_mb)
    # From item vectors or sparse matrices, the best are found without holding the scores of the whole catalogue.
    is_quick = artefact.state_scorer is not None or (not every_score and _is_sparse(artefact, _MOST_QUESTIONS))
    return max(1, min(_MOST_QUESTIONS, most) if is_quick else most // _num_items(artefact))


def best_items(
    artefact: Artefact,
    questions: Sequence[Question],
    candidates: Candidates,
    k: int,
    memory_mb: int = MEMORY_MB,
    *,
    exclude_seen: bool | None,
    boosts: Sequence[Scores | None] = (),
    exact: bool = False,
) -> TopK:
    """Find the best `k` candidates for each question.

    artefact      the model that answers
    questions     B questions, no more than `questions_at_once`
    candidates    the items that may be recommended
    k             the number of items for a question
    memory_mb     megabytes of memory for scores
    exclude_seen  whether to leave out the items of the history; None follows the run's protocol
    boosts        what is added to the score of each item, (I,) floats, or None, for each question; () for none
    exact         whether to leave an approximate index unused

    Raises NumericalError for a score that is not a number, and ConfigError for `k` below 1.
    """
    with_seen = exclude_seen or (exclude_seen is None and artefact.manifest["seen"] == "remove")
    if with_seen or any(len(question.rejected) for question in questions):
        candidates = candidates.without([question.left_out(with_seen=with_seen) for question in questions])
    search = _exact_search if exact else _search
    try:
        return search(artefact, questions, candidates, k, memory_mb, boosts or [None] * len(questions))
    except NotFiniteError as error:
        user = questions[error.row].raw
        remedy = "Fit" if isinstance(artefact.config, CountingSettings) else "Train"
        raise NumericalError(
            f"scores must be numbers; got NaN or infinity for user {user!r}. {remedy} the model again."
        ) from None


def most_similar(artefact: Artefact, index: int, candidates: Candidates, k: int) -> tuple[TopK, AnswerSource]:
    """Find the `k` candidates that are most similar to one item, and say how.

    artefact    the model that answers
    index       the index of the item
    candidates  the items that may be in the answer
    k           the number of items
    """
    similarities, source = _similarities(artefact, index)
    return find_top_k(similarities, 1, _num_items(artefact), k, candidates, _most_scores(MEMORY_MB)), source


def _search(
    artefact: Artefact,
    questions: Sequence[Question],
    candidates: Candidates,
    k: int,
    memory_mb: int,
    boosts: Sequence[Scores | None],
) -> TopK:
    """Search the quick way if there is one, and exactly where there is none or where it finds fewer than `k`."""
    top = _quick_search(artefact, questions, candidates, k) if candidates.chosen is None else None
    if top is None:
        return _exact_search(artefact, questions, candidates, k, memory_mb, boosts)
    # A question about popularity is not for the model, and the quick ways do not know of boosts.
    is_complete_B = np.bincount(top.rows, minlength=len(questions)) == k
    is_complete_B &= [
        question.source != "popularity" and boost is None for question, boost in zip(questions, boosts, strict=True)
    ]
    # Exact search for the remaining questions.
    remaining = np.flatnonzero(~is_complete_B)
    if not len(remaining):
        return top
    rows = remaining.tolist()
    exact = _exact_search(
        artefact,
        [questions[row] for row in rows],
        candidates.of(remaining),
        k,
        memory_mb,
        [boosts[row] for row in rows],
    )
    return top.where(is_complete_B).concat(replace(exact, rows=remaining[exact.rows]))


def _quick_search(artefact: Artefact, questions: Sequence[Question], candidates: Candidates, k: int) -> TopK | None:
    """Search with the index if there is one, or among scores above 0 if the scorer is sparse; None for neither."""
    if artefact.index is not None and artefact.state_scorer is not None:
        return artefact.index.find_top_k(states_of(artefact.state_scorer, questions), k, candidates)
    if _is_sparse(artefact, len(questions)):
        scorer = cast(SparseScorer, artefact.scorer)
        return find_positive_top_k(*scorer.factors(*inputs_of(scorer, questions)), k, candidates)
    return None


def _exact_search(
    artefact: Artefact,
    questions: Sequence[Question],
    candidates: Candidates,
    k: int,
    memory_mb: int,
    boosts: Sequence[Scores | None],
) -> TopK:
    """Search the scores of the whole catalogue, for as many questions at once as fit into the memory."""
    size = questions_at_once(artefact, memory_mb, every_score=True)
    if len(questions) <= size:
        scores = _boosted(scores_of(artefact, questions), boosts)
        return find_top_k(scores, len(questions), _num_items(artefact), k, candidates, _most_scores(memory_mb))
    tops = []
    for start in range(0, len(questions), size):
        rows = np.arange(start, min(start + size, len(questions)))
        some = slice(start, start + size)
        top = _exact_search(artefact, questions[some], candidates.of(rows), k, memory_mb, boosts[some])
        tops.append(replace(top, rows=rows[top.rows]))
    return reduce(TopK.concat, tops)


def _is_sparse(artefact: Artefact, num_questions: int) -> bool:
    """Whether the best items of so many questions are found from sparse matrices. The cheap test comes first."""
    return loop_pays(num_questions, _num_items(artefact)) and isinstance(artefact.scorer, SparseScorer)


def _boosted(scores_of: ScoresOf, boosts: Sequence[Scores | None]) -> ScoresOf:
    """The same scores with the boosts of each question added, in float64: an amount may be large."""
    rows_of: dict[int, tuple[Scores, list[int]]] = {}
    for row, boosts_I in enumerate(boosts):
        if boosts_I is not None:
            rows_of.setdefault(id(boosts_I), (boosts_I, []))[1].append(row)
    if not rows_of:
        return scores_of

    def scores(items: slice | Int64) -> Scores:
        scores_BN = scores_of(items).astype(np.float64)
        for boosts_I, rows in rows_of.values():
            scores_BN[rows] += boosts_I[items]
        return scores_BN

    return scores


def _similarities(artefact: Artefact, index: int) -> tuple[ScoresOf, AnswerSource]:
    """A function that gives the similarity of any items to the item of `index`, and the kind of similarity."""
    scorer = artefact.state_scorer
    if scorer is None:
        alone = np.array([[index]], dtype=np.int32)
        scores_1I = catalogue_scores(artefact, np.zeros(1, dtype=np.int32), alone)
        return (lambda items: np.array(scores_1I[:, items])), "successors"
    vectors_ID, _ = scorer.item_vectors()
    state_1D = vectors_ID[[index]] / np.linalg.norm(vectors_ID[index]).clip(min=1e-12)

    def cosines(items: slice | Int64) -> Scores:
        lengths_N = np.linalg.norm(vectors_ID[items], axis=1).clip(min=1e-12)
        cosines_1N: Scores = (state_1D @ vectors_ID[items].T) / lengths_N
        return cosines_1N

    return cosines, "similar vectors"


def _num_items(artefact: Artefact) -> int:
    """I, the number of items with padding."""
    return artefact.histories.num_items + 1


def _most_scores(memory_mb: int) -> int:
    """How many scores fit into the memory at once."""
    if memory_mb < 1:
        raise ConfigError(f"memory for answering must be at least 1 megabyte; got {memory_mb}.")
    return memory_mb * 2**20 // _BYTES_PER_SCORE
