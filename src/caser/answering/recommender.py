"""The recommender: raw ids in, ranked raw ids out, for users that training knew and for users that it did not.

Candidates are the items that the model was trained on, so padding is never among them. Among equal scores the lowest
index comes first. A recommendation does not fail for an unknown id: each answer says how it was made and which ids it
ignored. Nothing here trains, and a model that was loaded needs no torch.

Shape suffixes: B questions of one block, I catalogue + padding, D state width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np

from caser.answering.answers import Answer, AnswerSource, Recommendations, WrittenAnswers
from caser.answering.asked import Histories, Ids, listed, pair
from caser.answering.best_items import MEMORY_MB, blocks_of, most_similar
from caser.answering.chances import about_chances, chances_in
from caser.answering.diversity import check_similarity
from caser.answering.every_user import AnswerOptions, EveryUser
from caser.answering.fold_in import UserPrior
from caser.answering.questions import Question, UnknownUsers, hints_about, make_question, states_of
from caser.answering.reading import Reading, read
from caser.answering.rules import CompiledRules, Rules, compiled
from caser.answering.wanted_items import WantedItems, wanted_items
from caser.arrays.types import Int64, RawId, Scores
from caser.artefact.folder import Artefact
from caser.artefact.folder import load as load_artefact
from caser.artefact.folder import save as save_artefact
from caser.data.attributes import Attributes, Wanted
from caser.data.id_text import in_words, plain
from caser.errors import ConfigError, UnknownIdError
from caser.search.cells import Index
from caser.search.cells import build as build_index
from caser.search.exact import Candidates, check_k
from caser.system.frames import write_frames
from caser.system.kinds import must_be

if TYPE_CHECKING:
    from caser.data.item_table import ItemSource, ItemTable

__all__ = ["MEMORY_MB", "Recommender", "load"]

_MAX_INDEX_QUERIES = 1000
"""The largest number of users whose questions tune an approximate index and measure its recall."""


class Recommender:
    """A trained model that answers in raw ids. `caser.fit` makes one, and `load` reads one back.

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> from caser.fitting.fit import fit
    >>> from caser.models.counting.markov import Markov
    >>> recommender = fit(Markov(), leave_one_out(chain_world(num_users=20, num_items=6, length=9, seed=0).log))
    >>> answer = recommender.recommend(histories=[[3, "never seen"]], k=2)[0]
    >>> len(answer.items), answer.source, answer.ignored
    (2, 'history', ('never seen',))
    """

    def __init__(self, artefact: Artefact, items: ItemTable | None = None) -> None:
        """Answer from an artefact.

        artefact  the fitted model with its vocabularies and histories
        items     attributes of its items, for filters; `with_items` reads them

        Raises ConfigError for what is no artefact.
        """
        must_be("artefact", artefact, Artefact, "an artefact; caser.load(RUN) reads a saved one and answers from it")
        self.artefact = artefact
        self.items = items
        self._untrained = np.flatnonzero(~artefact.knows_item)

    def __repr__(self) -> str:
        return repr(self.artefact).replace("Artefact", "Recommender", 1)

    def with_items(self, source: ItemSource) -> Recommender:
        """Return the same recommender with a table of items: answers show its titles, and filters use its columns.

        source  a file in any format that a log may have, or a polars frame: a column of item ids, called as in a log;
                optionally a column of titles, called title or name; and any other columns

        A title of the table replaces that of the run. `items.notes` holds sentences about what was guessed, and about
        rows and items that do not match. Raises DataError for a table that cannot be read, that names no item of the
        run, or that has two rows which say different things about one item.
        """
        # The readers of tables take a tenth of the time in which this file is imported; most answers need none.
        from caser.data.item_table import combined, read_items

        table = read_items(source, self.artefact.items, self.artefact.manifest["log"].get("reading"))
        return Recommender(replace(self.artefact, titles=combined(self.artefact.titles, table.titles)), table)

    @property
    def attributes(self) -> Attributes:
        """The columns of the table of items that filters may name; empty without a table."""
        return {} if self.items is None else self.items.attributes

    def recommend(
        self,
        users: Ids | None = None,
        histories: Histories | None = None,
        *,
        k: int = 10,
        exclude: Ids | None = None,
        only: Ids | None = None,
        filters: Mapping[str, Wanted] | None = None,
        rules: Rules | None = None,
        exclude_seen: bool | None = None,
        unknown_users: UnknownUsers = "auto",
        chance: bool = False,
    ) -> Recommendations:
        """Recommend for users with their stored histories, for histories without a user, or for both in pairs.

        users          raw ids, one or many: a list, an array or one column of a table. An id is the text that it is
                       written as, so "7" is the user 7, and "007" is another one (see `data/id_text.py`)
        histories      raw ids of items, oldest first, one history or many; with `users`, one history per user, which
                       replaces the stored history of that user
        k              the number of items in an answer
        exclude        items that must not be recommended; None for none
        only           the only items that may be recommended; None allows all
        filters        what an item must have, by column of the table of `with_items`: a value, several values of which
                       it must have one, or a range such as {"min": 10, "max": 50}
        rules          `without`, `at_most`, `boosts` and `diversity`, such as {"at_most": {"genre": 2}}; the same as
                       over HTTP, see docs/rules.md
        exclude_seen   whether to leave out the items of the history; None follows the run's protocol
        unknown_users  what replaces the vector of a user that training did not know
        chance         whether to tell of each item the chance that it is the next one, as validation taught it; see
                       docs/models.md

        Returns one answer per question, in the order of the questions. An answer has fewer than `k` items when there
        are fewer candidates: its notes say why, and name filtered values that no item has and ids that were probably
        meant. Raises ConfigError for `k` below 1, for users and histories that do not pair up, for a filter or a
        rule that does not fit the table, and for `chance` of a run that learned none; and NumericalError when the model
        gives a score that is not a number.
        """
        check_k(k)
        wanted = self.wanted(self.compiled(filters, rules), exclude, only)
        answers: list[Answer] = []
        for block in blocks_of(pair(users, histories), self.artefact, MEMORY_MB):
            questions = [self.question(user, history, unknown_users) for user, history in block]
            answers += self._answers(questions, wanted, exclude_seen, k, chance)
        return Recommendations(answers, "user_id", self.artefact.items.ids.dtype, self.artefact.users.ids.dtype)

    def recommend_all(
        self, path: str | Path, *, memory_mb: int = MEMORY_MB, csv_safe: bool = False, **options: Unpack[AnswerOptions]
    ) -> WrittenAnswers:
        """Recommend for every user of the log, and write the answers to a file.

        path       the file, such as recs.parquet or recs.csv; its columns are those of `Recommendations.to_frame`
        memory_mb  megabytes of memory for scores, however many users there are
        csv_safe   put a `'` before text that a spreadsheet would calculate; for .csv and .tsv
        options    k, exclude, only, filters, rules, exclude_seen, unknown_users and chance, as for `recommend`

        Returns how many users were answered, how many of them with fewer than `k` items, and the ids of `exclude` and
        `only` that the model does not know. Raises ConfigError for `k` or `memory_mb`
        below 1, for a file of another kind, and for filters that no item meets; ArtefactError if the file cannot be
        written, and NumericalError when the model gives a score that is not a number.
        """
        every = EveryUser(self, path, memory_mb, **options)
        write_frames(path, every.frames(), every.schema, csv_safe=csv_safe)
        return every.written(every.num_short)

    def similar(self, items: Ids, *, k: int = 10) -> Recommendations:
        """Find the items that are most similar to each of the given items; the item itself is left out.

        items  raw ids, one or many
        k      the number of items in an answer

        For a model with item vectors, the similarity is the cosine of two item vectors: two items are similar when the
        model recommends them in similar situations. For any other model, it is the score that an item gets after a
        history that holds only the given item. Raises UnknownIdError for an item that the model was not trained on, and
        ConfigError for `k` below 1.
        """
        check_k(k)
        answers, kind = [], self.artefact.items.ids.dtype
        for raw in listed(items, "items", is_ordered=True):
            index = self.trained_item(raw)
            top, source = most_similar(self.artefact, index, Candidates(np.union1d(self._untrained, index)), k)
            answers.append(self._answer(self.artefact.items.raw([index])[0], top.items, top.scores, source))
        return Recommendations(answers, "similar_to", kind, kind)

    def save(self, path: str | Path) -> None:
        """Write the model as a folder. A saved run that is already there is replaced.

        path  the folder

        Raises ArtefactError if `path` holds anything else or cannot be written, and ConfigError for a model that is not
        registered; what was there stays.
        """
        save_artefact(self.artefact, path)

    def indexed(self, recall: float = 0.95) -> Recommender:
        """Return the same recommender with an approximate index, for catalogues above 100,000 items.

        recall  the share of the exact top 10 that an answer holds on average

        The index is saved with the model. Answers still obey `exclude`, `exclude_seen` and `k`; with `only` they are
        exact. Raises ConfigError and MissingDependencyError as `new_index` does.
        """
        return Recommender(replace(self.artefact, index=self.new_index(recall)), self.items)

    def new_index(self, recall: float = 0.95) -> Index:
        """Build an approximate index of the items, and measure it on users of the log.

        recall  the share of the exact top 10 that an answer holds on average

        Raises ConfigError for a model without item vectors or for a recall that is not between 0 and 1, and
        MissingDependencyError without the extra `ann`.
        """
        scorer, lengths = self.artefact.state_scorer, self.artefact.trained.lengths
        if scorer is None:
            raise ConfigError(f"an index needs a model with item vectors; {self.artefact.config.name} has none.")
        users = np.flatnonzero(lengths)
        sample = users[np.linspace(0, len(users) - 1, min(_MAX_INDEX_QUERIES, len(users))).astype(int)]
        questions = [self.question(raw) for raw in self.artefact.users.raw(sample)]
        return build_index(*scorer.item_vectors(), self.artefact.knows_item, states_of(scorer, questions), recall)

    def title(self, item: RawId) -> str | None:
        """Return the title of an item; None for an unknown item, or one without a title.

        item  a raw id
        """
        (index,) = self.artefact.items.lookup([item])
        return None if self._titles is None or not index else self._titles[index - 1]

    def question(
        self, user: RawId | None = None, history: Iterable[RawId] | None = None, unknown_users: UnknownUsers = "auto"
    ) -> Question:
        """Translate one question into indices.

        user           a raw id, or None
        history        raw ids of items, oldest first; None takes the user's stored history
        unknown_users  what replaces the vector of a user that training did not know

        Raises ConfigError if `unknown_users` is misspelt, or if it is "learned" and the run learned no such vector.
        """
        return make_question(self.artefact, user, history, self.user_prior, unknown_users)

    def trained_item(self, raw: RawId) -> int:
        """Return the index of an item.

        raw  the item's raw id

        Raises UnknownIdError if the model was not trained on it, and ConfigError for what is no id, such as a list.
        """
        must_be("item", raw, RawId | np.generic, "one raw id", "Ask about one item at a time.")
        index = self.artefact.items.index(plain(raw, "item"), "item")
        if not self.artefact.knows_item[index]:
            raise UnknownIdError(
                f"item must be one the model was trained on; {in_words(raw)} has no interaction in the training part."
            )
        return index

    @cached_property
    def user_prior(self) -> UserPrior | None:
        """The distribution of user vectors, for fold-in of unknown users; None for a model without user vectors."""
        scorer = self.artefact.state_scorer
        vectors = None if scorer is None else scorer.user_vectors()
        return None if vectors is None else UserPrior.of(vectors, self.artefact.trained.lengths)

    @cached_property
    def _titles(self) -> list[str | None] | None:
        return None if self.artefact.titles is None else self.artefact.titles.to_list()

    def compiled(
        self, filters: Mapping[str, Wanted] | None, rules: Rules | None = None, place: str = ""
    ) -> CompiledRules:
        """Compile filters and rules against the table of items.

        filters, rules  as for `recommend`        place  where they are written, for the sentence about an error

        Raises ConfigError for a filter or a rule that does not fit the table, and if items should differ and nothing
        tells how similar they are.
        """
        found = compiled(self.attributes, filters, rules, place)
        check_similarity(self.artefact, self.attributes, found.diversity, place)
        return found

    def wanted(
        self, rules: CompiledRules, exclude: Ids | None, only: Ids | None, *, listed_for: int = 0
    ) -> WantedItems:
        """Return the items that an answer may have: those of `only`, without `exclude`, that the rules allow.

        rules          from `compiled`        exclude, only  as for `recommend`
        listed_for     the number of items of an answer that also lists what was removed; 0 where nothing is listed
        """
        artefact = self.artefact
        return wanted_items(artefact, self.attributes, self._untrained, rules, exclude, only, listed_for=listed_for)

    def _answers(
        self, questions: Sequence[Question], wanted: WantedItems, exclude_seen: bool | None, k: int, chance: bool
    ) -> Iterator[Answer]:
        """Answer a block of questions."""
        readings = [Reading(question, wanted, k, exclude_seen) for question in questions]
        read(self.artefact, readings)
        all_chances = chances_in(self.artefact, readings) if chance else [None] * len(readings)
        for one, chances in zip(readings, all_chances, strict=True):
            ignored, few = (*one.question.ignored, *wanted.ignored), one.remarks
            remarks = (*hints_about(self.artefact, one.question), *few)
            if chances is not None:
                remarks = (*remarks, *about_chances(one.question, chances))
            items, scores = np.array(one.items, dtype=np.int64), np.array(one.scores)
            yield self._answer(one.question.raw, items, scores, one.question.source, ignored, remarks, chances)

    def _answer(
        self,
        raw: RawId | None,
        items: Int64,
        scores: Scores,
        source: AnswerSource,
        ignored: tuple[RawId, ...] = (),
        remarks: tuple[str, ...] = (),
        chances: list[float | None] | None = None,
    ) -> Answer:
        titles = None if self._titles is None else [self._titles[item - 1] for item in items.tolist()]
        return Answer(raw, self.artefact.items.raw(items), scores.tolist(), titles, source, ignored, remarks, chances)


def load(path: str | Path) -> Recommender:
    """Read a recommender back from the folder that `Recommender.save` wrote. Needs no torch.

    path  the folder

    Raises ArtefactError naming the file that is missing, damaged, foreign or newer than this library, and for a run of
    a model that this program has not registered; ConfigError for what is no path.
    """
    return Recommender(load_artefact(path))
