"""A new run against the one that is served: the verdict, what is asked, and the limits."""

from __future__ import annotations

from dataclasses import replace
from math import log2
from typing import Any

import numpy as np
import polars as pl
import pytest

from caser.answering.recommender import Recommender
from caser.arrays.types import Int32
from caser.data.log import InteractionLog
from caser.data.readers import read_log
from caser.data.split import Split, leave_one_out, sessions
from caser.data.synthetic import chain_world, noise_world
from caser.errors import ArtefactError, ConfigError, DataError
from caser.evaluation.statistics import Estimate
from caser.fitting.fit import fit
from caser.models.counting.markov import Markov
from caser.models.counting.popularity import Popularity
from caser.models.factors.fpmc import FPMC
from caser.study.fair_ranks import fair_ranks
from caser.study.promotion import Candidate, PromotionLimits, _broken, promotion
from caser.study.raw_questions import answers_of, questions_of, unseen
from caser.study.refitting import refit
from caser.system.randomness import numpy_generator

PATIENT = PromotionLimits(most_time=1000)
"""Without a limit of time: these machines are shared."""


@pytest.fixture(scope="module")
def split() -> Split:
    return leave_one_out(chain_world(num_users=80, num_items=40, length=9, seed=0).log)


@pytest.fixture(scope="module")
def good(split: Split) -> Recommender:
    return fit(Markov(), split)


@pytest.fixture(scope="module")
def bad(split: Split) -> Recommender:
    return fit(Popularity(), split)


def log_of(rows: list[tuple[Any, Any, float]]) -> InteractionLog:
    return read_log(pl.DataFrame(rows, schema=["user", "item", "time"], orient="row"))


def random_run(split: Split, seed: int) -> Recommender:
    """A run that knows nothing."""
    model = FPMC(L=2, d=4)
    draw = numpy_generator(seed, "initialisation")
    shapes = model.shapes(split.log.num_users, split.log.num_items)
    arrays = {name: draw.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
    artefact = fit(Popularity(), split).artefact
    scorer = model.scorer(arrays, split.log.num_users, split.log.num_items)
    return Recommender(replace(artefact, config=model, scorer=scorer))


# --- the verdict


def test_a_better_run_passes_and_a_worse_one_does_not(split: Split, good: Recommender, bad: Recommender) -> None:
    better, worse = promotion(good, bad, split, limits=PATIENT), promotion(bad, good, split, limits=PATIENT)
    assert (better.verdict, better.passes) == ("better", True)
    assert (worse.verdict, worse.passes) == ("worse", False)
    assert better.difference.value == -worse.difference.value
    assert better.num_left_out == 0
    assert "ndcg@10: the new run beats the old one" in better.sentences[0]


def test_of_the_same_run_nobody_can_tell_unless_a_margin_is_given(split: Split, good: Recommender) -> None:
    same = promotion(good, good, split)
    assert (same.verdict, same.passes) == ("cannot tell", False)
    allowed = promotion(good, good, split, limits=PATIENT.replace(margin=0.01))
    assert (allowed.verdict, allowed.passes) == ("not worse", True)
    assert allowed.sentences[1] == "the new run loses at most 1.0% of the old one's ndcg@10, as allowed"


def test_a_margin_passes_no_run_that_loses_more(split: Split, good: Recommender, bad: Recommender) -> None:
    assert promotion(bad, good, split, limits=PromotionLimits(margin=0.1)).verdict == "worse"


@pytest.mark.slow
def test_of_equal_runs_at_most_one_in_twenty_is_taken_for_better_or_worse() -> None:
    verdicts = []
    for world in range(200):
        split = leave_one_out(noise_world(num_users=60, num_items=30, length=6, seed=world).log)
        verdicts.append(promotion(random_run(split, 2 * world), random_run(split, 2 * world + 1), split).verdict)
    decided = 200 - verdicts.count("cannot tell")
    assert decided <= 16  # of 200 with probability 5 %, more than 16 happen once in 40 times


def test_few_questions_decide_nothing() -> None:
    split = leave_one_out(chain_world(num_users=5, num_items=40, length=9, seed=0).log)
    assert promotion(fit(Markov(), split), fit(Popularity(), split), split).verdict == "cannot tell"
    same = fit(Markov(), split)
    assert promotion(same, same, split, limits=PATIENT.replace(margin=0.5)).verdict == "cannot tell"


# --- what is asked


def test_a_served_run_is_asked_only_what_it_was_not_trained_on(split: Split, good: Recommender) -> None:
    """The served run was refitted on a log in which every second user had no last interaction yet."""
    log = split.log
    rows = [
        (user, item, float(time))
        for user, item, time in zip(
            log.user_vocabulary.raw(log.users), log.item_vocabulary.raw(log.items), log.times, strict=True
        )
    ]
    last_of = {user: number for number, (user, _, _) in enumerate(rows)}
    earlier = log_of([row for number, row in enumerate(rows) if number not in last_of.values() or int(row[0]) % 2])
    early_split = leave_one_out(earlier)
    served = refit(fit(Popularity(), early_split), earlier)
    result = promotion(good, served, split)
    assert (result.num_questions, result.num_left_out) == (40, 40)
    assert result.sentences[1].startswith("40 of 80 questions were left out")
    kept = unseen(questions_of(split, "test"), served)
    assert {int(user) % 2 for user, is_kept in zip(log.user_vocabulary.ids, kept, strict=True) if is_kept} == {0}


ROWS = [(f"u{user}", f"i{(user + place) % 9}", float(10 * place)) for user in range(40) for place in range(8)]


@pytest.mark.parametrize(
    ("rows", "num_left_out"),
    [
        (ROWS, 40),  # the same log
        ([row for row in ROWS if row[2] != 20.0], 40),  # a filter, or events that arrive late: fewer, but the last ones
        ([row for row in ROWS if row[2] < 70.0], 0),  # the day before
        ([(user, item, time - 60) for user, item, time in ROWS], 0),  # as many, but all of them earlier
        ([row for row in ROWS if row[2] < 70.0 or row[0] < "u2"], 12),  # u0, u1 and u10 to u19 have the last one
    ],
    ids=["same", "fewer", "before", "window", "some"],
)
def test_what_the_served_run_was_trained_on_is_told_by_time(
    rows: list[tuple[str, str, float]], num_left_out: int
) -> None:
    log, split = log_of(rows), leave_one_out(log_of(ROWS))
    served = refit(fit(Markov(), leave_one_out(log)), log)
    assert int((~unseen(questions_of(split, "test"), served)).sum()) == num_left_out


def test_interactions_of_one_moment_are_counted() -> None:
    """The last two interactions of each user have one time; one of them trained the served run, and one judges."""
    rows = [(user, item, min(time, 60.0)) for user, item, time in ROWS]
    split = leave_one_out(log_of(rows))
    before, whole = log_of([row for place, row in enumerate(rows) if place % 8 < 7]), log_of(rows)
    for log, is_unseen in ((before, True), (whole, False)):
        served = refit(fit(Markov(), leave_one_out(log)), log)
        assert set(unseen(questions_of(split, "test"), served).tolist()) == {is_unseen}


def test_runs_that_share_no_item_are_refused(split: Split, good: Recommender) -> None:
    log = log_of([(user, f"other {item}", time) for user, item, time in ROWS])
    with pytest.raises(DataError, match="must name items alike"):
        promotion(good, refit(fit(Markov(), leave_one_out(log)), log), split)


def test_a_served_run_that_knows_all_targets_cannot_be_compared(split: Split, good: Recommender) -> None:
    with pytest.raises(DataError, match="trained on all 80 targets"):
        promotion(good, refit(good, split.log), split)


def test_a_new_run_that_was_trained_on_everything_cannot_be_judged(split: Split, good: Recommender) -> None:
    with pytest.raises(ArtefactError, match="trained on everything"):
        promotion(refit(good, split.log), good, split)


def test_ids_are_compared_as_text_and_an_unknown_target_is_missed() -> None:
    """The old run has numbers as ids and lacks item 9; the new one has text, and other indices."""
    users = range(8)
    old_rows = [(user, item, float(place)) for user in users for place, item in enumerate([5, 6, 7, 8])]
    new_rows = [
        *[(f"{user}", f"{item}", time) for user, item, time in old_rows],
        *[(f"{user}", "9" if user < 4 else "5", 9.0) for user in users],
        ("7", "9", -1.0),
    ]
    old_log, new_log = log_of(old_rows), log_of(new_rows)
    old, split = refit(fit(Markov(), leave_one_out(old_log)), old_log), leave_one_out(new_log)
    result = promotion(fit(Markov(), split), old, split)
    assert result.num_questions == 8
    assert result.old.unknown_share == 0.5
    assert result.new.unknown_share == 0.0


class Lists:
    """A scorer that ranks items in a fixed order for every query."""

    history_length = None

    def __init__(self, order: list[int], num_items: int) -> None:
        self.row = np.full(num_items + 1, -np.inf, dtype=np.float32)
        self.row[order] = -np.arange(len(order))

    def scores(self, users_B: Int32, _: Int32) -> Any:
        return np.tile(self.row, (len(users_B), 1))


def test_the_metric_is_that_of_the_lists_that_users_get() -> None:
    tens = {user: [1, 2, 3, 10 + user % 2] for user in range(10)}
    both = {user: [10, 11, 1, 2] for user in (10, 11)}  # who have seen what both lists hold, and get nothing
    log = log_of([(user, item, float(n)) for user, row in {**tens, **both}.items() for n, item in enumerate(row)])
    split = leave_one_out(log)
    base = fit(Popularity(), split).artefact
    index = log.item_vocabulary.index
    first, second = (
        Recommender(replace(base, scorer=Lists([index(item) for item in order], log.num_items)))  # type: ignore[arg-type]
        for order in ([10, 11], [11, 10])
    )
    result = promotion(first, second, split, k=2)
    assert result.new.metric.value == pytest.approx((5 + 5 / log2(3)) / 12)
    assert result.difference.value == pytest.approx(0)
    assert promotion(first, second, split, metric="hit", k=1).new.metric.value == 5 / 12


def test_sessions_are_asked_without_a_user() -> None:
    split = sessions(chain_world(num_users=120, num_items=30, length=6, seed=0).log)
    assert promotion(fit(Markov(), split), fit(Popularity(), split), split).verdict == "better"


# --- limits


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_shown": 60}, "at least 70% as many different items as the old one; it shows 60 instead of 100"),
        ({"popular_share": 0.7}, "places with popular items may rise by 10.0% at most; it rises from 50.0% to 70.0%"),
        ({"unknown_share": 0.2}, "unknown targets may rise by 2.0% at most"),
        ({"short_share": 0.2}, "answers that are too short may rise by 2.0% at most"),
        ({"milliseconds": 4.0}, "at most 3 times as long as the old run's; it takes 4.00 ms instead of 1.00"),
    ],
)
def test_each_limit_is_said_where_it_is_broken(changes: dict[str, float], words: str) -> None:
    old = Candidate(Estimate(0.1, 0.05, 0.15), 100, 0.5, 0.1, 0.0, 1.0)
    assert not list(_broken(old, old, PromotionLimits()))
    [sentence] = _broken(replace(old, **changes), old, PromotionLimits())  # type: ignore[arg-type]
    assert words in sentence


def test_a_better_run_that_breaks_a_limit_does_not_pass(split: Split, good: Recommender, bad: Recommender) -> None:
    result = promotion(good, bad, split, limits=PATIENT.replace(least_shown=100))
    assert (result.verdict, result.passes, len(result.broken)) == ("better", False, 1)


def test_wrong_arguments_get_one_sentence(split: Split, good: Recommender) -> None:
    with pytest.raises(ConfigError, match="did you mean ndcg"):
        promotion(good, good, split, metric="ndgc")
    with pytest.raises(ConfigError, match="without its cut-off"):
        promotion(good, good, split, metric="ndcg@10")
    with pytest.raises(ConfigError, match="old must be a recommender"):
        promotion(good, split, split)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="limits must be"):
        promotion(good, good, split, limits={"margin": 0.1})  # type: ignore[arg-type]


# --- what must not depend on a vocabulary


def test_equal_scores_are_in_a_random_order_whatever_the_vocabulary() -> None:
    """All targets are one item; it is the first or the last of the vocabulary, and all items have one score."""
    others = [f"i{number:02}" for number in range(10, 50)]
    found = []
    for target in ("a", "z"):
        order = [target, *others] if target == "a" else [*others, target, "i10", "i11"]
        rows = [("all", item, float(place)) for place, item in enumerate(order)]
        rows += [
            (f"u{user}", item, float(place)) for user in range(300) for place, item in enumerate(["i10", "i11", target])
        ]
        log = log_of(rows)
        split = leave_one_out(log)
        scorer = Constant(np.zeros(log.num_items + 1, dtype=np.float32))
        run = Recommender(replace(fit(Popularity(), split).artefact, scorer=scorer))  # type: ignore[arg-type]
        found.append(promotion(run, run, split, metric="hit").new.metric.value)
    assert found == pytest.approx([10 / 39] * 2, abs=0.08)  # by the vocabulary, one would be 1 and the other 0


class Constant:
    """A scorer that gives every item its score, for every query."""

    history_length = None

    def __init__(self, row: Any) -> None:
        self.row = row

    def scores(self, users_B: Int32, _: Int32) -> Any:
        return np.tile(self.row, (len(users_B), 1))


def test_fair_ranks_are_those_of_the_list_where_no_scores_are_equal(split: Split) -> None:
    run, asked = random_run(split, 1), questions_of(split, "test")
    answers = answers_of(run, asked, 40)
    expected = [
        [answer.index(target) + 1 for target in some] for answer, some in zip(answers, asked.targets, strict=True)
    ]
    assert fair_ranks(run, asked, answers) == expected


def test_fair_ranks_do_not_depend_on_how_many_questions_are_ranked_at_once(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, asked = random_run(split, 1), questions_of(split, "test")
    answers = answers_of(run, asked, 40)
    at_once = fair_ranks(run, asked, answers)
    monkeypatch.setattr("caser.study.fair_ranks._BYTES_PER_SCORE", 10**12)  # one by one
    assert fair_ranks(run, asked, answers) == at_once


def test_popular_items_are_counted_among_those_that_both_runs_know(split: Split, good: Recommender) -> None:
    """The old run was trained without the new popular items; on the items that it knows, both recommend alike."""
    old_rows = [(f"u{user}", f"i{(user + place) % 9}", float(place)) for user in range(40) for place in range(6)]
    more = [
        (f"u{user}", item, 10.0 + n) for user in range(40) for n, item in enumerate(("hit1", "hit2", f"i{user % 9}"))
    ]
    old_log, log = log_of(old_rows), log_of(old_rows + more)
    old, new_split = refit(fit(Popularity(), leave_one_out(old_log)), old_log), leave_one_out(log)
    run = fit(Popularity(), new_split)
    popular = questions_of(new_split, "test").popular
    assert {"hit1", "hit2"} <= popular
    result = promotion(run, old, new_split, k=8)
    known = popular - {"hit1", "hit2"}
    places = [item for row in answers_of(run, questions_of(new_split, "test"), 8) for item in row if "hit" not in item]
    assert result.new.popular_share == pytest.approx(sum(item in known for item in places) / len(places))
