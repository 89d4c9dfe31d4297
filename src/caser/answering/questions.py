"""Questions to a model: raw ids made into indices, and what stands for a user whom training did not know.

A question is a user, a history, or both. Ids that nobody knows are set aside, never refused. Will not rank.

Shape suffixes: B questions, I catalogue + padding, N some items, D state width, E width of user vectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from caser.answering.answers import AnswerSource
from caser.answering.fold_in import UserPrior, fold_in
from caser.arrays.ragged import pad_left
from caser.arrays.types import Int32, Int64, RawId, Scores
from caser.artefact.folder import Artefact
from caser.errors import ConfigError, did_you_mean
from caser.models.base import Scorer, StateScorer
from caser.search.exact import ScoresOf

Ids = RawId | Iterable[RawId]
"""One raw id or many."""

Histories = Iterable[RawId] | Iterable[Iterable[RawId]]
"""One history, oldest item first, or many."""

UnknownUsers = Literal["auto", "mean", "fold-in", "learned"]
"""What stands for the vector of a user whom training did not know: the mean of all users, one fitted to the history, or
the anonymous one that training with user dropout learned. `auto` is fold-in."""


_PLAIN = {str, int, float, bool}


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked, in indices.

    raw      the user's raw id, or None            user     their index, 0 if training did not know them
    history  item indices, oldest first            ignored  raw ids of the history that nobody knows
    source   how the question is answered          vector   (E,) what stands for the user's own vector, or None
    """

    raw: RawId | None
    user: int
    history: Int32
    ignored: tuple[RawId, ...]
    source: AnswerSource
    vector: Scores | None


def ask(
    artefact: Artefact,
    user: RawId | None,
    history: Iterable[RawId] | None,
    prior: UserPrior | None,
    unknown_users: UnknownUsers = "auto",
) -> Question:
    """Make a question of a user, a history or both; without a history, the user's stored one.

    `prior` is what `fold_in.UserPrior` says of the users, None for a model without user vectors. Raises ConfigError for
    `unknown_users` that is misspelt, or that the run did not learn, also where the user is known.
    """
    if unknown_users not in get_args(UnknownUsers):
        hint = did_you_mean(str(unknown_users), get_args(UnknownUsers))
        raise ConfigError(f"unknown_users must be one of the ways to answer; got {unknown_users!r}: {hint}")
    if unknown_users == "learned" and artefact.manifest["anonymous_user"] != "learned":
        raise ConfigError("unknown_users='learned' needs a run trained with user_dropout above 0; this one was not.")
    [index] = [0] if user is None else artefact.users.lookup([user])
    raw = artefact.users.raw([index])[0] if index else user
    given = [] if history is None else listed(history)
    read = artefact.items.lookup(given)
    ignored = () if all(read) else tuple(one for one, found in zip(given, read, strict=True) if not found)
    if history is None:
        indices = artefact.histories.sequence(index)
    else:
        indices = np.array([found for found in read if found], dtype=np.int32)
    if artefact.histories.lengths[index]:
        return Question(raw, index, indices, ignored, "known user", None)
    # From here on also users of the log in whom the training part has no interaction: nothing trained their vector.
    return Question(raw, 0, indices, ignored, *_stand_in(artefact, indices, prior, unknown_users))


def scores_of(artefact: Artefact, questions: Sequence[Question]) -> ScoresOf:
    """What gives the scores of any items for every question: (B, N), each block the caller's to change."""
    popular = [row for row, question in enumerate(questions) if question.source == "popularity"]
    by_state = artefact.state_scorer
    blocks = _whole(artefact.scorer, questions) if by_state is None else _products(by_state, questions)

    def scores(items: slice | Int64) -> Scores:
        scores_BN = blocks(items)
        if popular:
            scores_BN[popular] = artefact.histories.item_counts[items]
        return scores_BN

    return scores


def states(scorer: StateScorer, questions: Sequence[Question]) -> Scores:
    """The state of every question, (B, D)."""
    users_B, histories_BH = _read(scorer, questions)
    vectors = [(row, question.vector) for row, question in enumerate(questions) if question.vector is not None]
    known_UE = scorer.user_vectors() if vectors else None
    if known_UE is None:
        return scorer.states(users_B, histories_BH)
    users_BE = known_UE[users_B]
    for row, vector in vectors:
        users_BE[row] = vector
    return scorer.states(users_BE, histories_BH)


def pair(users: Ids | None, histories: Histories | None) -> list[tuple[RawId | None, Iterable[RawId] | None]]:
    """One (user, history) per question, None for what was not given. Raises ConfigError if they do not pair up.

    >>> pair(["ann", "bob"], None), pair(None, ["tea", "milk"])
    ([('ann', None), ('bob', None)], [(None, ['tea', 'milk'])])
    """
    if users is None and histories is None:
        raise ConfigError("a question needs users, histories or both; got neither.")
    who = None if users is None else listed(users)
    what = None if histories is None else _histories(histories)
    if who is None:
        return [(None, history) for history in what or []]
    if what is None:
        return [(user, None) for user in who]
    if len(who) != len(what):
        raise ConfigError(f"users and histories must pair up; got {len(who)} users and {len(what)} histories.")
    return list(zip(who, what, strict=True))


def listed(ids: Any) -> list[RawId]:
    """One raw id or many, as a list of plain Python values. Raises ConfigError for what cannot be an id.

    >>> listed("tea"), listed(np.array([3, 4]))
    (['tea'], [3, 4])
    """
    values = list(ids) if isinstance(ids, Iterable) and not isinstance(ids, str) else [ids]
    return [value if type(value) in _PLAIN else _plain(value) for value in values]


def _plain(value: Any) -> RawId:
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, RawId):
        raise ConfigError(f"an id must be text or a number; got {value!r}, a {type(value).__name__}.")
    return value


def _products(scorer: StateScorer, questions: Sequence[Question]) -> ScoresOf:
    states_BD = states(scorer, questions)
    vectors_ID, bias_I = scorer.item_vectors()

    def scores(items: slice | Int64) -> Scores:
        scores_BN = states_BD @ vectors_ID[items].T
        scores_BN += bias_I[items]
        return scores_BN

    return scores


def _whole(scorer: Scorer, questions: Sequence[Question]) -> ScoresOf:
    scores_BI = scorer.scores(*_read(scorer, questions))
    return lambda items: np.array(scores_BI[:, items])


def _read(scorer: Scorer, questions: Sequence[Question]) -> tuple[Int32, Int32]:
    """Users (B,) and histories (B, H), as scorers take them."""
    width = scorer.history_length or max((len(question.history) for question in questions), default=1)
    users_B = np.array([question.user for question in questions], dtype=np.int32)
    return users_B, pad_left([question.history[-width:] for question in questions], width)


def _histories(histories: Any) -> list[list[RawId]]:
    if isinstance(histories, RawId | np.generic):
        raise ConfigError(f"a history must be a list of ids; got {histories!r}. Put it in a list.")
    each = list(histories)
    is_one = bool(each) and all(isinstance(one, RawId | np.generic) for one in each)
    return [listed(each)] if is_one else [_history(one) for one in each]


def _history(history: Any) -> list[RawId]:
    if isinstance(history, RawId) or not isinstance(history, Iterable):
        raise ConfigError(f"each history must be a list of ids; got {history!r} among the histories.")
    return listed(history)


def _stand_in(
    artefact: Artefact, history: Int32, prior: UserPrior | None, unknown_users: UnknownUsers
) -> tuple[AnswerSource, Scores | None]:
    """How a user whom training did not know is answered, and the vector that stands for theirs."""
    if len(history) == 0:
        return "popularity", None
    if prior is None or artefact.state_scorer is None:
        return "history", None
    if unknown_users == "mean":
        return "mean user", prior.mean
    if unknown_users != "learned":
        return "fold-in", fold_in(artefact.state_scorer, history, prior)
    return "learned anonymous user", None
