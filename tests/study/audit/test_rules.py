"""Sequential rules: counted by hand, against a slow twin, and on MovieLens-1M."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from caser.data import datasets
from caser.data.describe import describe
from caser.data.synthetic import chain_world, noise_world
from caser.data.tape import Tape
from caser.study.audit.rules import ORDERS, rules_finding, sequential_rules
from tests.skips import without_log


def slow_rules(sequences: list[list[int]], support: int, confidence: float) -> dict[int, int]:
    found = {}
    for order in ORDERS:
        left = Counter(tuple(s[i : i + order]) for s in sequences for i in range(len(s) - order + 1))
        whole = Counter(tuple(s[i : i + order + 1]) for s in sequences for i in range(len(s) - order))
        found[order] = sum(n >= support and n >= confidence * left[rule[:-1]] for rule, n in whole.items())
    return found


def test_a_rule_needs_support_and_confidence() -> None:
    enough, doubted = [[1, 2]] * 5, [[1, 3]] * 6
    assert sequential_rules(Tape.from_sequences(enough, 3))[1] == 1
    assert sequential_rules(Tape.from_sequences(enough[:4], 3))[1] == 0
    assert sequential_rules(Tape.from_sequences(enough + doubted, 3))[1] == 1  # 1 -> 3 holds, 1 -> 2 no longer


@pytest.mark.parametrize("seed", range(5))
def test_rules_are_those_of_the_slow_twin(seed: int) -> None:
    random = np.random.default_rng(seed)
    sequences = [random.integers(1, 4, size=random.integers(0, 12)).tolist() for _ in range(60)]
    assert sequential_rules(Tape.from_sequences(sequences, 3), 3, 0.4) == slow_rules(sequences, 3, 0.4)


def test_an_empty_tape_has_no_rules() -> None:
    assert set(sequential_rules(Tape.from_sequences([], 3)).values()) == {0}


def test_a_chain_has_rules_and_noise_has_none() -> None:
    assert sequential_rules(Tape.from_log(chain_world(num_users=50).log))[1] == 20
    assert sum(sequential_rules(Tape.from_log(noise_world(num_users=50).log)).values()) == 0


@pytest.mark.data
def test_the_rules_of_ml_1m_are_the_order_of_rows_at_equal_times(cache: Path) -> None:
    if not (cache / "ml-1m.parquet").is_file():
        pytest.skip(without_log("ml-1m.parquet"))
    log = datasets.load("ml-1m", on_message=lambda _: None)
    finding = rules_finding(log, describe(log), seed=0)
    assert finding.facts["sequential intensity"] == pytest.approx(0.1290, abs=0.0001)
    assert finding.facts["sequential intensity with ties in random order"] == pytest.approx(0.004, abs=0.002)
    assert finding.severity == "warning"
