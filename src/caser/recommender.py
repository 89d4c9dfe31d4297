"""The recommender: raw ids in, ranked raw ids out, for users that training knew and for those it did not.

Candidates are the items the model was trained on, so padding never is one. Among equal scores the lowest index comes
first. An id that nobody knows is no error in a question about what to recommend: each answer says how it was made and
what it ignored. Will not train, and needs no torch for a model that was loaded.

Shape suffixes: B questions of one block, I catalogue + padding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from caser import artefact as artefacts
from caser import questions
from caser.answers import Answer, Recommendations, Source, table_schema, write_frames
from caser.artefact import Artefact
from caser.data.log import Int64, RawId
from caser.errors import ConfigError, NumericalError, UnknownIdError
from caser.fold_in import UserPrior
from caser.models.base import Scores, StateScorer
from caser.questions import Histories, Ids, Question, UnknownUsers

_SCORES_PER_BLOCK = 2**21


class Recommender:
    """A trained model that answers. `caser.fit` makes one, and `load` reads one back.

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> from caser.fitting import fit
    >>> from caser.models.markov import Markov
    >>> recommender = fit(Markov(), leave_one_out(chain_world(num_users=20, num_items=6, length=9, seed=0).log))
    >>> answer = recommender.recommend(histories=[[3, "never seen"]], k=2)[0]
    >>> len(answer.items), answer.source, answer.ignored
    (2, 'history', ('never seen',))
    """

    def __init__(self, artefact: Artefact) -> None:
        self.artefact = artefact
        self._is_trained = artefact.histories.item_counts > 0

    def recommend(
        self,
        users: Ids | None = None,
        histories: Histories | None = None,
        *,
        k: int = 10,
        exclude: Ids = (),
        only: Ids | None = None,
        exclude_seen: bool | None = None,
        unknown_users: UnknownUsers = "auto",
    ) -> Recommendations:
        """Recommend for users with their stored histories, for histories without a user, or for users with histories.

        users, histories  one or many; given both, they are paired, and a history takes the place of the stored one
        exclude, only     items that must not be recommended; the only ones that may be
        exclude_seen      leave out the items of the history; None does as the run's protocol
        unknown_users     what stands for a user vector that training did not learn

        An answer has fewer than `k` items when there are fewer candidates. Raises ConfigError for `k` below 1 or for
        questions that do not pair up, NumericalError when the model gives a score that is not a number.
        """
        candidates, ignored = self._candidates(exclude, only)
        answers = []
        for block in _blocks(questions.pair(users, histories), len(candidates)):
            asked = [self.question(user, history, unknown_users) for user, history in block]
            rows, items, scores = self._ranked(asked, candidates, exclude_seen, k)
            bounds = np.searchsorted(rows, np.arange(len(asked) + 1))
            for one, start, end in zip(asked, bounds[:-1], bounds[1:], strict=True):
                unknown = (*one.ignored, *ignored)
                answers.append(self._answer(one.raw, items[start:end], scores[start:end], one.source, unknown))
        return Recommendations(answers, "user_id", self.artefact.items.ids.dtype, self.artefact.users.ids.dtype)

    def recommend_all(
        self,
        path: str | Path,
        *,
        k: int = 10,
        exclude: Ids = (),
        only: Ids | None = None,
        exclude_seen: bool | None = None,
        unknown_users: UnknownUsers = "auto",
    ) -> tuple[RawId, ...]:
        """Recommend for every user of the log into a .parquet or .csv file.

        Columns are those of `Recommendations.to_frame`. Memory does not grow with the number of users. Returns the ids
        of `exclude` and `only` that nobody knows.
        """
        users, items, titles = self.artefact.users.ids, self.artefact.items.ids, self.artefact.titles
        candidates, ignored = self._candidates(exclude, only)

        def frames() -> Iterator[pl.DataFrame]:
            for block in _blocks(users, len(candidates)):
                asked = [self.question(user, None, unknown_users) for user in block]
                rows, found, scores = self._ranked(asked, candidates, exclude_seen, k)
                columns = {
                    "user_id": block.gather(rows),
                    "item_id": items.gather(found - 1),
                    "score": scores,
                    "rank": np.arange(1, len(rows) + 1) - np.searchsorted(rows, rows),
                    "source": pl.Series([one.source for one in asked]).gather(rows),
                }
                if titles is not None:
                    columns["title"] = titles.gather(found - 1)
                yield pl.DataFrame(columns, schema=schema)

        schema = table_schema("user_id", users.dtype, items.dtype, titled=titles is not None)
        write_frames(path, frames(), schema)
        return ignored

    def similar(self, items: Ids, *, k: int = 10) -> Recommendations:
        """The items most like each of `items`, the item itself left out.

        For a model with item vectors: cosine of the output vectors, so that two items are alike when they are
        recommended in like situations. For a counting model: its scores after a history of that item alone.

        Raises UnknownIdError for an item that the model was not trained on.
        """
        answers = []
        for raw in questions.listed(items):
            index = self.trained_item(raw)
            others = self._is_trained & (np.arange(len(self._is_trained)) != index)
            likeness_I, source = self._likeness(index)
            _, found, scores = top_k(np.where(others, likeness_I, -np.inf)[None, :], k)
            answers.append(self._answer(self.artefact.items.raw([index])[0], found, scores, source))
        kind = self.artefact.items.ids.dtype
        return Recommendations(answers, "similar_to", kind, kind)

    def save(self, path: str | Path) -> None:
        """Write the artefact as the folder `path`; see `artefact.save`."""
        artefacts.save(self.artefact, path)

    def question(
        self, user: RawId | None = None, history: Iterable[RawId] | None = None, unknown_users: UnknownUsers = "auto"
    ) -> Question:
        """One question in indices; see `questions.ask`."""
        return questions.ask(self.artefact, user, history, self._prior, unknown_users)

    def trained_item(self, raw: RawId) -> int:
        """The index of an item. Raises UnknownIdError if the model was not trained on it."""
        index = self.artefact.items.index(raw, "item")
        if not self._is_trained[index]:
            raise UnknownIdError(f"item must be one the model was trained on; {raw!r} has no interaction in that part.")
        return index

    @cached_property
    def _prior(self) -> UserPrior | None:
        scorer = self.artefact.scorer
        vectors = scorer.user_vectors() if isinstance(scorer, StateScorer) else None
        return None if vectors is None else UserPrior.of(vectors, self.artefact.histories.lengths)

    def _candidates(self, exclude: Ids, only: Ids | None) -> tuple[NDArray[np.bool_], tuple[RawId, ...]]:
        """Which items may be recommended, (I,), and the ids of `exclude` and `only` that nobody knows."""
        vocabulary = self.artefact.items
        candidates = self._is_trained.copy()
        excluded = questions.listed(exclude)
        chosen = [] if only is None else questions.listed(only)
        if only is not None:
            candidates &= np.isin(np.arange(len(candidates)), vocabulary.indices(chosen))
        candidates[vocabulary.indices(excluded)] = False
        named = [*excluded, *chosen]
        return candidates, tuple(raw for raw, index in zip(named, vocabulary.indices(named), strict=True) if not index)

    def _ranked(
        self, asked: Sequence[Question], candidates: NDArray[np.bool_], exclude_seen: bool | None, k: int
    ) -> tuple[Int64, Int64, Scores]:
        """The best candidates of a block of questions, as `top_k` gives them."""
        scores_BI = questions.scores(self.artefact, asked)
        scores_BI[:, ~candidates] = -np.inf
        if (self.artefact.manifest["seen"] == "remove") if exclude_seen is None else exclude_seen:
            for row, one in enumerate(asked):
                scores_BI[row, one.history] = -np.inf
        is_bad_B = ~(scores_BI < np.inf).all(axis=1)
        if is_bad_B.any():
            raw = asked[int(is_bad_B.argmax())].raw
            raise NumericalError(
                f"scores must be numbers; got NaN or infinity for user {raw!r}. Train the model again."
            )
        return top_k(scores_BI, k)

    def _likeness(self, index: int) -> tuple[Scores, Source]:
        """How much every item is like the one of `index`, (I,)."""
        scorer = self.artefact.scorer
        if isinstance(scorer, StateScorer):
            vectors_ID, _ = scorer.item_vectors()
            lengths_I = np.maximum(np.linalg.norm(vectors_ID, axis=1), 1e-12)
            return vectors_ID @ vectors_ID[index] / (lengths_I * lengths_I[index]), "similar vectors"
        alone = np.array([[index]], dtype=np.int32)
        return scorer.scores(np.zeros(1, dtype=np.int32), alone)[0], "successors"

    def _answer(
        self, raw: RawId | None, items: Int64, scores: Scores, source: Source, ignored: tuple[RawId, ...] = ()
    ) -> Answer:
        titles = None if self.artefact.titles is None else self.artefact.titles.gather(items - 1).to_list()
        return Answer(raw, self.artefact.items.raw(items), scores.astype(float).tolist(), titles, source, ignored)


def load(path: str | Path) -> Recommender:
    """Read a recommender back from the folder that `save` wrote; see `artefact.load` for what is refused."""
    return Recommender(artefacts.load(path))


def top_k(scores_BI: Scores, k: int) -> tuple[Int64, Int64, Scores]:
    """The `k` best columns of each row, all rows after one another: rows, columns, scores; best first within a row.

    Equal scores go to the lowest column. A score of -inf is no candidate. Raises ConfigError for `k` below 1.

    >>> rows, columns, scores = top_k(np.array([[1.0, 3.0, 3.0], [2.0, -np.inf, -np.inf]]), k=2)
    >>> rows.tolist(), columns.tolist()
    ([0, 0, 1], [1, 2, 0])
    """
    if not isinstance(k, int | np.integer) or k < 1:
        raise ConfigError(f"k must be a whole number, at least 1; got {k!r}.")
    num_columns = scores_BI.shape[1]
    if k < num_columns:
        threshold_B1 = np.partition(scores_BI, num_columns - k, axis=1)[:, num_columns - k, None]
        rows, columns = np.nonzero((scores_BI >= threshold_B1) & (scores_BI > -np.inf))
    else:
        rows, columns = np.nonzero(scores_BI > -np.inf)
    order = np.lexsort((columns, -scores_BI[rows, columns], rows))
    rows, columns = rows[order], columns[order]
    kept = np.arange(len(rows)) - np.searchsorted(rows, rows) < k
    return rows[kept], columns[kept], scores_BI[rows[kept], columns[kept]]


def _blocks(values: Any, num_items: int) -> Iterator[Any]:
    """Slices small enough that their scores fit a fixed amount of memory."""
    size = max(1, _SCORES_PER_BLOCK // num_items)
    return (values[start : start + size] for start in range(0, len(values), size))
