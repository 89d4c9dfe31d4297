"""Ids of real logs on every road: only what an id is written as stands for it, and what was trained on is answered."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from caser.answering.explain import explain
from caser.answering.recommender import Recommender, load
from caser.artefact.folder import model_version, save
from caser.data.id_text import MAX_ID_LENGTH, json_id, written
from caser.data.log import Vocabulary
from caser.data.readers import read_log
from caser.errors import ConfigError, DataError, UnknownIdError
from caser.study import replay
from tests.cli.terminal import caser, document, refusal
from tests.identity import by_command, by_file, by_http, log_table, run_of, run_with, user_path
from tests.runs import ITEMS, USERS, caser_run
from tests.service.serving import serving
from tests.skips import NEEDS_EXTRAS

NUMBERS = list(range(1, 9))
NOT_SEVEN = ["007", " 7", "7 ", "+7", "0_7", "7.0", "7e0", "-07", "٧", "七", "0x7", "7\n", "٠٧"]
"""Texts that Python, or another program, converts to the number 7, or that look like it."""


@pytest.fixture(scope="module")
def numbers() -> Recommender:
    """A run whose users and items are 1 to 8."""
    return run_with(NUMBERS, NUMBERS)


@pytest.fixture(scope="module")
def numbers_folder(numbers: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "numbers"
    numbers.save(folder)
    return folder


# d11, c01, a54: only the text that a number is written as stands for it


def test_the_text_of_a_number_and_the_number_are_one_id(numbers: Recommender) -> None:
    asked: list[Any] = [7, "7", np.int8(7), np.uint64(7), np.str_("7")]
    answers = [numbers.recommend(users=user, k=3)[0] for user in asked]
    assert {answer.source for answer in answers} == {"known user"}
    assert {tuple(answer.items) for answer in answers} == {tuple(answers[0].items)}
    assert [type(answer.query) for answer in answers] == [int] * 5


@pytest.mark.parametrize("text", NOT_SEVEN)
def test_what_only_looks_like_a_number_is_another_id(numbers: Recommender, text: str) -> None:
    assert numbers.recommend(users=text)[0].source == "popularity"
    assert numbers.recommend(histories=[[text]])[0].ignored == (text,)
    assert numbers.recommend(users=1, exclude=[text], only=[8])[0].ignored == (text,)
    with pytest.raises(UnknownIdError):
        numbers.similar(text)
    with pytest.raises(UnknownIdError):
        explain(numbers, item=text, user=1)


@pytest.mark.parametrize(
    "value", [True, np.bool_(True), 7.0, np.float32(7), float("nan"), None, b"7", "", [7], object()]
)
def test_what_cannot_be_an_id_of_the_log_is_refused_in_words(numbers: Recommender, value: Any) -> None:
    for question in ({"users": [value]}, {"histories": [[1, value]]}, {"users": 1, "only": [1, value]}):
        with pytest.raises(ConfigError, match=r"an id (in \w+|must)|a history must"):
            numbers.recommend(**question)
    with pytest.raises(ConfigError):
        numbers.similar([value])
    with pytest.raises(ConfigError):
        explain(numbers, item=value, user=1)


def test_a_whole_float_is_refused_with_both_readings(numbers: Recommender) -> None:
    with pytest.raises(ConfigError, match=r'got 7\.0\. Give 7 for the id 7, or "7\.0" for that text'):
        numbers.recommend(users=[7.0])


async def test_an_event_or_an_erasure_of_one_user_never_reaches_another(numbers_folder: Path) -> None:
    async with serving(numbers_folder) as served:
        before = (await served.get("/v1/users/7/history"))["interactions"]
        await served.post("/v1/events", {"user_id": 7, "item_id": 3})
        for other in NOT_SEVEN:
            await served.post("/v1/events", {"user_id": other, "item_id": 5})
            assert [one["item_id"] for one in (await served.get(user_path(other, "/history")))["interactions"]] == [5]
            erased = await served.client.delete(user_path(other))
            assert erased.json()["events_removed"] == 1
        after = (await served.get("/v1/users/7/history"))["interactions"]
        assert [one["item_id"] for one in after] == [*(one["item_id"] for one in before), 3]
        assert (await served.post("/v1/recommend", {"user_id": "7"}))["source"] == "known user"
        assert (await served.client.delete("/v1/users/7")).json()["events_removed"] == 1
        assert (await served.get("/v1/users/7/history"))["interactions"] == []


async def test_an_item_is_known_only_by_what_it_is_written_as(numbers_folder: Path) -> None:
    async with serving(numbers_folder) as served:
        said = await served.post(
            "/v1/events", {"events": [{"user_id": "new", "item_id": one} for one in [7, *NOT_SEVEN]]}
        )
        assert said["unknown_items"] == NOT_SEVEN
        answer = await served.post("/v1/recommend", {"history": ["7"], "exclude": ["007"], "only": ["+8", 8]})
        assert answer["ignored"] == ["007", "+8"]
        assert [item["item_id"] for item in answer["items"]] == [8]
        for text in NOT_SEVEN:
            assert (await served.client.get(f"/v1/items/{user_path(text)[10:]}/similar")).status_code == 404


@pytest.mark.parametrize("value", ["7.0", "true", "null", "1e0", "[7]", '""'])
async def test_a_json_value_that_is_no_id_is_refused_in_words(numbers_folder: Path, value: str) -> None:
    async with serving(numbers_folder) as served:
        content = f'{{"history": [1, {value}]}}'
        response = await served.client.post(
            "/v1/recommend", content=content, headers={"content-type": "application/json"}
        )
        assert response.status_code == 422
        assert (
            "must be an id: a text of 1 to 1,000 characters, or a whole number (7, not 7.0)" in response.json()["error"]
        )


def test_the_command_line_knows_only_what_a_number_is_written_as(numbers_folder: Path) -> None:
    said = document("recommend", numbers_folder, *(f"--user={text}" for text in ["7", *NOT_SEVEN]))["answers"]
    assert [answer["source"] for answer in said] == ["known user"] + ["popularity"] * len(NOT_SEVEN)
    assert [answer["user_id"] for answer in said] == [7, *NOT_SEVEN]


def test_texts_with_zeros_blanks_or_signs_are_ids_of_their_own() -> None:
    texts = ["7", "007", " 7", "+7", "0_7", "7.0", "٧", "true"]
    run = run_with(texts, texts)
    assert [answer.source for answer in run.recommend(users=texts)] == ["known user"] * 8
    assert run.recommend(users=7)[0].items == run.recommend(users="7")[0].items
    assert run.recommend(histories=[[7]])[0].items != run.recommend(histories=[["007"]])[0].items
    assert run.recommend(users=True)[0].items == run.recommend(users="true")[0].items
    for value in (8.0, False):
        with pytest.raises(ConfigError, match="where ids are text"):
            run.recommend(users=value)


def test_floats_and_bools_are_ids_of_logs_that_hold_them() -> None:
    floats = run_with([0.5, 7.0, 1e16, -2.25], [0.5, 7.0, 1e16, -2.25])
    for text, value in (("0.5", 0.5), ("7.0", 7.0), ("1e+16", 1e16), ("-2.25", -2.25)):
        assert floats.recommend(users=text)[0].items == floats.recommend(users=value)[0].items
        assert floats.recommend(users=text)[0].query == value
    assert floats.recommend(users=["7", "1e16", ".5", 7])[3].source == "popularity"
    bools = run_with([True, False], ["a", "b", "c"])
    answers = bools.recommend(users=[True, "true", False, "False", 1, "1"], k=1, exclude_seen=False)
    assert [answer.source for answer in answers] == ["known user"] * 3 + ["popularity"] * 3


# c01: unknown ids are answered and said; k is checked


def test_unknown_users_and_items_are_answered_and_said(numbers_folder: Path) -> None:
    outcome = caser("recommend", numbers_folder, "--user", "nobody", "--item", "7", "--item", "what is this ", "--k", 2)
    assert outcome.code == 0
    assert outcome.out.startswith("user nobody · history\n")
    assert "ignored unknown items: 'what is this '" in outcome.err


@pytest.mark.parametrize("k", [0, -1, 2.0, True, "3", None])
def test_k_must_be_a_whole_number_of_items(numbers: Recommender, k: Any) -> None:
    with pytest.raises(ConfigError, match="k must be a whole number, at least 1; got"):
        numbers.recommend(users=[], k=k)
    with pytest.raises(ConfigError, match="k must be a whole number, at least 1; got"):
        numbers.similar(1, k=k)
    assert len(numbers.recommend(users=1, k=10_000, exclude_seen=False)[0].items) == len(NUMBERS)


# b07: tables and other shapes given as users or histories


TABLE = {"user_id": [1, 2], "item_id": [3, 4]}
WRONG_SHAPES = {
    "pandas frame": (pd.DataFrame(TABLE), "a table, a DataFrame. Pass one column"),
    "polars frame": (pl.DataFrame(TABLE), "a table, a DataFrame. Pass one column"),
    "lazy frame": (pl.LazyFrame(TABLE), "a table, a LazyFrame. Pass one column"),
    "arrow table": (pl.DataFrame(TABLE).to_arrow(), "a table, a Table. Pass one column"),
    "dict": ({1: [3, 4], 2: [5]}, r"pass users=list\(d\) and histories=list\(d.values\(\)\)"),
    "set": ({1, 2}, "must have an order; got a set"),
    "frozenset": (frozenset([1, 2]), "must have an order; got a frozenset"),
    "bytes": (b"12", "got bytes. Decode it first"),
    "bytearray": (bytearray(b"12"), "got bytearray. Decode it first"),
}


@pytest.mark.parametrize("kind", WRONG_SHAPES)
def test_what_is_no_list_of_ids_is_refused_with_what_to_do(numbers: Recommender, kind: str) -> None:
    value, sentence = WRONG_SHAPES[kind]
    asked: list[dict[str, Any]] = [{"users": value}, {"histories": value}, {"users": 1, "histories": [value]}]
    for question in asked:
        with pytest.raises(ConfigError, match=sentence):
            numbers.recommend(**question)
    with pytest.raises(ConfigError, match=sentence):
        explain(numbers, item=1, history=value)
    with pytest.raises(ConfigError, match=sentence):
        numbers.similar(value)


def test_every_column_and_list_of_ids_gives_the_same_answers(numbers: Recommender) -> None:
    expected = [answer.items for answer in numbers.recommend(users=[2, 5])]
    frame = pl.DataFrame({"user_id": [2, 5]})
    columns: list[Any] = [
        (2, 5), ["2", 5], range(2, 6, 3), np.array([2, 5], dtype=np.int16), np.array(["2", "5"]), iter([2, 5]),
        frame["user_id"], frame["user_id"].cast(pl.String).cast(pl.Categorical), frame.to_pandas()["user_id"],
        frame.to_arrow()["user_id"], pd.Index([2, 5]), pd.Series([2, 5], dtype="Int64"), {2: 0, 5: 0}.keys(),
    ]  # fmt: skip
    for users in columns:
        assert [answer.items for answer in numbers.recommend(users=users)] == expected


def test_histories_may_be_lists_arrays_or_a_column_of_lists(numbers: Recommender) -> None:
    expected = [answer.items for answer in numbers.recommend(histories=[[2, 3], [5, 6]])]
    lists: list[Any] = [
        ((2, 3), (5, 6)), np.array([[2, 3], [5, 6]]), pl.Series([[2, 3], [5, 6]]), pd.Series([[2, 3], [5, 6]]),
        [np.array([2, 3]), pl.Series([5, 6])], (iter(one) for one in [[2, 3], [5, 6]]), {0: [2, 3], 1: [5, 6]}.values(),
    ]  # fmt: skip
    for histories in lists:
        assert [answer.items for answer in numbers.recommend(histories=histories)] == expected
    with pytest.raises(ConfigError, match=r"an array of shape \(1, 2\)"):
        numbers.recommend(users=np.array([[2, 5]]))


# a42, b04, d01: wide numbers, and clients that read JSON into floats

WIDE = [2**53 - 1, 2**53, 2**53 + 1, 1_161_888_007_138_312_001, 2**63 - 1]
HASHES = [2**64 - 1, 18_446_744_073_709_000_001, 2**63, 2]
ROUNDED = [2**53 + 1, 2**62, 5]
LONG = [f"{10**39 + step}" for step in range(3)] + ["-" + "9" * 40]


@pytest.mark.parametrize(
    "ids", [WIDE, HASHES, LONG, [-(2**63), -5, 3]], ids=["wide", "hashes", "40 digits", "negative"]
)
async def test_wide_numbers_are_answered_on_every_road_and_survive_a_browser(ids: list[Any], tmp_path: Path) -> None:
    kind = pl.UInt64 if ids is HASHES else None
    table = log_table(ids, ids).with_columns(pl.col("user", "item").cast(kind)) if kind else log_table(ids, ids)
    run_of(table).save(tmp_path / "run")
    run = load(tmp_path / "run")
    assert run.artefact.users.ids.dtype == table["user"].dtype
    expected = {raw: run.recommend(users=raw, k=3, exclude_seen=False)[0] for raw in ids}
    assert {answer.source for answer in expected.values()} == {"known user"}
    async with serving(tmp_path / "run") as served:
        for raw, answer in expected.items():
            assert await by_http(served, user_id=raw, exclude_seen=False) == list(map(json_id, answer.items))
            as_browser = await by_http(served, user_id=json_id(raw), exclude_seen=False)
            # What JavaScript reads: every number as a float. Asked about again, each item is the same one.
            assert [int(float(one)) if isinstance(one, int) else one for one in as_browser] == as_browser
            await served.post("/v1/events", {"user_id": raw, "item_id": raw})
            history = await served.get(user_path(written(raw), "/history"))
            assert history["interactions"][-1]["item_id"] == json_id(raw)
            assert history == {**await served.get(f"/v1/history?user_id={written(raw)}")}
            for item in as_browser:
                similar = await served.get(f"/v1/items/{item}/similar")
                assert similar["similar_to"] == item
    assert by_command(tmp_path / "run", "user", map(written, ids)) == [
        list(map(json_id, run.recommend(users=raw, k=3)[0].items)) for raw in ids
    ]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(
    "ids", [WIDE, LONG, ["NA", " 7", "a,b", 'q"', "two\nlines", "é", "e\u0301"], [0.5, 1e16, 7.0]],
    ids=["wide", "40 digits", "texts", "floats"],
)  # fmt: skip
def test_batch_files_hold_the_ids_of_the_log(ids: list[Any], ending: str, tmp_path: Path) -> None:
    run = run_with(ids, ids)
    run.recommend_all(tmp_path / f"all.{ending}", k=2, exclude_seen=False)
    rows = by_file(tmp_path / f"all.{ending}")
    answers = run.recommend(users=ids, k=2, exclude_seen=False)
    assert rows == [
        (written(raw), written(item)) for raw, answer in zip(ids, answers, strict=True) for item in answer.items
    ]
    answers.write(tmp_path / f"some.{ending}")
    assert by_file(tmp_path / f"some.{ending}") == rows


# c02, c06: ids in a shell, in a path, and in several Unicode forms

AWKWARD = [
    "-Xc3SfkOaK", "--k", "--json", "-5", "a,b", "a/b", "..", ".", "%2F", "100%", "a?b=c&d", "#1", "q\"uo'te",
    "back\\slash", "two\nlines", "tab\t", " ends ", "\u00a0", "\u200b",
    "🍵", "café", "cafe\u0301", "[1,2]", "null", "NaN", "x" * 300,
]  # fmt: skip


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "awkward"
    run_with(AWKWARD, AWKWARD).save(folder)
    return folder


def test_awkward_ids_can_be_typed(awkward: Path) -> None:
    run = load(awkward)
    assert by_command(awkward, "user", AWKWARD) == [run.recommend(users=raw, k=3)[0].items for raw in AWKWARD]
    for raw in ("-Xc3SfkOaK", "--k", "a,b"):
        assert document("similar", awkward, f"--item={raw}")["similar_to"] == raw
        assert document("explain", awkward, f"--item={raw}", "--user=a,b")["item_id"] == raw
        assert by_command(awkward, "item", [raw]) == [run.recommend(histories=[[raw]], k=3)[0].items]


@pytest.mark.parametrize(
    ("value", "typed"), [("-Xc3SfkOaK", "--item=-Xc3SfkOaK"), ("--k", "--item=--k"), ("-a b", "'--item=-a b'")]
)
def test_the_sentence_about_a_value_with_a_dash_says_how_to_type_it(awkward: Path, value: str, typed: str) -> None:
    for words in (["recommend", awkward], ["similar", awkward], ["explain", awkward, "--user=a,b"]):
        code, line = refusal(*words, "--item", value)
        assert code == 2
        assert line.endswith(f"A value that begins with - is joined to its flag: {typed}")


def test_an_empty_variable_in_a_shell_is_refused(awkward: Path) -> None:
    code, line = refusal("recommend", awkward, "--user=")
    assert code == 2
    assert line.startswith("an id in users must have at least one character; got an empty text.")


async def test_awkward_ids_can_be_asked_for_over_http(awkward: Path) -> None:
    run = load(awkward)
    async with serving(awkward) as served:
        for raw in AWKWARD:
            assert await by_http(served, user_id=raw) == run.recommend(users=raw, k=3)[0].items
            stored = [
                run.artefact.items.raw([index])[0]
                for index in run.artefact.histories.sequence(run.artefact.users.index(raw))
            ]
            paths = [f"/v1/history?user_id={user_path(raw)[10:]}"]
            if raw not in (".", ".."):  # clients take these out of a path
                paths.append(user_path(raw, "/history"))
            for path in paths:
                found = await served.get(path)
                assert found["user_id"] == raw
                assert [one["item_id"] for one in found["interactions"]] == stored
            similar = await served.get(f"/v1/similar?item_id={user_path(raw)[10:]}")
            assert similar["similar_to"] == raw
            await served.post("/v1/events", {"user_id": raw, "item_id": raw})
            assert (await served.get(paths[0]))["interactions"][-1]["item_id"] == raw
            erased = await served.client.delete(f"/v1/users?user_id={user_path(raw)[10:]}")
            assert erased.json()["events_removed"] == 1


def test_an_id_that_is_too_long_to_be_asked_for_is_not_trained_on() -> None:
    frame = log_table(["a", "b" * (MAX_ID_LENGTH + 1)], ["x", "y", "z"])
    with pytest.raises(DataError, match=r"5 with the id of a user of more than 1,000 characters \(first at row 6\)"):
        read_log(frame)
    longest = "b" * MAX_ID_LENGTH
    assert run_with(["a", longest], ["x", "y", "z"]).recommend(users=longest)[0].source == "known user"


@pytest.mark.parametrize(
    "ids",
    [
        pl.Series([1, 2, 3], dtype=pl.Int8),
        pl.Series([1, 2, 2**64 - 1], dtype=pl.UInt64),
        pl.Series([10**37, -1, 0], dtype=pl.Int128),
        pl.Series([0.1, 7.0, 1e-30], dtype=pl.Float32),
        pl.Series([False, True]),
        pl.Series(["\x00", " ", "\u2028", "a\x1fb"]),
    ],
    ids=lambda ids: str(ids.dtype),
)
def test_a_saved_run_holds_ids_of_every_kind(ids: pl.Series, tmp_path: Path) -> None:
    run = run_of(log_table(ids.to_list(), ids.to_list()).with_columns(pl.col("user", "item").cast(ids.dtype)))
    run.save(tmp_path / "run")
    again = load(tmp_path / "run")
    assert again.artefact.users.ids.dtype == again.artefact.items.ids.dtype == ids.dtype
    for raw in ids.to_list():
        for asked in (raw, written(raw), json_id(raw)):
            answer = again.recommend(users=asked, k=2, exclude_seen=False)[0]
            assert (answer.query, answer.source) == (raw, "known user")
            assert answer.items == run.recommend(users=raw, k=2, exclude_seen=False)[0].items


def test_a_service_is_compared_with_its_run_for_ids_that_json_would_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_with(ROUNDED, ROUNDED).save(tmp_path / "run")

    def post(url: str, path: str, body: Any, token: str | None) -> Any:
        async def ask() -> Any:
            async with serving(tmp_path / "run") as served:
                return await served.post(path, body)

        return asyncio.run(ask())

    monkeypatch.setattr(replay, "ask", post)
    how: dict[str, Any] = {"version": model_version(tmp_path / "run"), "users": 9, "k": 3, "seed": 0, "token": None}
    agreement = replay.compare_with_service(load(tmp_path / "run"), "", **how)
    assert (agreement.same, agreement.ties, agreement.different) == (len(ROUNDED), 0, {})


@pytest.mark.parametrize(
    ("ids", "unknown", "column"),
    [
        ([7, 8, 9], "007", ["7", "007"]),
        ([0.5, 7.0, 8.5], 7, ["0.5", "7"]),
        (["7", "8", "9"], 10, ["7", "10"]),
        ([7, 8, 9], 2**70, ["7", str(2**70)]),
        ([7, 8, 9], 10, [7, 10]),
    ],
)
def test_a_frame_of_answers_keeps_known_and_unknown_ids_apart(ids: list[Any], unknown: Any, column: list[Any]) -> None:
    frame = run_with(ids, ids).recommend(users=[ids[0], unknown], k=1, exclude_seen=False).to_frame()
    assert frame["user_id"].to_list() == column


def test_an_exported_run_answers_for_the_same_ids(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason=NEEDS_EXTRAS)
    from caser.exported.scorer import through_onnx
    from caser.exported.write import write_onnx

    users, items = ["007", " 7", "..", "٧"], [2**60 + step for step in range(len(ITEMS))]
    assert len(users) == len(USERS)
    artefact = replace(caser_run(), users=Vocabulary(pl.Series(users)), items=Vocabulary(pl.Series(items)))
    save(artefact, tmp_path / "run")
    write_onnx(artefact, tmp_path / "run.onnx")
    run = load(tmp_path / "run")
    exported = through_onnx(run, tmp_path / "run.onnx")
    for user in users:
        assert exported.recommend(users=user, k=3)[0].items == run.recommend(users=user, k=3)[0].items
    assert exported.recommend(users="7")[0].source == "popularity"
