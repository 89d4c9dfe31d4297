"""Caser's defaults for a log: what a caller sets is kept, the rest goes together; presets do not depend on the log."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from caser.config import Training
from caser.errors import ConfigError
from caser.fitting.checks import refuse_unused
from caser.models.caser.caser import Caser
from caser.models.caser.recipe import DENSE, MOST_REACH, PRESETS, suited_settings
from caser.models.facts import LogFacts
from caser.models.sessions.sasrec import SASRec

LONG = LogFacts(num_users=6_040, num_items=3_416, num_interactions=993_571)
SHORT = LogFacts(num_users=22_363, num_items=12_101, num_interactions=153_776)
SESSIONS = LogFacts(num_users=300, num_items=90, num_interactions=30_000, anonymous=True)
LOGS = {"long histories": LONG, "short histories": SHORT, "sessions": SESSIONS}

GIVEN: dict[str, tuple[Any, ...]] = {
    "user_vector": (True, False),
    "tied": (True, False),
    "n_v": (0, 2),
    "n_h": (0, 2),
    "L": (3,),
    "reach": (7,),
    "d": (10,),
    "T": (2,),
    "item_dropout": (0.2,),
}


def every_choice() -> list[dict[str, Any]]:
    """All combinations of settings that a caller may set, without those that Caser itself refuses."""
    found = []
    for values in product(*((None, *values) for values in GIVEN.values())):
        settings = {name: value for name, value in zip(GIVEN, values, strict=True) if value is not None}
        try:
            refuse_unused(Caser(**settings))
        except ConfigError:
            continue
        found.append(settings)
    return found


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
def test_what_a_caller_sets_is_kept_and_the_rest_has_an_effect(log: LogFacts) -> None:
    choices = every_choice()
    assert len(choices) > 500
    for settings in choices:
        chosen = Caser(**settings).for_log(log)
        assert {name: getattr(chosen, name) for name in settings} == settings
        refuse_unused(chosen)
        assert chosen.for_log(log) == chosen


def test_long_histories_get_user_vectors_and_short_ones_a_shared_table() -> None:
    long, short = Caser().for_log(LONG), Caser().for_log(SHORT)
    assert (long.user_vector, long.tied) == (True, False)
    assert (short.user_vector, short.tied) == (False, True)
    assert short.d > long.d
    assert short.item_dropout > long.item_dropout


@pytest.mark.parametrize("length", [1, 3, 9, DENSE - 1, DENSE, 400])
def test_the_filters_reach_as_far_as_histories_are_long(length: int) -> None:
    reach = Caser().for_log(LogFacts(100, 50, 100 * length)).vertical_reach
    assert min(MOST_REACH, length) <= reach <= MOST_REACH
    assert reach >= 5


def test_sessions_of_unknown_users_have_no_user_vectors_however_long() -> None:
    assert not Caser().for_log(SESSIONS).user_vector


def test_a_protocol_that_asks_for_many_items_trains_for_several() -> None:
    assert Caser().for_log(LogFacts(100, 50, 9_000, targets_per_query=16.4)).T == 3
    assert Caser().for_log(LogFacts(100, 50, 9_000)).T == 1


def test_the_table_of_what_depends_on_the_log_is_complete() -> None:
    for log in LOGS.values():
        assert set(suited_settings(log)) == set(Caser.by_log)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
def test_a_preset_is_the_same_for_every_log(name: str, log: LogFacts) -> None:
    model, training = Caser.preset(name)
    assert model.for_log(log) == model
    # Patience is open, because a preset is also trained for a given number of epochs, which patience excludes.
    assert model.training_for(log, training).replace(patience=training.patience) == training
    assert set(Caser.by_log) <= model.model_fields_set
    refuse_unused(model, training)


def test_the_paper_has_the_network_of_the_paper() -> None:
    model, training = Caser.preset("paper")
    shapes = model.shapes(num_users=10, num_items=20)
    assert shapes["G"] == (4, 5)
    assert shapes["V"] == (21, 100)
    assert {name for name in shapes if name.startswith("F")} == {"F1", "F2", "F3", "F4", "F5"}
    assert (training.loss, training.num_negatives, training.averaging, training.schedule) == ("bce", 3, 0, "constant")


@pytest.mark.parametrize(("model", "name"), [(Caser, "papre"), (SASRec, "paper")])
def test_an_unknown_preset_is_refused_by_name(model: type[Caser] | type[SASRec], name: str) -> None:
    with pytest.raises(ConfigError, match=f"preset must name published settings of {model.name}; got '{name}'"):
        model.preset(name)


def test_a_caller_s_training_completes_the_model_s_own() -> None:
    from caser.models.factors.bpr_mf import BPRMF

    own = BPRMF.training
    merged = BPRMF().training_for(LONG, Training(seed=3))
    assert (merged.seed, merged.loss, merged.num_negatives) == (3, own.loss, own.num_negatives)
    assert BPRMF().training_for(LONG, Training(loss="softmax")).loss == "softmax"


def test_who_asks_for_a_tied_table_asks_for_no_user_vector() -> None:
    assert not Caser(tied=True).user_vector
    assert Caser(tied=True).for_log(LONG).tied
    with pytest.raises(ConfigError, match="tied must go without user vectors"):
        Caser(tied=True, user_vector=True)
