"""TREC files: their contents, and that an independent library computes the same metrics from them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import ir_measures
import numpy as np
import polars as pl
import pytest
from ir_measures import AP, RR, P, R, Success, nDCG

from caser.arrays.types import Int32, Scores
from caser.data.log import InteractionLog
from caser.data.split import Split
from caser.data.synthetic import chain_world
from caser.errors import ArtefactError, ConfigError, DataError
from caser.evaluation.judge import counting_baselines, judge
from caser.evaluation.protocols import PROTOCOLS, apply, protocol_named
from caser.evaluation.ranking import Ties
from caser.evaluation.trec import encoded, write_trec
from caser.models.base import Arrays, Scorer
from tests.data.logs import for_every_protocol

LOG = for_every_protocol(chain_world(num_users=60, num_items=30, length=25, predictability=0.6, seed=1).log)
MEASURES = {
    "hit@10": Success @ 10,
    "precision@10": P @ 10,
    "recall@10": R @ 10,
    "ndcg@10": nDCG @ 10,
    "mrr@10": RR @ 10,
    "map": AP,
}


class Untied:
    """A scorer with ties broken by index, so that no two targets of a query tie."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer, self.history_length = scorer, scorer.history_length

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        scores_BI = self.scorer.scores(users_B, histories_BH)
        return scores_BI + 1e-9 * np.arange(scores_BI.shape[1])

    def arrays(self) -> Arrays:
        return {}


class Levels:
    """Scores with only four values, different ones for each user, so that most candidates tie."""

    history_length: int | None = 1

    def __init__(self, split: Split) -> None:
        users = np.arange(split.log.num_users + 1)[:, None]
        self.table = ((users * 7 + np.arange(split.log.num_items + 1) * 5) % 4).astype(np.float32)

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        return self.table[users_B]

    def arrays(self) -> Arrays:
        return {}


def theirs(folder: Path, model: str) -> dict[Any, float]:
    """Every measure as the independent library computes it from the files."""
    qrels = ir_measures.read_trec_qrels(str(folder / "qrels.txt"))  # type: ignore[no-untyped-call]
    run = ir_measures.read_trec_run(str(folder / f"{model}.run"))  # type: ignore[no-untyped-call]
    return dict(ir_measures.calc_aggregate(list(MEASURES.values()), list(qrels), list(run)))


def lines(path: Path) -> list[list[str]]:
    return [line.split(" ") for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_an_independent_library_computes_the_same_metrics(name: str, tmp_path: Path) -> None:
    split = apply(name, LOG)
    scorers = {model: Untied(scorer) for model, scorer in counting_baselines(split).items()}
    protocol = replace(protocol_named(name), metrics=tuple(MEASURES))
    report = judge(scorers, split, protocol)
    write_trec(tmp_path, split, scorers)
    assert len(lines(tmp_path / "qrels.txt")) == len(split.test.targets)
    for model in scorers:
        found = theirs(tmp_path, model)
        for metric, measure in MEASURES.items():
            assert found[measure] == pytest.approx(report.estimate(model, metric).value, abs=1e-9), (model, metric)


@pytest.mark.parametrize("ties", ["against", "index"])
def test_ties_are_ordered_by_the_rule_of_the_protocol(ties: Ties, tmp_path: Path) -> None:
    split = apply("leave-one-out", LOG)
    protocol = replace(protocol_named("leave-one-out"), ties=ties, metrics=tuple(MEASURES))
    report = judge({"levels": Levels(split)}, split, protocol)
    write_trec(tmp_path, split, {"levels": Levels(split)}, protocol=protocol)
    for metric, measure in MEASURES.items():
        assert theirs(tmp_path, "levels")[measure] == pytest.approx(report.estimate("levels", metric).value, abs=1e-9)


def test_lists_hold_candidates_down_to_a_depth_and_are_the_same_in_small_blocks(tmp_path: Path) -> None:
    split = apply("d2l", LOG)
    scorers = counting_baselines(split)
    write_trec(tmp_path / "one", split, scorers, depth=3)
    write_trec(tmp_path / "many", split, scorers, depth=3, memory_mb=1)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "many" / path.name).read_bytes()
    found = lines(tmp_path / "one" / "markov.run")
    assert all((own[1], own[4], own[5]) == ("Q0", f"-{own[3]}", "markov") for own in found)
    assert {int(own[3]) for own in found} == {1, 2, 3}
    seen = {user: set(split.final.sequence(user).tolist()) for user in range(1, LOG.num_users + 1)}
    users = LOG.user_vocabulary.indices([own[0] for own in found]).tolist()
    items = LOG.item_vocabulary.indices([own[2] for own in found]).tolist()
    assert not any(item in seen[user] for user, item in zip(users, items, strict=True))


def test_ids_and_names_with_blanks_are_encoded_and_queries_of_one_session_numbered(tmp_path: Path) -> None:
    users = [f"a b {user}" for user in range(20) for _ in range(4)]
    items = ["green tea", "50%", "ä/b", "x"] * 20
    log = InteractionLog.from_columns(pl.Series(users), pl.Series(items), np.arange(80))
    split = apply("sessions", log)
    write_trec(tmp_path, split, {"caser (pvh)": counting_baselines(split)["markov"]})
    qrels = lines(tmp_path / "qrels.txt")
    assert [own[0] for own in qrels[:3]] == ["a%20b%2018", "a%20b%2018/2", "a%20b%2018/3"]
    assert [unquote(own[2]) for own in qrels[:3]] == ["50%", "ä/b", "x"]
    (run,) = tmp_path.glob("*.run")
    assert unquote(run.name) == "caser (pvh).run"
    assert {len(own) for own in lines(run)} == {6}


def test_the_facts_are_written_beside_the_files(tmp_path: Path) -> None:
    split = apply("leave-one-out", LOG)
    scorers = counting_baselines(split)
    write_trec(tmp_path, split, scorers, "validation", depth=2)
    facts = json.loads((tmp_path / "facts.json").read_text(encoding="utf-8"))
    assert facts == {**judge(scorers, split, part="validation").facts, "depth": 2}


def test_files_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    split = apply("leave-one-out", LOG)
    with pytest.raises(ConfigError, match="at least 1"):
        write_trec(tmp_path, split, {}, depth=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtefactError, match="file"):
        write_trec(tmp_path / "file", split, {})
    with pytest.raises(DataError, match="an empty one"):
        encoded(["x", ""])
