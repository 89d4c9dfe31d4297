"""TREC files: targets and ranked lists as text, from which other evaluation tools compute metrics on their own.

    qrels.txt     query 0 item 1                     one line per target
    <model>.run   query Q0 item rank score model     the ranked list of every query, down to a depth
    facts.json    what `fingerprint.describe` returns for the queries

Names of queries: the raw id of the user or session; if it has several queries, the second is followed by `/2`, the
third by `/3`, and so on. All ids and names are percent-encoded, because a blank would end a field;
`urllib.parse.unquote` decodes them.

Scores: other tools sort by score and break ties in their own ways. So the files contain -rank as the score, and lists
are in the protocol's order; if ties count against a target, the target comes after the candidates it ties with. One
difference remains: targets of one query that tie with each other get a worse rank in our tables than in a list.

Scorers must be fitted, as for `judge.py`. Metrics that read the full ranking need a depth of the whole catalogue.

Shape suffixes: Q queries, P targets of the block's queries, B queries of one block, I items and padding, K places of a
list.
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
from caser.data.id_text import written
from caser.data.queries import Queries
from caser.data.split import Split
from caser.errors import ConfigError, DataError
from caser.evaluation.fingerprint import describe
from caser.evaluation.protocol import Part, Protocol, RankingRules
from caser.evaluation.protocols import parts, resolve
from caser.evaluation.ranking import MEMORY_MB, ScoreBlock, candidate_scores
from caser.models.base import Scorer
from caser.system.storage import replacing, write_file

DEPTH = 1000
"""Default length of a list, which is usual for TREC."""


def write_trec(
    folder: str | Path,
    split: Split,
    scorers: Mapping[str, Scorer],
    part: Part = "test",
    protocol: str | Protocol | None = None,
    depth: int = DEPTH,
    memory_mb: int = MEMORY_MB,
) -> None:
    """Write qrels.txt, a run file per scorer and facts.json into a folder.

    folder     is made if it does not exist; files of the same names are replaced
    split      the split log
    scorers    model -> fitted scorer
    part       which queries of the split judge
    protocol   a protocol, or its name; by default the one the split was made for
    depth      the largest number of items in a list
    memory_mb  limit of the memory for scores, in megabytes

    Raises ConfigError for a depth below 1, DataError for an empty raw id, NumericalError for a score that is NaN or
    +inf, ArtefactError if a file cannot be written.

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
    # The targets.
    items = encoded(split.log.item_vocabulary.ids.to_list())
    query_names = _query_names(queries, encoded(split.log.user_vocabulary.ids.to_list()))
    _write_lines(folder / "qrels.txt", [_qrels(queries, query_names, items)])
    # The lists of every model, one block of queries at a time.
    for model, scorer in scorers.items():
        (name,) = encoded([model])
        blocks = _list_blocks(scorer, queries, rules, depth, memory_mb)
        frames = (_run_lines(query_names, items, name, first, lists_BK) for first, lists_BK in blocks)
        _write_lines(folder / f"{name}.run", frames)
    # What the numbers mean.
    facts = {**describe(split, rules, part), "depth": depth}
    write_file(folder / "facts.json", (json.dumps(facts, indent=2) + "\n").encode())


def encoded(ids: Iterable[RawId]) -> pl.Series:
    """Percent-encode ids, so that they contain no blank.

    ids  raw ids, or names of models

    Returns a series of text. Raises DataError for an empty id.

    >>> encoded(["green tea", "a/b", 7]).to_list()
    ['green%20tea', 'a%2Fb', '7']
    """
    names = [quote(written(raw), safe="") for raw in ids]
    if not all(names):
        raise DataError(
            "an id in a TREC file must have at least one character; got an empty one. Rename it in the log."
        )
    return pl.Series(names, dtype=pl.String)


def ranked_lists(block: ScoreBlock, rules: RankingRules, depth: int) -> Int32:
    """Return the best candidates of a block of queries in the protocol's order.

    block  scores of some queries
    rules  what `resolve` settled; if its ties count against a target, the target follows the candidates it ties with
    depth  the largest number of items in a list

    Returns (B, K) int32 item indices with K at most `depth`, best first, other ties by lowest index, then 0.
    """
    scores_BI = block.scores_BI
    comes_last_BI = np.zeros(scores_BI.shape, dtype=bool)  # among equal scores
    if rules.ties == "against":
        comes_last_BI[block.rows_P, block.targets_P] = True
    order_BK = np.lexsort((comes_last_BI, -scores_BI), axis=1)[:, :depth]  # NaN, no candidate, sorts last
    is_candidate_BK = ~np.isnan(np.take_along_axis(scores_BI, order_BK, axis=1))
    return np.where(is_candidate_BK, order_BK, 0).astype(np.int32)


def _query_names(queries: Queries, owners: pl.Series) -> pl.Series:
    """The name of every query, (Q,); the queries of one owner follow each other."""
    names = owners.gather(queries.owners.astype(np.int64) - 1)
    place = pl.Series(places_of(np.unique(queries.owners, return_counts=True)[1]) + 1)
    suffix = pl.when(place > 1).then(pl.concat_str(pl.lit("/"), place.cast(pl.String))).otherwise(pl.lit(""))
    return pl.select(pl.concat_str(names, suffix)).to_series()


def _qrels(queries: Queries, names: pl.Series, items: pl.Series) -> pl.DataFrame:
    """The lines of qrels.txt."""
    rows, targets = queries.target_pairs(slice(None))
    return pl.DataFrame([names.gather(rows).alias("query"), items.gather(targets - 1).alias("item")]).select(
        "query", pl.lit(0).alias("iteration"), "item", pl.lit(1).alias("relevance")
    )


def _list_blocks(
    scorer: Scorer, queries: Queries, rules: RankingRules, depth: int, memory_mb: int
) -> Iterator[tuple[int, Int32]]:
    """Yield the first query of each block, and the block's ranked lists."""
    for block in candidate_scores(
        scorer, queries, candidates=rules.candidates, remove_seen=rules.remove_seen, memory_mb=memory_mb
    ):
        yield block.queries.start, ranked_lists(block, rules, depth)


def _run_lines(names: pl.Series, items: pl.Series, model: str, first: int, lists_BK: Int32) -> pl.DataFrame:
    """The lines of a run file for a block of queries that starts with query `first`."""
    rows, columns = np.nonzero(lists_BK)
    frame = pl.DataFrame(
        [
            names.gather(first + rows).alias("query"),
            items.gather(lists_BK[rows, columns] - 1).alias("item"),
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
