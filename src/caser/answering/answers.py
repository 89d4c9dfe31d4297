"""Answers: ranked items in raw ids, one per query, as objects, dictionaries, a frame or a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

import polars as pl

from caser.arrays.types import RawId
from caser.system.frames import write_frames

AnswerSource = Literal[
    "known user",
    "fold-in",
    "mean user",
    "learned anonymous user",
    "history",
    "popularity",
    "similar vectors",
    "successors",
]
"""How an answer was made. `history`: the model has no user vectors; `popularity`: nothing was known of the user.
Similar items have the most similar output vectors, or in a counting model follow the item most often."""


@dataclass(frozen=True)
class Answer:
    """The items for one query, best first.

    query    the user's raw id, None for a history without a user, or the item that the others are similar to
    scores   higher is better, no unit           titles  None if the log had none
    ignored  ids of the question (history, exclude, only) that the model does not know
    """

    query: RawId | None
    items: list[RawId]
    scores: list[float]
    titles: list[str | None] | None
    source: AnswerSource
    ignored: tuple[RawId, ...] = ()

    @property
    def notes(self) -> list[str]:
        """Sentences a reader of the answer should see."""
        return [f"ignored unknown items: {', '.join(map(str, self.ignored))}"] if self.ignored else []

    def rows(self) -> list[dict[str, Any]]:
        """`rank` from 1, `item_id`, `score`, and `title` where there are titles."""
        rows: list[dict[str, Any]] = [
            {"rank": rank, "item_id": item, "score": score}
            for rank, (item, score) in enumerate(zip(self.items, self.scores, strict=True), start=1)
        ]
        return rows if self.titles is None else [{**row, "title": t} for row, t in zip(rows, self.titles, strict=True)]


@dataclass(frozen=True)
class Recommendations(Sequence[Answer]):
    """One Answer per query, in the order of the question.

    asked  what `Answer.query` holds           item_type, query_type  types of the raw ids in a frame

    >>> answer = Answer("ann", [7, 3], [0.9, 0.4], None, "known user")
    >>> Recommendations([answer], "user_id", pl.Int64(), pl.String()).to_dicts()[0]["items"][0]
    {'rank': 1, 'item_id': 7, 'score': 0.9}
    """

    answers: list[Answer]
    asked: Literal["user_id", "similar_to"]
    item_type: pl.DataType
    query_type: pl.DataType

    @overload
    def __getitem__(self, index: int) -> Answer: ...
    @overload
    def __getitem__(self, index: slice) -> list[Answer]: ...
    def __getitem__(self, index: int | slice) -> Answer | list[Answer]:
        return self.answers[index]

    def __len__(self) -> int:
        return len(self.answers)

    def to_dicts(self) -> list[dict[str, Any]]:
        """JSON values: `user_id` or `similar_to`, `source`, `items` (rank, item_id, score, title) and `notes`."""
        return [
            {self.asked: answer.query, "source": answer.source, "items": answer.rows(), "notes": answer.notes}
            for answer in self.answers
        ]

    def to_frame(self) -> pl.DataFrame:
        """One row per recommended item: user_id or similar_to, item_id, score, rank, source, and title where there are
        titles. Where no user was named, the first column is `query`, the number of the question from 0.
        """
        by_number = self.asked == "user_id" and all(answer.query is None for answer in self.answers)
        first = "query" if by_number else self.asked
        rows = [
            {first: number if by_number else answer.query, "source": answer.source, **row}
            for number, answer in enumerate(self.answers)
            for row in answer.rows()
        ]
        titled = any(answer.titles is not None for answer in self.answers)
        schema = table_schema(first, pl.Int64() if by_number else self.query_type, self.item_type, titled=titled)
        return pl.DataFrame([_series(name, [row.get(name) for row in rows], kind) for name, kind in schema.items()])

    def write(self, path: str | Path) -> None:
        """Write `to_frame` to a .parquet or .csv file."""
        frame = self.to_frame()
        write_frames(path, [frame], frame.schema)


def table_schema(asked: str, query_type: pl.DataType, item_type: pl.DataType, *, titled: bool) -> pl.Schema:
    """Columns of every table of answers, in order.

    >>> table_schema("user_id", pl.String(), pl.Int64(), titled=False).names()
    ['user_id', 'item_id', 'score', 'rank', 'source']
    """
    schema = {asked: query_type, "item_id": item_type, "score": pl.Float64(), "rank": pl.Int32(), "source": pl.String()}
    return pl.Schema({**schema, "title": pl.String()} if titled else schema)


def _series(name: str, values: list[Any], kind: pl.DataType) -> pl.Series:
    """A column; ids in the type they had in the log, or as text if an unknown one does not fit."""
    try:
        return pl.Series(name, values, dtype=kind, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)
