"""Reports made from tables of several seeds, and which tables they refuse to mix."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from caser.arrays.types import Int32, Scores
from caser.data.synthetic import chain_world
from caser.errors import ConfigError
from caser.evaluation.fingerprint import refuse_mixed
from caser.evaluation.judge import counting_baselines, judge, rank, report
from caser.evaluation.protocols import apply, protocol_named
from caser.evaluation.rank_table import RankTable
from caser.models.base import Arrays
from caser.system.randomness import numpy_generator

LOG = chain_world(num_users=80, num_items=60, length=12, predictability=0.9, seed=0).log
SPLIT = apply("leave-one-out", LOG)
COUNTING = counting_baselines(SPLIT)
MARKOV = rank(COUNTING["markov"], SPLIT)


class Guess:
    """Random scores that depend on a seed."""

    history_length: int | None = 1

    def __init__(self, seed: int) -> None:
        self.table = numpy_generator(seed, "world").random((LOG.num_users + 1, LOG.num_items + 1))

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        return self.table[users_B]

    def arrays(self) -> Arrays:
        return {}


GUESSES = [rank(Guess(seed), SPLIT) for seed in range(3)]


def test_a_report_of_tables_equals_the_report_of_judging_at_once() -> None:
    apart = report({name: [rank(scorer, SPLIT)] for name, scorer in COUNTING.items()}, SPLIT)
    assert apart.to_dict() == judge(COUNTING, SPLIT).to_dict()


def test_a_report_is_shown_in_one_short_line() -> None:
    shown = repr(judge(COUNTING, SPLIT))
    assert shown.startswith("Report(leave-one-out, test, 80 users, popularity, markov, count-knn, ")
    assert len(shown) < 120


def test_a_saved_table_gives_the_same_report() -> None:
    saved = RankTable.from_arrays(MARKOV.to_arrays())
    assert report({"markov": [saved]}, SPLIT).to_dict() == report({"markov": [MARKOV]}, SPLIT).to_dict()


def test_values_of_several_seeds_are_kept_and_averaged() -> None:
    judged = report({"markov": [MARKOV], "guess": GUESSES}, SPLIT)
    values_SQ = judged.values["guess"]["hit@50"]
    assert values_SQ.shape == (3, 80)
    assert judged.values["markov"]["hit@50"].shape == (1, 80)
    assert judged.estimate("guess", "hit@50").value == pytest.approx(values_SQ.mean())
    said = judged.to_dict()
    assert said["by_seed"]["guess"]["hit@50"] == pytest.approx(values_SQ.mean(axis=1))
    json.dumps(said, allow_nan=False)
    assert len(judged.to_frame(LOG.user_vocabulary)) == 4 * 80


def test_models_under_free_names_are_compared_with_the_baselines_that_are_named() -> None:
    tables = {"first order": [MARKOV], "guess (3 seeds)": GUESSES}
    (largest,) = report(tables, SPLIT).verdicts()
    assert largest.startswith("ndcg@10: first order has the largest mean of 2 models (")
    (verdict,) = report(tables, SPLIT, baselines={"first order"}).verdicts()
    assert verdict.startswith("ndcg@10: guess (3 seeds) loses to first order (")
    assert verdict.endswith(" over users and 3 seeds)")


def test_several_models_are_one_family_of_comparisons_and_the_sentence_says_so() -> None:
    tables = {"markov": [MARKOV], "one": GUESSES[:1], "two": GUESSES[1:2], "same": [MARKOV]}
    judged = report(tables, SPLIT)
    found = judged.differences("markov", "ndcg@10")
    assert list(found) == ["one", "two", "same"]
    assert [one.family for one in found.values()] == [3, 3, 3]
    assert [one.is_shown for one in found.values()] == [True, True, False]
    assert all("after Holm's correction for 3 comparisons" in verdict for verdict in judged.verdicts())


def test_tables_made_under_other_facts_are_refused_with_the_facts_that_differ() -> None:
    validation = rank(COUNTING["markov"], SPLIT, "validation")
    with pytest.raises(ConfigError, match=r"markov, table 2 has .* which differ in part test and validation"):
        report({"markov": [MARKOV, validation]}, SPLIT)
    keep = rank(COUNTING["markov"], SPLIT, protocol=replace(protocol_named("leave-one-out"), seen="keep"))
    assert keep.facts["fingerprint"] == MARKOV.facts["fingerprint"]  # what auto decides on this log
    remove = rank(COUNTING["markov"], SPLIT, protocol=replace(protocol_named("leave-one-out"), seen="remove"))
    with pytest.raises(ConfigError, match="differ in seen keep and remove"):
        report({"markov": [remove]}, SPLIT)
    shorter = apply("leave-one-out", LOG.keep(LOG.users > 3, "users=77"))
    with pytest.raises(ConfigError, match=r"differ in filters .*, num_users 80 and 77"):
        report({"markov": [rank(counting_baselines(shorter)["markov"], shorter)]}, SPLIT)


def test_a_table_without_facts_is_refused() -> None:
    with pytest.raises(ConfigError, match="has None"):
        report({"made by hand": [replace(MARKOV, facts={})]}, SPLIT)


def test_equal_facts_with_different_fingerprints_are_refused() -> None:
    facts = MARKOV.facts
    with pytest.raises(ConfigError, match="the histories or the targets themselves"):
        refuse_mixed({"a": facts, "b": {**facts, "fingerprint": "0" * 16}})


def test_a_model_without_a_table_is_refused() -> None:
    with pytest.raises(ConfigError, match="got none of lost"):
        report({"markov": [MARKOV], "lost": []}, SPLIT)
    with pytest.raises(ConfigError, match="got none of any"):
        report({}, SPLIT)
