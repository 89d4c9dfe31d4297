"""Every option of a question changes the answer, and by the same rule, on every road that has the option.

The roads are Python, the command line, HTTP, and each of them for many users at once. The run ranks four items in one
known order, so that the right answer can be written down for every option.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from caser.answering.every_user import AnswerOptions
from caser.answering.recommender import Recommender, load
from caser.artefact.folder import save
from caser.cli import answer as commands
from caser.service.request_schemas import BulkRecommendRequest, RecommendRequest
from tests.cli.terminal import document
from tests.runs import USERS, caser_run, popularity_run
from tests.service.serving import Served, serving

RANKING = [20, 10, 30, 50]
"""What the run recommends to everybody, if nothing is left out."""
HISTORIES = {"ann": [10, 20, 30], "bob": [20, 30], "eve": [50, 10, 20], "zoe": []}
MADE_UP = [20, 50]
"""A history that belongs to nobody."""

# Every option, with values that must change the answer.
OPTIONS: list[dict[str, Any]] = [
    {"k": 1},
    {"k": 2, "exclude_seen": False},
    {"exclude": [20]},
    {"exclude": [50, 10]},
    {"only": [50, 30]},
    {"only": []},
    {"exclude_seen": False},
    {"exclude_seen": False, "exclude": [10]},
    {"exclude_seen": False, "only": [10, 40]},
    {"exclude_seen": False, "only": [50, 30, 10], "exclude": [10], "k": 1},
    {"exclude_seen": False, "filters": {"genre": ["loud"]}},
    {"exclude_seen": False, "rules": {"without": {"genre": "calm"}}},
    {"exclude_seen": False, "rules": {"at_most": {"genre": 1}}},
    {
        "exclude_seen": False,
        "k": 2,
        "rules": {"boosts": [{"where": {"year": {"min": 2000}, "genre": "loud"}, "amount": 2}]},
    },
    {"exclude_seen": False, "k": 3, "rules": {"diversity": 0.9}},
    {"exclude_seen": False, "exclude": [10], "filters": {"year": {"min": 1990}}, "rules": {"at_most": {"year": 1}}},
    {
        "exclude_seen": False,
        "k": 2,
        "only": [10, 30, 50],
        "rules": {
            "without": {"genre": "none"},
            "at_most": {"year": 2},
            "boosts": [{"where": {"genre": "loud"}, "amount": 0.5}, {"where": {"year": 1}, "amount": 2.25}],
            "diversity": 1,
        },
    },
]
GENRES = {10: {"calm"}, 20: {"calm", "loud"}, 30: {"loud"}, 50: set()}
YEARS = {10: 1990, 20: 2000, 30: 2000, 50: 1}
COUNTS = {20: 4.0, 10: 2.0, 30: 2.0, 50: 1.0}
"""The scores of the run, and the table of its items."""
Answers = list[list[Any]]
Road = Callable[["World", Mapping[str, Any]], Awaitable[Answers]]


def right(
    history: list[int],
    k: int = 10,
    exclude: Any = (),
    only: Any = None,
    exclude_seen: Any = True,
    filters: Any = None,
    rules: Any = None,
) -> list[int]:
    """The right answer by the definition of each option."""
    rules = rules or {}
    scores = {
        item: COUNTS[item] + sum(boost["amount"] for boost in rules.get("boosts", []) if meets(item, boost["where"]))
        for item in RANKING
    }
    allowed = [
        item
        for item in sorted(RANKING, key=lambda item: (-scores[item], item))
        if item not in exclude
        and (only is None or item in only)
        and not (exclude_seen and item in history)
        and meets(item, filters or {})
        and not any(meets(item, {name: wanted}) for name, wanted in rules.get("without", {}).items())
    ]
    kept: list[int] = []
    for item in allowed:
        others = [value for one in kept for name in rules.get("at_most", {}) for value in values(one, name)]
        if all(
            others.count(own) < most for name, most in rules.get("at_most", {}).items() for own in values(item, name)
        ):
            kept.append(item)
    share = rules.get("diversity", 0)
    return (diverse(kept[: 10 * k], scores, share) if share else kept)[:k]


def values(item: int, column: str) -> set[Any]:
    return GENRES[item] if column == "genre" else {YEARS[item]}


def meets(item: int, conditions: Any) -> bool:
    def met(name: str, wanted: Any) -> bool:
        if isinstance(wanted, dict):
            return any(wanted.get("min", 0) <= own <= wanted.get("max", 9999) for own in values(item, name))
        return bool(values(item, name) & set(wanted if isinstance(wanted, list) else [wanted]))

    return all(met(name, wanted) for name, wanted in conditions.items())


def diverse(pool: list[int], scores: Mapping[int, float], share: float) -> list[int]:
    """Maximal marginal relevance over the genres, as it is defined."""
    best, last = scores[pool[0]], scores[pool[-1]]
    chosen: list[int] = []
    while len(chosen) < len(pool):

        def value(item: int) -> float:
            alike = [len(GENRES[item] & GENRES[one]) / max(1, len(GENRES[item] | GENRES[one])) for one in chosen]
            return (1 - share) * (scores[item] - last) / ((best - last) or 1) - share * max(alike, default=0)

        chosen.append(max((item for item in pool if item not in chosen), key=value))
    return chosen


@dataclass
class World:
    """The run, and the places where roads write."""

    run: Path
    served: Served
    folder: Path

    @property
    def loaded(self) -> Recommender:
        """The run with its table of items."""
        return load(self.run).with_items(items_of(self.run))

    def read(self, name: str) -> Answers:
        """The answers in a file, one list for each user."""
        path = self.folder / name
        frame = pl.read_csv(path) if name.endswith("csv") else pl.read_parquet(path)
        assert frame["rank"].to_list() == [rank for own in _by_user(frame) for rank in range(1, len(own) + 1)]
        return _by_user(frame)


def items_of(run: Path) -> Path:
    """The table of items beside a run."""
    return run.parent / "items.parquet"


def _by_user(frame: pl.DataFrame) -> Answers:
    return [frame.filter(pl.col("user_id") == user)["item_id"].to_list() for user in USERS]


def flags(options: Mapping[str, Any]) -> list[Any]:
    """The options as words of a command line."""
    words: list[Any] = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if name == "filters":
            words += [word for text in conditions(value) for word in ("--filter", text)]
        elif name == "rules":
            words += [flag, json.dumps(value)]
        elif isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-"))
        else:
            words += [word for one in (value if isinstance(value, list) else [value]) for word in (flag, one)]
    return words


def conditions(filters: Mapping[str, Any]) -> list[str]:
    """Filters as the values of --filter."""
    return [
        f"{name}={one}"
        for name, wanted in filters.items()
        for one in ([f"{wanted.get('min', '')}..{wanted.get('max', '')}"] if isinstance(wanted, dict) else wanted)
    ]


async def python(world: World, options: Mapping[str, Any]) -> Answers:
    return [answer.items for answer in world.loaded.recommend(USERS, **options)]


async def python_to_csv(world: World, options: Mapping[str, Any]) -> Answers:
    world.loaded.recommend_all(world.folder / "all.csv", **options)
    return world.read("all.csv")


async def python_to_parquet_in_little_memory(world: World, options: Mapping[str, Any]) -> Answers:
    world.loaded.recommend_all(world.folder / "all.parquet", memory_mb=1, **options)
    return world.read("all.parquet")


async def command(world: World, options: Mapping[str, Any]) -> Answers:
    users = [word for user in USERS for word in ("--user", user)]
    answers = document("recommend", world.run, "--items", items_of(world.run), *users, *flags(options))["answers"]
    return [[item["item_id"] for item in answer["items"]] for answer in answers]


async def command_for_all(world: World, options: Mapping[str, Any]) -> Answers:
    out = world.folder / "command.parquet"
    document("recommend", world.run, "--items", items_of(world.run), "--all", "--out", out, *flags(options))
    return world.read("command.parquet")


async def http(world: World, options: Mapping[str, Any]) -> Answers:
    return [await world.served.items(user_id=user, **options) for user in USERS]


async def http_bulk(world: World, options: Mapping[str, Any]) -> Answers:
    questions = [{"user_id": user, **options} for user in USERS]
    answers = (await world.served.post("/v1/recommend/bulk", {"questions": questions}))["answers"]
    return [[item["item_id"] for item in answer["items"]] for answer in answers]


ROADS: list[Road] = [
    python, python_to_csv, python_to_parquet_in_little_memory, command, command_for_all, http, http_bulk,
]  # fmt: skip
COMMANDS = (command, command_for_all)


@pytest.fixture(scope="module", params=["remove", "keep"])
def seen(request: pytest.FixtureRequest) -> str:
    """What the protocol of the run does with seen items."""
    return str(request.param)


@pytest.fixture(scope="module")
def run(seen: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    artefact = popularity_run()
    path = tmp_path_factory.mktemp("run") / "run"
    save(replace(artefact, manifest={**artefact.manifest, "seen": seen}), path)
    genres = [sorted(own) for own in GENRES.values()]
    frame = pl.DataFrame({"item_id": list(GENRES), "genre": genres, "year": list(YEARS.values())})
    frame.write_parquet(items_of(path))
    return path


@pytest.mark.parametrize("road", ROADS)
async def test_every_option_has_its_effect_on_every_road(road: Road, seen: str, run: Path, tmp_path: Path) -> None:
    by_protocol = {"exclude_seen": seen == "remove"}
    async with serving(run, items=items_of(run)) as served:
        world = World(run, served, tmp_path)
        for options in [{}, {"exclude_seen": True}, *OPTIONS]:
            if road in COMMANDS and options.get("only") == []:
                continue  # a command line cannot name no item
            expected = [right(HISTORIES[user], **{**by_protocol, **options}) for user in USERS]
            assert await road(world, options) == expected, options


def test_every_option_makes_a_difference_in_this_world() -> None:
    for options in OPTIONS:
        for name in options:
            without = {other: value for other, value in options.items() if other != name}
            assert any(right(own, **options) != right(own, **without) for own in HISTORIES.values()), (options, name)


@pytest.mark.parametrize("options", [{}, *OPTIONS], ids=str)
async def test_a_history_of_nobody_is_answered_alike_on_every_road(
    options: dict[str, Any], seen: str, run: Path
) -> None:
    expected = right(MADE_UP, **{"exclude_seen": seen == "remove", **options})
    ours = load(run).with_items(items_of(run)).recommend(histories=[MADE_UP], **options)[0]
    assert ours.items == expected
    assert any("nothing is left" in note or "only" in note for note in ours.notes) == (
        len(expected) < options.get("k", 10)
    )
    if options.get("only") != []:
        asked = [word for item in MADE_UP for word in ("--item", item)]
        [answer] = document("recommend", run, "--items", items_of(run), *asked, *flags(options))["answers"]
        assert [item["item_id"] for item in answer["items"]] == expected
        assert answer["notes"] == ours.notes
    async with serving(run, items=items_of(run)) as served:
        answer = await served.post("/v1/recommend", {"history": MADE_UP, **options})
        assert [item["item_id"] for item in answer["items"]] == expected
        assert answer["notes"] == ours.notes
        bulk = {"questions": [{"history": [10]}, {"history": MADE_UP, **options}, {"user_id": "ann", **options}]}
        answers = (await served.post("/v1/recommend/bulk", bulk))["answers"]
        assert [item["item_id"] for item in answers[1]["items"]] == expected


async def test_a_user_with_a_history_is_answered_with_that_history_on_every_road(seen: str, run: Path) -> None:
    expected = right(MADE_UP, exclude_seen=True)
    assert load(run).recommend("ann", [MADE_UP], exclude_seen=True)[0].items == expected
    [answer] = document("recommend", run, "--user", "ann", "--item", 20, "--item", 50, "--exclude-seen")["answers"]
    assert [item["item_id"] for item in answer["items"]] == expected
    async with serving(run) as served:
        assert await served.items(user_id="ann", history=MADE_UP, exclude_seen=True) == expected


@pytest.mark.parametrize("k", [1, 2])
async def test_similar_items_are_as_many_as_asked_for_on_every_road(k: int, tmp_path: Path) -> None:
    save(caser_run(), tmp_path / "run")
    expected = load(tmp_path / "run").similar(20)[0].items[:k]
    assert load(tmp_path / "run").similar(20, k=k)[0].items == expected
    answer = document("similar", tmp_path / "run", "--item", 20, "--k", k)
    assert [item["item_id"] for item in answer["items"]] == expected
    async with serving(tmp_path / "run") as served:
        found = await served.get(f"/v1/items/20/similar?k={k}")
        assert [item["item_id"] for item in found["items"]] == expected


@pytest.mark.parametrize("unknown_users", ["auto", "mean", "fold-in"])
def test_an_unknown_user_is_answered_as_asked_in_python_and_by_command(unknown_users: Any, tmp_path: Path) -> None:
    save(caser_run(), tmp_path / "run")
    answer = load(tmp_path / "run").recommend("new", [[10, 20]], unknown_users=unknown_users)[0]
    assert answer.source == ("mean user" if unknown_users == "mean" else "fold-in")
    words = ("--user", "new", "--item", 10, "--item", 20, "--unknown-users", unknown_users)
    [said] = document("recommend", tmp_path / "run", *words)["answers"]
    assert said["source"] == answer.source
    assert [item["score"] for item in said["items"]] == pytest.approx(answer.scores, abs=1e-6)


def test_no_option_is_without_a_test() -> None:
    tested = {name for options in OPTIONS for name in options}
    others = {"unknown_users", "memory_mb", "users", "histories", "path", "self"}
    others |= {"items", "filter", "csv_safe", "engine"}  # tests/cli
    others |= {"connection", "out_table", "replace"}  # tests/service/test_into_table.py
    others |= {"chance"}  # tests/service/test_chances.py: every road tells the same chances
    assert set(inspect.signature(Recommender.recommend).parameters) - others == tested
    assert AnswerOptions.__annotations__.keys() - others == tested
    files = {"run", "user", "item", "all", "out", "json"}
    assert set(inspect.signature(commands.recommend).parameters) - others - files == tested - {"filters"}
    by_rules = {"explain"}  # tests/service/test_recommend.py
    assert RecommendRequest.model_fields.keys() - {"user_id", "history"} - by_rules == tested | {"chance"}
    assert BulkRecommendRequest.model_fields.keys() == {"questions"}
