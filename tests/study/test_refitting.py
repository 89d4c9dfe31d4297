"""A recipe that is trained again on everything: what it keeps, and what it then knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from caser.answering.recommender import Recommender
from caser.config import Training
from caser.data.split import Split, leave_one_out
from caser.data.synthetic import chain_world
from caser.errors import ArtefactError, ConfigError
from caser.evaluation.protocols import apply
from caser.fitting.evaluate import evaluate
from caser.fitting.fit import fit
from caser.models.blend import Blend
from caser.models.caser.caser import Caser
from caser.models.counting.markov import Markov
from caser.models.counting.popularity import Popularity
from caser.models.factors.bpr_mf import BPRMF
from caser.models.factors.fpmc import FPMC
from caser.study.blending import blended
from caser.study.refitting import refit

QUICK = Training(epochs=2, batch_size=64, device="cpu", seed=3)


@pytest.fixture(scope="module")
def split() -> Split:
    return leave_one_out(chain_world(num_users=40, num_items=8, length=6, seed=0).log)


def weights(recommender: Recommender) -> dict[str, list[float]]:
    return {name: array.ravel().tolist() for name, array in recommender.artefact.scorer.arrays().items()}


@pytest.mark.parametrize("model", [Markov(), Caser(d=4, n_h=2), Caser(L=2, d=4, n_h=0, n_v=1)])
def test_a_refit_trains_as_the_recipe_says_on_everything(split: Split, model: Markov | Caser) -> None:
    judged = fit(model, split, QUICK if isinstance(model, Caser) else None)
    epochs = judged.artefact.manifest["epochs"]
    same = Training(batch_size=64, device="cpu", seed=3, epochs=2) if epochs else None
    expected = fit(model, split, same, epochs=epochs, train_on="all")
    again = refit(judged, split.log)
    assert weights(again) == weights(expected)
    assert again.artefact.manifest["train_on"] == "all"
    assert again.artefact.manifest["epochs"] == epochs
    assert again.artefact.manifest["history"] == judged.artefact.manifest["history"]


def test_a_refit_reads_a_longer_log_too(split: Split) -> None:
    longer = chain_world(num_users=40, num_items=8, length=9, seed=0).log
    assert refit(fit(Markov(), split), longer).artefact.manifest["log"]["interactions"] == 360


def test_a_refit_says_what_the_judged_run_reached_and_cannot_be_judged(split: Split) -> None:
    judged = fit(Markov(), split)
    evaluate(judged, split, baselines=False)
    again = refit(judged, split.log)
    value = judged.artefact.manifest["metrics"]["ndcg@10"]["value"]
    assert f"ndcg@10 {value:.4f}" in again.artefact.manifest["why"][-1]
    with pytest.raises(ArtefactError, match="the run that it was refitted from"):
        evaluate(again, split)


def test_both_models_of_a_blend_are_refitted(split: Split) -> None:
    judged = blended(fit(BPRMF(d=4), split, QUICK), fit(Popularity(), split), 0.5)
    again = refit(judged, split.log)
    assert isinstance(again.artefact.config, Blend)
    assert again.artefact.manifest["epochs"] == judged.artefact.manifest["epochs"]
    counts = again.artefact.scorer.arrays()["second/counts"]
    assert counts.sum() == len(split.log)


def test_a_blend_of_two_networks_is_refused(split: Split) -> None:
    first, second = (fit(model, split, QUICK, epochs=1) for model in (BPRMF(d=4), FPMC(d=4)))
    with pytest.raises(ConfigError, match="the training of one; got bpr-mf and fpmc"):
        refit(blended(first, second, 0.5), split.log)


def test_the_newest_interaction_is_read_and_removed_by_the_run_that_can_be_judged() -> None:
    split = apply("leave-one-out", chain_world(num_users=40, num_items=12, length=6, seed=0).log)
    judged = fit(Markov(), split)
    newest = split.log.item_vocabulary.raw([int(split.everything.sequence(5)[-1])])[0]
    user = split.log.user_vocabulary.raw([5])[0]
    answer = judged.recommend(users=[user], k=12, exclude_seen=True)[0]
    assert newest not in answer.items
    whole = split.log.item_vocabulary.raw(split.everything.sequence(5))
    assert answer.scores == judged.recommend(histories=[whole], k=12, exclude_seen=True)[0].scores
    report = evaluate(judged, split)
    assert np.isfinite(report.estimate("markov", "ndcg@10").value)


def test_titles_of_the_run_stay_where_the_log_has_none(split: Split) -> None:
    judged = fit(Markov(), split)
    titles = pl.Series([f"Item {raw}" for raw in judged.artefact.items.ids.to_list()])
    again = refit(Recommender(replace(judged.artefact, titles=titles)), split.log)
    known = dict(zip(judged.artefact.items.ids.to_list(), titles.to_list(), strict=True))
    assert again.artefact.titles is not None
    assert again.artefact.titles.to_list() == [known.get(raw) for raw in again.artefact.items.ids.to_list()]
