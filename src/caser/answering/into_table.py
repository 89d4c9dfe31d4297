"""The answers for every user of a log, written into a table of a database in one transaction."""

from __future__ import annotations

from typing import Unpack

from caser.answering.answers import WrittenAnswers
from caser.answering.best_items import MEMORY_MB
from caser.answering.every_user import AnswerOptions, EveryUser
from caser.answering.recommender import Recommender
from caser.system.database import Database, write_table
from caser.system.kinds import must_be


def recommend_into_table(
    recommender: Recommender,
    connection: str,
    table: str,
    *,
    replace: bool = False,
    memory_mb: int = MEMORY_MB,
    **options: Unpack[AnswerOptions],
) -> WrittenAnswers:
    """Recommend for every user of the log, and write the answers into a table of a database.

    recommender  a fitted model
    connection   the database: postgresql://user@host/name, sqlite:///FILE or duckdb:///FILE. A password belongs into
                 ~/.pgpass or PGPASSWORD; a file that does not exist is made
    table        the name of the table, in small letters; its columns are those of `Recommendations.to_frame`
    replace      whether the rows of a table that exists are replaced. It must have these columns, and keeps its rights,
                 indexes and views
    memory_mb    megabytes of memory for scores, however many users there are
    options      k, exclude, only, filters, rules, exclude_seen, unknown_users and chance, as for `recommend`

    All happens in one transaction: a reader of the table sees the rows from before or all the new ones, and what fails
    leaves it as it was. Returns what `Recommender.recommend_all` returns. Raises ConfigError for a table that exists,
    unless it is replaced, or that has other columns, and for what `recommend_all` refuses; ArtefactError if the
    database cannot be reached or refuses; MissingDependencyError without the extra `sql`; NumericalError when the model
    gives a score that is not a number. No sentence shows a password.

    >>> import tempfile
    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> from caser.fitting.fit import fit
    >>> from caser.models.counting.markov import Markov
    >>> recommender = fit(Markov(), leave_one_out(chain_world(num_users=20, num_items=6, length=9, seed=0).log))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     recommend_into_table(recommender, f"sqlite:///{folder}/shop.db", "answers", k=2).num_users
    20
    """
    must_be("recommender", recommender, Recommender, "a fitted model", "Make one with caser.fit or caser.load.")
    for name, value in (("connection", connection), ("table", table)):
        must_be(name, value, str, "text")
    database = Database.of(connection)
    every = EveryUser(recommender, None, memory_mb, **options)
    write_table(database, table, every.frames(), every.schema, replace=replace)
    return every.written(every.num_short)
