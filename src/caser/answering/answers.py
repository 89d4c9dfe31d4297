"""Answers: ranked items in raw ids, one per query, as objects, dictionaries, a frame or a file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

import polars as pl

from caser.arrays.types import RawId
from caser.data.id_text import MAX_JSON_INTEGER, in_words, json_id, kind_of, written
from caser.system.frames import table_ending, write_frames

REPLAY_HEADER = "caser-replay"
"""The HTTP header of questions whose answers nobody sees: they do not belong into the log of answers."""

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
"""How an answer was made.

    known user              from the user's own vector, or from the history of a user that training knew
    fold-in                 from a vector that was fitted to the history of an unknown user
    mean user               from the mean of all user vectors
    learned anonymous user  from the anonymous vector that training with user dropout learned
    history                 from the history alone, by a model without user vectors
    popularity              by popularity, because there is neither a user vector nor a history with a known item
    similar vectors         by the similarity of output vectors
    successors              by the scores after a history of one item, in a model without item vectors
"""


@dataclass(frozen=True)
class Answer:
    """The items for one query, best first.

    query    the user's raw id, None for a history without a user, or the item that the others are similar to
    items    raw ids
    scores   one score per item; higher is better, without a unit
    titles   one title per item, None for an item without one; None if the log has no titles
    source   how the answer was made
    ignored  ids of the question (history, exclude, only) that the model does not know
    remarks  sentences about ids that were probably meant, about filtered values that no item has, and about why there
             are fewer items than were asked for
    chances  the chance of each item that it is the next one, 0 to 1, None where it cannot be told; None if nobody asked
    """

    query: RawId | None
    items: list[RawId]
    scores: list[float]
    titles: list[str | None] | None
    source: AnswerSource
    ignored: tuple[RawId, ...] = ()
    remarks: tuple[str, ...] = ()
    chances: list[float | None] | None = None

    @property
    def notes(self) -> list[str]:
        """Sentences that a reader of the answer should see."""
        return [*_about_ignored(self.ignored), *self.remarks]

    def rows(self) -> list[dict[str, Any]]:
        """Return one dictionary per item: `rank` from 1, `item_id`, `score`, `chance` if it was asked for, and `title`
        if the log has titles.
        """
        rows: list[dict[str, Any]] = [
            {"rank": rank, "item_id": item, "score": score}
            for rank, (item, score) in enumerate(zip(self.items, self.scores, strict=True), start=1)
        ]
        for name, values in (("chance", self.chances), ("title", self.titles)):
            if values is not None:
                rows = [{**row, name: value} for row, value in zip(rows, values, strict=True)]
        return rows


@dataclass(frozen=True)
class WrittenAnswers:
    """What was written to a file for every user of a log.

    num_users  how many users were answered
    k          how many items were asked for
    num_short  how many users have fewer items than that
    ignored    ids of `exclude` and `only` that the model does not know
    hints      sentences about filtered values that no item has, and about ids that were probably meant
    """

    num_users: int
    k: int
    num_short: int
    ignored: tuple[RawId, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """Sentences that a reader of the file should see.

        >>> WrittenAnswers(943, 10, 2).notes
        ['2 of 943 users have fewer than 10 items: all others are in their history, excluded or removed by a filter']
        """
        short = (
            f"{self.num_short:,} of {self.num_users:,} users have fewer than {self.k:,} items: all others are in their "
            "history, excluded or removed by a filter"
        )
        return [*_about_ignored(self.ignored), *self.hints, *([short] if self.num_short else [])]


@dataclass(frozen=True)
class Recommendations(Sequence[Answer]):
    """One Answer per query, in the order of the queries.

    answers     the answers
    asked       the name of what `Answer.query` holds
    item_type   the type of the items' raw ids in a frame
    query_type  the type of the queries' raw ids in a frame

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
        """Return JSON values: `user_id` or `similar_to`, `source`, `items` (rank, item_id, score, title), `notes`.

        An id that not every reader of JSON keeps exact, such as one beyond 2^53, is text (see `id_text.json_id`).
        """
        return [
            {
                self.asked: None if answer.query is None else json_id(answer.query),
                "source": answer.source,
                "items": [{**row, "item_id": json_id(row["item_id"])} for row in answer.rows()],
                "notes": answer.notes,
            }
            for answer in self.answers
        ]

    def _repr_html_(self) -> str:
        """Show the answers in a notebook, as their table."""
        return str(self.to_frame()._repr_html_())

    def to_frame(self) -> pl.DataFrame:
        """Return one row per recommended item.

        The columns are `user_id` or `similar_to`, `item_id`, `score`, `rank`, `source`, `chance` if it was asked for,
        and `title` if the log has titles. Where no user was named, the first column is `query`, the number of the query
        from 0.
        """
        by_number = self.asked == "user_id" and all(answer.query is None for answer in self.answers)
        first = "query" if by_number else self.asked
        rows = [
            {first: number if by_number else answer.query, "source": answer.source, **row}
            for number, answer in enumerate(self.answers)
            for row in answer.rows()
        ]
        has_titles = any(answer.titles is not None for answer in self.answers)
        tells = any(answer.chances is not None for answer in self.answers)
        types = pl.Int64() if by_number else self.query_type, self.item_type
        schema = table_schema(first, *types, titled=has_titles, with_chance=tells)
        return pl.DataFrame([_column(name, [row.get(name) for row in rows], dtype) for name, dtype in schema.items()])

    def write(self, path: str | Path, *, csv_safe: bool = False) -> None:
        """Write the rows of `to_frame` to a file.

        path      the file, with an ending of `frames.SINKS`, such as .parquet or .csv
        csv_safe  put a `'` before text that a spreadsheet would calculate, such as the title "=1+1"; for .csv and .tsv

        Ids that the file would not keep exact are text in it (`id_column`). Raises ConfigError for another ending,
        ArtefactError if the file cannot be written.
        """
        frame = self.to_frame()
        frame = frame.with_columns(id_column(frame.to_series(0), path), id_column(frame["item_id"], path))
        write_frames(path, [frame], frame.schema, csv_safe=csv_safe)


def _about_ignored(ids: Sequence[RawId]) -> list[str]:
    return [f"ignored unknown items: {', '.join(map(in_words, ids))}"] if ids else []


def table_schema(
    asked: str, query_type: pl.DataType, item_type: pl.DataType, *, titled: bool, with_chance: bool = False
) -> pl.Schema:
    """Return the columns of every table of answers, in order.

    asked        the name of the first column, which holds the queries
    query_type   the type of the queries
    item_type    the type of the items' raw ids
    titled       whether there is a column of titles
    with_chance  whether there is a column of chances

    >>> table_schema("user_id", pl.String(), pl.Int64(), titled=False).names()
    ['user_id', 'item_id', 'score', 'rank', 'source']
    """
    schema = {asked: query_type, "item_id": item_type, "score": pl.Float64(), "rank": pl.Int32(), "source": pl.String()}
    schema |= {"chance": pl.Float64()} if with_chance else {}
    return pl.Schema({**schema, "title": pl.String()} if titled else schema)


def id_column(ids: pl.Series, path: str | Path | None) -> pl.Series:
    """Return a column of ids as a file or a database holds them, so that every reader gets the ids of the log.

    ids   the column
    path  the file. Parquet keeps every type; CSV holds floats as `id_text.written` gives them; JSON lines hold whole
          numbers up to 2^53, and text. None: a database, which holds whole numbers up to 2^63, floats, and text

    >>> id_column(pl.Series([7, 2**60]), "answers.jsonl").to_list()
    ['7', '1152921504606846976']
    """
    if path is None and ids.dtype.is_integer() and ids.dtype != pl.UInt64:
        return ids.cast(pl.Int64)
    ending = ".parquet" if path is None and ids.dtype.is_float() else table_ending(path or "database.jsonl")
    is_delimited = ending.startswith((".csv", ".tsv"))
    if ending == ".parquet" or ids.dtype == pl.String or (ids.dtype.is_integer() and is_delimited):
        return ids
    distinct = ids.unique()
    known = [raw for raw in distinct.to_list() if raw is not None]
    if ids.dtype.is_integer() and all(abs(raw) <= MAX_JSON_INTEGER for raw in known):
        return ids
    texts = [None if raw is None else written(raw) for raw in distinct.to_list()]
    return ids.replace_strict(distinct, texts, return_dtype=pl.String)


def _column(name: str, values: list[Any], dtype: pl.DataType) -> pl.Series:
    """A column. Ids have the type that they have in the log, or are text if an unknown id does not fit that type."""
    kind = kind_of(dtype)  # compared here, because polars would take an unknown 7 for the 7.0 of a log of floats
    if all(value is None or type(value) is kind for value in values):
        with suppress(TypeError, pl.exceptions.PolarsError):  # a number that is too large for the type
            return pl.Series(name, values, dtype=dtype, strict=True)
    return pl.Series(name, [None if value is None else written(value) for value in values], dtype=pl.String)
