"""The folder of an audit: a finished part is used again for the same question, and for no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caser.data.log import InteractionLog
from caser.data.synthetic import chain_world
from caser.study.audit.audit import audit
from tests.data.logs import with_pauses

LOG = with_pauses(chain_world(num_users=25, num_items=8, length=12).log, every=3)


def other_items(log: InteractionLog) -> InteractionLog:
    return replace(log, items=log.items[::-1].copy())


def at_one_moment(log: InteractionLog) -> InteractionLog:
    """Many ties, so that the audit also judges the order of rows."""
    return replace(log, times=log.times[np.searchsorted(log.users, log.users)])


def facts(log: InteractionLog, folder: Path | None, **options: Any) -> dict[str, Any]:
    found = audit(log, neural=False, folder=folder, **options).to_dict()
    return {**found, "date": ""}


QUESTIONS: dict[str, tuple[InteractionLog, dict[str, Any]]] = {
    "as it is": (LOG, {}),
    "another seed": (LOG, {"seed": 1}),
    "another block": (LOG, {"block": 2}),
    "another protocol": (LOG, {"protocol": "global-time"}),
    "sessions": (LOG, {"protocol": "user-sessions"}),
    "sessions read alone": (LOG, {"protocol": "user-sessions gap=1800 reads=session"}),
    "another log": (other_items(LOG), {}),
    "ties": (at_one_moment(LOG), {}),
    "ties and another seed": (at_one_moment(LOG), {"seed": 1}),
}


def num_files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


@pytest.fixture(scope="module")
def in_one_folder(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], int]]:
    """Every question asked in one folder, one after the other: its audit, and how many parts were made for it."""
    folder, found = tmp_path_factory.mktemp("audit"), {}
    for question, (log, options) in QUESTIONS.items():
        before = num_files(folder)
        found[question] = facts(log, folder, **options), num_files(folder) - before
    return found


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_audit_in_a_folder_with_others_is_the_one_without_a_folder(
    question: str, in_one_folder: dict[str, tuple[dict[str, Any], int]]
) -> None:
    log, options = QUESTIONS[question]
    audited, num_parts = in_one_folder[question]
    assert audited == facts(log, None, **options)
    assert num_parts > 0
