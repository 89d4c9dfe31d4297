"""TREC files: targets and ranked lists as text that other evaluation tools read and score on their own.

    qrels.txt     query 0 item 1                          every target
    <model>.run   query Q0 item rank score model          the ranked list of every query, to a depth
    facts.json    what `protocols.describe` says of them

A query is the raw id of its user or session, followed by `/2`, `/3` and so on where that has several. Ids and names are
percent-encoded, because a blank would end them: `urllib.parse.unquote` gives them back. As the tools go by the score
and break ties in ways of their own, the score is the rank with its sign turned, and lists are in the protocol's order:
where ties count against a target it comes after them. Only targets of one query that tie with each other have a worse
rank in our tables than in a list.

Assumes fitted scorers, as `judge.py` does. Metrics that read the full ranking need a depth of the whole catalogue.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import numpy as np
import polars as pl

from caser.arrays.offsets import places_of
from caser.arrays.types import Int32, RawId
from caser.data.queries import Queries
from caser.data.split import Split
from caser.errors import ConfigError, DataError
from caser.evaluation.protocols import Part, Protocol, RankingRules, describe, parts, resolve
from caser.evaluation.ranking import MEMORY_MB, ScoreBlock, candidate_scores
from caser.models.base import Scorer
from caser.system.storage import replacing, write_file

DEPTH = 1000
"""How long a list is at most, unless asked otherwise: TREC's custom."""


def write_trec(
    folder: str | Path,
    split: Split,
    scorers: Mapping[str, Scorer],
    part: Part = "test",
    protocol: str | Protocol | None = None,
    depth: int = DEPTH,
    memory_mb: int = MEMORY_MB,
) -> None:
    """Write qrels.txt, a run file per scorer and facts.json into a folder, one block of queries at a time.

    Raises ConfigError for a depth below 1, DataError for an empty raw id, ArtefactError if a file cannot be written.

    >>> import tempfile
    >>> from caser.data.synthetic import chain_world
    >>> from caser.evaluation.judge import counting_baselines
    >>> from caser.evaluation.protocols import apply
    >>> split = apply("leave-one-out", chain_world(num_users=40, num_items=6, length=9, seed=0).log)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_trec(folder, split, counting_baselines(split), depth=2)
    ...     print(*sorted(path.name for path in Path(folder).iterdir()))
    count-knn.run facts.json markov.run popularity.run qrels.txt
    """
    if depth < 1:
        raise ConfigError(f"the depth of ranked lists must be at least 1; got {depth}.")
    folder, queries = Path(folder), parts(split, part)[1]
    rules = resolve(protocol or split.name, split, part)
    items = encoded(split.log.item_vocabulary.ids.to_list())
    names = _query_names(queries, encoded(split.log.user_vocabulary.ids.to_list()))
    _write_lines(folder / "qrels.txt", [_qrels(queries, names, items)])
    for model, scorer in scorers.items():
        (name,) = encoded([model])
        blocks = _run(scorer, queries, rules, depth, memory_mb)
        frames = (_lines(names, items, name, first, found_BK) for first, found_BK in blocks)
        _write_lines(folder / f"{name}.run", frames)
    facts = {**describe(split, rules, part), "depth": depth}
    write_file(folder / "facts.json", (json.dumps(facts, indent=2) + "\n").encode())


def encoded(ids: Iterable[RawId]) -> pl.Series:
    """Ids as text without blanks. Raises DataError for an empty one.

    >>> encoded(["green tea", "a/b", 7]).to_list()
    ['green%20tea', 'a%2Fb', '7']
    """
    names = [quote(str(raw), safe="") for raw in ids]
    if not all(names):
        raise DataError("an id in a TREC file must have a character at least; got an empty one. Rename it in the log.")
    return pl.Series(names, dtype=pl.String)


def ranked_lists(block: ScoreBlock, rules: RankingRules, depth: int) -> Int32:
    """The best candidates of a block of queries in the protocol's order, (B, depth), 0 where there are fewer.

    Ties go to the lowest index; where they count against a target, it comes after the others.
    """
    scores_BI = block.scores_BI
    last_BI = np.zeros(scores_BI.shape, dtype=bool)
    if rules.ties == "against":
        last_BI[block.rows_P, block.targets_P] = True
    order_BI = np.lexsort((last_BI, -scores_BI), axis=1)[:, :depth]  # NaN, that is no candidate, comes last
    is_candidate_BK = ~np.isnan(np.take_along_axis(scores_BI, order_BI, axis=1))
    return np.where(is_candidate_BK, order_BI, 0).astype(np.int32)


def _query_names(queries: Queries, owners: pl.Series) -> pl.Series:
    """The name of every query; the queries of an owner lie together."""
    names = owners.gather(queries.owners.astype(np.int64) - 1)
    place = pl.Series(places_of(np.unique(queries.owners, return_counts=True)[1]) + 1)
    suffix = pl.when(place > 1).then(pl.concat_str(pl.lit("/"), place.cast(pl.String))).otherwise(pl.lit(""))
    return pl.select(pl.concat_str(names, suffix)).to_series()


def _qrels(queries: Queries, names: pl.Series, items: pl.Series) -> pl.DataFrame:
    rows, targets = queries.target_pairs(slice(None))
    return pl.DataFrame([names.gather(rows).alias("query"), items.gather(targets - 1).alias("item")]).select(
        "query", pl.lit(0).alias("iteration"), "item", pl.lit(1).alias("relevance")
    )


def _run(
    scorer: Scorer, queries: Queries, rules: RankingRules, depth: int, memory_mb: int
) -> Iterator[tuple[int, Int32]]:
    """The first query of every block, and its ranked lists."""
    for block in candidate_scores(
        scorer, queries, candidates=rules.candidates, remove_seen=rules.remove_seen, memory_mb=memory_mb
    ):
        yield block.queries.start, ranked_lists(block, rules, depth)


def _lines(names: pl.Series, items: pl.Series, model: str, first: int, found_BK: Int32) -> pl.DataFrame:
    rows, columns = np.nonzero(found_BK)
    frame = pl.DataFrame(
        [
            names.gather(first + rows).alias("query"),
            items.gather(found_BK[rows, columns] - 1).alias("item"),
            pl.Series("rank", columns + 1),
        ]
    )
    return frame.select(
        "query", pl.lit("Q0").alias("iteration"), "item", "rank", (-pl.col("rank")).alias("score"),
        pl.lit(model).alias("model"),
    )  # fmt: skip


def _write_lines(path: Path, frames: Iterable[pl.DataFrame]) -> None:
    """Write frames one after another, fields separated by a blank; the file appears when it is whole."""
    with replacing(path) as partial, partial.open("xb") as file:
        for frame in frames:
            frame.write_csv(file, separator=" ", include_header=False, quote_style="never")
        file.flush()
        os.fsync(file.fileno())
