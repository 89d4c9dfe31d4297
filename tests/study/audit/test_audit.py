"""The whole audit: its JSON values, its advice, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from caser.data.queries import Queries
from caser.data.synthetic import chain_world, noise_world
from caser.errors import ConfigError
from caser.evaluation import protocols, ranking
from caser.study.audit import order
from caser.study.audit.audit import audit

LOG = chain_world(num_users=60, num_items=8, length=12).log
FINDINGS = ["order", "blocks", "ties", "rules", "leakage", "repeats", "clock", "bots", "cold", "popularity"]


def test_an_audit_is_json_of_the_agreed_shape() -> None:
    found = audit(LOG, neural=False, command="caser audit log.csv").to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found) == {
        "kind", "title", "command", "date", "version", "log", "protocol", "fingerprint", "verdict", "advice", "notes",
        "findings",
    }  # fmt: skip
    assert set(found["log"]) == {"name", "interactions", "users", "items", "digest"}
    assert [finding["name"] for finding in found["findings"]] == FINDINGS
    assert (found["kind"], found["title"], found["command"]) == ("audit", "Audit of simulated", "caser audit log.csv")
    for finding in found["findings"]:
        for series in (finding["chart"] or {"series": []})["series"]:
            assert len(series["y"]) == len(finding["chart"]["x"])
        for row in (finding["table"] or {"rows": []})["rows"]:
            assert len(row) == len(finding["table"]["columns"])


def test_the_same_seed_gives_the_same_audit() -> None:
    one, two = (audit(LOG, neural=False, seed=3).to_dict() for _ in range(2))
    assert {**one, "date": ""} == {**two, "date": ""}


@pytest.mark.parametrize("protocol", ["caser-paper", "global-time", "sessions", "d2l"])
def test_every_protocol_can_be_audited(protocol: str) -> None:
    log = chain_world(num_users=60, num_items=8, length=12, seed=1).log
    if protocol == "sessions":
        assert audit(log, protocol, neural=False).verdict.startswith("Order matters")
    else:
        assert audit(log, protocol, neural=False).protocol == protocol


def test_the_test_part_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Queries] = []

    def spy(scorer: object, queries: Queries, **options: object) -> object:
        asked.append(queries)
        return ranking.ranks(scorer, queries, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(order, "ranks", spy)
    split = protocols.apply("leave-one-out", LOG)
    audit(LOG, neural=False)
    assert asked
    assert all((queries.targets == split.validation.targets).all() for queries in asked)


def test_order_that_comes_only_from_the_order_of_rows_is_named() -> None:
    log = chain_world(num_users=150, num_items=8, length=12).log
    first = np.searchsorted(log.users, log.users)
    one_moment = replace(log, times=log.times[first])
    found = audit(one_moment, neural=False)
    assert found.verdict.startswith(
        "Only the order of rows at equal times is shown to matter, as far as markov and count-knn can"
    )
    assert any("sequence models would learn the order of the file" in sentence for sentence in found.advice)


def test_the_advice_of_warnings_comes_first() -> None:
    found = audit(noise_world(num_users=60, num_items=8, length=12).log, neural=False)
    warned = [sentence for finding in found.findings if finding.severity == "warning" for sentence in finding.advice]
    assert found.advice[: len(warned)] == warned
    assert any("No model of this audit beats popularity" in sentence for sentence in found.advice)


def test_a_counting_model_and_a_block_of_one_are_refused() -> None:
    with pytest.raises(ConfigError, match="must be a network"):
        audit(LOG, model="markov")
    with pytest.raises(ConfigError, match="block must be at least 2"):
        audit(LOG, neural=False, block=1)


def test_a_log_without_times_can_be_audited() -> None:
    found = audit(replace(LOG, has_times=False), neural=False)
    assert found.verdict.startswith("Order matters")


def test_a_model_that_is_not_trained_is_refused() -> None:
    with pytest.raises(ConfigError, match="model has no effect with neural=False"):
        audit(LOG, neural=False, model="gru4rec")
    with pytest.raises(ConfigError, match="model has no effect with neural=False"):
        audit(LOG, neural=False, model="caser")
