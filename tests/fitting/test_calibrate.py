"""What training learns of chances: by whom, on what, what is carried on, and that they are close to the truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caser.answering.recommender import Recommender
from caser.config import Training
from caser.data.split import Split, leave_one_out
from caser.data.synthetic import World, chain_world, noise_world
from caser.errors import ArtefactError, ConfigError
from caser.evaluation.calibration import DEPTH, Calibration, scored_lists
from caser.fitting.calibrate import calibration_facts
from caser.fitting.checks import for_given_epochs
from caser.fitting.evaluate import reliability
from caser.fitting.fit import choose, fit
from caser.models.caser.caser import Caser
from caser.models.counting.count_knn import CountKNN
from caser.models.counting.markov import Markov
from caser.models.counting.popularity import Popularity
from caser.study.best import best
from caser.study.refitting import refit
from caser.study.updating import update
from tests.fitting.test_fit import Stopped, stop_after

MODEL = Caser(L=2, T=1, d=4, n_v=1, n_h=2, dropout=0, user_vector=False)
TRAINING = Training(epochs=3, patience=0, batch_size=256, learning_rate=0.02, device="cpu")


@pytest.fixture(scope="module")
def world() -> World:
    return chain_world(num_users=150, num_items=8, length=10, predictability=0.7, seed=0)


@pytest.fixture(scope="module")
def split(world: World) -> Split:
    return leave_one_out(world.log)


def learned(recommender: Recommender) -> dict[str, Any] | None:
    facts: dict[str, Any] | None = recommender.artefact.manifest["calibration"]
    return facts


class _OneOfThree:
    """The exchange of a training of three workers, in turn: what each asks, and all of it put together."""

    def __init__(self) -> None:
        self.rank, self.parts = 0, [[], [], []]  # type: ignore[var-annotated]

    def block(self, number: int) -> tuple[int, int]:
        return number * self.rank // 3, number * (self.rank + 1) // 3

    def from_all(self, own: Any) -> Any:
        self.parts[self.rank] = own
        return self.parts


def test_a_counting_model_learns_from_what_it_was_not_fitted_on(split: Split) -> None:
    on_fit = Markov().build(split.log.num_users, split.log.num_items)
    on_fit.fit(split.fit)
    facts = learned(fit(Markov(), split))
    assert facts == calibration_facts(on_fit, split)
    assert facts is not None
    assert facts["targets"] == 150
    assert facts["carried"] is None
    assert learned(fit(Markov(), split, train_on="fit")) == facts
    assert learned(fit(Markov(), split, train_on="all")) == facts


def test_a_network_learns_at_its_best_epoch_also_if_it_was_interrupted(split: Split, tmp_path: Path) -> None:
    unbroken = fit(MODEL, split, TRAINING)
    history = unbroken.artefact.manifest["history"]
    number = 1 + int(np.argmax([epoch["validation"] for epoch in history]))
    kept = choose(MODEL, split, TRAINING, keep=True).kept
    assert kept is not None
    assert kept.artefact.manifest["epochs"] == number
    assert learned(unbroken) == calibration_facts(kept.artefact.scorer, split)
    for epochs in (1, 2):
        with pytest.raises(Stopped):
            fit(MODEL, split, TRAINING, checkpoint=tmp_path / "checkpoint", tell=stop_after(epochs))
    assert learned(fit(MODEL, split, TRAINING, checkpoint=tmp_path / "checkpoint")) == learned(unbroken)


def test_workers_learn_together_what_one_learns_alone(split: Split) -> None:
    scorer = Markov().build(split.log.num_users, split.log.num_items)
    scorer.fit(split.fit)
    exchange, told = _OneOfThree(), None
    for exchange.rank in range(3):
        told = calibration_facts(scorer, split, exchange)  # type: ignore[arg-type]
    assert told == calibration_facts(scorer, split)


def test_nothing_is_learned_where_nothing_was_chosen_on_validation(split: Split) -> None:
    given = for_given_epochs(TRAINING)
    assert learned(fit(MODEL, split, given, epochs=2)) is None
    assert learned(fit(MODEL, split, given, epochs=2, train_on="fit")) is not None
    assert learned(fit(Markov(), split, calibrate=False)) is None
    few = leave_one_out(chain_world(num_users=99, num_items=8, length=10, seed=0).log)
    assert learned(fit(Markov(), few)) is None


def test_the_winner_of_a_search_learns_with_the_model_that_validation_judged(split: Split) -> None:
    winner = best(split, training=TRAINING).recommender
    assert winner.artefact.config.name == "markov"
    assert learned(winner) == learned(fit(Markov(), split))


def test_a_blend_learns_as_a_whole(monkeypatch: pytest.MonkeyPatch, split: Split) -> None:
    monkeypatch.setattr("caser.study.best.blend_weight", lambda *_: (0.5, "half and half"))
    blend = best(split, training=TRAINING).recommender
    assert blend.artefact.config.name == "blend"
    facts = learned(blend)
    assert facts is not None
    assert facts != learned(fit(Markov(), split))
    answer = blend.recommend(1, k=8, chance=True)[0]
    assert answer.chances is not None
    assert 0.5 < sum(filter(None, answer.chances)) < 1


def test_the_test_part_teaches_nothing(split: Split) -> None:
    """With other test targets, what is learned is the same."""
    shifted = replace(split.test, targets=split.test.targets % 8 + 1)
    for model in (Markov(), CountKNN()):
        assert learned(fit(model, replace(split, test=shifted))) == learned(fit(model, split))


def test_a_refit_and_an_update_carry_the_chances_of_their_parent(world: World, split: Split) -> None:
    parent = fit(Markov(), split)
    again = refit(parent, world.log)
    facts = learned(parent)
    assert facts is not None
    assert learned(again) == {**facts, "carried": "refit"}
    assert learned(update(parent, train_on="all")) == {**facts, "carried": "update"}
    assert again.recommend(1, chance=True)[0].chances is not None
    assert learned(refit(fit(Markov(), split, calibrate=False), world.log)) is None


def test_chances_are_judged_only_on_what_they_were_not_learned_on(world: World, split: Split) -> None:
    run = fit(Markov(), split)
    assert reliability(run, split).facts["learned_on"] == 150
    assert run.artefact.manifest["test_openings"] == 1
    with pytest.raises(ArtefactError, match="judged on what they were not learned on"):
        reliability(fit(Markov(), split, train_on="fit"), split)
    with pytest.raises(ArtefactError, match="trained on everything"):
        reliability(refit(run, world.log), split)
    with pytest.raises(ConfigError, match="chance needs a run that learned"):
        reliability(fit(Markov(), split, calibrate=False), split)


def test_the_chances_that_are_judged_are_those_of_the_answers(split: Split) -> None:
    run = fit(Markov(), split)
    calibration = Calibration.of(learned(run) or {})
    [lists] = scored_lists(run.artefact.scorer, split.test, split.final.item_counts > 0, remove_seen=False)
    users = split.log.user_vocabulary.raw(split.test.users[:5])
    # The answers of a run read the whole log, so a history without its last item is asked.
    histories = [split.log.item_vocabulary.raw(row) for row in split.test.histories(slice(0, 5), 8)]
    for row, answer in enumerate(run.recommend(users, histories, k=8, chance=True)):
        assert answer.chances == pytest.approx(calibration.chances(lists.scores_BN)[row, :8].tolist())
    assert lists.scores_BN.shape[1] == DEPTH


def told_and_true(world: World, split: Split, run: Recommender) -> tuple[Any, Any]:
    """The chances of the items of each test query, and their probabilities by the rule of the world."""
    lists = [
        *scored_lists(run.artefact.scorer, split.test, split.final.item_counts > 0, remove_seen=False, depth=DEPTH)
    ]
    calibration = Calibration.of(learned(run) or {})
    told = np.concatenate([calibration.chances(block.scores_BN) for block in lists])[:, : world.num_items]
    items = np.concatenate([block.items_BN for block in lists])[:, : world.num_items]
    raw = np.array([0, *split.log.item_vocabulary.raw(np.arange(1, world.num_items + 1))])
    following = world.next_items(raw[split.test.histories(slice(0, len(split.test)), world.memory)])
    by_rule = world.predictability * (raw[items] == following[:, None])
    return told, by_rule + (1 - world.predictability) / world.num_items


@pytest.mark.parametrize("predictability", [0.3, 0.6, 0.9])
def test_chances_in_a_chain_are_the_true_probabilities(predictability: float) -> None:
    world = chain_world(num_users=400, num_items=20, length=15, predictability=predictability, seed=2)
    split = leave_one_out(world.log)
    told, true = told_and_true(world, split, fit(Markov(), split))
    assert np.abs(told - true).mean() < 0.01
    assert np.abs(told[:, 0] - true[:, 0]).mean() < 0.06


@pytest.mark.parametrize("model", [Markov(), Popularity(), CountKNN()], ids=lambda model: model.name)
def test_chances_where_nothing_decides_are_those_of_chance(model: Any) -> None:
    world = noise_world(num_users=400, num_items=20, length=12, seed=1)
    split = leave_one_out(world.log)
    run = fit(model, split)
    answers = run.recommend(list(range(1, 101)), k=20, chance=True)
    told = np.array([answer.chances for answer in answers])
    assert np.abs(told - 1 / 20).mean() < 0.012
    measured = reliability(run, split)
    assert not measured.log_loss_gain.is_shown or measured.log_loss_gain.value < 0.005


@pytest.mark.slow
def test_the_chances_of_a_network_are_the_true_probabilities() -> None:
    world = chain_world(num_users=400, num_items=12, length=15, predictability=0.7, seed=0)
    split = leave_one_out(world.log)
    run = fit(MODEL.replace(d=16, n_h=8), split, TRAINING.replace(epochs=8, learning_rate=0.03))
    told, true = told_and_true(world, split, run)
    assert np.abs(told - true).mean() < 0.02
    assert reliability(run, split).ranks[0].chance == pytest.approx(0.7 + 0.3 / 12, abs=0.05)
