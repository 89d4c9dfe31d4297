"""Work that is cut into blocks gives what it gives in one piece, wherever the cuts fall.

Every constant that says how much is done at once has a row here, or names the file that makes it small.
"""

from __future__ import annotations

import ast
import importlib
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from caser.answering.recommender import Recommender
from caser.data.prepared.folder import verify
from caser.data.prepared.prepare import prepare_log
from caser.data.queries import Queries
from caser.data.readers import read_log
from caser.data.split import leave_one_out
from caser.data.synthetic import chain_world
from caser.data.tape import Tape
from caser.data.user_sessions import user_sessions
from caser.evaluation.bootstrap import owner_draws
from caser.evaluation.metrics import parse_metric
from caser.evaluation.rank_table import RankTable
from caser.evaluation.ranking import ranks
from caser.evaluation.split_facts import later_share
from caser.models.counting.session_knn import SessionKNN
from caser.search.exact import Candidates, find_top_k
from caser.study.audit.order import _sample
from caser.training.log_sums import sum_over_catalogue
from caser.training.negatives import SeenItems
from tests.architecture.source import ROOT, source_files
from tests.data.logs import with_pauses
from tests.runs import USERS, caser_run, popularity_run

SIZES = (1, 2, 3, 7, 10**9)
LENGTHS = (0, 1, 2, 3, 4, 7, 8, 0, 15, 16, 1, 31, 32, 0)
"""Lengths of sequences on both sides of powers of two, with empty ones between and at the end."""
RANDOM = np.random.default_rng(7)
TAPE = Tape.from_sequences([RANDOM.integers(1, 41, length).tolist() for length in LENGTHS], num_items=40)


def item_counts(_: Path) -> Any:
    return Tape(TAPE.items, TAPE.offsets, TAPE.num_items).item_counts


def plain_item_counts() -> Any:
    return [TAPE.items.tolist().count(item) for item in range(41)]


PAUSED = with_pauses(chain_world(num_users=9, num_items=7, length=6, seed=2).log, every=2)


def later(_: Path) -> Any:
    split = leave_one_out(PAUSED)
    share = later_share(split, split.final, split.test)
    assert share is not None
    return round(share, 9)


def plain_later() -> Any:
    is_last = np.append(np.diff(PAUSED.users) > 0, True)
    trained, targets = PAUSED.times[~is_last], PAUSED.times[is_last]
    return round(float(np.mean([time > target for time in trained for target in targets])), 9)


def seen_items(_: Path) -> Any:
    users = torch.arange(TAPE.num_users + 1)
    return SeenItems(TAPE)(users, torch.arange(41).expand(len(users), 41)).numpy()


def plain_seen_items() -> Any:
    return [[item in TAPE.sequence(user) for item in range(41)] for user in range(TAPE.num_users + 1)]


class ByUser:
    """Scores that are given, with many ties."""

    history_length: int | None = None
    table = RANDOM.integers(0, 9, (20, 41)).astype(np.float32)

    def scores(self, users_B: Any, histories_BH: Any) -> Any:
        return self.table[users_B]

    def arrays(self) -> Any:
        return {}


TARGETS = [sorted({1 + 7 * row % 40, 1 + 3 * row % 40, *range(1, row % 7)}) for row in range(20)]


def ranking(_: Path) -> Any:
    users = np.arange(20, dtype=np.int32)
    offsets = np.cumsum([0, *map(len, TARGETS)])
    targets = np.array([item for own in TARGETS for item in own], dtype=np.int32)
    items = np.arange(1, 21, dtype=np.int32)
    queries = Queries(users, items, users.astype(np.int64), users + np.int64(1), targets, offsets, users)
    table = ranks(ByUser(), queries, candidates=np.arange(41) != 9, remove_seen=True, ties="index", depth=5)
    return np.concatenate([table.ranks, table.num_candidates, table.top_QK.ravel()])


def plain_ranking() -> Any:
    found: list[float] = []
    orders = []
    for row, own in enumerate(TARGETS):
        candidates = [item for item in range(1, 41) if item not in (9, row + 1)]
        orders.append(sorted(candidates, key=lambda item: (-ByUser.table[row, item], item)))
        found += [orders[-1].index(item) + 1 if item in orders[-1] else np.inf for item in own]
    return [*found, *map(len, orders), *(item for order in orders for item in order[:5])]


def top_items(most_scores: int) -> Any:
    barred, chosen = np.array([0, 9]), np.array([2, 5, 9, 11, 12, 40])
    candidates = Candidates(barred, chosen).without([np.array([row % 41], dtype=np.int32) for row in range(20)])
    wide = find_top_k(
        lambda items: ByUser.table[:, items].copy(), 20, 41, 3, replace(candidates, chosen=None), most_scores
    )
    few = find_top_k(lambda items: ByUser.table[:, items].copy(), 20, 41, 3, candidates, most_scores)
    return np.concatenate([wide.rows, wide.items, wide.scores, few.rows, few.items, few.scores])


def values_of_a_table(_: Path) -> Any:
    table = RankTable.from_lists([[1.0 + row + place for place in range(1 + row % 5)] for row in range(12)], 50)
    return np.concatenate([table.values(parse_metric(metric)) for metric in ("map", "ndcg@10", "auc")])


def draws(_: Path) -> Any:
    return owner_draws(np.arange(12.0), np.arange(12, dtype=np.int32) // 2)


def neighbours(_: Path) -> Any:
    scorer = SessionKNN().build(TAPE.num_users, TAPE.num_items)
    scorer.fit(TAPE)
    users = np.arange(TAPE.num_users + 1, dtype=np.int32)
    return scorer.scores(users, TAPE.histories(users, 6))


def log_sum(_: Path) -> Any:
    states, vectors = torch.linspace(-1, 1, 44).view(11, 4).requires_grad_(), torch.linspace(1, 2, 28).view(7, 4)
    total = sum_over_catalogue(states, vectors, torch.linspace(0, 1, 7), torch.arange(11), "float32")
    total.backward()  # type: ignore[no-untyped-call]
    assert states.grad is not None
    return np.concatenate([[total.item()], states.grad.numpy().ravel()])


def plain_log_sum() -> Any:
    states, vectors = torch.linspace(-1, 1, 44).view(11, 4).requires_grad_(), torch.linspace(1, 2, 28).view(7, 4)
    total = (states @ vectors[1:].T + torch.linspace(0, 1, 7)[1:]).logsumexp(1) @ torch.arange(11.0)
    total.backward()  # type: ignore[no-untyped-call]
    assert states.grad is not None
    return np.concatenate([[total.item()], states.grad.numpy().ravel()])


def answers(_: Path) -> Any:
    asked = [*USERS, "nobody", "ann", *USERS]
    runs = [Recommender(run).recommend(asked, k=3, exclude_seen=False) for run in (popularity_run(), caser_run())]
    return [[(answer.query, answer.items, answer.source) for answer in found] for found in runs]


def answers_to_all(folder: Path) -> Any:
    Recommender(caser_run()).recommend_all(folder / "all.csv", k=3, exclude_seen=False)
    return pl.read_csv(folder / "all.csv").drop("score").rows()


def plain_answers_to_all() -> Any:
    return Recommender(caser_run()).recommend(USERS, k=3, exclude_seen=False).to_frame().drop("score").rows()


def log_of_text(folder: Path) -> Any:
    lines = ["user,item,time", *(f"u{row % 5},i\u00e9{row % 7},{1_600_000_000 + row}" for row in range(40))]
    quoted = ["user,item,time", *(f'"u,{row % 5}","i\n{row % 7}",{1_600_000_000 + row}' for row in range(40))]
    found: list[Any] = []
    for name, text in (("plain.csv", lines), ("quoted.csv", quoted)):
        (folder / name).write_text("\n".join(text) + "\n", encoding="utf-8")
        log = read_log(folder / name)
        found.append([log.users.tolist(), log.item_vocabulary.ids.to_list(), log.times.tolist()])
    return found


def log_of_json(folder: Path) -> Any:
    lines = [f'{{"user": "u{row % 5}", "item": {row % 7}, "time": {1_600_000_000 + row}}}' for row in range(40)]
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    log = read_log(folder / "log.jsonl")
    return [log.users.tolist(), log.item_vocabulary.ids.to_list(), log.times.tolist()]


def prepared_log(folder: Path) -> Any:
    lines = ["user,item,time", *(f"u{row % 5},i{row % 7},{1_600_000_000 + row}" for row in range(40))]
    (folder / "log.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    shutil.rmtree(folder / "prepared", ignore_errors=True)
    log = prepare_log(folder / "log.csv", folder / "prepared").log
    verify(folder / "prepared")
    sha256 = log.provenance["prepared_from"]["sha256"]
    return [sha256, log.digest, log.users.tolist(), log.item_vocabulary.ids.to_list(), log.times.tolist()]


# The constant -> what is computed with it, and the same in a plain way (None: with the constant as it is).
BLOCKS: dict[str, tuple[Callable[[Path], Any], Callable[[], Any] | None]] = {
    "caser.data.tape._BLOCK": (item_counts, plain_item_counts),
    "caser.data.delimited.BLOCK_BYTES": (log_of_text, None),
    "caser.data.text.BLOCK_BYTES": (log_of_text, None),
    "caser.data.headers.BLOCK_BYTES": (log_of_text, None),
    "caser.data.json_size.BLOCK_BYTES": (log_of_json, None),
    "caser.data.quotes.RECORDS_AT_ONCE": (log_of_text, None),
    "caser.evaluation.split_facts._BLOCK": (later, plain_later),
    "caser.data.prepared.arrays._AT_ONCE": (prepared_log, None),
    "caser.data.prepared.staged._IDS_AT_ONCE": (prepared_log, None),
    "caser.system.sealed._HASHED_AT_ONCE": (prepared_log, None),
    "caser.training.negatives._SORTED_AT_ONCE": (seen_items, plain_seen_items),
    "caser.training.log_sums.MOST_SCORES": (log_sum, plain_log_sum),
    "caser.training.log_sums._FEWEST_STATES": (log_sum, plain_log_sum),
    "caser.evaluation.ranking.MOST_QUERIES": (ranking, plain_ranking),
    "caser.evaluation.ranking._BYTES_PER_SCORE": (ranking, plain_ranking),
    "caser.evaluation.ranking._FEW_TARGETS": (ranking, plain_ranking),
    "caser.evaluation.ranking._GROUPS_PER_PLACE": (ranking, plain_ranking),
    "caser.evaluation.ranking._ITEMS_PER_GROUP": (ranking, plain_ranking),
    "caser.evaluation.rank_table._CELLS_PER_BLOCK": (values_of_a_table, None),
    "caser.evaluation.bootstrap._DRAWS_PER_BLOCK": (draws, None),
    "caser.models.counting.session_knn._CELLS_PER_BLOCK": (neighbours, None),
    "caser.answering.best_items._MOST_QUESTIONS": (answers, None),
    "caser.answering.best_items._BYTES_PER_SCORE": (answers_to_all, plain_answers_to_all),
}

# Constants that another file makes small.
ELSEWHERE = {
    "caser.artefact.tables.BLOCK": "tests/artefact/test_folder.py",
    "caser.data.shard_parts._BLOCK": "tests/data/test_shard_parts.py",
    "caser.evaluation.beyond._MOST_CELLS": "tests/evaluation/test_beyond.py",
    "caser.system.mapped._BLOCK": "tests/system/test_mapped.py",
    "caser.training.shard_batches.AT_ONCE": "tests/fitting/test_shards.py",
    "caser.models.neural._MOST_POSITIONS": "tests/contracts/test_session_models.py",
    "caser.models.sessions.scorer._MOST_CELLS": "tests/contracts/test_session_models.py",
    "caser.exported.scorer._MOST_CELLS": "tests/exported/test_scorer.py",
    "caser.search.exact.MOST_SCORES": "tests/contracts/test_blocks.py",
    "caser.service.answers.queue.MAX_BATCH_SIZE": "tests/service/test_small_limits.py",
    "caser.service.events.export._ROWS_AT_ONCE": "tests/service/test_small_limits.py",
    "caser.service.events.group_commit._MAX_PER_COMMIT": "tests/service/test_small_limits.py",
    "caser.system.database._ROWS_AT_ONCE": "tests/service/test_into_table.py",
    "caser.study.audit.order.MOST_QUERIES": "tests/contracts/test_blocks.py",
    "caser.study.fair_ranks._BYTES_PER_SCORE": "tests/study/test_promotion.py",
    "caser.study.replay._PER_REQUEST": "tests/service/test_small_limits.py",
    "caser.study.replay._ITEMS_PER_REQUEST": "tests/service/test_small_limits.py",
}

NOT_AT_ONCE = {"caser.answering.fold_in.MOST_POSITIONS", "caser.data.zstandard.MOST_BLOCK_BYTES"}
"""Constants with such a name that change the result: so much is read, and no more; or a fact of a file format."""

NAME = re.compile(
    r"BLOCK|AT_ONCE|PER_(BLOCK|COMMIT|REQUEST|SCORE)|MOST_(SCORES|CELLS|POSITIONS|QUERIES|QUESTIONS)|BATCH_SIZE$"
)
"""Names of constants that say how much is done at once."""


def equal(found: Any, expected: Any) -> None:
    if isinstance(found, np.ndarray):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    else:
        assert found == expected


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("constant", BLOCKS)
def test_blocks_of_any_size_give_what_the_plain_computation_gives(
    constant: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed, plain = BLOCKS[constant]
    expected = computed(tmp_path) if plain is None else plain()
    monkeypatch.setattr(constant, size)
    equal(computed(tmp_path), expected)


@pytest.mark.parametrize("few", [0, 1, 4])
@pytest.mark.parametrize("most_scores", SIZES)
def test_the_top_items_are_the_same_whatever_is_scored_at_once(
    most_scores: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = top_items(10**9)
    monkeypatch.setattr("caser.search.exact._FEW", few)
    equal(top_items(most_scores), expected)


def constants() -> set[str]:
    """The constants of the library whose names say that they limit what is done at once."""
    found = set()
    for file in source_files():
        for node in file.tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            found |= {f"caser.{file.module}.{name}" for name in names if name.isupper() and NAME.search(name)}
    return found


def test_every_constant_that_limits_what_is_done_at_once_has_a_test() -> None:
    assert constants() - BLOCKS.keys() - ELSEWHERE.keys() == NOT_AT_ONCE
    for constant, file in ELSEWHERE.items():
        assert constant.rpartition(".")[2] in (ROOT / file).read_text(encoding="utf-8")
    for constant in (*BLOCKS, *ELSEWHERE):
        module, _, name = constant.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), name), int)


# A sample of queries, see `audit.order.MOST_QUERIES`


@pytest.mark.parametrize("reads", ["all", "session"])
@pytest.mark.parametrize("most", [1, 2, 3, 10**6])
def test_a_sampled_query_keeps_its_history_its_seen_items_its_targets_and_its_owner(
    most: int, reads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = with_pauses(chain_world(num_users=9, num_items=6, length=21, seed=0).log)
    queries = user_sessions(log, reads=reads).test
    monkeypatch.setattr("caser.study.audit.order.MOST_QUERIES", most)
    sample = _sample(queries, seed=0)
    assert len(sample) == min(most, len(queries))
    whole = [read(queries, row) for row in range(len(queries))]
    assert all(read(sample, row) in whole for row in range(len(sample)))


def test_as_many_queries_as_the_limit_are_all_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    queries = user_sessions(with_pauses(chain_world(num_users=9, num_items=6, length=21, seed=0).log)).test
    monkeypatch.setattr("caser.study.audit.order.MOST_QUERIES", len(queries))
    assert _sample(queries, seed=0) is queries


def read(queries: Queries, row: int) -> tuple[Any, ...]:
    """Everything that one query asks."""
    one = slice(row, row + 1)
    seen, targets = queries.seen(one)[1], queries.target_pairs(one)[1]
    history = partial(queries.histories, one, None)()
    return queries.users[row], queries.owners[row], history.tolist(), seen.tolist(), targets.tolist()
