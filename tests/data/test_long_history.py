"""A log in which one user has a million interactions is read as fast as another log, and models can use it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import caser
from caser.data.log import InteractionLog

ROWS = 1_000_000


@pytest.mark.slow
def test_a_user_with_a_million_interactions_is_read_like_many_with_a_hundred(tmp_path: Path) -> None:
    seconds, logs = [], []
    for num_users in (10_000, 1, 10_000, 1):
        path = tmp_path / f"{num_users}.csv"
        if not path.exists():
            rows = (f"{row % num_users},{row % 977},{row}\n" for row in range(ROWS))
            path.write_text("user_id,item_id,timestamp\n" + "".join(rows))
        start = time.perf_counter()
        logs.append(caser.read_log(path))
        seconds.append(time.perf_counter() - start)
    assert len(logs[1]) == len(logs[0]) == ROWS
    # Measured in turns and with slack, because a shared machine may stall.
    assert min(seconds[1::2]) < 3 * min(seconds[::2]) + 2
    _answers_from(logs[1])


def _answers_from(log: InteractionLog) -> None:
    recommender = caser.fit(caser.Markov(), caser.leave_one_out(log))
    [answer] = recommender.recommend(users=[0], exclude_seen=False, k=3)
    assert len(answer.items) == 3
    [answer] = recommender.recommend(histories=[list(range(977)) * 1000], exclude_seen=False, k=3)
    assert len(answer.items) == 3
