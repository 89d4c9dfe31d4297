"""Chances in answers: whose they are, what they do not depend on, and where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from caser.answering.recommender import Recommender, load
from caser.artefact.folder import Artefact
from caser.data.split import leave_one_out
from caser.data.synthetic import chain_world
from caser.errors import ArtefactError, ConfigError
from caser.evaluation.calibration import DEPTH, Calibration
from caser.fitting.fit import fit
from caser.models.counting.markov import Markov
from caser.search.cells import Index
from tests.runs import USERS, caser_run, popularity_run, resign

KNOWN = Calibration(1.0, 2.0, (0.5, 0.5, 0.5, 0.5), (0.1, 0.2, 0.3), targets=500, found=300)


def told(artefact: Artefact, **seen: str) -> Recommender:
    """A run made by hand that tells chances."""
    return Recommender(replace(artefact, manifest={**artefact.manifest, "calibration": KNOWN.to_dict(), **seen}))


@pytest.fixture(scope="module")
def chain() -> Recommender:
    """Markov on a chain of 150 items, of which no answer holds all."""
    return fit(Markov(), leave_one_out(chain_world(num_users=150, num_items=150, length=20, seed=0).log))


def test_the_chances_are_those_of_the_ranking_by_the_calibration() -> None:
    answer = told(popularity_run(), seen="keep").recommend("ann", k=4, chance=True)[0]
    assert answer.items == [20, 10, 30, 50]
    assert answer.chances == pytest.approx(KNOWN.chances(np.array([[4.0, 2.0, 2.0, 1.0] + [np.nan] * 96]))[0, :4])
    assert [row["chance"] for row in answer.rows()] == answer.chances


@pytest.mark.parametrize(
    "options",
    [
        {"k": 1},
        {"only": [30, 50]},
        {"exclude": [20]},
        {"rules": {"boosts": [{"where": {"genre": "calm"}, "amount": 7}]}},
        {"filters": {"genre": ["calm"]}},
    ],
    ids=str,
)
def test_what_is_left_out_or_boosted_does_not_change_the_chance_of_an_item(options: dict[str, Any]) -> None:
    run = told(popularity_run(), seen="keep").with_items(pl.DataFrame({"item_id": [30, 50], "genre": ["calm", "calm"]}))
    whole = run.recommend(USERS[:3], chance=True)
    for all_items, some in zip(whole, run.recommend(USERS[:3], chance=True, **options), strict=True):
        assert all_items.chances
        assert some.chances
        chance_of = dict(zip(all_items.items, all_items.chances, strict=True))
        assert some.chances == [chance_of[item] for item in some.items]


def test_answers_without_chances_are_as_before(chain: Recommender) -> None:
    plain, with_chances = chain.recommend([1, 2], k=5), chain.recommend([1, 2], k=5, chance=True)
    assert [one.items for one in plain] == [one.items for one in with_chances]
    assert plain[0].chances is None
    assert "chance" not in plain.to_frame().columns
    assert "chance" not in plain.to_dicts()[0]["items"][0]


def test_the_chances_of_a_list_sum_to_at_most_one_and_fall(chain: Recommender) -> None:
    for answer in chain.recommend(list(range(1, 40)), k=DEPTH, chance=True):
        assert answer.chances is not None
        told = [chance for chance in answer.chances if chance is not None]
        assert len(told) == DEPTH
        assert sum(told) < 1
        assert told == sorted(told, reverse=True)


def test_an_item_after_the_first_hundred_has_no_chance_and_a_note_says_so(chain: Recommender) -> None:
    answer = chain.recommend(1, k=DEPTH + 3, chance=True)[0]
    assert answer.chances
    assert answer.chances[DEPTH:] == [None] * 3
    assert None not in answer.chances[:DEPTH]
    assert answer.notes == [
        "no chance can be told of 3 items: not among the first 100 of the ranking that the chances were learned on"
    ]


def test_an_item_that_the_protocol_does_not_rank_has_no_chance() -> None:
    answer = told(popularity_run()).recommend("ann", exclude_seen=False, chance=True)[0]
    assert answer.chances is not None
    assert [item for item, chance in zip(answer.items, answer.chances, strict=True) if chance is not None] == [50]


def test_nothing_is_told_where_nothing_is_known_of_the_user() -> None:
    answer = told(popularity_run(), seen="keep").recommend("zoe", k=2, chance=True)[0]
    assert answer.source == "popularity"
    assert answer.chances == [None, None]
    assert answer.notes == ["no chance can be told where nothing is known of the user"]


def test_an_unknown_user_of_a_model_with_user_vectors_is_told_a_caution() -> None:
    known, unknown = told(caser_run(user_vector=True), seen="keep").recommend(
        ["ann", "new"], [[10, 20], [10, 20]], chance=True
    )
    caution = "the chances were learned on users that training knew; this user is none of them"
    assert caution in unknown.notes
    assert caution not in known.notes
    assert unknown.chances
    assert unknown.chances[0] is not None


def test_a_run_that_learned_none_refuses_in_one_sentence(tmp_path: Path) -> None:
    run = Recommender(popularity_run())
    with pytest.raises(ConfigError, match=r"chance needs a run that learned on validation .* Train again"):
        run.recommend("ann", chance=True)
    with pytest.raises(ConfigError, match="chance needs a run that learned on validation"):
        run.recommend_all(tmp_path / "all.csv", chance=True)
    assert not list(tmp_path.iterdir())


def test_all_users_get_the_chances_of_single_answers(chain: Recommender, tmp_path: Path) -> None:
    chain.recommend_all(tmp_path / "all.parquet", k=DEPTH + 2, memory_mb=1, chance=True)
    frame = pl.read_parquet(tmp_path / "all.parquet")
    assert frame.columns == ["user_id", "item_id", "score", "rank", "source", "chance"]
    ours = chain.recommend(list(range(1, 151)), k=DEPTH + 2, chance=True).to_frame()
    assert frame.drop("chance").equals(ours.drop("chance"))
    assert frame["chance"].null_count() == 2 * 150
    assert frame["chance"].to_numpy() == pytest.approx(ours["chance"].to_numpy(), nan_ok=True)


def test_a_saved_run_tells_the_same_chances(chain: Recommender, tmp_path: Path) -> None:
    chain.save(tmp_path / "run")
    again = load(tmp_path / "run").recommend([1, 2], chance=True)
    assert again.to_dicts() == chain.recommend([1, 2], chance=True).to_dicts()


def test_a_run_of_an_earlier_version_is_loaded_and_only_the_option_is_refused(tmp_path: Path) -> None:
    Recommender(popularity_run()).save(tmp_path / "run")
    assert b"calibration" not in (tmp_path / "run" / "manifest.json").read_bytes()
    run = load(tmp_path / "run")
    assert run.recommend("ann")[0].items == [50]
    with pytest.raises(ConfigError, match="by an earlier version"):
        run.recommend("ann", chance=True)


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 0.0},
        {"scale": float("nan")},
        {"level": float("inf")},
        {"inside": [1.0, 1.0, 1.0]},
        {"inside": [1.0, 1.0, -1.0, 1.0]},
        {"outside": [1.0, 1e9, 1.0]},
        {"outside": "none"},
        {"targets": 0},
        {"carried": "guess"},
        {"more": 1},
    ],
    ids=str,
)
def test_a_calibration_that_no_training_wrote_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    told(popularity_run()).save(tmp_path / "run")
    resign(tmp_path / "run", calibration={**KNOWN.to_dict(), **change})
    with pytest.raises(ArtefactError, match=r"manifest\.json"):
        load(tmp_path / "run")


def test_the_chances_do_not_read_an_approximate_index() -> None:
    """An index that finds nothing but one item: the chances are those of the exact ranking."""
    run = told(caser_run(user_vector=False), seen="keep")
    artefact = run.artefact
    scorer = artefact.state_scorer
    assert scorer is not None
    cells = np.where(artefact.knows_item, 2, 0).astype(np.int32)
    cells[np.flatnonzero(artefact.knows_item)[0]] = 1
    blind = Recommender(replace(artefact, index=Index(cells, *scorer.item_vectors(), probes=1, recall=0.1)))
    exact, found = run.recommend("ann", k=4, chance=True)[0], blind.recommend("ann", k=1, chance=True)[0]
    assert exact.chances
    assert found.chances
    assert found.chances == [dict(zip(exact.items, exact.chances, strict=True))[found.items[0]]]


@pytest.mark.parametrize("size", [1, 2, 7])
def test_the_chances_are_the_same_whatever_is_asked_at_once(
    size: int, chain: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = list(range(1, 16))
    expected = [answer.chances for answer in chain.recommend(users, k=4, chance=True)]
    monkeypatch.setattr("caser.answering.chances.questions_at_once", lambda *_: size)
    assert [answer.chances for answer in chain.recommend(users, k=4, chance=True)] == [
        pytest.approx(own) for own in expected
    ]
