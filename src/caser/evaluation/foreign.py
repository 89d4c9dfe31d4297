"""Scorers from outside: an object with a method `scores`, or a function, is judged like a model of the library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from caser.arrays.types import Int32, Scores
from caser.errors import ConfigError
from caser.models.base import Arrays


class HasScores(Protocol):
    """An object that scores, and need not know anything else of this library."""

    def scores(self, users_B: Int32, histories_BH: Int32, /) -> Scores:
        """Return the score of every item, (B, I). See `Scorer.scores`.

        users_B       (B,) int32, user indices
        histories_BH  (B, H) int32, item indices, oldest first, padded with 0 on the left
        """
        ...


Foreign: TypeAlias = HasScores | Callable[[Int32, Int32], Scores]
"""What can be judged in place of a recommender."""


class ForeignScorer:
    """A Scorer made of a function of somebody else."""

    def __init__(self, function: Callable[[Int32, Int32], Scores], history_length: int | None, name: str) -> None:
        """Keep the function.

        function        takes user indices (B,) and histories (B, H), returns scores (B, I), as `Scorer.scores` does
        history_length  how many items of a history the function takes; None for all
        name            what the report calls it
        """
        self.function, self.history_length, self.name = function, history_length, name

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Return what the function returns. See `Scorer.scores`."""
        return self.function(users_B, histories_BH)

    def arrays(self) -> Arrays:
        """Return no parameters: they stay with their owner."""
        return {}


def foreign_scorer(model: Any) -> ForeignScorer:
    """Return a scorer for what a caller gave in place of a recommender.

    model  an object with a method `scores(users_B, histories_BH)`, or a function of the same kind

    Raises ConfigError for anything else.

    >>> foreign_scorer(lambda users_B, histories_BH: histories_BH).name
    'function'
    """
    method = getattr(model, "scores", None)
    function = method if callable(method) else model
    if not callable(function) or isinstance(model, type):
        raise ConfigError(
            "recommender must be a recommender, which caser.fit and caser.load return, or a scorer: an object with "
            "scores(users_B, histories_BH), indices in and one score for every item out, or such a function; got "
            f"{_kind(model)}."
        )
    given = getattr(model, "name", None)
    own = getattr(model, "__name__", type(model).__name__)
    name = given if isinstance(given, str) else "function" if own == "<lambda>" else own
    return ForeignScorer(function, getattr(model, "history_length", None), name)


def _kind(model: Any) -> str:
    """What a value is, in a few words."""
    return f"the class {model.__name__}; make an object of it" if isinstance(model, type) else type(model).__name__
