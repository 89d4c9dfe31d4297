"""The measurement of what the tests see: its tables are true, and its score is what it counts."""

from __future__ import annotations

from typing import Any

import pytest

from tools import mutate


def mutant(was: str, now: str, module: str = "data/tape.py") -> dict[str, Any]:
    return {"module": f"src/caser/{module}", "line": 7, "fault": "AddNot", "was": was, "is": now}


@pytest.fixture
def equivalents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two entries: one fault of a line, and every fault of another."""
    entries = [
        {"module": "data/tape.py", "was": "a", "is": "b", "why": "first"},
        {"module": "data/tape.py", "was": "c", "is": "*", "why": "second"},
    ]
    monkeypatch.setattr(mutate, "known_equivalents", lambda: entries)


@pytest.mark.usefixtures("equivalents")
@pytest.mark.parametrize(
    ("survivors", "score", "status"),
    [
        ([], "10 of 10 mutants were caught (100.0%); 0 more", 0),
        ([mutant("x", "y")], "9 of 10 mutants were caught (90.0%); 0 more", 0),
        ([mutant("x", "y")] * 2, "8 of 10 mutants were caught (80.0%); 0 more", 1),
        ([mutant("a", "b"), mutant("c", "d"), mutant("c", "e")], "7 of 7 mutants were caught (100.0%); 3 more", 0),
        ([mutant("a", "z"), mutant("a", "b", "study/keys.py")], "8 of 10 mutants were caught (80.0%); 0 more", 1),
    ],
)
def test_the_score_is_the_share_of_caught_mutants_without_those_that_nobody_can_tell_apart(
    survivors: list[dict[str, Any]], score: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mutate.score(10, survivors) == status
    said = capsys.readouterr().out
    assert score in said
    assert said.count("SURVIVED") + said.count("equivalent (") == len(survivors)


def test_every_module_and_every_test_in_the_table_exists() -> None:
    for module, tests in mutate.ROOMS.items():
        assert (mutate.ROOT / "src" / "caser" / module).is_file()
        assert all((mutate.ROOT / name).exists() for name in tests)


def test_every_line_of_the_list_of_equivalent_mutants_is_still_in_the_code() -> None:
    for entry in mutate.known_equivalents():
        lines = (mutate.ROOT / "src" / "caser" / entry["module"]).read_text(encoding="utf-8").splitlines()
        assert entry["was"] in [line.strip() for line in lines], entry
        assert entry["why"]
