"""An update: what it learns, what stays bit for bit, what it records, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from caser.answering.recommender import Recommender, load
from caser.artefact.folder import model_version
from caser.artefact.own_log import own_log
from caser.config import Training
from caser.data.attribute_columns import ItemAttributes
from caser.data.log import InteractionLog
from caser.data.split import leave_one_out, sessions
from caser.data.synthetic import chain_world
from caser.errors import ArtefactError, ConfigError, DataError
from caser.evaluation.protocols import apply
from caser.fitting.evaluate import evaluate
from caser.fitting.fit import fit
from caser.fitting.progress import Progress
from caser.models.blend import Blend
from caser.models.caser.caser import Caser
from caser.models.counting.markov import Markov
from caser.models.counting.popularity import Popularity
from caser.models.factors.bpr_mf import BPRMF
from caser.models.factors.fpmc import FPMC
from caser.models.sessions.gru4rec import GRU4Rec
from caser.models.settings import ModelSettings
from caser.study.blending import blended
from caser.study.promotion import PromotionLimits, promotion
from caser.study.refitting import refit
from caser.study.updating import update

QUICK = Training(batch_size=64, device="cpu", seed=3)
USERS = Caser(L=2, d=4, n_h=2, user_vector=True, tied=False)
HOUR = 3_600_000_000
START = 1_600_000_000_000_000


def log_of(rows: list[tuple[Any, Any, int]]) -> InteractionLog:
    """A log of (user, item, hour)."""
    users, items, hours = zip(*rows, strict=True)
    return InteractionLog.from_columns(pl.Series(users), pl.Series(items), START + np.array(hours) * HOUR)


def old_rows() -> list[tuple[Any, Any, int]]:
    """60 users, of whom each takes 6 of 40 items, one an hour, one user after another."""
    world = chain_world(num_users=60, num_items=40, length=6, seed=0).log
    items = world.item_vocabulary.raw(world.items)
    return [(int(user), item, hour) for hour, (user, item) in enumerate(zip(world.users, items, strict=True))]


OLD = old_rows()
NEW: list[tuple[Any, Any, int]] = [(1, 1, 400), (1, 2, 401), (2, 2, 402), (61, 1, 403), (61, 99, 404), (61, 2, 405)]
"""Two known users, a new one, and a new item between two known ones."""


@cache
def run_of(model: ModelSettings) -> Recommender:
    training = QUICK if isinstance(model, Caser | BPRMF | FPMC | GRU4Rec) else None
    epochs: dict[str, Any] = {} if training is None else {"epochs": 2}
    return fit(model, apply("leave-one-out", log_of(OLD)), training, **epochs, train_on="all")


def arrays(run: Recommender) -> dict[str, np.ndarray[Any, Any]]:
    return dict(run.artefact.scorer.arrays())


# --- what moves and what stays


@pytest.mark.parametrize("model", [USERS, Caser(L=2, d=4, n_h=0, n_v=1), GRU4Rec(d=4), BPRMF(d=4), FPMC(d=4)])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_what_nothing_touched_stays_bit_for_bit(model: Caser | GRU4Rec | BPRMF | FPMC, decay: float) -> None:
    run = run_of(model).artefact
    recipe = {**run.manifest["training"], "weight_decay": decay}
    parent = Recommender(replace(run, manifest={**run.manifest, "training": recipe}))
    before = {name: array.copy() for name, array in arrays(parent).items()}
    updated = update(parent, log_of(NEW), train_on="all")
    network = model.build(1, 1, seed=0)
    # The newest stretches replay, those of the last users: user 20 and what only early users took stay.
    seen = {item for user, item, _ in NEW} | {item for user, item, _ in OLD if user > 20 or user < 3}
    items, parents = updated.artefact.items, parent.artefact.items
    still = [raw for raw in parents.ids.to_list() if raw not in seen]
    moved = 0
    for name, array in arrays(updated).items():
        if name in network.user_tables:
            here, there = (run.artefact.users.indices([20]) for run in (updated, parent))
            assert np.array_equal(array[here], before[name][there])
            moved += int((array[updated.artefact.users.indices([1])] != before[name][there]).any())
        elif name in network.item_tables:
            assert np.array_equal(array[0], before[name][0]), "padding"
            assert np.array_equal(array[items.indices(still)], before[name][parents.indices(still)])
            moved += int((array[items.indices([1, 2])] != before[name][parents.indices([1, 2])]).any())
        else:
            assert np.array_equal(array, before[name])
    assert moved, "what new events touched has moved"
    assert all(np.array_equal(array, before[name]) for name, array in arrays(parent).items()), "the parent stays"


def test_only_the_items_of_the_tape_move_and_scores_of_the_others_stay() -> None:
    rows = [(user, item + 100 * (user > 30), hour) for user, item, hour in OLD]  # two halves without a common item
    parent = fit(GRU4Rec(d=4), leave_one_out(log_of(rows)), QUICK, epochs=2, train_on="all")
    updated = update(parent, log_of([(60, 101, 400)]), train_on="all")
    known = [raw for raw in parent.artefact.items.ids.to_list() if raw < 100]
    histories = [known[place : place + 3] for place in range(10)]
    first, second = (
        run.artefact.scorer.scores(
            np.zeros(10, np.int32), np.stack([run.artefact.items.indices(h) for h in histories])
        )[:, run.artefact.items.indices(known)]
        for run in (parent, updated)
    )
    assert np.array_equal(first, second)


def test_an_update_learns_a_new_item_and_its_answers_need_no_torch_again(tmp_path: Path) -> None:
    later = [(user, item, 400 + place) for user in range(30, 60) for place, item in enumerate((1, 99, 2))]
    eager = QUICK.replace(learning_rate=0.03)
    parent = fit(GRU4Rec(d=8), apply("leave-one-out", log_of(OLD)), eager, epochs=5, train_on="all")
    updated = update(parent, log_of(later), train_on="all")
    updated.save(tmp_path / "run")
    loaded = load(tmp_path / "run")
    answer = loaded.recommend(histories=[[1]], k=3, exclude_seen=False)[0]
    assert 99 in answer.items, "30 of 30 users took it after item 1"
    assert loaded.artefact.manifest["updated"] == updated.artefact.manifest["updated"]
    assert own_log(loaded.artefact).digest == own_log(updated.artefact).digest == log_of(OLD + later).digest


def test_a_model_that_counts_is_that_of_old_and_new() -> None:
    for model in (Markov(), Popularity()):
        updated = update(run_of(model), log_of(NEW), train_on="all")
        whole = fit(model, apply("leave-one-out", log_of(OLD + NEW)), train_on="all")
        assert all(np.array_equal(array, arrays(whole)[name]) for name, array in arrays(updated).items())


def test_both_models_of_a_blend_are_updated() -> None:
    parent = blended(run_of(BPRMF(d=4)), run_of(Popularity()), 0.5)
    updated = update(parent, log_of(NEW), train_on="all")
    assert isinstance(updated.artefact.config, Blend)
    assert arrays(updated)["second/counts"].sum() == len(OLD + NEW)
    alone = update(run_of(BPRMF(d=4)), log_of(NEW), train_on="all")
    assert np.array_equal(arrays(updated)["first/V"], arrays(alone)["V"])


def test_unknown_users_get_the_mean_of_all_trained_vectors() -> None:
    updated = update(run_of(USERS), log_of(NEW), train_on="all")
    table = arrays(updated)["P"]
    assert np.allclose(table[0], table[1:].mean(axis=0), atol=1e-6)


# --- events count once


def test_new_events_alone_and_a_log_of_old_and_new_give_the_same_run() -> None:
    for model in (Markov(), USERS):
        first, second = (update(run_of(model), log_of(rows), train_on="all") for rows in (NEW, OLD + NEW))
        assert all(np.array_equal(array, arrays(second)[name]) for name, array in arrays(first).items())
        facts = [run.artefact.manifest["updated"] for run in (first, second)]
        assert [made["interactions"] for made in facts] == [6, 6]
        assert [made["repeated"] for made in facts] == [0, len(OLD)]


def test_a_late_event_is_learned_and_said() -> None:
    updated = update(run_of(Markov()), log_of([*NEW, (5, 7, 100)]), train_on="all")
    made = updated.artefact.manifest["updated"]
    assert (made["interactions"], made["late"]) == (7, 1)


def test_the_filters_of_the_run_look_at_old_and_new_together() -> None:
    rows = [*OLD, (3, 99, 380)]
    filtered = apply("leave-one-out", InteractionLog.keep(log_of(rows), log_of(rows).items > 0, "all"))
    log = filtered.log.with_facts(titles=None, provenance={"filter_settings": {"min_item_count": 2}})
    log = log.keep(np.bincount(log.items)[log.items] >= 2, "min_item_count=2")
    parent = fit(Markov(), apply("leave-one-out", log), train_on="all")
    assert 99 not in parent.artefact.items.ids.to_list()
    once = update(parent, log_of([(1, 1, 400), (1, 99, 401)]), train_on="all")
    assert 99 not in once.artefact.items.ids.to_list()
    twice = update(parent, log_of([*rows, (1, 1, 400), (1, 99, 401)]), train_on="all")
    assert 99 in twice.artefact.items.ids.to_list(), "with the event that the filter had dropped, it has two"


# --- what is judged


def test_what_judges_is_left_out_of_the_new_events_and_learned_later() -> None:
    parent = run_of(Markov())
    judged = update(parent, log_of(NEW))
    assert judged.artefact.manifest["left_out"]["interactions"] == 3, "the last new event of each user"
    assert (
        judged.artefact.manifest["fingerprint"]
        == fit(Markov(), leave_one_out(log_of(OLD + NEW))).artefact.manifest["fingerprint"]
    )
    rest = update(judged, train_on="all")
    assert rest.artefact.manifest["left_out"] is None
    assert rest.artefact.manifest["updated"]["interactions"] == 3
    assert rest.artefact.manifest["updated"]["updates"] == 2


def test_promotion_asks_only_what_neither_run_was_trained_on() -> None:
    parent = run_of(Markov())
    judged = update(parent, log_of(NEW))
    split = leave_one_out(own_log(judged.artefact))
    result = promotion(judged, parent, split, limits=PromotionLimits(most_time=1000))
    assert (result.num_questions, result.num_left_out) == (3, 58)


def test_evaluate_refuses_what_the_parent_has_seen() -> None:
    judged = update(run_of(Markov()), log_of(NEW))
    with pytest.raises(ArtefactError, match="was trained on 58 of these interactions"):
        evaluate(judged, leave_one_out(own_log(judged.artefact)))
    honest = fit(Markov(), leave_one_out(log_of(OLD)))
    report = evaluate(updated := update(honest, log_of(NEW)), leave_one_out(own_log(updated.artefact)))
    assert "markov" in report.values


def test_of_sessions_the_end_of_the_new_ones_judges() -> None:
    parent = fit(Markov(), sessions(log_of(OLD)), train_on="all")
    tonight = [(100 + user, item, 500 + hour) for user, item, hour in OLD[:240]]  # 40 sessions
    judged = update(parent, log_of(tonight))
    assert judged.artefact.manifest["protocol"].startswith("sessions test=0.04")
    assert judged.artefact.manifest["left_out"]["users"] == 4
    assert judged.artefact.manifest["updated"]["protocol"] == "sessions"
    result = promotion(judged, parent, apply(judged.artefact.manifest["protocol"], own_log(judged.artefact)))
    assert (result.num_left_out, result.num_questions) == (0, 20)
    assert update(judged, train_on="all").artefact.manifest["protocol"] == "sessions"


# --- the recipe, and what is recorded


def test_the_manifest_names_the_parent_and_keeps_the_recipe(tmp_path: Path) -> None:
    parent = run_of(USERS)
    parent.save(tmp_path / "parent")
    first = update(parent, log_of(NEW), train_on="all")
    second = update(first, log_of([(1, 3, 500)]), train_on="all")
    first.save(tmp_path / "first")
    made, again = (run.artefact.manifest["updated"] for run in (first, second))
    assert made["parent"] == made["full"] == model_version(tmp_path / "parent")
    assert (again["parent"], again["full"]) == (model_version(tmp_path / "first"), made["full"])
    assert (made["updates"], again["updates"]) == (1, 2)
    for name in ("training", "epochs", "history"):
        assert second.artefact.manifest[name] == parent.artefact.manifest[name]
    assert made["training"]["schedule"] == "linear"
    assert made["epochs"] == made["training"]["epochs"]


def test_full_trains_the_recipe_on_old_and_new_and_begins_to_count_again() -> None:
    updated = update(run_of(USERS), log_of(NEW[:3]), train_on="all")
    full = update(updated, log_of(NEW), train_on="all", full=True)
    expected = refit(run_of(USERS), log_of(OLD + NEW))
    assert all(np.array_equal(array, arrays(expected)[name]) for name, array in arrays(full).items())
    assert full.artefact.manifest.get("updated") is None
    assert update(updated, log_of(NEW), full=True).artefact.manifest["train_on"] == "final"


def test_an_interrupted_update_continues_and_gives_the_same_weights(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        assert progress.stage == "updating"
        if progress.done and progress.epoch == 3:
            raise KeyboardInterrupt

    checkpoint, seen = tmp_path / "run.checkpoint", []
    with pytest.raises(KeyboardInterrupt):
        update(run_of(USERS), log_of(NEW), checkpoint=checkpoint, tell=stop)
    continued = update(run_of(USERS), log_of(NEW), checkpoint=checkpoint, tell=lambda one: seen.append(one.epoch))
    assert min(seen) == 4
    whole = update(run_of(USERS), log_of(NEW))
    assert all(np.array_equal(array, arrays(whole)[name]) for name, array in arrays(continued).items())
    with pytest.raises(ArtefactError, match="must be a checkpoint of this very run"):
        update(run_of(USERS), log_of(NEW[:4]), checkpoint=checkpoint)


# --- what is refused


def test_without_a_new_event_there_is_no_update() -> None:
    with pytest.raises(DataError, match=r"the run holds all 360 of this log, and was trained on them"):
        update(run_of(Markov()), log_of(OLD))
    with pytest.raises(DataError, match="an update needs new events to train on"):
        update(run_of(Markov()))


def test_events_before_the_clock_of_the_run_are_refused() -> None:
    with pytest.raises(DataError, match=r"after the last one of the run, 2020-.*; got 2 that the run does not hold"):
        update(run_of(Markov()), log_of([(1, 30, 100), (2, 30, 358)]))


def test_new_events_that_all_judge_are_refused_unless_all_trains() -> None:
    one = log_of([(1, 1, 400)])
    with pytest.raises(DataError, match="leave-one-out keeps all 1 of them for judging"):
        update(run_of(Markov()), one)
    assert update(run_of(Markov()), one, train_on="all")


def test_other_items_and_other_users_are_refused() -> None:
    with pytest.raises(DataError, match="must name items as the run does; got 2 items, such as tea"):
        update(run_of(Markov()), log_of([(1, "tea", 400), (1, "milk", 401)]))
    strangers = log_of([(f"session {place}", 1, 400 + place) for place in range(20)])
    with pytest.raises(DataError, match=r"none of whom the run knows. Are they sessions"):
        update(run_of(Markov()), strangers)
    returning = log_of([(user, 1, 400 + user) for user in range(1, 11)])
    with pytest.raises(DataError, match=r"users are sessions, which end and do not come back; .* 10 of 10 users"):
        update(fit(Markov(), sessions(log_of(OLD)), train_on="all"), returning)


def test_logs_and_runs_without_times_are_refused() -> None:
    timeless = InteractionLog.from_columns(pl.Series([1]), pl.Series([1]), None)
    with pytest.raises(DataError, match="the new log has none"):
        update(run_of(Markov()), timeless)
    whole = log_of(OLD)
    without = replace(whole, has_times=False)
    with pytest.raises(ArtefactError, match="must hold the times of its interactions"):
        update(fit(Markov(), leave_one_out(without)), log_of(NEW))


def test_arguments_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(ConfigError, match="must be a part that an update trains on; got 'fit'"):
        update(run_of(Markov()), log_of(NEW), train_on="fit")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="recommender must be"):
        update("runs/live", log_of(NEW))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="log must be"):
        update(run_of(Markov()), "new.csv")  # type: ignore[arg-type]


def test_a_blend_of_two_networks_is_refused() -> None:
    both = blended(run_of(BPRMF(d=4)), run_of(FPMC(d=4)), 0.5)
    with pytest.raises(ConfigError, match="the training of one; got bpr-mf and fpmc"):
        update(both, log_of(NEW))


def test_a_run_that_reads_attributes_is_trained_again_instead() -> None:
    split = leave_one_out(chain_world(num_users=12, num_items=6, length=6, seed=0).log)
    table = pl.DataFrame({"item": split.log.item_vocabulary.ids, "kind": ["odd", "even"] * 3})
    model, training = GRU4Rec(d=4), Training(epochs=1, patience=0)
    run = fit(model, split, training, items=table, attributes=ItemAttributes(columns=("kind",), min_items=1))
    with pytest.raises(ConfigError, match=r"must read no attributes.*--items TABLE"):
        update(run, split.log)
