"""The ranks of targets in the answers of a run, where no order of equal scores favours one of two runs.

A run orders items of equal scores by their place in its vocabulary. Two runs have two vocabularies, so of two runs with
the same scores one may look better by luck. Here items of equal scores are in a random order, which depends on nothing
but the question and the items: it is the same for every run.

An answer from an approximate index is ranked as it is: nobody knows what else has the score of its last item.

Shape suffixes: B questions of one block, I catalogue + padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from caser.answering.best_items import MEMORY_MB
from caser.answering.questions import scores_of
from caser.answering.recommender import Recommender
from caser.arrays.types import Scores
from caser.data.id_text import written
from caser.study.raw_questions import RawQuestions

_BYTES_PER_SCORE = 24


def fair_ranks(run: Recommender, questions: RawQuestions, answers: Sequence[Sequence[str]]) -> list[list[float]]:
    """Return the rank of each target, from 1, question by question; inf for a target that cannot be recommended.

    run        a recommender
    questions  what is asked
    answers    what the run recommends, written as text; they count where the run answers from an approximate index
    """
    if run.artefact.index is not None:
        return [_places(answer, some) for answer, some in zip(answers, questions.targets, strict=True)]
    targets = [run.artefact.items.indices(some).tolist() for some in questions.targets]
    keys_I = _keys(run)
    ranks: list[list[float]] = []
    for scores_BI in _scores(run, questions):
        for scores_I in scores_BI:
            question = len(ranks)
            ranks.append([_rank(scores_I, keys_I, target, question) for target in targets[question]])
    return ranks


def _scores(run: Recommender, questions: RawQuestions) -> Iterator[Scores]:
    """The scores of all items for each question, (B, I) block by block; -inf for what an answer cannot have."""
    artefact = run.artefact
    num_items, removes_seen = len(artefact.items) + 1, artefact.manifest["seen"] == "remove"
    size = max(1, MEMORY_MB * 2**20 // (_BYTES_PER_SCORE * num_items))
    candidates = run.wanted(run.compiled(None, None), None, None).candidates
    for start in range(0, len(questions), size):
        users = questions.owners if questions.are_known else [None] * len(questions)
        pairs = zip(users[start : start + size], questions.histories[start : start + size], strict=True)
        block = [run.question(user, history) for user, history in pairs]
        some = candidates.without([one.history for one in block]) if removes_seen else candidates
        scores_BI = scores_of(artefact, block)(slice(0, num_items))
        some.bar(scores_BI, 0)
        scores_BI[:, 0] = -np.inf
        yield scores_BI


def _rank(scores_I: Scores, keys_I: NDArray[np.uint64], target: int, question: int) -> float:
    """1 + the number of items with a higher score + the number of those with the same score that come before it."""
    score = scores_I[target]
    if not target or score == -np.inf:
        return np.inf
    tied = np.flatnonzero(scores_I == score)
    order = _mixed(keys_I[tied], question)
    own = order[np.searchsorted(tied, target)]
    return float(1 + np.count_nonzero(scores_I > score) + np.count_nonzero(order < own))


def _keys(run: Recommender) -> NDArray[np.uint64]:
    """A random number of each item, (I,), which depends on nothing but how its id is written."""
    digests = b"".join(blake2b(written(raw).encode(), digest_size=8).digest() for raw in run.artefact.items.ids)
    return np.concatenate([np.zeros(1, dtype=np.uint64), np.frombuffer(digests, dtype="<u8").astype(np.uint64)])


def _mixed(keys: NDArray[np.uint64], question: int) -> NDArray[np.uint64]:
    """Other random numbers for each question: one step of SplitMix64 (Steele, Lea and Flood 2014) from `question`."""
    mixed = keys + np.uint64((question * 0x9E3779B97F4A7C15) % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return result


def _places(answer: Sequence[str], targets: Sequence[str]) -> list[float]:
    place_of = {item: float(place) for place, item in enumerate(answer, start=1)}
    return [place_of.get(target, np.inf) for target in targets]
