"""Any id that a log can hold can be asked for in Python, in a shell, in a file and over HTTP, and gets one answer."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from caser.answering.recommender import Recommender, load
from caser.data.id_text import id_written, json_id, written
from caser.data.log import Vocabulary
from caser.errors import ConfigError
from tests.identity import by_command, by_file, by_http, run_with
from tests.service.serving import serving
from tests.skips import on_another_system

characters = st.characters(exclude_categories=["Cs"])
awkward = st.sampled_from(["..", "-k", "--json", "a,b", "007", " 7", "%2e", "NA", "null", "true"])
texts = st.text(characters, min_size=1, max_size=12) | awkward
whole = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 40)
floats = st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0)  # -0.0 and 0.0 are one float
kinds = st.one_of(*(st.lists(ids, min_size=2, max_size=5, unique=True) for ids in (texts, whole, floats)))


@pytest.mark.skipif(sys.platform == "win32", reason=on_another_system("needs a shell that passes every text on"))
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(kinds, kinds)
@example(["a", "b" * 1000], [2**63 - 1, -(2**63)])
@example([1e16, 7.0], ["\x00", "\u2028", "é", "e\u0301"])
def test_every_id_of_a_log_gets_the_same_answer_on_every_road(users: list[Any], items: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run_with(users, items).save(Path(folder, "run"))
        run = load(Path(folder, "run"))
        expected = [list(map(json_id, run.recommend(users=user, k=3)[0].items)) for user in users]
        by_text = [list(map(json_id, run.recommend(users=written(user), k=3)[0].items)) for user in users]
        assert by_text == expected
        assert by_batch(run, Path(folder), users) == expected
        typed = [user for user in users if "\x00" not in written(user)]  # no command line can hold this character
        if typed:
            answers = by_command(Path(folder, "run"), "user", map(written, typed))
            assert answers == [expected[users.index(user)] for user in typed]
        asyncio.run(ask_the_service(Path(folder, "run"), users, expected))


def by_batch(run: Recommender, folder: Path, users: list[Any]) -> list[list[Any]]:
    """The items of each user in the files of a batch, which must agree."""
    files = [folder / f"all.{ending}" for ending in ("parquet", "jsonl", "csv")]
    for file in files:
        run.recommend_all(file, k=3)
    rows, *others = map(by_file, files)
    assert others == [rows, rows]
    by_text = {written(raw): json_id(raw) for raw in run.artefact.items.ids.to_list()}
    return [[by_text[item] for user, item in rows if user == written(wanted)] for wanted in users]


async def ask_the_service(folder: Path, users: list[Any], expected: list[list[Any]]) -> None:
    async with serving(folder) as served:
        for user, items in zip(users, expected, strict=True):
            assert await by_http(served, user_id=json_id(user)) == items
            assert await by_http(served, user_id=written(user)) == items
            history = await served.get(f"/v1/history?user_id={quote(written(user), safe='')}")
            assert history["interactions"]


@given(st.one_of(texts, whole, floats, st.booleans()), st.one_of(texts, whole, floats, st.booleans()))
@example("7", 7)
@example(1, True)
@example(1.0, 1)
def test_two_ids_are_one_exactly_if_they_are_written_in_the_same_way(first: Any, second: Any) -> None:
    kind = type(second)
    assert id_written(written(second), kind) == second
    try:
        is_found = Vocabulary(pl.Series([second])).lookup([first]) == [1]
    except ConfigError:  # an unknown float or bool, where ids are of another kind
        assert type(first) in (float, bool)
        is_found = False
    assert is_found == (written(first) == written(second))
