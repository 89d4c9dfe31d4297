"""Settings are frozen, closed and explained. A wrong value, or one without an effect, is refused in one sentence."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import caser
from caser.config import FOR_NEGATIVES, LOSSES, Loss, Settings, Training, register_loss
from caser.errors import CaserError, ConfigError
from caser.models import MODELS, model_class, model_settings
from caser.models.factors.bpr_mf import BPRMF

ANY: Any = caser  # the type checker would refuse some of these calls
every_class = pytest.mark.parametrize("settings", [Training, *map(model_class, MODELS)], ids=lambda one: one.__name__)


@every_class
def test_every_setting_explains_itself(settings: type[Settings]) -> None:
    for name, setting in settings.model_fields.items():
        assert setting.description, f"{settings.__name__}.{name} needs a docstring: it is its --help"


@every_class
def test_defaults_are_valid_and_survive_a_round_trip(settings: type[Settings]) -> None:
    default = settings()
    values = default.used() if isinstance(default, Training) else default.model_dump()
    assert settings(**values) == default


@every_class
def test_settings_are_frozen(settings: type[Settings]) -> None:
    one = settings()
    for name in settings.model_fields:
        with pytest.raises(ConfigError, match=rf"cannot be changed; make a changed copy: .replace\({name}="):
            setattr(one, name, getattr(one, name))


@every_class
def test_an_unknown_setting_is_refused(settings: type[Settings]) -> None:
    with pytest.raises(ConfigError, match=f"{settings.__name__} has no setting 'nonsense'"):
        settings(nonsense=1)


def test_a_misspelt_setting_names_the_nearest() -> None:
    misspelt: dict[str, Any] = {"learning_rat": 0.1}
    with pytest.raises(ConfigError) as refused:
        Training(**misspelt)
    assert str(refused.value) == "Training has no setting 'learning_rat': did you mean learning_rate?"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"epochs": 0}, "Training epochs must be at least 1; got 0."),
        ({"learning_rate": -1}, "Training learning_rate must be above 0; got -1."),
        ({"learning_rate": float("inf")}, "Training learning_rate must be a finite number; got inf."),
        ({"weight_decay": float("nan")}, "Training weight_decay must be a finite number; got nan."),
        ({"user_dropout": 1}, "Training user_dropout must be below 1; got 1."),
        ({"batch_size": 2.5}, "Training batch_size must be a whole number; got 2.5."),
        ({"schedule": "cosine"}, "Training schedule must be 'constant' or 'linear'; got 'cosine'."),
    ],
)
def test_a_wrong_value_is_one_sentence_with_what_was_got(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Training(**values)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ANY.Caser(5), "Caser takes settings by name only; got 5. Write Caser(L=...)."),
        (lambda: ANY.Training("bpr", 3), "Training takes settings by name only; got 'bpr'. Write Training(loss=...)."),
        (lambda: ANY.Plan(3), "Plan takes settings by name only; got 3. Write Plan(part=...)."),
        (lambda: ANY.Popularity(3), "Popularity takes settings by name only; got 3. Write Popularity()."),
    ],
)
def test_a_value_without_a_name_is_one_sentence(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        make()
    assert str(refused.value) == sentence


def test_settings_still_show_their_signature_and_can_be_copied() -> None:
    assert next(iter(inspect.signature(caser.Caser).parameters)) == "L"
    settings = caser.Caser(L=3)
    assert pickle.loads(pickle.dumps(settings)) == copy.deepcopy(settings) == settings


def test_settings_that_contradict_each_other_are_one_sentence() -> None:
    with pytest.raises(ConfigError) as refused:
        model_settings("caser", {"n_h": 0, "n_v": 0, "user_vector": False})
    assert str(refused.value) == "Caser must keep a branch (n_h or n_v above 0) or the user vector."


def test_a_wrong_setting_is_an_error_of_this_library_and_a_value_error() -> None:
    with pytest.raises(CaserError) as refused:
        Training(loss="l2")
    assert isinstance(refused.value, ValueError)
    assert refused.value.exit_code == 2


def test_replace_changes_a_copy_and_checks_it() -> None:
    training = Training(epochs=4)
    assert training.replace(seed=3) == Training(epochs=4, seed=3)
    assert training.seed == 0
    with pytest.raises(ConfigError, match="epochs"):
        training.replace(epochs=-1)


def test_every_loss_has_a_name_in_the_settings_and_every_name_a_loss() -> None:
    for name in LOSSES:
        assert Training(loss=name).loss == name
    with pytest.raises(ConfigError, match="the known names are bce, bpr, bpr-max"):
        Training(loss="nonsense")
    with pytest.raises(ConfigError, match="did you mean softmax"):
        Training(loss="softmx")


# Settings of a loss

A_VALUE: dict[str, Any] = {
    "num_negatives": 5,
    "negatives": "shared",
    "popularity_exponent": 0.5,
    "unseen_negatives": True,
}
"""A value other than the default for each setting of negatives."""


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the losses that a test registers."""
    monkeypatch.setattr(LOSSES, "_rows", dict(LOSSES._rows))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("setting", FOR_NEGATIVES)
def test_a_setting_of_negatives_is_refused_where_the_loss_draws_none(loss: str, setting: str) -> None:
    values = {"loss": loss, setting: A_VALUE[setting]}
    if LOSSES[loss].form == "sampled":
        assert Training(**values).used()[setting] == A_VALUE[setting]
        return
    with pytest.raises(ConfigError, match=f"{setting} must be left out where the loss draws no negatives; got .* with"):
        Training(**values)
    with pytest.raises(ConfigError, match=f"{setting} must be left out"):
        Training().replace(**values)
    assert setting not in Training(loss=loss).used()


def test_a_models_own_settings_of_negatives_are_dropped_with_its_loss() -> None:
    training = BPRMF.training.replace(loss="softmax")
    assert not {*FOR_NEGATIVES} & {*training.used()}
    assert training.epochs == BPRMF.training.epochs
    assert BPRMF.training.replace(loss="bce").num_negatives == BPRMF.training.num_negatives


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
def test_a_number_type_is_refused_where_the_loss_does_not_choose_one(precision: Any, losses: None) -> None:
    register_loss("exact", lambda *_: 0, form="full")  # type: ignore[arg-type]
    assert Training(precision=precision).used()["precision"] == precision
    for loss in ("bce", "exact"):
        why = "the loss does not choose the type of its products"
        with pytest.raises(
            ConfigError, match=f"precision must be left out where {why}; got .* {loss}. .* of: .*softmax"
        ):
            Training(loss=loss, precision=precision)
        assert "precision" not in Training(loss=loss).used()
        assert Training(precision=precision).replace(loss=loss) == Training(loss=loss)


def test_sampled_softmax_chooses_the_type_of_its_product_with_shared_negatives() -> None:
    training = Training(loss="sampled-softmax", negatives="shared", precision="bfloat16")
    assert training.used()["precision"] == "bfloat16"
    assert training.replace(loss="bce").precision == "auto"
    with pytest.raises(ConfigError, match=r"got 'bfloat16' with .* Leave it out, or set negatives='shared'\."):
        training.replace(negatives="per-target")


@pytest.mark.parametrize("loss", LOSSES)
def test_used_gives_every_setting_of_the_loss_and_makes_the_same_training_again(loss: str) -> None:
    training = Training(loss=loss)
    assert training.used()["loss_settings"] == LOSSES[loss].settings
    again = Training(**training.used())
    assert again.used() == training.used()
    for name, default in LOSSES[loss].settings.items():
        changed = Training(loss=loss, loss_settings={name: default / 2})
        assert changed.used()["loss_settings"][name] == default / 2


def test_another_loss_drops_the_settings_of_the_old_one() -> None:
    training = Training(loss="gbce", loss_settings={"calibration": 0.5})
    assert training.replace(epochs=2).loss_settings == {"calibration": 0.5}
    assert training.replace(loss="bpr-max").loss_settings == {}


@pytest.mark.parametrize(
    ("loss", "values", "sentence"),
    [
        (
            "gbce",
            {"calibratio": 1},
            "loss_settings must name settings of the loss gbce; got 'calibratio': did you mean ",
        ),
        (
            "softmax",
            {"calibration": 1},
            "the loss softmax has no settings; got 'calibration' in loss_settings. Leave it out.",
        ),
        ("gbce", {"calibration": 1.5}, "calibration of the loss gbce must be from 0 to 1; got 1.5."),
        ("gbce", {"calibration": -0.1}, "calibration of the loss gbce must be from 0 to 1; got -0.1."),
        ("gbce", {"calibration": float("nan")}, "Training loss_settings.calibration must be a finite number; got nan."),
        ("bpr-max", {"regularisation": -1}, "regularisation of the loss bpr-max must be at least 0; got -1."),
    ],
)
def test_a_wrong_setting_of_a_loss_is_refused(loss: str, values: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Training(loss=loss, loss_settings=values)
    assert str(refused.value).startswith(sentence)


@pytest.mark.usefixtures("losses")
def test_a_loss_that_is_defined_again_replaces_itself_and_no_other() -> None:
    def define() -> Callable[..., Any]:
        def mine(positive_M: Any, negative_MN: Any) -> Any:
            return positive_M.sum()

        return mine

    first, again = define(), define()
    register_loss("mine", first, form="sampled")
    register_loss("mine", again, form="sampled")
    assert LOSSES["mine"].function is again
    with pytest.raises(ConfigError, match="a loss must have a new name; got 'bce'"):
        register_loss("bce", first, form="sampled")


@pytest.mark.usefixtures("losses")
def test_a_default_outside_its_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="margin of the loss mine must be at least 0; got -1"):
        register_loss("mine", abs, form="sampled", settings={"margin": -1}, ranges={"margin": (0, float("inf"))})
    assert "mine" not in LOSSES


@pytest.mark.usefixtures("losses")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"form": "fll"}, "the form of a loss must be 'sampled' or 'full'; got 'fll'."),
        ({"function": "x"}, "a loss must be a function, or text \"module:attribute\"; got 'x'."),
        ({"function": 3}, 'a loss must be a function, or text "module:attribute"; got 3.'),
        ({"settings": {"a": "b"}}, "the default of a setting of a loss must be a number; a got 'b'."),
        ({"name": 3}, "the name of a loss must be text; got 3."),
    ],
)
def test_a_loss_of_the_wrong_kind_cannot_be_registered(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        register_loss(**{"name": "mine", "function": abs, "form": "full", **arguments})
    assert str(refused.value) == sentence


@pytest.mark.usefixtures("losses")
def test_a_broken_loss_of_a_package_is_refused_and_leaves_the_others_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOSSES._rows, "broken", "builtins:print")
    with pytest.raises(
        ConfigError, match=r"broken of the entry-point group caser\.losses must be a caser\.config\.Loss"
    ):
        Training(loss="broken")
    with pytest.raises(ConfigError, match="choose one of: bpr, "):
        Training(loss="softmax", num_negatives=3)


def test_a_setting_that_was_renamed_is_refused_with_its_new_name() -> None:
    renamed: dict[str, Any] = {"exclude_seen": True}
    with pytest.raises(ConfigError) as refused:
        Training(**renamed)
    assert str(refused.value) == "Training has no setting 'exclude_seen': it is now unseen_negatives."


def test_a_loss_of_a_package_is_loaded_when_it_is_used() -> None:
    assert Loss("caser.training.losses:bce", "sampled").load().__name__ == "bce"


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("no_such_module:loss", r"must be importable; got 'no_such_module:loss', which is not \(ModuleNotFoundError"),
        ("caser.config:no_such_loss", r"got 'caser.config:no_such_loss', which is not \(AttributeError: .* Mend or"),
        ("caser.config:FOR_NEGATIVES", r"caser.config:FOR_NEGATIVES must be the function of a loss; got \("),
    ],
)
def test_a_loss_whose_place_holds_no_function_is_refused_where_it_is_used(place: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Loss(place, "sampled").load()


@pytest.mark.usefixtures("losses")
def test_a_training_with_such_a_loss_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOSSES._rows, "broken", Loss("no_such_module:loss", "sampled"))
    split = caser.leave_one_out(caser.chain_world(num_users=20, num_items=8, length=9, seed=0).log)
    with pytest.raises(ConfigError, match="the function of a loss must be importable"):
        caser.fit(caser.Caser(L=2, d=4), split, Training(loss="broken", epochs=1, device="cpu"))


def test_settings_need_no_torch() -> None:
    code = "import sys, caser.config; caser.config.Training(loss='gbce'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
