"""Questions to a model: raw ids become indices, and a user that training did not know gets a vector.

A question is a user, a history, or both. Unknown ids are ignored and reported, never refused. Nothing here ranks.

Shape suffixes: B questions, I catalogue + padding, N some items, D state width, E width of user vectors.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from sys import getsizeof
from typing import Literal, get_args

import numpy as np

from caser.answering.answers import AnswerSource
from caser.answering.asked import listed
from caser.answering.fold_in import UserPrior, fold_in
from caser.arrays.ragged import pad_left
from caser.arrays.types import Int32, Int64, RawId, Scores
from caser.artefact.folder import Artefact
from caser.data.id_text import in_words, plain
from caser.data.log import Vocabulary
from caser.errors import ConfigError, did_you_mean
from caser.models.base import Scorer, StateScorer
from caser.search.exact import ScoresOf
from caser.system.kinds import must_be

UnknownUsers = Literal["auto", "mean", "fold-in", "learned"]
"""What replaces the vector of a user that training did not know: the mean of all users' vectors, a vector fitted to the
history (fold-in), or the anonymous vector that training with user dropout learned. `auto` is fold-in."""


_WAYS = get_args(UnknownUsers)
_ID = RawId | np.generic | None

MOST_HINTS = 10
"""About how many unknown ids of a question there may be a hint."""


@dataclass(frozen=True, eq=False)
class Question:
    """One question, in indices.

    raw      the user's raw id, or None
    user     the user's index; 0 if training did not know the user
    history  item indices, oldest first, (H,) int32
    ignored  raw ids of the history that training did not know
    source   how the question is answered
    vector   the vector that replaces the user's own, (E,) floats; None if the user's own is used, or if there is none
    """

    raw: RawId | None
    user: int
    history: Int32
    ignored: tuple[RawId, ...]
    source: AnswerSource
    vector: Scores | None

    @property
    def num_bytes(self) -> int:
        """About how much memory this takes, without the ids."""
        return 500 + self.history.nbytes + getsizeof(self.ignored) + (0 if self.vector is None else self.vector.nbytes)


def make_question(
    artefact: Artefact,
    user: RawId | None,
    history: Iterable[RawId] | None,
    prior: UserPrior | None,
    unknown_users: UnknownUsers = "auto",
) -> Question:
    """Translate a user, a history or both into a question.

    artefact       the model that will answer
    user           a raw id, or None
    history        raw ids of items, oldest first; None takes the user's stored history
    prior          the distribution of the user vectors; None for a model without user vectors
    unknown_users  what replaces the vector of a user that training did not know

    Raises ConfigError for a user that is no id, and, for known users too, if `unknown_users` is misspelt, or if it is
    "learned" and the run learned no such vector.
    """
    if unknown_users not in _WAYS:
        hint = did_you_mean(str(unknown_users), _WAYS)
        raise ConfigError(f"unknown_users must be one of the ways to answer; got {unknown_users!r}: {hint}")
    if unknown_users == "learned" and artefact.manifest["anonymous_user"] != "learned":
        raise ConfigError("unknown_users='learned' needs a run trained with user_dropout above 0; this one was not.")
    must_be("user", user, _ID, "one raw id, or None")
    user = None if user is None else plain(user, "user")
    # The user: the index, which is 0 for an unknown user or none, and the raw id as the log has it.
    [user_index] = [0] if user is None else artefact.users.lookup([user])
    raw = artefact.users.raw([user_index])[0] if user_index else user
    # The history in indices. Items that training did not know are left out: those that the log does not hold, which
    # have index 0, and those that only the part for judging holds.
    raw_items = None if history is None else listed(history, "history", is_ordered=True)
    given = artefact.histories.sequence(user_index) if raw_items is None else artefact.items.lookup(raw_items)
    item_indices = np.asarray(given, dtype=np.int32)
    is_known = artefact.knows_item[item_indices]
    known_history = item_indices[is_known]
    ignored: tuple[RawId, ...] = ()
    if len(known_history) < len(item_indices):
        named = artefact.items.raw(item_indices) if raw_items is None else raw_items
        ignored = tuple(raw for raw, knows in zip(named, is_known.tolist(), strict=True) if not knows)
    # How to answer. A user of the log without an interaction in the training part is unknown too, because nothing
    # trained that user's vector. So is a known user with an empty history, if the model has no user vectors.
    if artefact.trained.lengths[user_index] and (len(known_history) or prior is not None):
        return Question(raw, user_index, known_history, ignored, "known user", None)
    return Question(raw, 0, known_history, ignored, *_for_unknown_user(artefact, known_history, prior, unknown_users))


def spelling_hints(vocabulary: Vocabulary, ids: Iterable[RawId], kind: str) -> tuple[str, ...]:
    """Return a sentence about each id that the log does not hold, if it holds one that is spelled alike.

    vocabulary  the ids of the log        ids  any ids; of unknown ones, the first MOST_HINTS are looked at
    kind        what they identify, for the sentence: "user" or "item"

    >>> import polars as pl
    >>> spelling_hints(Vocabulary(pl.Series(["007", "008"])), ["7", "008", "9"], "item")
    ('item 7 is not in the log; did you mean 007?',)
    """
    unknown = itertools.islice((raw for raw in ids if not vocabulary.lookup([raw])[0]), MOST_HINTS)
    meant = ((raw, vocabulary.spelled_alike(raw)) for raw in unknown)
    return tuple(
        f"{kind} {in_words(raw)} is not in the log; did you mean {in_words(alike)}?"
        for raw, alike in meant
        if alike is not None
    )


def hints_about(artefact: Artefact, question: Question) -> tuple[str, ...]:
    """Return sentences about ids of a question that were probably meant: those that are spelled alike.

    artefact  the model that answers        question  the question

    There is one about the user only if nothing else is known of the user.
    """
    hints = spelling_hints(artefact.items, question.ignored, "item") if question.ignored else ()
    if question.source != "popularity" or question.raw is None:
        return hints
    return (*spelling_hints(artefact.users, [question.raw], "user"), *hints)


def scores_of(artefact: Artefact, questions: Sequence[Question]) -> ScoresOf:
    """Return a function that gives the scores of any items for every question.

    artefact   the model that answers
    questions  B questions

    The function takes N item indices, or a slice of the catalogue. It returns new floats (B, N), which the caller may
    change.
    """
    popular = [row for row, question in enumerate(questions) if question.source == "popularity"]
    state_scorer = artefact.state_scorer
    if state_scorer is None:
        model_scores = _scores_at_once(artefact, questions)
    else:
        model_scores = _scores_from_states(state_scorer, questions)

    def scores(items: slice | Int64) -> Scores:
        scores_BN = model_scores(items)
        if popular:
            scores_BN[popular] = artefact.trained.item_counts[items]
        return scores_BN

    return scores


def catalogue_scores(artefact: Artefact, users_B: Int32, histories_BH: Int32) -> Scores:
    """Return the scores of the whole catalogue, floats (B, I).

    artefact      the model that answers
    users_B       (B,) int32, user indices, 0 for an unknown user
    histories_BH  (B, H) int32, item indices, oldest first, padded with 0 on the left

    Raises ConfigError if the model returns another shape: its columns would be the scores of other items.
    """
    scores_BI = artefact.scorer.scores(users_B, histories_BH)
    wanted = (len(users_B), artefact.histories.num_items + 1)
    if np.shape(scores_BI) != wanted:
        raise ConfigError(
            "the scores of a model must have a row per question and a column per item (column 0 is padding), "
            f"shape {wanted}; got shape {np.shape(scores_BI)} from {artefact.config.name}. "
            "Correct the `scores` of the model."
        )
    return scores_BI


def inputs_of(scorer: Scorer, questions: Sequence[Question]) -> tuple[Int32, Int32]:
    """Return the users (B,) and the histories (B, H), left-padded with 0, as a scorer takes them.

    scorer     a model
    questions  B questions
    """
    width = scorer.history_length or max((len(question.history) for question in questions), default=1)
    users_B = np.array([question.user for question in questions], dtype=np.int32)
    return users_B, pad_left([question.history[-width:] for question in questions], width)


def states_of(scorer: StateScorer, questions: Sequence[Question]) -> Scores:
    """Return the state of every question, floats (B, D).

    scorer     a model whose scores are `state . vector + bias`
    questions  B questions
    """
    users_B, histories_BH = inputs_of(scorer, questions)
    replaced = [(row, question.vector) for row, question in enumerate(questions) if question.vector is not None]
    vectors_UE = scorer.user_vectors() if replaced else None
    if vectors_UE is None:
        return scorer.states(users_B, histories_BH)
    users_BE = vectors_UE[users_B]
    for row, vector in replaced:
        users_BE[row] = vector
    return scorer.states(users_BE, histories_BH)


def _scores_from_states(scorer: StateScorer, questions: Sequence[Question]) -> ScoresOf:
    """Scores of the wanted items only, as products of states and item vectors."""
    states_BD = states_of(scorer, questions)
    vectors_ID, bias_I = scorer.item_vectors()

    def scores(items: slice | Int64) -> Scores:
        scores_BN = states_BD @ vectors_ID[items].T
        scores_BN += bias_I[items]
        return scores_BN

    return scores


def _scores_at_once(artefact: Artefact, questions: Sequence[Question]) -> ScoresOf:
    """Scores of the whole catalogue, computed once, from which the wanted items are taken."""
    scores_BI = catalogue_scores(artefact, *inputs_of(artefact.scorer, questions))
    return lambda items: np.array(scores_BI[:, items])


def _for_unknown_user(
    artefact: Artefact, history: Int32, prior: UserPrior | None, unknown_users: UnknownUsers
) -> tuple[AnswerSource, Scores | None]:
    """How a user that training did not know is answered, and the vector that replaces the missing one."""
    if len(history) == 0:
        return "popularity", None
    if prior is None or artefact.state_scorer is None:
        return "history", None
    if unknown_users == "mean":
        return "mean user", prior.mean
    if unknown_users != "learned":
        return "fold-in", fold_in(artefact.state_scorer, history, prior)
    # No vector is replaced: row 0 of the user vectors is the learned one.
    return "learned anonymous user", None
