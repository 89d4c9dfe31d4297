"""No setting of a fit does nothing: it is used and recorded, or setting it is an error that names it.

Every model, every loss, and every setting of training and argument of `fit` are combined; nothing is trained for that.
"""

from __future__ import annotations

import inspect
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caser.config import LOSSES, Training
from caser.data.split import Split, leave_one_out
from caser.data.synthetic import chain_world
from caser.errors import CaserError, ConfigError
from caser.fitting.checks import for_given_epochs, refuse_unused, used_settings
from caser.fitting.defaults import facts_of
from caser.fitting.fit import choose, fit
from caser.models import MODELS, model_settings
from caser.models.caser.caser import Caser
from caser.models.counting.markov import Markov
from caser.models.factors.fpmc import FPMC
from caser.models.settings import CountingSettings, NetworkSettings
from caser.training.exchange import Exchange

OTHER: dict[str, Any] = {
    "loss_settings": None,  # of the loss itself: see `other_value`
    "epochs": 4,
    "patience": 1,
    "batch_size": 96,
    "lanes": 2,
    "learning_rate": 0.02,
    "schedule": "constant",
    "averaging": 0.5,
    "weight_decay": 0.1,
    "positions": "full",
    "num_negatives": 7,
    "negatives": "shared",
    "popularity_exponent": 0.5,
    "unseen_negatives": True,
    "user_dropout": 0.5,
    "seed": 9,
    "device": "cpu",
    "precision": "bfloat16",
}
"""A value of each setting of training that is not its default; `loss` itself is walked by the tests."""

ARGUMENTS: dict[str, Any] = {
    "training": Training(),
    "epochs": 3,
    "checkpoint": Path("run.checkpoint"),
    "exchange": Exchange(),
    "items": "items.csv",
    "attributes": ["genre"],
}
"""Arguments of `fit` that not every model uses."""
FOR_EVERY_MODEL = {"model", "split", "train_on"}
NO_SETTINGS = {"tell", "calibrate"}
"""A function that is called while a network trains, and what is learned beside it: neither changes the weights."""

MODELS_TO_WALK = [name for name in MODELS if MODELS[name].__module__.startswith("caser.")]
SETTINGS = sorted(set(Training.model_fields) - {"loss"})


def other_value(setting: str, loss: str) -> Any:
    """A value that differs from the default, or a foreign one where the loss has no settings."""
    if setting == "loss_settings":
        return {name: value / 2 for name, value in LOSSES[loss].settings.items()} or {"temperature": 2.0}
    return OTHER[setting]


def variants(name: str) -> list[Any]:
    """A model as it is, and without user vectors where there is such a form."""
    model = model_settings(name)
    without = model.without_user_vectors()
    return [model] if without is None or without == model else [model, without]


def test_the_walk_covers_every_setting_and_every_argument() -> None:
    assert set(OTHER) == set(SETTINGS)
    parameters = set(inspect.signature(fit).parameters)
    assert parameters == FOR_EVERY_MODEL | NO_SETTINGS | set(ARGUMENTS)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", MODELS_TO_WALK)
def test_a_setting_of_training_is_recorded_or_refused_by_name(name: str, loss: str) -> None:
    for model, setting, epochs in product(variants(name), SETTINGS, (None, 3)):
        value = other_value(setting, loss)
        refusal = refused(model, loss, {setting: value}, epochs)
        if refusal is not None:
            assert setting in refusal
            continue
        assert isinstance(model, NetworkSettings), setting
        assert used_settings(model, Training(loss=loss, **{setting: value}), epochs)[setting] == value
        assert used_settings(model, Training(loss=loss), epochs).get(setting) != value


def refused(model: Any, loss: str, settings: dict[str, Any], epochs: int | None) -> str | None:
    """Why these settings of training are refused, or None."""
    try:
        training = Training(loss=loss, **settings)
        refuse_unused(model, training, epochs=None if isinstance(model, CountingSettings) else epochs)
    except ConfigError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("left_out", "idle"),
    [
        ({"n_h": 0}, {"heights": (1, 2)}),
        ({"n_h": 0}, {"phi_c": "tanh"}),
        ({"n_h": 0, "n_v": 0}, {"phi_a": "tanh"}),
        ({"n_h": 0, "n_v": 0}, {"dropout": 0.1}),
        ({"n_h": 0, "n_v": 0}, {"L": 3}),
    ],
    ids=str,
)
def test_a_setting_of_a_part_that_is_left_out_is_refused(left_out: dict[str, Any], idle: dict[str, Any]) -> None:
    (name,) = idle
    model = Caser(**left_out, **idle)
    with pytest.raises(ConfigError, match=f"{name} must be left out for this caser"):
        refuse_unused(model)
    assert model.without_unused() == Caser(**left_out)
    refuse_unused(model.without_unused())
    refuse_unused(Caser(**idle))


@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize("name", MODELS_TO_WALK)
def test_a_model_that_only_counts_refuses_arguments_for_networks(name: str, argument: str) -> None:
    model = model_settings(name)
    arguments = {argument: ARGUMENTS[argument]}
    if isinstance(model, CountingSettings):
        with pytest.raises(ConfigError, match=f"{argument} must be left out for {name}, which is fitted in one pass"):
            refuse_unused(model, **arguments)
    elif isinstance(model, NetworkSettings):
        refuse_unused(model, **arguments)


# What is accepted changes the result


@pytest.fixture(scope="module")
def split() -> Split:
    """A split that two epochs of a small network change visibly."""
    return leave_one_out(chain_world(num_users=40, num_items=8, length=10, seed=0).log)


@pytest.mark.parametrize("loss", ["softmax", "gbce", "sampled-softmax", "bpr-max"])
def test_every_setting_that_is_recorded_changes_the_weights(split: Split, loss: str) -> None:
    model, epochs = FPMC(d=4, T=2), 2
    base = Training(loss=loss, batch_size=64, device="cpu")
    if "precision" in base.used():
        base = base.replace(precision="float32")
    before = fit(model, split, base, epochs=epochs).artefact
    complete = model.training_for(facts_of(split), base)
    assert before.manifest["training"] == used_settings(model, complete, epochs)
    for setting in set(used_settings(model, base, epochs)) - {"loss", "device", "loss_settings"}:
        after = fit(model, split, base.replace(**{setting: other_value(setting, loss)}), epochs=epochs).artefact
        arrays = after.scorer.arrays()
        assert any(not np.array_equal(array, arrays[key]) for key, array in before.scorer.arrays().items()), setting
    if LOSSES[loss].settings:
        after = fit(
            model, split, base.replace(loss_settings=other_value("loss_settings", loss)), epochs=epochs
        ).artefact
        assert not np.array_equal(before.scorer.arrays()["V"], after.scorer.arrays()["V"])


# The refusals one by one


@pytest.mark.parametrize("epochs", [0, -1, 2.5, True])
def test_the_number_of_epochs_is_a_whole_number_from_1(split: Split, epochs: Any) -> None:
    with pytest.raises(ConfigError, match="epochs must be a whole number, at least 1"):
        fit(Caser(), split, epochs=epochs)


@pytest.mark.parametrize("epochs", [0, 3])
def test_a_counting_model_has_no_epochs(split: Split, epochs: int) -> None:
    with pytest.raises(
        ConfigError, match=f"epochs must be left out for markov, which is fitted in one pass; got {epochs}"
    ):
        fit(Markov(), split, epochs=epochs)


def test_a_counting_model_has_no_training_and_no_checkpoint(split: Split, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training must be left out for markov.*got loss='bpr', seed=1"):
        fit(Markov(), split, Training(loss="bpr", seed=1))
    for function in (fit, choose):
        with pytest.raises(ConfigError, match="checkpoint must be left out for markov"):
            function(Markov(), split, checkpoint=tmp_path / "checkpoint")
    with pytest.raises(ConfigError, match="training must be left out"):
        choose(Markov(), split, Training())


def test_patience_is_refused_where_the_number_of_epochs_is_given(split: Split) -> None:
    with pytest.raises(ConfigError, match=r"patience must be left out .* got patience=2 with epochs=3"):
        fit(Caser(), split, Training(patience=2), epochs=3)


def test_two_numbers_of_epochs_are_refused_unless_they_agree() -> None:
    refuse_unused(Caser(), Training(epochs=3, schedule="constant"), epochs=3)
    with pytest.raises(ConfigError, match="epochs of the training must be left out"):
        refuse_unused(Caser(), Training(epochs=4, schedule="constant"), epochs=3)


def test_a_linear_schedule_has_a_length_that_given_epochs_cannot_exceed() -> None:
    refuse_unused(Caser(), Training(epochs=4, schedule="linear"), epochs=3)
    with pytest.raises(ConfigError, match="epochs must be at most the length of the linear schedule, 4"):
        refuse_unused(Caser(), Training(epochs=4, schedule="linear"), epochs=5)


def test_what_the_model_itself_says_of_its_training_is_not_refused() -> None:
    class Patient(FPMC):
        training = Training(patience=1, epochs=50)

    refuse_unused(Patient(), epochs=3)
    refuse_unused(Patient(), Patient.training.replace(seed=1), epochs=3)
    with pytest.raises(ConfigError, match="patience"):
        refuse_unused(Patient(), Patient.training.replace(patience=2), epochs=3)


@pytest.mark.parametrize("schedule", ["constant", "linear"])
def test_a_training_that_was_chosen_with_can_be_refitted(schedule: Any) -> None:
    training = for_given_epochs(Training(patience=2, epochs=9, seed=3, schedule=schedule))
    refuse_unused(Caser(), training, epochs=4)
    assert (training.seed, training.schedule) == (3, schedule)


def test_a_name_is_not_a_model(split: Split) -> None:
    with pytest.raises(CaserError, match="a model must be settings"):
        fit("markov", split)  # type: ignore[arg-type]
