"""Logs that are too small: something is learned, or one sentence says what the log lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

import caser
from caser.errors import DataError
from tests.cases.logs import doubts_of, read

HEADER = "user_id,item_id,timestamp\n"


@pytest.mark.parametrize(
    "text",
    [
        "1,2,1600000003\n1,3,1600000004\n",
        "".join(f"{user},{500 + user % 5},{1_600_000_000 + user}\n" for user in range(20)),
        "1,2,1600000000\n",
        "".join(f"{user},{item},{1_600_000_000 + item}\n" for user in range(9) for item in range(2)),
    ],
    ids=["two rows", "one event each", "one row", "two events each"],
)
def test_a_log_without_sequences_says_what_it_lacks(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="needs a user with at least 3 interactions; got at most"):
        caser.leave_one_out(read(tmp_path, HEADER + text))


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("".join(f"{user},1,{1_600_000_000 + step}\n" for user in range(9) for step in range(4)), "one item"),
        ("".join(f"1,{step % 7},{1_600_000_000 + step}\n" for step in range(40)), "one user"),
    ],
    ids=["one item", "one user"],
)
def test_a_log_of_one_user_or_item_is_doubted_and_trains(tmp_path: Path, text: str, doubt: str) -> None:
    log = read(tmp_path, HEADER + text)
    assert any(f"events have {doubt}" in said for said in doubts_of(log))
    recommender = caser.fit(caser.Popularity(), caser.leave_one_out(log))
    user = log.user_vocabulary.ids[0]
    answer = recommender.recommend(users=[user], k=3, exclude_seen=False)
    assert len(answer.to_frame()) == min(3, log.num_items)
