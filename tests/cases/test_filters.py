"""Case d14: a filter that is spelt wrong is an error or a sentence, never an empty answer; and k is filled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from caser.answering.recommender import Recommender
from caser.artefact.folder import save
from caser.cli.items import filters_of
from caser.data.attributes import Attribute
from caser.errors import ConfigError
from tests.cli.terminal import refusal
from tests.runs import popularity_run
from tests.service.serving import serving

TABLE = {
    "item_id": [10, 20, 30, 50],
    "genre": ["Comedy", "Drama", "Comedy", "Drama|War"],
    "price": [5.0, 10.0, 49.5, 50.0],
    "released": ["1999-12-31", "2000-01-01", "2000-06-01T12:00:00", "2001-01-01"],
    "in_stock": [True, True, False, True],
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that recommends 20, 10, 30, 50 to everybody, and a table of its items beside it."""
    save(popularity_run(), tmp_path / "run")
    pl.DataFrame(TABLE).write_parquet(tmp_path / "items.parquet")
    return tmp_path / "run"


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return Recommender(popularity_run()).with_items(pl.DataFrame(TABLE))


async def asked(run: Path, status: int = 200, **question: Any) -> Any:
    async with serving(run, items=run.parent / "items.parquet") as served:
        return await served.post("/v1/recommend", {"exclude_seen": False, **question}, status)


def ids(answer: Any) -> list[Any]:
    return [item["item_id"] for item in answer["items"]]


FILTERS = [
    ({"genre": "Comedy"}, [10, 30]),
    ({"genre": ["War"]}, [50]),
    ({"genre": ["War", "Comedy"]}, [10, 30, 50]),
    ({"price": {"min": 10, "max": 50}}, [20, 30, 50]),
    ({"price": {"max": 49.99}}, [20, 10, 30]),
    ({"price": {"min": 10.0001}}, [30, 50]),
    ({"price": "10.0"}, [20]),
    ({"price": [10, 5]}, [20, 10]),
    ({"released": {"min": "2000-01-01", "max": "2000-06-01"}}, [20, 30]),
    ({"released": {"max": "2000-06-01T11:59:59"}}, [20, 10]),
    ({"released": "2001-01-01"}, [50]),
    ({"in_stock": True}, [20, 10, 50]),
    ({"in_stock": "False"}, [30]),
    ({"in_stock": True, "price": {"min": 6}}, [20, 50]),
]


@pytest.mark.parametrize(("filters", "expected"), FILTERS)
def test_a_filter_keeps_the_items_that_meet_it_in_python(
    recommender: Recommender, filters: dict[str, Any], expected: list[int]
) -> None:
    assert recommender.recommend(histories=[[]], filters=filters, exclude_seen=False)[0].items == expected


async def test_a_filter_keeps_the_same_items_over_http(run: Path) -> None:
    async with serving(run, items=run.parent / "items.parquet") as served:
        for filters, expected in FILTERS:
            assert await served.items(filters=filters, exclude_seen=False) == expected, filters


async def test_k_is_filled_as_long_as_enough_items_meet_the_filter(run: Path) -> None:
    assert ids(await asked(run, k=2, filters={"genre": "Comedy"})) == [10, 30]
    assert ids(await asked(run, k=1, filters={"price": {"min": 50}})) == [50]


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"gnre": "Comedy"}, "filters.gnre must name a column of the table of items; did you mean genre?"),
        ({"colour": ["red"]}, "the known names are genre, in_stock, price, released."),
        ({"price": "cheap"}, "filters.price: must fit the column, which holds numbers from 5 to 50."),
        ({"price": True}, "filters.price: must fit the column, which holds numbers from 5 to 50."),
        ({"price": {"min": 50, "max": 10}}, "filters.price: min must not be above max."),
        ({"price": {}}, 'filters.price: a range must have "min", "max" or both, and nothing else.'),
        ({"genre": {"min": 1}}, "filters.genre: a range needs numbers or dates; the column holds text such as"),
        ({"released": {"min": "soon"}}, "must fit the column, which holds dates from 1999-12-31 to 2001-01-01."),
        ({"in_stock": 3}, "filters.in_stock: must fit the column, which holds true and false."),
    ],
)
async def test_a_filter_that_does_not_fit_the_table_is_an_error_that_says_what_the_table_has(
    run: Path, recommender: Recommender, filters: dict[str, Any], words: str
) -> None:
    assert words in (await asked(run, 422, filters=filters))["error"]
    with pytest.raises(ConfigError) as error:
        recommender.recommend(histories=[[]], filters=filters)
    assert words in str(error.value)


@pytest.mark.parametrize("condition", ["genre=1..3", "genre=A..", "in_stock=..5", "in_stock=true..false"])
def test_a_command_refuses_a_range_of_a_column_without_an_order_as_python_does(
    condition: str, run: Path, recommender: Recommender
) -> None:
    name, _, ends = condition.partition("=")
    with pytest.raises(ConfigError) as refused:
        recommender.recommend(histories=[[]], filters={name: {"min": ends or None, "max": "x"}})
    assert f"filters.{name}: a range needs numbers or dates" in str(refused.value)
    words = ("recommend", run, "--item", 10, "--items", run.parent / "items.parquet", "--filter", condition)
    assert refusal(*words) == (2, str(refused.value))


def test_dots_in_a_value_of_text_are_no_range() -> None:
    title = Attribute("title", "text", {1: frozenset(["Wait..."])}, {})
    assert filters_of(["title=Wait..."], {"title": title}) == {"title": ["Wait..."]}


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"without": {"gnre": "War"}}, "rules.without.gnre must name a column"),
        ({"at_most": {"gnre": 1}}, "rules.at_most.gnre must name a column"),
        ({"boosts": [{"where": {"price": "x"}, "amount": 1}]}, "rules.boosts[0].where.price: must fit the column"),
    ],
)
async def test_a_rule_that_does_not_fit_the_table_is_an_error_too(run: Path, rules: dict[str, Any], words: str) -> None:
    assert words in (await asked(run, 422, rules=rules))["error"]


async def test_the_error_of_a_bulk_request_names_the_question(run: Path) -> None:
    body = {"questions": [{"filters": {"genre": "War"}}, {"filters": {"gnre": "War"}}]}
    async with serving(run, items=run.parent / "items.parquet") as served:
        error = (await served.post("/v1/recommend/bulk", body, 422))["error"]
    assert error.startswith("questions[1].filters.gnre must name a column")


async def test_without_a_table_of_items_a_filter_says_how_to_give_one(run: Path) -> None:
    async with serving(run) as served:
        error = (await served.post("/v1/recommend", {"filters": {"genre": "War"}}, 422))["error"]
    assert error.endswith("there is none: give a table of items (--items FILE).")


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        ({"price": {"mx": 3}}, "filters.price.mx is not a field of this request; did you mean max?"),
        ({"price": {"max": [3]}}, "filters.price.max must be"),
        ({"genre": []}, "filters.genre must have at least 1 entry"),
        ({"genre": [["a"]]}, "filters.genre[0] must be text"),
        ({"genre": None}, "filters.genre must be text"),
    ],
)
async def test_a_filter_of_another_form_names_its_place(run: Path, bad: dict[str, Any], place: str) -> None:
    error = (await asked(run, 422, filters=bad))["error"]
    assert error.startswith(place), error


@pytest.mark.parametrize(
    ("filters", "note"),
    [
        ({"genre": "comedy"}, "no item has 'comedy' in genre; did you mean 'Comedy'?"),
        ({"genre": "Dramma"}, "no item has 'Dramma' in genre; did you mean 'Drama'?"),
        ({"genre": "Opera"}, "no item has 'Opera' in genre; it holds text such as 'Comedy', 'Drama', 'War'"),
        ({"price": 7}, "no item has '7' in price; it holds numbers from 5 to 50"),
        ({"price": {"min": 60}}, "no item has price in this range; price holds numbers from 5 to 50"),
    ],
)
async def test_a_value_that_no_item_has_is_said_with_what_there_is(
    run: Path, recommender: Recommender, filters: dict[str, Any], note: str
) -> None:
    answer = await asked(run, filters=filters)
    assert (ids(answer), answer["notes"]) == ([], [note, "nothing is left to recommend: no item meets all filters"])
    notes = recommender.recommend(histories=[[]], filters=filters)[0].notes
    assert notes == [note, "nothing is left to recommend: no item meets all filters"]


async def test_an_answer_without_items_says_why(run: Path) -> None:
    answer = await asked(run, user_id="ann", filters={"genre": "Comedy"}, exclude_seen=True)  # Ann knows both comedies
    assert ids(answer) == []
    rest = "and the rest is in the history, excluded or removed by a rule"
    assert answer["notes"][-1] == f"nothing is left to recommend: the filters leave 2, {rest}"
    answer = await asked(run, only=[20], exclude=[20])
    assert answer["notes"][-1] == f"nothing is left to recommend: `only` names 1, {rest}"


async def test_the_model_lists_values_of_text_and_ranges_of_numbers(run: Path) -> None:
    async with serving(run, items=run.parent / "items.parquet") as served:
        facts = await served.get("/v1/model")
    assert facts["values"]["genre"] == ["Comedy", "Drama", "War"]
    assert facts["ranges"] == {
        "price": {"min": 5.0, "max": 50.0},
        "released": {"min": "1999-12-31", "max": "2001-01-01"},
    }
    assert "2 of 6 items have no row, first '40': filters never keep such items" in facts["item_notes"]


def test_filters_and_only_hold_together(recommender: Recommender) -> None:
    answer = recommender.recommend(histories=[[]], filters={"genre": "Comedy"}, only=[10, 20], exclude_seen=False)[0]
    assert answer.items == [10]
    rest = "and the rest is in the history, excluded or removed by a rule"
    assert answer.notes == [f"only 1 of 10 items: the filters leave 2, {rest}"]


def test_a_file_for_all_users_obeys_filters_and_is_not_written_for_none(
    recommender: Recommender, tmp_path: Path
) -> None:
    recommender.recommend_all(tmp_path / "all.parquet", filters={"price": {"max": 5}}, exclude_seen=False)
    assert set(pl.read_parquet(tmp_path / "all.parquet")["item_id"]) == {10}
    with pytest.raises(ConfigError, match="filters must leave some items; no item has 'Opera' in genre"):
        recommender.recommend_all(tmp_path / "none.parquet", filters={"genre": "Opera"})
    assert not (tmp_path / "none.parquet").exists()
