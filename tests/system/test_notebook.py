"""How logs, splits, reports, answers and comparisons show themselves in a notebook."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import polars as pl
import pytest

from caser.data.readers import read_log
from caser.data.split import leave_one_out
from caser.fitting.evaluate import evaluate
from caser.fitting.fit import fit
from caser.models.counting.markov import Markov
from caser.study.promotion import promotion

HARMFUL = "<script>alert(1)</script>"
ROWS = [
    (f"u{user}", HARMFUL if place == user % 4 else f"i{place}", 1.6e9 + place)
    for user in range(9)
    for place in range(4)
]


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    """What each kind of object shows, of a log with markup in its ids."""
    log = read_log(pl.DataFrame(ROWS, schema=["user", "item", "time"], orient="row"))
    split = leave_one_out(log)
    run = fit(Markov(), split)
    objects = {
        "log": log,
        "split": split,
        "report": evaluate(run, split),
        "answers": run.recommend(users=["u1"], k=3, exclude_seen=False),
        "promotion": promotion(run, run, split),
    }
    return {name: one._repr_html_() for name, one in objects.items()}  # type: ignore[attr-defined]


def test_nothing_of_a_log_becomes_markup_and_every_tag_is_closed(shown: dict[str, str]) -> None:
    for name, html in shown.items():
        tags = _Tags()
        tags.feed(re.sub("<br>", "", html))
        assert not tags.open, name
        assert "table" in tags.seen
        assert "script" not in tags.seen


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("log", ["<td>36</td>", "2020-09-13 12:26:40", "2020-09-13 12:26:43"]),
        ("split", ["Split leave-one-out", "9 queries with 9 targets"]),
        ("report", ["<td>markov</td>", "<th>ndcg@10</th>", "a user had"]),
        ("answers", ["u1", "score"]),
        ("promotion", ["verdict: cannot tell", "new run"]),
    ],
)
def test_each_says_what_a_reader_looks_for(shown: dict[str, str], name: str, words: list[str]) -> None:
    for word in words:
        assert word in shown[name]
