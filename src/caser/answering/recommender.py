"""The recommender: raw ids in, ranked raw ids out, for users that training knew and for those it did not.

Candidates are the items the model was trained on, so padding never is one. Among equal scores the lowest index comes
first. An id that nobody knows is no error in a question about what to recommend: each answer says how it was made and
what it ignored. Will not train, and needs no torch for a model that was loaded.

Shape suffixes: B questions of one block, I catalogue + padding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from caser.answering import questions
from caser.answering.answers import Answer, AnswerSource, Recommendations, table_schema
from caser.answering.fold_in import UserPrior
from caser.answering.questions import Histories, Ids, Question, UnknownUsers
from caser.arrays.types import Int64, RawId, Scores
from caser.artefact import folder as artefacts
from caser.artefact.folder import Artefact
from caser.errors import ConfigError, NumericalError, UnknownIdError
from caser.search import cells as nearest
from caser.search.cells import Index
from caser.search.exact import Candidates, NotFiniteError, ScoresOf, TopK, find_top_k
from caser.system.frames import write_frames

MEMORY_MB = 16
"""Memory for scores in megabytes."""

_BYTES_PER_SCORE = 24
"""A score, a copy of it, and what selecting takes."""

_INDEX_QUERIES = 1000
"""Users of the log whose answers decide how many cells of an index are looked at, and judge it."""

_MOST_QUESTIONS = 512
"""Questions that are answered at once."""


class Recommender:
    """A trained model that answers. `caser.fit` makes one, and `load` reads one back.

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> from caser.fitting.fit import fit
    >>> from caser.models.counting.markov import Markov
    >>> recommender = fit(Markov(), leave_one_out(chain_world(num_users=20, num_items=6, length=9, seed=0).log))
    >>> answer = recommender.recommend(histories=[[3, "never seen"]], k=2)[0]
    >>> len(answer.items), answer.source, answer.ignored
    (2, 'history', ('never seen',))
    """

    def __init__(self, artefact: Artefact) -> None:
        self.artefact = artefact
        self._is_trained = artefact.histories.item_counts > 0
        self._untrained = np.flatnonzero(~self._is_trained)

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
        for block in self._blocks(questions.pair(users, histories), MEMORY_MB):
            asked = [self.question(user, history, unknown_users) for user, history in block]
            found = self._ranked(asked, candidates, exclude_seen, k)
            for one, places in zip(asked, found.of(len(asked)), strict=True):
                unknown = (*one.ignored, *ignored)
                answers.append(self._answer(one.raw, found.items[places], found.scores[places], one.source, unknown))
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
        memory_mb: int = MEMORY_MB,
    ) -> tuple[RawId, ...]:
        """Recommend for every user of the log into a .parquet or .csv file.

        Columns are those of `Recommendations.to_frame`. Memory beyond the model's own is about `memory_mb` megabytes,
        however many users there are. Returns the ids of `exclude` and `only` that nobody knows.
        """
        users, items, titles = self.artefact.users.ids, self.artefact.items.ids, self.artefact.titles
        candidates, ignored = self._candidates(exclude, only)

        def frames() -> Iterator[pl.DataFrame]:
            for block in self._blocks(users, memory_mb):
                asked = [self.question(user, None, unknown_users) for user in block]
                found = self._ranked(asked, candidates, exclude_seen, k, memory_mb)
                rows = found.rows
                columns = {
                    "user_id": block.gather(rows),
                    "item_id": items.gather(found.items - 1),
                    "score": found.scores,
                    "rank": np.arange(1, len(rows) + 1) - np.searchsorted(rows, rows),
                    "source": pl.Series([one.source for one in asked]).gather(rows),
                }
                if titles is not None:
                    columns["title"] = titles.gather(found.items - 1)
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
            likeness_of, source = self._likeness(index)
            others = Candidates(np.union1d(self._untrained, index))
            found = find_top_k(likeness_of, 1, len(self._is_trained), k, others, _most_scores(MEMORY_MB))
            answers.append(self._answer(self.artefact.items.raw([index])[0], found.items, found.scores, source))
        kind = self.artefact.items.ids.dtype
        return Recommendations(answers, "similar_to", kind, kind)

    def save(self, path: str | Path) -> None:
        """Write the artefact as the folder `path`; see `artefact.save`."""
        artefacts.save(self.artefact, path)

    def indexed(self, recall: float = 0.95) -> Recommender:
        """The same with an approximate index, which is saved with it: for catalogues above 100,000 items.

        `recall` is the share of the exact top 10 that answers hold; `exclude`, `exclude_seen` and `k` are kept as ever,
        and `only` is answered exactly. Raises as `new_index`.
        """
        return Recommender(replace(self.artefact, index=self.new_index(recall)))

    def new_index(self, recall: float = 0.95) -> Index:
        """An approximate index of the items, judged on users of the log.

        Raises ConfigError for a model without item vectors, MissingDependencyError without the extra `ann`.
        """
        scorer, lengths = self.artefact.state_scorer, self.artefact.histories.lengths
        if scorer is None:
            raise ConfigError(f"an index needs a model with item vectors; {self.artefact.config.name} has none.")
        users = np.flatnonzero(lengths)
        some = users[np.linspace(0, len(users) - 1, min(_INDEX_QUERIES, len(users))).astype(int)]
        asked = [self.question(raw) for raw in self.artefact.users.raw(some)]
        vectors_ID, bias_I = scorer.item_vectors()
        return nearest.build(vectors_ID, bias_I, self._is_trained, questions.states(scorer, asked), recall)

    def question(
        self, user: RawId | None = None, history: Iterable[RawId] | None = None, unknown_users: UnknownUsers = "auto"
    ) -> Question:
        """One question in indices; see `questions.ask`."""
        return questions.ask(self.artefact, user, history, self.user_prior, unknown_users)

    def trained_item(self, raw: RawId) -> int:
        """The index of an item. Raises UnknownIdError if the model was not trained on it."""
        index = self.artefact.items.index(raw, "item")
        if not self._is_trained[index]:
            raise UnknownIdError(f"item must be one the model was trained on; {raw!r} has no interaction in that part.")
        return index

    @cached_property
    def user_prior(self) -> UserPrior | None:
        """What is believed of a stranger; None for a model without user vectors."""
        scorer = self.artefact.state_scorer
        vectors = None if scorer is None else scorer.user_vectors()
        return None if vectors is None else UserPrior.of(vectors, self.artefact.histories.lengths)

    @cached_property
    def _titles(self) -> list[str | None] | None:
        return None if self.artefact.titles is None else self.artefact.titles.to_list()

    def _candidates(self, exclude: Ids, only: Ids | None) -> tuple[Candidates, tuple[RawId, ...]]:
        """Which items may be recommended, and the ids of `exclude` and `only` that nobody knows."""
        excluded = questions.listed(exclude)
        chosen = [] if only is None else questions.listed(only)
        if only is None and not excluded:
            return Candidates(self._untrained), ()
        vocabulary = self.artefact.items
        barred = np.union1d(self._untrained, vocabulary.indices(excluded))
        named = [*excluded, *chosen]
        ignored = tuple(raw for raw, index in zip(named, vocabulary.indices(named), strict=True) if not index)
        return Candidates(barred, None if only is None else np.unique(vocabulary.indices(chosen))), ignored

    def _ranked(
        self,
        asked: Sequence[Question],
        candidates: Candidates,
        exclude_seen: bool | None,
        k: int,
        memory_mb: int = MEMORY_MB,
    ) -> TopK:
        """The best candidates of a block of questions."""
        if (self.artefact.manifest["seen"] == "remove") if exclude_seen is None else exclude_seen:
            candidates = candidates.without([one.history for one in asked])
        try:
            return self._best(asked, candidates, k, _most_scores(memory_mb))
        except NotFiniteError as error:
            raise NumericalError(
                f"scores must be numbers; got NaN or infinity for user {asked[error.row].raw!r}. Train the model again."
            ) from None

    def _best(self, asked: Sequence[Question], candidates: Candidates, k: int, most_scores: int) -> TopK:
        """By the index where there is one; exactly where there is none, or where it finds fewer than `k`."""
        index, scorer, num_items = self.artefact.index, self.artefact.state_scorer, len(self._is_trained)
        if index is None or scorer is None or candidates.chosen is not None:
            scores_of = questions.scores_of(self.artefact, asked)
            return find_top_k(scores_of, len(asked), num_items, k, candidates, most_scores)
        found = index.find_top_k(questions.states(scorer, asked), k, candidates)
        is_whole_B = np.bincount(found.rows, minlength=len(asked)) == k
        is_whole_B &= [question.source != "popularity" for question in asked]
        lacking = np.flatnonzero(~is_whole_B)
        if not len(lacking):
            return found
        scores_of = questions.scores_of(self.artefact, [asked[row] for row in lacking.tolist()])
        exact = find_top_k(scores_of, len(lacking), num_items, k, candidates.of(lacking), most_scores)
        return found.where(is_whole_B).concat(replace(exact, rows=lacking[exact.rows]))

    def _blocks(self, values: Any, memory_mb: int) -> Iterator[Any]:
        """Slices of what is asked, so small that their scores fit the memory."""
        most = _most_scores(memory_mb)
        # Scores of a model with item vectors are made some items at a time; of others, for the whole catalogue at once.
        size = most // len(self._is_trained) if self.artefact.state_scorer is None else min(_MOST_QUESTIONS, most)
        size = max(1, size)
        return (values[start : start + size] for start in range(0, len(values), size))

    def _likeness(self, index: int) -> tuple[ScoresOf, AnswerSource]:
        """What says how much items are like the one of `index`."""
        scorer = self.artefact.state_scorer
        if scorer is None:
            alone = np.array([[index]], dtype=np.int32)
            scores_1I = self.artefact.scorer.scores(np.zeros(1, dtype=np.int32), alone)
            return (lambda items: np.array(scores_1I[:, items])), "successors"
        vectors_ID, _ = scorer.item_vectors()
        state_1D = vectors_ID[[index]] / np.linalg.norm(vectors_ID[index]).clip(min=1e-12)

        def cosines(items: slice | Int64) -> Scores:
            lengths_N = np.linalg.norm(vectors_ID[items], axis=1).clip(min=1e-12)
            cosines_1N: Scores = (state_1D @ vectors_ID[items].T) / lengths_N
            return cosines_1N

        return cosines, "similar vectors"

    def _answer(
        self, raw: RawId | None, items: Int64, scores: Scores, source: AnswerSource, ignored: tuple[RawId, ...] = ()
    ) -> Answer:
        titles = None if self._titles is None else [self._titles[item - 1] for item in items.tolist()]
        return Answer(raw, self.artefact.items.raw(items), scores.tolist(), titles, source, ignored)


def load(path: str | Path) -> Recommender:
    """Read a recommender back from the folder that `save` wrote; see `artefact.load` for what is refused."""
    return Recommender(artefacts.load(path))


def _most_scores(memory_mb: int) -> int:
    """How many scores may be held at once."""
    if memory_mb < 1:
        raise ConfigError(f"memory for answering must be at least 1 megabyte; got {memory_mb}.")
    return memory_mb * 2**20 // _BYTES_PER_SCORE
