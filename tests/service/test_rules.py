from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from caser.answering.recommender import load
from caser.errors import DataError
from tests.runs import popularity_run
from tests.service.serving import serving

GENRES = {10: ["calm"], 20: ["calm", "loud"], 30: ["loud"], 50: [], 99: ["calm"]}


@pytest.fixture
def items(tmp_path: Path) -> Path:
    path = tmp_path / "items.parquet"
    frame = {"item_id": list(GENRES), "genre": list(GENRES.values()), "year": [1990, 2000, 2000, None, 1990]}
    pl.DataFrame({**frame, "title": ["X", None, "Thirty", None, "?"]}).write_parquet(path)
    return path


async def ruled(run: Path, items: Path, **question: Any) -> dict[str, Any]:
    async with serving(run, items=items) as served:
        answer: dict[str, Any] = await served.post("/v1/recommend", {"exclude_seen": False, **question})
        return answer


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    """A run that recommends 20, 10, 30, 50 to everybody."""
    from caser.artefact.folder import save

    save(popularity_run(), tmp_path / "run")
    return tmp_path / "run"


def ids(answer: dict[str, Any]) -> list[int]:
    return [item["item_id"] for item in answer["items"]]


async def test_a_filter_keeps_only_matching_items_and_lists_the_others(counted: Path, items: Path) -> None:
    answer = await ruled(counted, items, k=2, filters={"genre": ["loud"]})
    assert ids(answer) == [20, 30]
    assert answer["removed"] == [{"item_id": 10, "title": "X", "rule": "filters genre"}]


async def test_a_number_and_its_text_are_the_same_value(counted: Path, items: Path) -> None:
    assert ids(await ruled(counted, items, filters={"year": ["2000"]})) == [20, 30]
    assert ids(await ruled(counted, items, filters={"year": [2000.0], "genre": ["calm"]})) == [20]


async def test_excluded_items_are_replaced_by_the_next_in_rank(counted: Path, items: Path) -> None:
    answer = await ruled(counted, items, k=2, exclude=[20, 10])
    assert ids(answer) == [30, 50]
    assert [one["rule"] for one in answer["removed"]] == ["exclude", "exclude"]


async def test_without_keeps_items_that_have_no_value(counted: Path, items: Path) -> None:
    assert ids(await ruled(counted, items, rules={"without": {"genre": ["calm"]}})) == [30, 50]


async def test_at_most_limits_how_many_items_share_a_value(counted: Path, items: Path) -> None:
    answer = await ruled(counted, items, k=3, rules={"at_most": {"genre": 1}})
    assert ids(answer) == [20, 50]
    assert answer["removed"] == [
        {"item_id": 10, "title": "X", "rule": "at_most genre"},
        {"item_id": 30, "title": "Thirty", "rule": "at_most genre"},
    ]
    rest = "and the rest is in the history, excluded or removed by a rule"
    assert answer["notes"] == [f"only 2 of 3 items: the model knows 4, {rest}"]


async def test_a_boost_is_added_to_the_score_and_shown(counted: Path, items: Path) -> None:
    rules = {"boosts": [{"where": {"year": [2000], "genre": ["loud"]}, "amount": 3}]}
    plain, answer = await ruled(counted, items, k=4), await ruled(counted, items, k=2, rules=rules)
    scores = {item["item_id"]: item["score"] for item in plain["items"]}
    assert [(item["item_id"], item["score"], item.get("boosted")) for item in answer["items"]] == [
        (20, scores[20] + 3, 3),
        (30, scores[30] + 3, 3),
    ]


async def test_titles_of_the_table_replace_those_of_the_run(counted: Path, items: Path) -> None:
    answer = await ruled(counted, items, k=4)
    assert {item["item_id"]: item["title"] for item in answer["items"]} == {
        10: "X", 20: "Twenty", 30: "Thirty", 50: "Fifty",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "content"), [("items.csv", "a,b\n1,2\n"), ("items.txt", ""), ("none.csv", None)])
def test_a_file_that_is_no_table_of_items_is_refused(
    tmp_path: Path, counted: Path, name: str, content: str | None
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=f"in the table of items {name}"):
        load(counted).with_items(tmp_path / name)


async def test_values_of_a_column_are_listed_by_how_common_they_are(counted: Path, items: Path) -> None:
    async with serving(counted, items=items) as served:
        values = (await served.get("/v1/model"))["values"]
    assert values == {"genre": ["calm", "loud"], "year": ["2000", "1990"]}  # two each; two and one


async def test_the_fifty_most_common_values_are_listed_without_those_too_long_for_a_rule(
    counted: Path, tmp_path: Path
) -> None:
    path = tmp_path / "many.parquet"
    tags = [[f"tag {number:03}" for number in range(99)], ["tag 098", "x" * 201], []]
    pl.DataFrame({"item_id": [10, 20, 30], "tags": tags}).write_parquet(path)
    async with serving(counted, items=path) as served:
        found = (await served.get("/v1/model"))["values"]["tags"]
    assert found == ["tag 098", *(f"tag {number:03}" for number in range(49))]
