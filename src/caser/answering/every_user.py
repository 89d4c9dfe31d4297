"""The answers for every user of a log, or for some blocks of the users, as frames for a file.

The rows of a block do not depend on which other blocks are answered, so parts of the users can be answered anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np
import polars as pl

from caser.answering.answers import WrittenAnswers, id_column, table_schema
from caser.answering.asked import Ids
from caser.answering.best_items import MEMORY_MB, blocks_of, questions_at_once
from caser.answering.chances import calibration_of, chances_of
from caser.answering.questions import UnknownUsers
from caser.answering.reading import best_wanted
from caser.answering.rules import Rules
from caser.data.attributes import Wanted
from caser.search.exact import check_k
from caser.system.mapped import release

if TYPE_CHECKING:
    from caser.answering.recommender import Recommender


class AnswerOptions(TypedDict, total=False):
    """What may be asked of answers, whomever they are for; `Recommender.recommend` says what each means."""

    k: int
    exclude: Ids | None
    only: Ids | None
    filters: Mapping[str, Wanted] | None
    rules: Rules | None
    exclude_seen: bool | None
    unknown_users: UnknownUsers
    chance: bool


class EveryUser:
    """The questions of all users of a log, in their order, and the answers.

    block_size  how many users are answered at once
    schema      the columns of the answers
    num_short   how many users had fewer than `k` items so far
    """

    def __init__(
        self,
        recommender: Recommender,
        path: str | Path | None,
        memory_mb: int = MEMORY_MB,
        **options: Unpack[AnswerOptions],
    ) -> None:
        """Check what is asked. Raises ConfigError as `Recommender.recommend_all` does.

        recommender  the model        path  the file of the answers, whose ending decides how ids are written;
                            None for a database
        memory_mb, options  as for `Recommender.recommend_all`
        """
        k = options.get("k", 10)
        check_k(k)
        artefact = recommender.artefact
        self._recommender, self._k = recommender, k
        self._exclude_seen = options.get("exclude_seen")
        self._unknown_users = options.get("unknown_users", "auto")
        self._tells_chance = options.get("chance", False)
        if self._tells_chance:
            calibration_of(artefact)  # refuses a run without one before the first answer
        self._user_ids, self._item_ids = (id_column(one.ids, path) for one in (artefact.users, artefact.items))
        rules = recommender.compiled(options.get("filters"), options.get("rules"))
        self._wanted = recommender.wanted(rules, options.get("exclude"), options.get("only"))
        self._wanted.refuse_none()
        self._memory_mb = memory_mb
        self.block_size = questions_at_once(artefact, memory_mb)
        titled = artefact.titles is not None
        types = self._user_ids.dtype, self._item_ids.dtype
        self.schema = table_schema("user_id", *types, titled=titled, with_chance=self._tells_chance)
        self.num_short = 0

    def __len__(self) -> int:
        return len(self._user_ids)

    def frames(self, first: int = 0, end: int | None = None) -> Iterator[pl.DataFrame]:
        """Answer users, and yield the rows of one block after another.

        first, end  which users, from 0: a multiple of `block_size`, and the one after the last; all by default

        Raises NumericalError when the model gives a score that is not a number.
        """
        artefact, titles = self._recommender.artefact, self._recommender.artefact.titles
        start = first
        for block in blocks_of(artefact.users.ids[first:end], artefact, self._memory_mb):
            questions = [self._recommender.question(user, None, self._unknown_users) for user in block]
            top = best_wanted(
                artefact, questions, self._wanted, self._k, self._memory_mb, exclude_seen=self._exclude_seen
            )
            release(artefact.histories.items)
            rows = top.rows
            self.num_short += int((np.bincount(rows, minlength=len(block)) < self._k).sum())
            columns = {
                "user_id": self._user_ids.gather(start + rows),
                "item_id": self._item_ids.gather(top.items - 1),
                "score": top.scores,
                # The place of a row among all rows, less the number of rows of earlier users.
                "rank": np.arange(1, len(rows) + 1) - np.searchsorted(rows, rows),
                "source": pl.Series([question.source for question in questions]).gather(rows),
            }
            if self._tells_chance:
                chances = chances_of(artefact, questions, rows, top.items, self._memory_mb)
                columns["chance"] = pl.Series(chances, nan_to_null=True)
            columns |= {} if titles is None else {"title": titles.gather(top.items - 1)}
            start += len(block)
            yield pl.DataFrame(columns, schema=self.schema)

    def written(self, num_short: int) -> WrittenAnswers:
        """Return what a person should know of the file.

        num_short  how many users have fewer than `k` items
        """
        return WrittenAnswers(len(self), self._k, num_short, self._wanted.ignored, self._wanted.hints)
