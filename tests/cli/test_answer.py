"""`caser recommend`, `caser similar` and `caser explain`: raw ids in, ranked raw ids out."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from caser.answering.recommender import load
from caser.cli.runs import tell_left_out
from caser.models import model_settings
from tests.cli.conftest import TrainedRun
from tests.cli.terminal import caser, document, refusal
from tests.skips import NEEDS_EXTRAS

EVERYTHING = set(range(1, 9))


@pytest.fixture
def caser_run(trained: TrainedRun) -> Path:
    return trained("caser")


def only_answer(*words: object) -> Any:
    [answer] = document("recommend", *words)["answers"]
    return answer


def items(answer: Any) -> list[Any]:
    return [row["item_id"] for row in answer["items"]]


# Recommend


def test_every_model_recommends_for_a_user(run: Path) -> None:
    said = document("recommend", run, "--user", 1, "--k", 3)
    [answer] = said["answers"]
    assert said["model"] == run.name
    assert (answer["user_id"], answer["source"], answer["notes"]) == (1, "known user", [])
    assert [row["rank"] for row in answer["items"]] == [1, 2, 3]
    scores = [row["score"] for row in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    assert set(items(answer)) < EVERYTHING


def test_every_model_recommends_after_a_made_up_history(run: Path) -> None:
    answer = only_answer(run, "--item", 3, "--item", 4)
    assert answer["user_id"] is None
    has_user_vectors = model_settings(run.name).has_user_vectors
    assert answer["source"] == ("fold-in" if has_user_vectors else "history")
    assert set(items(answer)) == EVERYTHING


def test_a_table_names_the_user_and_how_the_answer_was_made(caser_run: Path) -> None:
    out = caser("recommend", caser_run, "--user", 1, "--k", 2).out
    assert out.splitlines()[0] == "user 1 · known user"
    assert out.splitlines()[1].split() == ["rank", "item_id", "score"]
    assert caser("recommend", caser_run, "--item", 3, "--item", 4).out.startswith("history 3 4 · fold-in\n")


def test_several_users_are_answered_in_the_order_they_were_named(caser_run: Path) -> None:
    said = document("recommend", caser_run, "--user", 7, "--user", 2)
    assert [answer["user_id"] for answer in said["answers"]] == [7, 2]
    assert items(said["answers"][1]) == items(only_answer(caser_run, "--user", 2))


def test_a_user_with_a_history_is_asked_about_that_history(caser_run: Path) -> None:
    answer = only_answer(caser_run, "--user", 1, "--item", 3)
    assert (answer["user_id"], answer["source"]) == (1, "known user")
    assert answer["items"] != only_answer(caser_run, "--user", 1)["items"]
    assert answer["items"] != only_answer(caser_run, "--item", 3)["items"]


def test_a_history_belongs_to_one_user(caser_run: Path) -> None:
    code, line = refusal("recommend", caser_run, "--user", 1, "--user", 2, "--item", 3)
    assert (code, line) == (2, "a history belongs to at most one user; got 2 users and a history of 1.")


def test_recommend_needs_a_user_or_a_history(caser_run: Path) -> None:
    code, line = refusal("recommend", caser_run)
    assert code == 2
    assert "--user ID" in line


def test_an_unknown_user_gets_popular_items(caser_run: Path) -> None:
    answer = only_answer(caser_run, "--user", "nobody")
    assert (answer["user_id"], answer["source"]) == ("nobody", "popularity")
    counts = [row["score"] for row in answer["items"]]
    assert counts == sorted(counts, reverse=True)


def test_an_unknown_user_with_a_history_is_answered_from_it(caser_run: Path) -> None:
    folded = only_answer(caser_run, "--user", "nobody", "--item", 3)
    assert folded["source"] == "fold-in"
    assert folded["items"] == only_answer(caser_run, "--item", 3)["items"]
    assert only_answer(caser_run, "--item", 3, "--unknown-users", "mean")["source"] == "mean user"


def test_learned_is_refused_for_a_run_without_a_learned_vector(caser_run: Path) -> None:
    code, line = refusal("recommend", caser_run, "--item", 3, "--unknown-users", "learned")
    assert code == 2
    assert "user_dropout" in line


def test_unknown_items_are_ignored_and_named(caser_run: Path) -> None:
    words = ["recommend", caser_run, "--item", 3, "--item", "x", "--exclude", "y", "--k", 2]
    outcome = caser(*words)
    assert outcome.code == 0
    assert "ignored unknown items: x, y" in outcome.err
    assert document(*words)["answers"][0]["notes"] == ["ignored unknown items: x, y"]


def test_exclude_and_only_limit_the_items(caser_run: Path) -> None:
    assert set(items(only_answer(caser_run, "--user", 1, "--exclude", 3, "--exclude", 5))) == EVERYTHING - {3, 5}
    assert set(items(only_answer(caser_run, "--user", 1, "--only", 3, "--only", 5))) == {3, 5}
    assert items(only_answer(caser_run, "--user", 1, "--only", 3, "--exclude", 3)) == []


def test_exclude_seen_leaves_out_the_history(caser_run: Path) -> None:
    history = ["--item", 3, "--item", 4]
    assert set(items(only_answer(caser_run, *history, "--exclude-seen"))) == EVERYTHING - {3, 4}
    assert set(items(only_answer(caser_run, *history, "--no-exclude-seen"))) == EVERYTHING


def test_a_large_k_gives_all_items(caser_run: Path) -> None:
    assert set(items(only_answer(caser_run, "--user", 1, "--k", 100))) == EVERYTHING


def test_k_of_zero_is_refused(caser_run: Path) -> None:
    assert refusal("recommend", caser_run, "--user", 1, "--k", 0) == (2, "k must be a whole number, at least 1; got 0.")


# Files


@pytest.mark.parametrize("name", ["all.parquet", "all.csv"])
def test_all_users_are_answered_into_a_file(name: str, run: Path, tmp_path: Path) -> None:
    said = document("recommend", run, "--all", "--out", tmp_path / name, "--k", 3)
    left_out = said.pop("left_out")
    assert (left_out["interactions"], left_out["users"]) == (40, 40)
    facts = {"out": str(tmp_path / name), "users": 40, "users_with_fewer": 0, "k": 3}
    assert said == {**facts, "ignored": [], "notes": []}
    frame = pl.read_parquet(tmp_path / name) if name.endswith("parquet") else pl.read_csv(tmp_path / name)
    assert frame.columns == ["user_id", "item_id", "score", "rank", "source"]
    assert frame["rank"].to_list() == [1, 2, 3] * 40
    first = frame.filter(pl.col("user_id") == 17)
    assert first["item_id"].to_list() == items(only_answer(run, "--user", 17, "--k", 3))


def test_who_asks_learns_what_did_not_train_the_model_and_what_to_type(
    trained: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = trained("markov")
    for words in (["--user", 17], ["--all", "--out", tmp_path / "all.csv"], ["--item", 3]):
        line = caser("recommend", judged, *words).err.splitlines()[-1]
        assert "40 of 400 did not train the model" in line
        assert line.endswith(f"refit {judged} --out {judged}-all")
    tell_left_out(judged, {**load(judged).artefact.manifest, "left_out": None})  # as a run of format 1 has it
    assert "saved by an older caser" in capsys.readouterr().err
    document("refit", judged, "--out", tmp_path / "all")
    assert caser("recommend", tmp_path / "all", "--user", 17, "--k", 3).err == ""
    assert "another folder" in refusal("refit", judged, "--out", judged)[1]


def test_a_file_with_fewer_items_than_asked_for_says_so(caser_run: Path, tmp_path: Path) -> None:
    words = ("recommend", caser_run, "--all", "--out", tmp_path / "all.csv", "--k", 9, "--only", 3, "--only", "03")
    said = document(*words)
    assert (said["users"], said["users_with_fewer"], said["ignored"]) == (40, 40, ["03"])
    assert said["notes"] == caser(*words).err.replace("\n  ", "\n").splitlines()[1:4]
    assert "item 03 is not in the log; did you mean 3?" in said["notes"]
    assert said["notes"][-1].startswith("40 of 40 users have fewer than 9 items")


def test_who_asks_for_an_explanation_with_an_id_spelled_otherwise_is_told(caser_run: Path) -> None:
    said = caser("explain", caser_run, "--item", 3, "--user", "01", "--history", "04").err
    assert "user 01 is not in the log; did you mean 1?" in said
    assert "item 04 is not in the log; did you mean 4?" in said
    assert caser("explain", caser_run, "--item", 3, "--user", 1).err == ""


def test_all_needs_a_file_and_no_user(caser_run: Path, tmp_path: Path) -> None:
    assert refusal("recommend", caser_run, "--all")[0] == 2
    assert refusal("recommend", caser_run, "--all", "--out", tmp_path / "all.csv", "--user", 1)[0] == 2


def test_a_file_with_another_ending_is_refused(caser_run: Path, tmp_path: Path) -> None:
    for words in (["--all"], ["--user", 1]):
        code, line = refusal("recommend", caser_run, *words, "--out", tmp_path / "all.xlsx")
        assert code == 2
        assert line.startswith("the file of a table must end in .parquet, .csv, .tsv, .jsonl, .csv.gz")


def test_answers_for_named_users_can_go_to_a_file(caser_run: Path, tmp_path: Path) -> None:
    document("recommend", caser_run, "--user", 1, "--user", 2, "--k", 3, "--out", tmp_path / "two.csv")
    assert pl.read_csv(tmp_path / "two.csv")["user_id"].to_list() == [1, 1, 1, 2, 2, 2]


# Similar


def test_every_model_finds_similar_items(run: Path) -> None:
    said = document("similar", run, "--item", 3, "--k", 100)
    assert said["similar_to"] == 3
    assert set(items(said)) == EVERYTHING - {3}
    assert caser("similar", run, "--item", 3, "--k", 2).out.startswith("most similar to 3\n")


# Explain


def test_every_model_explains_the_effect_of_each_item_of_a_history(run: Path) -> None:
    said = document("explain", run, "--item", 5, "--user", 1)
    assert (said["item_id"], said["user_id"], said["source"]) == (5, 1, "known user")
    assert sum(said["parts"].values()) == pytest.approx(said["score"], abs=1e-5)
    assert said["history"]
    assert {effect["item_id"] for effect in said["history"]} <= EVERYTHING


def test_an_explained_score_equals_the_recommended_score(run: Path) -> None:
    for row in only_answer(run, "--user", 1)["items"]:
        explained = document("explain", run, "--item", row["item_id"], "--user", 1)
        assert explained["score"] == pytest.approx(row["score"], abs=1e-5)


def test_a_table_shows_the_parts_of_the_score_and_the_score(caser_run: Path) -> None:
    out = caser("explain", caser_run, "--item", 5, "--user", 1).out
    assert out.startswith("item 5 for user 1 · known user\n")
    assert [line.split("  ")[0] for line in out.splitlines()[2:6]] == ["short-term", "lasting taste", "bias", "score"]
    title, _, *rows = out.partition("what ")[2].splitlines()
    assert title == "short-term is made of"
    numbers = [float(line.split()[-1]) for line in rows if not line.startswith("  ")]
    assert rows[len(numbers) - 2].startswith("beyond single items")
    assert rows[len(numbers) - 1].startswith("= short-term")
    assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=1e-9)
    assert numbers[-1] == pytest.approx(float(out.splitlines()[2].split()[-1]))


def test_a_made_up_history_is_explained(caser_run: Path) -> None:
    said = document("explain", caser_run, "--item", 5, "--history", 3, "--history", 4)
    assert [effect["item_id"] for effect in said["history"]] == [3, 4]
    assert caser("explain", caser_run, "--item", 5, "--history", 3).out.startswith("item 5 for history 3 · fold-in\n")


def test_without_a_history_no_effects_are_shown(caser_run: Path) -> None:
    out = caser("explain", caser_run, "--item", 5).out
    assert out.startswith("item 5 for an unknown user · popularity\n")
    assert "beyond single items" not in out


# Ids and titles


def test_ids_are_shown_as_they_are_written(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user_id": [10001] * 3 + [20002] * 3, "item_id": [1234567, 7654321, 1234567] * 2})
    frame.write_parquet(tmp_path / "log.parquet")
    document("train", tmp_path / "log.parquet", "--model", "markov", "--out", tmp_path / "run")
    for words in (
        ["recommend", tmp_path / "run", "--user", 10001, "--no-exclude-seen"],
        ["similar", tmp_path / "run", "--item", 1234567],
        ["explain", tmp_path / "run", "--item", 7654321, "--user", 10001],
    ):
        outcome = caser(*words)
        assert outcome.code == 0, outcome.err
        assert "7654321" in outcome.out
        assert not re.search(r"\d,\d", outcome.out)


def test_an_id_of_a_csv_file_keeps_its_zeros(tmp_path: Path) -> None:
    rows = [f"u{user},00{item}" for user in range(3) for item in range(4)]
    (tmp_path / "log.csv").write_text("\n".join(["user_id,item_id", *rows]) + "\n")
    document("train", tmp_path / "log.csv", "--model", "popularity", "--out", tmp_path / "run")
    assert set(items(only_answer(tmp_path / "run", "--user", "u1", "--no-exclude-seen"))) <= {
        "000",
        "001",
        "002",
        "003",
    }


def test_k_is_not_rounded(run: Path) -> None:
    assert refusal("recommend", run, "--user", 1, "--k", 1.5) == (2, "--k must be a whole number; got '1.5'.")


def test_history_is_another_name_of_item(run: Path) -> None:
    first, second = (document("recommend", run, flag, 3, flag, 5)["answers"] for flag in ("--item", "--history"))
    assert first == second


def test_unknown_items_are_named_when_all_users_are_answered(caser_run: Path, tmp_path: Path) -> None:
    said = caser("recommend", caser_run, "--all", "--out", tmp_path / "all.csv", "--exclude", "x", "--only", "y")
    assert (said.code, said.out) == (0, "")
    assert said.err.splitlines()[1] == "  ignored unknown items: x, y"


def test_unknown_users_has_an_effect_with_all(caser_run: Path, tmp_path: Path) -> None:
    code, line = refusal("recommend", caser_run, "--all", "--out", tmp_path / "all.csv", "--unknown-users", "learned")
    assert code == 2
    assert "user_dropout" in line


# Memory and the index


def test_all_users_are_answered_within_the_memory_given(caser_run: Path, tmp_path: Path) -> None:
    caser("recommend", caser_run, "--all", "--out", tmp_path / "small.parquet", "--memory-mb", 1)
    caser("recommend", caser_run, "--all", "--out", tmp_path / "large.parquet", "--memory-mb", 64)
    assert pl.read_parquet(tmp_path / "small.parquet").equals(pl.read_parquet(tmp_path / "large.parquet"))
    code, _ = refusal("recommend", caser_run, "--all", "--out", tmp_path / "none.parquet", "--memory-mb", 0)
    assert code == 2


def test_index_adds_an_index_and_says_its_recall(caser_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason=NEEDS_EXTRAS)
    run = tmp_path / "run"
    shutil.copytree(caser_run, run)
    before = only_answer(run, "--user", 1)
    said = document("index", run, "--recall", 1.0)
    assert said["recall@10"] == 1.0
    assert 1 <= said["probes"] <= said["cells"] <= len(EVERYTHING)
    assert items(only_answer(run, "--user", 1)) == items(before)
    assert "hold 100.0% of the exact top 10" in caser("index", run, "--recall", 1.0).err


def test_a_model_without_item_vectors_gets_no_index(trained: TrainedRun) -> None:
    code, line = refusal("index", trained("popularity"))
    assert (code, line) == (2, "an index needs a model with item vectors; popularity has none.")
