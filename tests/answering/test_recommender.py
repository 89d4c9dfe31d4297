"""The answers of a recommender: for which questions, with which items, in which order, and with which source."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caser.answering import best_items
from caser.answering.reading import Reading, read
from caser.answering.recommender import Recommender, load
from caser.arrays.types import Int32, RawId, Scores
from caser.artefact.folder import Artefact
from caser.config import Training
from caser.data.log import Vocabulary
from caser.data.split import leave_one_out
from caser.data.synthetic import chain_world
from caser.data.tape import Tape
from caser.errors import ArtefactError, ConfigError, NumericalError, UnknownIdError
from caser.models.base import Arrays
from caser.models.caser.caser import Caser, CaserScorer
from caser.models.counting.count_knn import CountKNN
from caser.models.counting.markov import Markov
from caser.search.exact import top_k
from tests.runs import ITEMS, SEQUENCES, USERS, caser_run, fitted, popularity_run, settings_of

TRAINED = [10, 20, 30, 50]
"""Items with an interaction; popularity ranks them 20, 10, 30, 50."""

REST = "and the rest is in the history, excluded or removed by a rule"
SHORT = "3 of 4 users have fewer than 3 items: all others are in their history, excluded or removed by a filter"


@pytest.fixture
def popular() -> Recommender:
    return Recommender(popularity_run())


@pytest.fixture
def caser() -> Recommender:
    return Recommender(caser_run())


def with_seen(artefact: Artefact, rule: str) -> Recommender:
    return Recommender(replace(artefact, manifest={**artefact.manifest, "seen": rule}))


# Who is asked for


def test_a_known_user_is_answered_from_their_history(popular: Recommender) -> None:
    answer = popular.recommend("bob")[0]
    assert (answer.query, answer.items, answer.scores, answer.source) == ("bob", [10, 50], [2.0, 1.0], "known user")
    assert answer.titles == ["Ten", "Fifty"]
    assert answer.notes == [f"only 2 of 10 items: the model knows 4, {REST}"]
    assert popular.recommend("bob", k=2)[0].notes == []


def test_none_stands_for_no_exclusion_and_no_filter(popular: Recommender, tmp_path: Path) -> None:
    none: dict[str, Any] = {"exclude": None, "only": None, "filters": None}
    assert popular.recommend("bob", **none).to_dicts() == popular.recommend("bob").to_dicts()
    assert popular.recommend_all(tmp_path / "all.csv", k=3, **none).notes == [SHORT]


def test_an_answer_with_few_items_says_what_leaves_so_few(popular: Recommender) -> None:
    assert popular.recommend("bob", only=[10, 30, 60])[0].notes == [f"only 1 of 10 items: `only` names 2, {REST}"]
    assert popular.recommend("zoe", only=[10, 30])[0].notes == ["only 2 of 10 items: `only` names 2"]
    nothing = popular.recommend("bob", exclude=TRAINED)[0]
    assert nothing.notes == [f"nothing is left to recommend: the model knows 4, {REST}"]
    assert popular.recommend("zoe", k=4)[0].notes == []


def test_an_id_that_is_spelled_like_a_known_one_is_pointed_out() -> None:
    users, items = (
        Vocabulary(pl.Series(["007", "Ann", "1", "2"])),
        Vocabulary(pl.Series(["01", "B", "3", "4", "5", "6"])),
    )
    recommender = Recommender(replace(popularity_run(), users=users, items=items, titles=None))
    assert recommender.recommend("7", k=1)[0].notes == ["user 7 is not in the log; did you mean 007?"]
    assert recommender.recommend(7, [["3"]], k=1)[0].notes == []  # the history says who that is
    assert recommender.recommend("9", k=1)[0].notes == []
    notes = recommender.recommend(histories=[["1", "b"]], exclude=["03"], k=1)[0].notes
    assert notes[0] == "ignored unknown items: 1, b, 03"
    meant = ["item 1 is not in the log; did you mean 01?", "item b is not in the log; did you mean B?"]
    assert notes[1:] == [*meant, "item 03 is not in the log; did you mean 3?"]
    with pytest.raises(UnknownIdError, match=r"got '1': did you mean 01\?"):
        recommender.similar("1")


def test_a_known_user_with_an_empty_history_is_answered_by_popularity_unless_the_user_has_a_vector(
    popular: Recommender, caser: Recommender
) -> None:
    answer = popular.recommend("bob", [[]], exclude_seen=False)[0]
    assert (answer.query, answer.source, answer.items[0]) == ("bob", "popularity", 20)
    assert caser.recommend("bob", [[]])[0].source == "known user"


def test_many_users_are_answered_in_the_order_asked(popular: Recommender) -> None:
    answers = popular.recommend(["eve", "ann", "eve"])
    assert [answer.items for answer in answers] == [[30], [50], [30]]
    assert [answer.query for answer in answers] == ["eve", "ann", "eve"]


def test_a_history_is_answered_without_a_user(popular: Recommender) -> None:
    one, two = popular.recommend(histories=[[20, 50], [10]])
    assert (one.query, one.items, one.source) == (None, [10, 30], "history")
    assert two.items == [20, 30, 50]
    assert popular.recommend(histories=[20, 50])[0].items == one.items


@pytest.mark.parametrize("keywords", [{}, {"only": [10, 20, 30]}, {"exclude_seen": False, "k": 2}])
def test_questions_of_all_kinds_are_answered_together_as_each_alone(
    caser: Recommender, keywords: dict[str, Any]
) -> None:
    asked: list[tuple[Any, Any]] = [("ann", None), (None, [10, "unknown"]), ("bob", [20]), ("nobody", None)]
    everything = caser.wanted(caser.compiled(None), None, keywords.get("only"))
    asked_at_once = [
        Reading(caser.question(user, history), everything, keywords.get("k", 10), keywords.get("exclude_seen"))
        for user, history in asked
    ]
    read(caser.artefact, asked_at_once)
    for (user, history), answer in zip(asked, asked_at_once, strict=True):
        users, histories = None if user is None else [user], None if history is None else [history]
        [alone] = caser.recommend(users, histories, **keywords)
        assert caser.artefact.items.raw(answer.items) == alone.items
        assert answer.scores == pytest.approx(alone.scores, rel=1e-5)


def test_a_history_given_with_a_user_takes_the_place_of_the_stored_one(popular: Recommender) -> None:
    answer = popular.recommend("ann", [50])[0]
    assert (answer.items, answer.source) == ([20, 10, 30], "known user")


def test_a_users_vector_is_used_with_a_new_history(caser: Recommender) -> None:
    histories = [[20, 30]] * 2
    ann, bob = caser.recommend(["ann", "bob"], histories, exclude_seen=False)
    assert ann.scores != bob.scores
    stored = caser.recommend("bob", exclude_seen=False)[0]
    assert bob.items == stored.items
    assert bob.scores == pytest.approx(stored.scores, abs=1e-5)


@pytest.mark.parametrize("who", ["nobody", "zoe"])
def test_an_unknown_user_without_history_gets_popular_items(who: str, caser: Recommender) -> None:
    answer = caser.recommend(who)[0]
    assert (answer.query, answer.items, answer.source) == (who, [20, 10, 30, 50], "popularity")
    assert caser.recommend(histories=[[]])[0].items == [20, 10, 30, 50]
    assert caser.recommend(histories=[["never seen"]])[0].source == "popularity"


@pytest.mark.parametrize(("way", "source"), [("auto", "fold-in"), ("fold-in", "fold-in"), ("mean", "mean user")])
def test_an_answer_for_an_unknown_user_names_the_vector_that_was_used(
    way: Any, source: str, caser: Recommender
) -> None:
    answers = caser.recommend(["zoe", "nobody", "ann"], [[20], [20], [20]], unknown_users=way)
    assert [answer.source for answer in answers] == [source, source, "known user"]
    alone = caser.recommend(histories=[20], unknown_users=way)[0]
    for answer in answers[:2]:
        assert answer.items == alone.items
        assert answer.scores == pytest.approx(alone.scores, abs=1e-5)


def test_the_mean_user_is_the_mean_of_the_users_that_trained() -> None:
    artefact = caser_run()
    arrays = artefact.scorer.arrays()
    answer = Recommender(artefact).recommend(histories=[20, 30], unknown_users="mean", exclude_seen=False)[0]
    mean_1E = arrays["P"][1:4].mean(axis=0, keepdims=True)
    scorer = CaserScorer(settings_of(artefact), arrays)
    scores_I = (scorer.states(mean_1E, np.array([[2, 3]], dtype=np.int32)) @ arrays["V"].T + arrays["c"])[0]
    assert answer.items == sorted(TRAINED, key=lambda item: -scores_I[item // 10])


def test_the_learned_anonymous_user_answers_only_where_it_was_learned(caser: Recommender) -> None:
    with pytest.raises(ConfigError, match="user_dropout"):
        caser.recommend(histories=[20], unknown_users="learned")
    learned = Recommender(replace(caser.artefact, manifest={**caser.artefact.manifest, "anonymous_user": "learned"}))
    answer = learned.recommend(histories=[20], unknown_users="learned", exclude_seen=False)[0]
    scores_BI = caser.artefact.scorer.scores(np.array([0], dtype=np.int32), np.array([[0, 2]], dtype=np.int32))
    assert answer.source == "learned anonymous user"
    assert answer.scores == sorted(scores_BI[0, [1, 2, 3, 5]].tolist(), reverse=True)


def test_a_model_without_user_vectors_answers_unknown_users_from_the_history() -> None:
    recommender = Recommender(caser_run(user_vector=False))
    assert recommender.recommend("nobody", [20])[0].source == "history"


def test_unknown_ids_are_ignored_and_reported(popular: Recommender) -> None:
    history: list[RawId] = ["x", 20, 999]
    answer = popular.recommend(histories=history, exclude=["y"], only=[10, 888])[0]
    assert answer.items == [10]
    assert answer.ignored == ("x", 999, "y", 888)
    assert answer.notes == ["ignored unknown items: x, 999, y, 888", "only 1 of 10 items: `only` names 1"]


def test_ids_may_be_numpy_values_or_series_or_text_for_numbers(popular: Recommender) -> None:
    expected = popular.recommend(histories=[20, 50])[0]
    for history in (np.array([20, 50]), pl.Series([20, 50]), ("20", "50"), (item for item in (20, 50))):
        assert popular.recommend(histories=history)[0] == expected
    assert popular.recommend(np.array(["ann"]))[0].query == "ann"


# What may be recommended


def test_items_that_nobody_took_and_padding_are_never_recommended(popular: Recommender, caser: Recommender) -> None:
    for recommender in (popular, caser):
        for answer in recommender.recommend(USERS, exclude_seen=False, k=99):
            assert sorted(answer.items) == TRAINED


def test_seen_items_are_removed_as_the_protocol_says_unless_the_caller_decides() -> None:
    removes, keeps = with_seen(popularity_run(), "remove"), with_seen(popularity_run(), "keep")
    assert removes.recommend("ann")[0].items == removes.recommend("ann", exclude_seen=True)[0].items == [50]
    assert keeps.recommend("ann")[0].items == removes.recommend("ann", exclude_seen=False)[0].items == [20, 10, 30, 50]
    assert keeps.recommend("ann", exclude_seen=True)[0].items == [50]


def test_a_seen_item_is_removed_even_if_the_model_does_not_read_it() -> None:
    recommender = Recommender(caser_run(L=1))
    assert set(recommender.recommend(histories=[10, 20, 30])[0].items) == {50}


def test_exclude_and_only_both_apply(popular: Recommender) -> None:
    def ask(**filters: Any) -> list[Any]:
        return popular.recommend(histories=[[]], **filters)[0].items

    assert ask(exclude=20) == [10, 30, 50]
    assert ask(only=[50, 10]) == [10, 50]
    assert ask(only=[50, 10, 40], exclude=[10]) == [50]
    assert ask(only=[]) == []


@pytest.mark.parametrize(("k", "expected"), [(1, [20]), (3, [20, 10, 30]), (4, TRAINED), (1000, TRAINED)])
def test_k_limits_the_answer_and_a_large_k_gives_all_candidates(
    popular: Recommender, k: int, expected: list[int]
) -> None:
    assert sorted(popular.recommend(histories=[[]], k=k)[0].items) == sorted(expected)


def test_equal_scores_go_to_the_lowest_index(popular: Recommender) -> None:
    artefact = popular.artefact
    artefact.scorer.arrays()["counts"][:] = 1.0
    assert popular.recommend(histories=[50], k=2)[0].items == [10, 20]


# What cannot be asked


@pytest.mark.parametrize(
    ("question", "match"),
    [
        ({}, "got neither"),
        ({"users": "ann", "k": 0}, "k must be a whole number, at least 1; got 0"),
        ({"users": ["ann"], "histories": [[10], [20]]}, "1 users and 2 histories"),
        ({"users": [["ann"]]}, "an id in users must be text or a number"),
        ({"users": object()}, "an id in users must be text or a number"),
        ({"histories": "10"}, "a history must be a list"),
        ({"histories": [[10], 20]}, "each history must be a list"),
        ({"histories": [[10, None]]}, "an id in a history must be"),
        ({"histories": [10], "unknown_users": "foldin"}, "did you mean fold-in?"),
    ],
)
def test_an_invalid_question_is_refused(caser: Recommender, question: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match.replace("?", r"\?")):
        caser.recommend(**question)


def test_nothing_asked_is_nothing_answered(popular: Recommender) -> None:
    assert len(popular.recommend([])) == 0
    assert popular.recommend([]).to_frame().is_empty()


def test_a_score_that_is_not_a_number_names_the_user() -> None:
    artefact = caser_run()
    artefact.scorer.arrays()["P"][2] = np.nan
    with pytest.raises(NumericalError, match="user 'bob'"):
        Recommender(artefact).recommend(["ann", "bob"])


# Similar items


def test_similar_items_have_the_most_similar_output_vectors(caser: Recommender) -> None:
    vectors_ID = caser.artefact.scorer.arrays()["V"]
    unit_ID = vectors_ID / np.linalg.norm(vectors_ID, axis=1, keepdims=True)
    cosine = {item: float(unit_ID[2] @ unit_ID[item // 10]) for item in (10, 30, 50)}
    answer = caser.similar(20)[0]
    assert answer.items == sorted(cosine, key=lambda item: -cosine[item])
    assert answer.scores == pytest.approx(sorted(cosine.values(), reverse=True), abs=1e-6)
    assert (answer.query, answer.source) == (20, "similar vectors")


def test_a_counting_model_finds_the_items_that_follow() -> None:
    config = Markov()
    scorer = config.build(len(USERS), len(ITEMS))
    scorer.fit(Tape.from_sequences(SEQUENCES, len(ITEMS)))
    answer = Recommender(replace(popularity_run(), config=config, scorer=scorer)).similar([10], k=1)[0]
    assert (answer.items, answer.source) == ([20], "successors")


@pytest.mark.parametrize("item", [11, 40])
def test_an_item_that_was_not_trained_on_has_no_similar_items(caser: Recommender, item: int) -> None:
    with pytest.raises(UnknownIdError, match=f"item must be one the model was trained on.*{item}"):
        caser.similar(item)


# Forms of an answer


def test_a_frame_has_one_row_per_item_and_ids_of_the_logs_type(popular: Recommender) -> None:
    frame = popular.recommend(["bob", "ann"]).to_frame()
    assert frame.rows() == [
        ("bob", 10, 2.0, 1, "known user", "Ten"),
        ("bob", 50, 1.0, 2, "known user", "Fifty"),
        ("ann", 50, 1.0, 1, "known user", "Fifty"),
    ]
    assert frame.columns == ["user_id", "item_id", "score", "rank", "source", "title"]
    assert popular.recommend(histories=[[10], [20]]).to_frame()["query"].unique().to_list() == [0, 1]
    assert popular.similar(10).to_frame().columns[0] == "similar_to"
    assert popular.recommend([5, "bob"]).to_frame()["user_id"].unique(maintain_order=True).to_list() == ["5", "bob"]


def test_dictionaries_are_json_and_name_user_source_and_notes(popular: Recommender) -> None:
    [answer] = json.loads(json.dumps(popular.recommend("bob", k=1).to_dicts()))
    assert answer == {
        "user_id": "bob",
        "source": "known user",
        "items": [{"rank": 1, "item_id": 10, "score": 2.0, "title": "Ten"}],
        "notes": [],
    }


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_all_users_are_written_to_a_file_in_blocks(
    popular: Recommender, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: Callable[[Path], pl.DataFrame] = pl.read_csv if ending == "csv" else pl.read_parquet
    assert popular.recommend_all(tmp_path / f"whole.{ending}", k=3).notes == [SHORT]
    monkeypatch.setattr(best_items, "_BYTES_PER_SCORE", 2**30)
    assert popular.recommend_all(tmp_path / "new" / f"blocks.{ending}", k=3).notes == [SHORT]
    found = read(tmp_path / "new" / f"blocks.{ending}")
    assert found.equals(read(tmp_path / f"whole.{ending}"))
    expected = popular.recommend(USERS, k=3).to_frame()
    assert found.equals(expected.cast({"rank": found["rank"].dtype}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", f"whole.{ending}"]


def test_a_file_that_cannot_be_written_is_refused_and_the_old_file_stays(popular: Recommender, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match=r"must end in .parquet, .csv, .*; got 'out.xlsx'"):
        popular.recommend_all(tmp_path / "out.xlsx")
    with pytest.raises(ArtefactError, match="must be writable"):
        popular.recommend_all(tmp_path / "file" / "out.csv")
    popular.recommend_all(tmp_path / "out.csv")
    before = (tmp_path / "out.csv").read_bytes()
    with pytest.raises(ConfigError, match="k must be a whole number, at least 1"):
        popular.recommend_all(tmp_path / "out.csv", k=0)
    assert (tmp_path / "out.csv").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "out.csv"]


# Together with training, and properties


@pytest.mark.parametrize(
    "model",
    [Caser(L=3, T=1, d=8), Caser(user_vector=False, d=8), CountKNN()],
    ids=["caser", "anonymous caser", "count-knn"],
)
def test_a_trained_model_and_the_one_read_back_give_the_same_top_ten(model: Any, tmp_path: Path) -> None:
    log = chain_world(num_users=30, num_items=15, length=9, seed=0).log
    trained = fitted(model, leave_one_out(log), Training(batch_size=64, device="cpu"), epochs=2)
    trained.save(tmp_path / "run")
    loaded = load(tmp_path / "run")
    users = log.user_vocabulary.ids.to_list()
    for question in ({"users": users}, {"histories": [[1, 2], [3], [4, 5, 6, 7]]}):
        first, second = trained.recommend(**question), loaded.recommend(**question)
        assert [answer.items for answer in first] == [answer.items for answer in second]
        for one, other in zip(first, second, strict=True):
            assert one.scores == pytest.approx(other.scores, abs=1e-4)


@given(
    st.lists(st.lists(st.sampled_from([-np.inf, 0.0, 1.0, 2.5]), min_size=4, max_size=4), max_size=4), st.integers(1, 6)
)
def test_top_k_equals_the_first_k_of_a_stable_sort(rows: list[list[float]], k: int) -> None:
    scores_BI = np.array(rows).reshape(-1, 4)
    found_rows, found_columns, found_scores = top_k(scores_BI, k)
    expected = [
        (row, column, scores_BI[row, column])
        for row in range(len(rows))
        for column in sorted(range(4), key=lambda column: -scores_BI[row, column])[:k]
        if scores_BI[row, column] > -np.inf
    ]
    assert list(zip(found_rows.tolist(), found_columns.tolist(), found_scores.tolist(), strict=True)) == expected


ids = st.lists(st.sampled_from([*ITEMS, "x", 7]), max_size=5)


@given(histories=st.lists(ids, max_size=4), exclude=ids, only=st.none() | ids, k=st.integers(1, 8), seen=st.booleans())
def test_an_answer_keeps_every_rule_at_once(
    histories: list[list[Any]], exclude: list[Any], only: list[Any] | None, k: int, seen: bool
) -> None:
    answers = Recommender(caser_run()).recommend(
        ["nobody"] * len(histories), histories, k=k, exclude=exclude, only=only, exclude_seen=seen
    )
    for answer, history in zip(answers, histories, strict=True):
        allowed = set(TRAINED) - set(exclude) - (set(history) if seen else set())
        allowed &= set(TRAINED if only is None else only)
        assert set(answer.items) <= allowed
        assert len(answer.items) == len(set(answer.items)) == min(k, len(allowed))
        assert answer.scores == sorted(answer.scores, reverse=True)
        unknown = {one for one in history if one not in TRAINED}
        assert set(answer.ignored) == unknown | {one for one in (*exclude, *(only or [])) if one in ("x", 7)}


def test_answers_do_not_depend_on_the_other_questions(caser: Recommender) -> None:
    users, histories = ["ann", "bob", "nobody"], [[10], [20, 30], [50]]
    alone = [caser.recommend(user, history)[0] for user, history in zip(users, histories, strict=True)]
    for one, other in zip(caser.recommend(users, histories), alone, strict=True):
        assert (one.items, one.source) == (other.items, other.source)
        assert one.scores == pytest.approx(other.scores, abs=1e-5)


def test_a_user_known_by_number_is_found_by_text() -> None:
    recommender = Recommender(replace(popularity_run(), users=Vocabulary(pl.Series([1, 2, 3, 4]))))
    assert recommender.recommend("2")[0].query == 2


def test_all_users_are_answered_with_their_source_and_unknown_ids_are_returned(
    popular: Recommender, tmp_path: Path
) -> None:
    written = popular.recommend_all(tmp_path / "out.parquet", k=1, exclude=["nobody knows"])
    assert (written.ignored, written.num_users, written.num_short) == (("nobody knows",), 4, 0)
    assert written.notes == ["ignored unknown items: nobody knows"]
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert found.equals(popular.recommend(users=USERS, k=1).to_frame())


@pytest.mark.parametrize("wrong", [0, 2.5, "3"])
def test_k_is_a_whole_number_from_1(popular: Recommender, wrong: Any) -> None:
    with pytest.raises(ConfigError, match="k must be a whole number"):
        popular.recommend(users=popular.artefact.users.raw([1]), k=wrong)


def test_a_misspelt_unknown_users_is_refused_even_for_a_known_user(popular: Recommender) -> None:
    with pytest.raises(ConfigError, match="did you mean mean"):
        popular.recommend(users=popular.artefact.users.raw([1]), unknown_users="meann")  # type: ignore[arg-type]


def test_the_learned_anonymous_user_is_refused_for_every_user_if_it_was_not_learned(
    caser: Recommender, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="user_dropout"):
        caser.recommend("ann", unknown_users="learned")
    with pytest.raises(ConfigError, match="user_dropout"):
        caser.recommend_all(tmp_path / "out.csv", unknown_users="learned")
    assert not list(tmp_path.iterdir())


class _TooNarrow:
    """Forgets the column of padding, so every score stands in the column of the item before."""

    history_length: int | None = 1

    def __init__(self, num_items: int) -> None:
        self.num_items = num_items

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        return np.ones((len(users_B), self.num_items))

    def arrays(self) -> Arrays:
        return {}


def test_scores_of_another_shape_are_refused_because_they_belong_to_other_items() -> None:
    recommender = Recommender(replace(popularity_run(), scorer=_TooNarrow(len(ITEMS))))
    message = rf"shape \(1, {len(ITEMS) + 1}\); got shape \(1, {len(ITEMS)}\) from popularity"
    with pytest.raises(ConfigError, match=message):
        recommender.recommend("bob")
    with pytest.raises(ConfigError, match=message):
        recommender.similar(20)


def test_after_a_score_that_is_no_number_a_counting_model_is_fitted_and_a_network_trained_again() -> None:
    broken = _TooNarrow(len(ITEMS) + 1)
    broken.scores = lambda users_B, histories_BH: np.full((len(users_B), len(ITEMS) + 1), np.nan)  # type: ignore[method-assign]
    for run, remedy in ((popularity_run(), "Fit"), (caser_run(), "Train")):
        with pytest.raises(NumericalError, match=f"{remedy} the model again"):
            Recommender(replace(run, scorer=broken)).recommend("bob")
