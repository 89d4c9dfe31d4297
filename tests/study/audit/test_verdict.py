"""The limits of the verdict: no model says that what it cannot read does not matter. Effects are made up by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from caser.study.audit.order import Effects
from caser.study.audit.order_findings import blocks_finding, order_finding
from caser.study.audit.verdict import advice, verdict

NUM_USERS = 200
FLOOR = (0.2, 0.2, 0.2)
NEVER = ("they need not", "not worth their cost", "Do not train", "is enough")
"""What must not be advised if no model could see the effect."""


def effects(*readers: str, **models: tuple[float, float, float]) -> Effects:
    """Effects whose models have these means with the true order, blocks of 5 and the whole history shuffled."""
    noise = np.where(np.arange(NUM_USERS) % 2, 0.1, -0.1)
    values: dict[str, Any] = {}
    for number, (name, means) in enumerate({"popularity": FLOOR, **models}.items()):
        # The noise differs between models and between shuffles, so that differences have an interval.
        parts = (mean + np.roll(noise, number + 2 * step) * (1 + step) for step, mean in enumerate(means))
        values[name.replace("_", "-")] = dict(zip((1, 5, "whole"), parts, strict=True))
    return Effects(values, np.arange(NUM_USERS, dtype=np.int32), "ndcg@10", 5, readers=readers)


RECENT = {"markov": (0.25, 0.25, 0.2), "count_knn": (0.4, 0.4, 0.3)}
SET_OF_ITEMS = {"markov": (0.25, 0.25, 0.25), "count_knn": (0.4, 0.4, 0.4)}
NOTHING = {"markov": (0.19, 0.19, 0.19), "count_knn": (0.18, 0.18, 0.18)}
LITTLE = {"markov": (0.25, 0.25, 0.2), "count_knn": (0.6, 0.575, 0.4)}


@pytest.mark.parametrize(
    ("models", "headline"),
    [
        (RECENT, "Recent items matter, but no worth of their order is shown, as far as count-knn can use it"),
        (SET_OF_ITEMS, "Order is not shown to matter, as far as count-knn can use it"),
        (NOTHING, "Nothing in the history is shown to help, as far as markov and count-knn can use it"),
        (LITTLE, "Order matters a little, as far as count-knn can use it; recency matters too"),
    ],
)
def test_without_a_network_the_headline_is_limited_to_the_models_that_were_judged(models: Any, headline: str) -> None:
    assert verdict(effects(**models)).partition(": ")[0] == headline


@pytest.mark.parametrize("models", [RECENT, SET_OF_ITEMS, NOTHING])
def test_without_a_network_the_advice_is_to_train_one(models: Any) -> None:
    sentences = advice(effects(**models))
    assert any("Audit with a network that reads the order" in sentence for sentence in sentences)
    assert not any(words in sentence for sentence in sentences for words in NEVER)


def test_without_a_network_the_finding_says_that_nobody_read_the_order() -> None:
    found = order_finding(effects(**RECENT)).to_dict()
    assert "No model of this audit reads the order of several items" in found["sentence"]
    assert found["facts"]["models judged"] == "popularity, markov, count-knn"
    assert found["facts"]["models that read the order of several items"] == "none"


def test_a_network_that_cannot_read_order_lifts_no_limit() -> None:
    found = effects(**RECENT, fpmc=(0.35, 0.35, 0.35))
    assert "as far as count-knn can use it:" in verdict(found)
    assert "Audit with a network that reads the order" in advice(found)[0]


def test_a_network_that_reads_order_and_loses_nothing_is_named_beside_the_best_model() -> None:
    found = effects("caser", **RECENT, caser=(0.35, 0.35, 0.3))
    assert verdict(found).partition(": ")[0].endswith("as far as count-knn and caser can use it")
    assert "not shown, as far as count-knn and caser can use it" in advice(found)[0]
    assert "No model of this audit reads" not in order_finding(found).sentence


def test_order_matters_if_a_network_that_is_not_the_best_model_loses_with_it() -> None:
    found = effects("caser", **SET_OF_ITEMS, caser=(0.38, 0.3, 0.3))
    assert verdict(found).startswith(
        "Order matters to caser, though count-knn does better without it: caser, at 0.3800"
    )
    assert "train caser in full" in advice(found)[0]


def test_a_network_that_learned_nothing_lifts_no_limit() -> None:
    found = effects("caser", **SET_OF_ITEMS, caser=(0.19, 0.19, 0.19))
    assert verdict(found).startswith("Order is not shown to matter, as far as count-knn can use it:")
    assert "caser, trained quickly, does not beat popularity: train it in full" in advice(found)[0]


def test_a_network_that_was_judged_and_finds_nothing_may_advise_against_sequence_models() -> None:
    found = effects("caser", **NOTHING, caser=(0.19, 0.19, 0.19))
    assert "as far as markov, count-knn and caser can use it" in verdict(found)
    assert advice(found)[0].startswith("Do not train a sequence model")


def test_blocks_name_what_a_network_loses_beside_a_counting_model_that_loses_nothing() -> None:
    found = effects("caser", **SET_OF_ITEMS, caser=(0.6, 0.5, 0.5))
    more: Any = {10: found.values["count-knn"][5]}  # only counting models are judged with every size
    values = {
        name: {**more, **by_block} if name == "count-knn" else by_block for name, by_block in found.values.items()
    }
    sentence = blocks_finding(replace(found, values=values)).sentence
    assert sentence.startswith("count-knn loses nothing by any shuffle that 200 users can show. caser, which reads")
    assert "loses 0.1000" in sentence


def test_order_of_rows_is_not_blamed_for_a_network_that_was_not_trained_without_it() -> None:
    found = effects("caser", **SET_OF_ITEMS, caser=(0.6, 0.5, 0.5))
    text = verdict(found, effects(**SET_OF_ITEMS))
    assert text.startswith("Order matters: caser")
    assert "in random order, caser was not trained, and count-knn shows no such loss" in text
    assert advice(found, effects(**SET_OF_ITEMS))[0].startswith("Models that read the order are worth trying")


def test_order_of_rows_is_limited_to_the_models_that_were_judged_without_it() -> None:
    found = effects(markov=(0.25, 0.25, 0.2), count_knn=(0.4, 0.3, 0.3))
    assert verdict(found, effects(**SET_OF_ITEMS)).startswith(
        "Only the order of rows at equal times is shown to matter, as far as count-knn can use it: count-knn"
    )
    assert order_finding(found, effects(**SET_OF_ITEMS)).severity == "note"


def test_order_of_rows_is_not_all_if_another_model_still_loses_without_it() -> None:
    found = effects(markov=(0.4, 0.3, 0.3), count_knn=(0.3, 0.3, 0.3))
    still = effects(markov=(0.25, 0.25, 0.25), count_knn=(0.3, 0.25, 0.25))
    assert verdict(found, still).startswith("Order matters: markov")


def test_one_user_shows_nothing() -> None:
    one = Effects(
        {
            name: {block: np.array([value]) for block in (1, 5, "whole")}
            for name, value in (("popularity", 0.1), ("markov", 0.5))
        },
        np.array([1], dtype=np.int32),
        "ndcg@10",
        5,
    )
    assert verdict(one) == "1 user is too few to say whether order matters."
    assert "nan" not in verdict(one)
