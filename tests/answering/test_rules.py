"""Rules of answers: what they keep, against slow and obvious computations; what they refuse; how items differ."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caser.answering import reading, wanted_items
from caser.answering.diversity import diverse, similarity_of
from caser.answering.recommender import Recommender
from caser.answering.rules import compiled
from caser.artefact.folder import Artefact
from caser.data.log import Vocabulary
from caser.data.tape import Tape
from caser.errors import ConfigError
from caser.models.counting.popularity import Popularity
from tests.runs import FACTS, caser_run, popularity_run

TABLE = pl.DataFrame(
    {
        "item_id": [10, 20, 30, 50],
        "genre": [["calm"], ["calm", "loud"], ["loud"], []],
        "year": [1990, 2000, 2000, 1],
        "new": [True, False, True, True],
    }
)


def counted(counts: list[int]) -> Artefact:
    """A run whose scores are the given counts, for the items 1, 2, 3 and so on."""
    tape = Tape.from_sequences(
        [[item] for item, number in enumerate(counts, start=1) for _ in range(number)], len(counts)
    )
    scorer = Popularity().build(sum(counts), len(counts))
    scorer.fit(tape)
    users, items = Vocabulary(pl.Series(range(1, sum(counts) + 1))), Vocabulary(pl.Series(range(1, len(counts) + 1)))
    return Artefact(Popularity(), scorer, users, items, None, tape, dict(FACTS))


some_values = st.frozensets(st.sampled_from("abc"), min_size=1, max_size=2)
values = st.frozensets(st.sampled_from("abc"), max_size=2)


@settings(max_examples=60)
@given(
    genres=st.lists(values, min_size=1, max_size=20),
    counts=st.lists(st.integers(1, 5), min_size=20, max_size=20),
    k=st.integers(1, 6),
    without=values,
    at_most=st.none() | st.integers(1, 3),
    boosts=st.lists(st.tuples(some_values, st.integers(-4, 4)), max_size=2),
    most_results=st.sampled_from([1, 3, 2**20]),
    listed_for=st.sampled_from([0, 1]),
)
def test_rules_keep_what_a_slow_walk_down_the_ranking_keeps(
    genres: list[frozenset[str]],
    counts: list[int],
    k: int,
    without: frozenset[str],
    at_most: int | None,
    boosts: list[tuple[frozenset[str], int]],
    most_results: int,
    listed_for: int,
) -> None:
    ids = list(range(1, len(genres) + 1))
    table = pl.DataFrame({"item_id": ids, "genre": [sorted(own) or None for own in genres]})
    table = table.with_columns(pl.col("genre").cast(pl.List(pl.String)))
    recommender = Recommender(counted(counts[: len(ids)])).with_items(table)
    rules: dict[str, Any] = {"at_most": {"genre": at_most} if at_most else {}}
    rules["without"] = {"genre": sorted(without)} if without else {}
    rules["boosts"] = [{"where": {"genre": sorted(where)}, "amount": amount} for where, amount in boosts]
    wanted = recommender.wanted(
        recommender.compiled(None, rules),  # type: ignore[arg-type]
        None,
        None,
        listed_for=k * listed_for,
    )
    asked = [reading.Reading(recommender.question(None, []), wanted, k, False) for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_MOST_RESULTS", most_results)
        reading.read(recommender.artefact, asked)
    # A slow and simple computation.
    boosted = {item: counts[item - 1] + sum(b for where, b in boosts if where & genres[item - 1]) for item in ids}
    expected: list[int] = []
    seen: Counter[str] = Counter()
    for item in sorted(ids, key=lambda one: (-boosted[one], one)):
        found = genres[item - 1]
        if found & without or (at_most and any(seen[value] >= at_most for value in found)) or len(expected) == k:
            continue
        expected.append(item)
        seen.update(found)
    assert [one.items for one in asked] == [expected, expected]
    assert asked[0].scores == [boosted[item] for item in expected]
    assert not set(expected) & {item for item, _ in asked[0].removed}


def test_the_greatest_amount_does_not_blur_the_scores_of_boosted_items() -> None:
    recommender = Recommender(caser_run()).with_items(TABLE)
    plain = recommender.recommend("ann", only=[10, 30], exclude_seen=False)[0]
    rules: Any = {"boosts": [{"where": {}, "amount": 1_000_000}]}
    boosted = recommender.recommend("ann", only=[10, 30], exclude_seen=False, rules=rules)[0]
    assert boosted.items == plain.items
    assert boosted.scores == pytest.approx([score + 1e6 for score in plain.scores], abs=1e-6)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"at_least": {"genre": 2}}, "rules.at_least must name a rule; did you mean at_most?"),
        (["at_most"], "rules must be a dictionary, such as {'at_most': {'genre': 2}}, or None; got"),
        ({"at_most": {"gnre": 1}}, "rules.at_most.gnre must name a column of the table of items; did you mean genre?"),
        ({"at_most": {"genre": 0}}, "rules.at_most.genre must be a whole number, at least 1; got 0."),
        ({"at_most": {"genre": True}}, "rules.at_most.genre must be a whole number, at least 1; got True."),
        ({"at_most": {"genre": 1.5}}, "rules.at_most.genre must be a whole number, at least 1; got 1.5."),
        ({"at_most": ["genre"]}, "rules.at_most must be a dictionary, such as {'genre': 2}, or None; got ['genre']"),
        ({"without": {"year": "soon"}}, "rules.without.year: must fit the column, which holds numbers"),
        ({"without": {3: "x"}}, "a name in rules.without must be text; got 3 (int)."),
        ({"boosts": {"where": {}}}, "rules.boosts must be a list of {'where': ..., 'amount': ...}, or None; got"),
        ({"boosts": [{"where": {}}]}, "rules.boosts[0] must have where and amount, and nothing else; got where."),
        ({"boosts": [{"where": {}, "amount": "1"}]}, "rules.boosts[0].amount must be a number; got '1'."),
        ({"boosts": [{"where": {}, "amount": float("nan")}]}, "rules.boosts[0].amount must be a number; got nan."),
        ({"boosts": [{"where": {}, "amount": 2e6}]}, "rules.boosts[0].amount must be from -1,000,000 to 1,000,000"),
        ({"boosts": [{"where": {"yer": 1}, "amount": 1}]}, "rules.boosts[0].where.yer must name a column"),
        ({"diversity": 1.1}, "rules.diversity must be a number from 0 to 1; got 1.1."),
        ({"diversity": "much"}, "rules.diversity must be a number; got 'much'."),
    ],
)
def test_a_rule_that_cannot_be_obeyed_is_refused(rules: Any, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        Recommender(popularity_run()).with_items(TABLE).recommend("ann", rules=rules)
    assert str(error.value).startswith(words)


def test_a_place_in_a_request_is_named_in_front() -> None:
    with pytest.raises(ConfigError, match=r"^questions\[3\]\.rules\.at_most\.genre must name a column"):
        compiled({}, None, {"at_most": {"genre": 2}}, "questions[3].")


def test_items_are_chosen_one_by_one_by_relevance_less_the_greatest_similarity() -> None:
    similarity_PP = np.array([[1.0, 0.8, 0.2, 0.0], [0.8, 1.0, 0.1, 0.0], [0.2, 0.1, 1.0, 0.6], [0.0, 0.0, 0.6, 1.0]])
    scores = [5.0, 4.0, 3.0, 1.0]  # relevance 1, .75, .5, 0
    # After the first: .5 * .75 - .5 * .8 = -.025; .5 * .5 - .5 * .2 = .15; 0. Then -.025 against -.5 * .6 = -.3.
    assert diverse(similarity_PP, scores, 3, 0.5) == [0, 2, 1]
    # Only difference counts: the first, then 1 - 0 for the last, then .8 against .6.
    assert diverse(similarity_PP, scores, 4, 1.0) == [0, 3, 2, 1]
    assert diverse(similarity_PP, [2.0, 2.0, 2.0, 2.0], 2, 0.0) == [0, 1]


def test_items_are_similar_by_their_vectors_or_by_the_values_that_they_share() -> None:
    run = caser_run()
    assert run.state_scorer is not None
    vectors_ID, _ = run.state_scorer.item_vectors()
    cosine = vectors_ID[1] @ vectors_ID[3] / np.linalg.norm(vectors_ID[1]) / np.linalg.norm(vectors_ID[3])
    assert similarity_of(run, {}, [1, 3])[0, 1] == pytest.approx(cosine, rel=1e-5)
    attributes = Recommender(popularity_run()).with_items(TABLE).attributes
    # Genres and `new`: calm, true; calm, loud, false; loud, true; true. A year is a number, and does not count.
    similarity_PP = similarity_of(popularity_run(), attributes, [1, 2, 3, 5])
    assert similarity_PP[0].tolist() == pytest.approx([1, 1 / 4, 1 / 3, 1 / 2])
    assert similarity_PP[1].tolist() == pytest.approx([1 / 4, 1, 1 / 4, 0])


def test_diversity_without_vectors_and_without_a_column_of_text_is_refused() -> None:
    numbers = Recommender(popularity_run()).with_items(TABLE.select("item_id", "year"))
    for recommender in (Recommender(popularity_run()), numbers):
        with pytest.raises(ConfigError, match=r"rules.diversity needs a model with item vectors, or a table of items"):
            recommender.recommend("ann", rules={"diversity": 0.5})
        assert recommender.recommend("ann", rules={"diversity": 0.0}) == recommender.recommend("ann")


def test_a_diverse_answer_is_chosen_among_ten_times_as_many_items_and_keeps_at_most() -> None:
    counts = list(range(60, 30, -1))
    genre = ["a"] * 10 + ["b"] * 15 + ["c"] * 5
    table = pl.DataFrame({"item_id": range(1, 31), "genre": genre})
    recommender = Recommender(counted(counts)).with_items(table)
    answer = recommender.recommend(histories=[[]], k=2, exclude_seen=False, rules={"diversity": 1.0})[0]
    assert answer.items == [1, 11]  # the first of another genre within the first 20
    rules: Any = {"diversity": 1.0, "at_most": {"genre": 1}}
    answer = recommender.recommend(histories=[[]], k=3, exclude_seen=False, rules=rules)[0]
    assert answer.items == [1, 11, 26]


@pytest.mark.parametrize("k", [1, 4, 15])
@pytest.mark.parametrize("most", [0, 60, 5_000])
def test_an_answer_that_lists_what_was_removed_has_the_same_items(
    k: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(k)
    number = 200
    genres = [sorted(random.choice(list("abcdefgh"), size=random.integers(0, 3), replace=False)) for _ in range(number)]
    table = pl.DataFrame({"item_id": range(1, number + 1), "genre": genres, "year": random.integers(1, 9, number)})
    recommender = Recommender(counted(random.integers(1, 6, number).tolist())).with_items(table)
    monkeypatch.setattr(wanted_items, "MOST_READ_TO_LIST", most)
    every_rule: dict[str, Any] = {
        "without": {"genre": ["a", "b"]},
        "at_most": {"genre": 2, "year": 3},
        "boosts": [{"where": {"genre": "c"}, "amount": 1.5}, {"where": {"year": {"max": 3}}, "amount": -2}],
        "diversity": 0.6,
    }
    cases: list[tuple[Any, Any]] = [({"year": {"min": 3}}, {}), ({"genre": ["c", "d"]}, every_rule), (None, every_rule)]
    cases += [(None, {name: rule}) for name, rule in every_rule.items()]
    for filters, rules in cases:
        found = []
        for listed_for in (0, k):
            wanted = recommender.wanted(recommender.compiled(filters, rules), [5, 17], None, listed_for=listed_for)
            asked = reading.Reading(recommender.question(None, []), wanted, k, False)
            reading.read(recommender.artefact, [asked])
            found.append((asked.items, asked.scores))
        assert found[0] == found[1], (filters, rules)
        answer = recommender.recommend(
            histories=[[]], k=k, exclude=[5, 17], filters=filters, rules=rules, exclude_seen=False
        )[0]
        assert answer.items == recommender.artefact.items.raw(found[0][0])
