from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import caser
from caser.answering.explain import explain
from caser.answering.patterns import filters_fired
from caser.answering.recommender import load
from caser.artefact.folder import save
from caser.errors import ArtefactError
from caser.service.http.server import app_for_run
from caser.service.settings import ServiceSettings
from tests.runs import popularity_run
from tests.service.serving import serving
from tests.skips import NEEDS_EXTRAS


async def test_a_known_user_gets_the_recommendations_of_the_library(run: Path) -> None:
    expected = load(run).recommend(users="ann", k=2)[0]
    async with serving(run) as served:
        answer = await served.post("/v1/recommend", {"user_id": "ann", "k": 2})
    assert [item["item_id"] for item in answer["items"]] == expected.items
    assert [item["score"] for item in answer["items"]] == expected.scores
    assert [item["title"] for item in answer["items"]] == expected.titles
    assert [item["rank"] for item in answer["items"]] == list(range(1, len(expected.items) + 1))
    assert answer["source"] == "known user"
    assert answer["api_version"] == "1"
    assert len(answer["model_version"]) == 64


@pytest.mark.parametrize(
    ("question", "source"),
    [
        ({"user_id": "ann"}, "known user"),
        ({"user_id": "nobody", "history": [10]}, "fold-in"),
        ({"history": [10, 20]}, "fold-in"),
        ({"user_id": "ann", "history": [50]}, "known user"),
        ({"user_id": "nobody"}, "popularity"),
        ({}, "popularity"),
        ({"user_id": "zoe"}, "popularity"),
    ],
)
async def test_every_question_is_answered_and_the_answer_names_its_source(
    run: Path, question: dict[str, Any], source: str
) -> None:
    recommender = load(run)
    user, history = question.get("user_id"), question.get("history")
    expected = recommender.recommend(
        users=None if user is None else [user],
        histories=None if history is None and user is not None else [history or []],
        k=3,
    )[0]
    async with serving(run) as served:
        answer = await served.post("/v1/recommend", {**question, "k": 3})
    assert answer["source"] == source == expected.source
    assert [item["item_id"] for item in answer["items"]] == expected.items


async def test_a_number_and_its_text_are_the_same_id(run: Path) -> None:
    async with serving(run) as served:
        assert await served.items(history=["10", "20"]) == await served.items(history=[10, 20])


async def test_unknown_ids_are_ignored_and_listed(run: Path) -> None:
    async with serving(run) as served:
        answer = await served.post(
            "/v1/recommend", {"history": [10, "new"], "exclude": ["gone", 20], "only": [30, 50, 7], "k": 5}
        )
    assert answer["ignored"] == ["new", "gone", 7]
    assert answer["notes"] == ["ignored unknown items: new, gone, 7", "only 2 of 5 items: `only` names 2"]
    assert {item["item_id"] for item in answer["items"]} == {30, 50}


async def test_seen_items_are_excluded_as_in_the_protocol_unless_asked_for(run: Path) -> None:
    async with serving(run) as served:
        assert await served.items(user_id="ann", k=9) == [50]
        assert sorted(await served.items(user_id="ann", k=9, exclude_seen=False)) == [10, 20, 30, 50]


async def test_a_bulk_request_gives_the_same_answers_as_single_requests(run: Path) -> None:
    questions = [
        {"user_id": "ann", "k": 1},
        {"history": [10], "k": 3},
        {"user_id": "nobody"},
        {"user_id": "bob", "k": 2, "exclude": [50]},
        {"user_id": "eve", "only": [30], "explain": True},
    ] * 20
    async with serving(run) as served:
        alone = [await served.post("/v1/recommend", question) for question in questions[:5]]
        together = await served.post("/v1/recommend/bulk", {"questions": questions})
    for number, answer in enumerate(together["answers"]):
        one = alone[number % 5]
        assert [item["item_id"] for item in answer["items"]] == [item["item_id"] for item in one["items"]]
        assert [item["score"] for item in answer["items"]] == pytest.approx([item["score"] for item in one["items"]])
        assert answer["source"] == one["source"]


async def test_explanations_equal_those_of_the_library_and_parts_add_up(run: Path) -> None:
    recommender = load(run)
    async with serving(run) as served:
        answer = await served.post("/v1/recommend", {"user_id": "nobody", "history": [10, 50], "k": 3, "explain": True})
    assert len(answer["items"]) == 2
    for item in answer["items"]:
        expected = explain(recommender, item=item["item_id"], user="nobody", history=[10, 50])
        assert item["why"]["parts"] == pytest.approx(expected.parts, abs=1e-5)
        assert sum(item["why"]["parts"].values()) == pytest.approx(item["score"], abs=1e-5)
        effects = sum(one["effect"] for one in item["why"]["history"])
        assert effects + item["why"]["rest"] == pytest.approx(item["why"]["parts"]["short-term"], abs=1e-5)
        assert item["why"]["effects_of"] == "short-term"
        for found, effect in zip(item["why"]["history"], expected.history, strict=True):
            assert (found["item_id"], found["title"]) == (effect.item_id, effect.title)
            assert found["effect"] == pytest.approx(effect.effect, abs=1e-5)


async def test_filter_patterns_equal_those_of_the_library(run: Path) -> None:
    expected = filters_fired(load(run), [10, 50]).to_dict()
    async with serving(run) as served:
        answer = await served.post("/v1/recommend", {"history": [10, "never seen", 50], "explain": True})
        assert answer["patterns"] == expected
        assert "patterns" not in await served.post("/v1/recommend", {"history": [10, 50]})
        assert "patterns" not in await served.post("/v1/recommend", {"explain": True})


async def test_an_exported_file_answers_as_its_run_and_one_of_another_run_is_refused(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason=NEEDS_EXTRAS)
    from caser.exported.write import write_onnx

    write_onnx(load(run).artefact, tmp_path / "run.onnx")
    question = {"history": [10, 50], "explain": True}
    async with serving(run) as plain, serving(run, onnx=tmp_path / "run.onnx") as served:
        expected, answer = await plain.post("/v1/recommend", question), await served.post("/v1/recommend", question)
        assert [item["item_id"] for item in answer["items"]] == [item["item_id"] for item in expected["items"]]
        scores = [item["score"] for item in expected["items"]]
        assert [item["score"] for item in answer["items"]] == pytest.approx(scores, rel=1e-5)
    save(popularity_run(), tmp_path / "other")
    with pytest.raises(ArtefactError, match="exported from this run"):
        app_for_run(tmp_path / "other", ServiceSettings(onnx=tmp_path / "run.onnx"))


async def test_a_model_without_parts_has_its_score_as_only_part(tmp_path: Path) -> None:
    save(popularity_run(), tmp_path / "run")
    async with serving(tmp_path / "run") as served:
        answer = await served.post("/v1/recommend", {"user_id": "bob", "k": 1, "explain": True})
    assert answer["items"][0]["why"]["parts"] == {"score": 2.0}


async def test_similar_items_equal_those_of_the_library(run: Path) -> None:
    expected = load(run).similar(10, k=2)[0]
    async with serving(run) as served:
        answer = await served.get("/v1/items/10/similar?k=2")
        assert [item["item_id"] for item in answer["items"]] == expected.items
        assert answer["similar_to"] == 10
        assert "trained on" in (await served.get("/v1/items/40/similar", status=404))["error"]
        assert "trained on" in (await served.get("/v1/items/nonsense/similar", status=404))["error"]
        assert "k must be" in (await served.get("/v1/items/10/similar?k=0", status=422))["error"]
        refused = await served.get(f"/v1/items?query={'x' * 201}", status=422)
        assert refused["error"] == "query must have at most 200 characters."


async def test_search_finds_titles_by_word_with_the_most_popular_first(run: Path) -> None:
    async with serving(run) as served:
        assert await served.get("/v1/items?query=TWEN") | {"model_version": ""} == {
            "api_version": "1",
            "model_version": "",
            "items": [{"item_id": 20, "title": "Twenty"}],
        }
        everything = [item["item_id"] for item in (await served.get("/v1/items"))["items"]]
        assert everything[:2] == [20, 10]


async def test_the_model_route_describes_the_model(run: Path) -> None:
    async with serving(run) as served:
        facts = await served.get("/v1/model")
    assert (facts["model"], facts["users"], facts["items"], facts["settings"]["L"]) == ("caser", 4, 6, 2)
    assert (facts["values"], facts["exclude_seen"]) == ({}, True)


def test_answering_needs_no_torch(run: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path; from caser.service.http.server import app_for_run; "
        "from caser.service.settings import ServiceSettings; "
        "from caser.service.answers.answer import Question; "
        "from caser.service.request_schemas import RecommendRequest\n"
        f"service = app_for_run(Path({str(run)!r}), ServiceSettings()).state.service\n"
        "question = Question(RecommendRequest(user_id='ann', explain=True))\n"
        "print(len(service.arms.answer([question])[0]['items'])); service.close()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
    assert caser.__version__
