"""Tiny logs: a command trains, or says in one sentence what the log lacks, and advises only what works."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from caser.errors import DataError
from caser.evaluation.protocols import PROTOCOLS
from tests.cli.terminal import caser, refusal

TINY: Mapping[str, Sequence[tuple[int, int]]] = {
    "one event": [(1, 2)],
    "two events": [(1, 2), (1, 3)],
    "one event each": [(user, 500 + user) for user in range(20)],
    "one item": [(user, 1) for user in range(9) for _ in range(4)],
    "one user": [(1, item) for item in range(40)],
    "two users, three events": [(1, 5), (1, 6), (1, 7), (2, 5), (2, 6), (2, 8)],
    "equal items of one user": [(1, 1)] * 5,
}
"""The (user, item) pairs of a log, one a second."""


def file_of(pairs: Sequence[tuple[int, int]], folder: Path) -> Path:
    rows = [f"{user},{item},{1_600_000_000 + second}" for second, (user, item) in enumerate(pairs)]
    path = folder / "log.csv"
    path.write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", TINY)
def test_a_tiny_log_trains_or_the_sentence_says_what_it_lacks(name: str, protocol: str, tmp_path: Path) -> None:
    log = file_of(TINY[name], tmp_path)
    words = ("train", log, "--model", "popularity", "--out", tmp_path / "run")
    outcome = caser(*words, "--protocol", protocol)
    if outcome.code == 0:
        assert caser("recommend", tmp_path / "run", "--item", TINY[name][0][1]).code == 0
        return
    line = outcome.err.splitlines()[-1]
    assert outcome.code == DataError.exit_code, line
    advised = re.findall(r"--protocol ([\w-]+)", line)
    assert advised or "No other protocol can judge" in line or "at least one interaction" in line
    for other in advised:
        assert caser(*words, "--protocol", other).code == 0


@pytest.mark.parametrize("name", ["one event", "two events", "one event each"])
def test_the_best_of_a_tiny_log_is_refused_without_a_circle(name: str, tmp_path: Path) -> None:
    code, line = refusal("train", file_of(TINY[name], tmp_path), "--out", tmp_path / "run")
    assert code == DataError.exit_code
    assert line.startswith("leave-one-out needs a user with at least 3 interactions; got at most ")
    assert line.endswith(
        "No other protocol can judge on this log either: it needs more interactions, three or more of a user. A model "
        "that will not be judged can be trained on it: caser train LOG --all, or split(..., judged=False)."
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--budget", "-5s"), "A value that begins with - is joined to its flag: --budget=-5s"),
        (("--budget=-5s",), "a time span must be a number from 0 on, with s, m or h; got '-5s'"),
        (("--budget", "soon"), "a time span must be a number from 0 on, with s, m or h; got 'soon'"),
        (("--store", "-x"), "A value that begins with - is joined to its flag: --store=-x"),
    ],
)
def test_a_value_that_is_none_is_shown(words: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    assert sentence in refusal("train", "nowhere.csv", "--out", tmp_path / "run", *words)[1]
