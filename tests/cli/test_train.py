"""`caser train`: the run it writes, what it prints, and how it continues after an interruption."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from caser.answering.recommender import load
from caser.cli import show
from caser.cli.app import INTERRUPTED
from caser.config import Training
from caser.fitting.fit import Progress, Tell
from caser.models import MODELS, model_class, register_model
from caser.models.counting.popularity import Popularity
from caser.models.factors.bpr_mf import BPRMF
from caser.models.settings import NetworkSettings
from tests.cli.conftest import SMALL, TINY, quick
from tests.cli.terminal import caser, document, refusal
from tests.skips import NEEDS_EXTRAS


def manifest(run: Path) -> Any:
    return json.loads((run / "manifest.json").read_text(encoding="utf-8"))


def weights(run: Path) -> str:
    """The SHA-256 of the weights."""
    digest: str = manifest(run)["files"]["weights.safetensors"]
    return digest


def interrupted_when(is_time: Callable[[Progress], bool]) -> Callable[[], AbstractContextManager[Tell]]:
    """Make a stand-in for the progress display that presses Ctrl-C at a certain step."""

    def tell(progress: Progress) -> None:
        if is_time(progress):
            raise KeyboardInterrupt

    @contextmanager
    def fitting() -> Iterator[Tell]:
        yield tell

    return fitting


@pytest.fixture
def own_model(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a model that is registered for one test."""
    monkeypatch.setattr(MODELS, "_rows", dict(MODELS._rows))

    @register_model
    class Newest(Popularity):
        name = "newest"

    return Newest.name


# A run


@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains_into_a_run_that_loads(model: str, log: Path, tmp_path: Path) -> None:
    run = tmp_path / "new" / "run"
    said = document("train", log, "--model", model, "--out", run, *quick(model))
    assert said["model"] == model
    assert (said["interactions"], said["users"], said["items"]) == (400, 40, 8)
    assert said["fingerprint"] == manifest(run)["fingerprint"]
    assert load(run).artefact.config.name == model
    assert [path.name for path in run.parent.iterdir()] == ["run"]  # no checkpoint, no half-made folder


def test_it_ends_with_a_table_and_the_next_command(log: Path, tmp_path: Path) -> None:
    outcome = caser("train", log, "--model", "popularity", "--out", tmp_path / "run")
    assert outcome.code == 0
    assert outcome.out.startswith("trained\n")
    assert f"caser evaluate {tmp_path / 'run'}" in outcome.err


def test_without_a_terminal_every_epoch_is_one_plain_line(log: Path, tmp_path: Path) -> None:
    outcome = caser("train", log, "--out", tmp_path / "run", *TINY)
    best = manifest(tmp_path / "run")["epochs"]
    told = re.findall(r"(\w+) epoch (\d)/(\d)  loss \d\.\d{4}", outcome.err)
    expected = [("choosing", epoch, 2) for epoch in (1, 2)] + [
        ("refitting", epoch, best) for epoch in range(1, best + 1)
    ]
    assert [(stage, int(epoch), int(epochs)) for stage, epoch, epochs in told] == expected
    # The number of epochs is a limit while it is chosen, and exact afterwards.
    plans = re.findall(r"^  (\w+): \d+ steps? an epoch, (.*)$", outcome.err, flags=re.MULTILINE)
    assert plans == [("choosing", "at most 2 epochs"), ("refitting", f"{best} epoch{'s' if best > 1 else ''}")]
    assert "\r" not in outcome.err
    assert "\x1b" not in outcome.err


def test_the_final_model_trains_for_the_best_number_of_epochs_on_validation(log: Path, tmp_path: Path) -> None:
    said = document("train", log, "--out", tmp_path / "run", *TINY)
    best = max(said["history"], key=lambda epoch: epoch["validation"])
    assert (said["epochs"], said["validation"]) == (best["number"], best["validation"])
    assert said["train_on"] == "final"


def test_no_choose_trains_exactly_the_given_epochs(log: Path, tmp_path: Path) -> None:
    said = document("train", log, "--out", tmp_path / "run", *TINY, "--no-choose")
    assert (said["epochs"], said["history"], said["validation"]) == (2, [], None)


def test_all_trains_on_the_whole_log_and_does_not_suggest_evaluate(log: Path, tmp_path: Path) -> None:
    outcome = caser("train", log, "--model", "markov", "--out", tmp_path / "run", "--all")
    assert "evaluate" not in outcome.err
    assert manifest(tmp_path / "run")["train_on"] == "all"
    assert len(load(tmp_path / "run").artefact.histories) == 400


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(log: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 5), ("two", 5), ("other", 6)):
        document("train", log, "--out", tmp_path / name, *TINY, "--no-choose", "--seed", seed)
    assert weights(tmp_path / "one") == weights(tmp_path / "two") != weights(tmp_path / "other")


def test_a_run_may_replace_a_run(log: Path, tmp_path: Path) -> None:
    for model in ("markov", "popularity"):
        document("train", log, "--model", model, "--out", tmp_path / "run")
    assert manifest(tmp_path / "run")["model"] == "popularity"


def test_a_run_never_replaces_anything_else(log: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    code, _ = refusal("train", log, "--model", "markov", "--out", tmp_path)
    assert code == 7
    assert (tmp_path / "letter.txt").read_text() == "dear"


# Flags


def test_the_flags_of_the_paper_keep_their_case(log: Path, tmp_path: Path) -> None:
    letters = ("--L", "3", "--T", "2", "--d", "4", "--n-v", "1", "--n-h", "2", "--phi-a", "tanh", "--no-user-vector")
    document("train", log, "--out", tmp_path / "run", "--epochs", "1", "--device", "cpu", *letters)
    settings = manifest(tmp_path / "run")["settings"]
    assert {
        "L": 3,
        "T": 2,
        "d": 4,
        "n_v": 1,
        "n_h": 2,
        "phi_a": "tanh",
        "user_vector": False,
    }.items() <= settings.items()
    assert "Unknown option: --l" in refusal("train", log, "--out", tmp_path / "other", "--l", "3")[1]


@pytest.mark.parametrize("model", MODELS)
def test_the_help_of_a_model_shows_its_settings_and_no_other_models(model: str) -> None:
    shown = caser("train", "--model", model, "--help").out
    flags = {name: {f"--{field.replace('_', '-')}" for field in model_class(name).model_fields} for name in MODELS}
    others = set().union(*flags.values()) - flags[model]
    assert all(f" {flag} " in shown for flag in flags[model])
    assert not [flag for flag in others if f" {flag} " in shown]


@pytest.mark.parametrize("model", MODELS)
def test_only_networks_have_flags_for_training(model: str) -> None:
    shown = caser("train", "--model", model, "--help").out
    is_network = issubclass(model_class(model), NetworkSettings)
    assert all((f" {flag} " in shown) == is_network for flag in ("--epochs", "--learning-rate", "--choose"))


def test_the_help_shows_the_defaults_of_a_models_own_training() -> None:
    [line] = [line for line in caser("train", "--model", "bpr-mf", "--help").out.splitlines() if " --epochs " in line]
    assert f"[default: {BPRMF.training.epochs}]" in line
    assert BPRMF.training.epochs != Training().epochs


def test_the_models_own_training_holds_for_flags_that_are_not_typed(log: Path, tmp_path: Path) -> None:
    words = ("--model", "bpr-mf", "--epochs", "1", "--device", "cpu")
    document("train", log, "--out", tmp_path / "run", *words)
    expected = BPRMF.training.replace(epochs=1, device="cpu", patience=25).used()
    assert manifest(tmp_path / "run")["training"] == expected


def test_a_model_that_was_registered_can_be_trained(log: Path, tmp_path: Path, own_model: str) -> None:
    assert document("train", log, "--model", own_model, "--out", tmp_path / "run")["model"] == own_model
    assert f" {own_model}" in caser("train", "--help").out


def test_filters_are_kept_and_counted(log: Path, tmp_path: Path) -> None:
    outcome = caser("train", log, "--model", "markov", "--out", tmp_path / "run", "--drop-repeats")
    assert "filter drop_repeats dropped" in outcome.err
    assert manifest(tmp_path / "run")["log"]["filters"][0]["filter"] == "drop_repeats"


def test_the_error_for_sessions_says_how_to_leave_the_user_vector_out(log: Path, tmp_path: Path) -> None:
    words = ["train", log, "--protocol", "sessions", "--out", tmp_path / "run", *TINY]
    code, line = refusal(*words)
    assert code == 2
    assert "--no-user-vector" in line
    without = ["--no-user-vector" if word == "--user-vector" else word for word in words]
    assert document(*without)["protocol"] == "sessions"


# Interruptions


@pytest.mark.parametrize("stage", ["choosing", "refitting"])
def test_an_interrupted_training_goes_on_to_the_same_weights(
    stage: str, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_time(progress: Progress) -> bool:
        return progress.stage == stage and progress.epoch == 2 and progress.done is None

    words = [log, *SMALL, "--epochs", "3", "--patience", "0", "--learning-rate", "0.02"]
    run, checkpoint = tmp_path / "run", tmp_path / "run.checkpoint"
    unbroken = document("train", *words, "--out", tmp_path / "unbroken")
    assert unbroken["epochs"] > 1
    with monkeypatch.context() as patch:
        patch.setattr(show, "fit_progress", interrupted_when(is_time))
        outcome = caser("train", *words, "--out", run)
    assert outcome.code == INTERRUPTED
    assert outcome.err.splitlines()[-1].startswith("caser: interrupted. The same command again")
    assert checkpoint.is_file()
    assert not run.exists()
    told = caser("train", *words, "--out", run).err
    assert f"{stage} epoch 1/" not in told  # it was done before
    assert weights(run) == weights(tmp_path / "unbroken")
    assert manifest(run)["history"][0]["validation"] == unbroken["history"][0]["validation"]
    assert not checkpoint.exists()


def test_a_checkpoint_of_other_settings_is_not_continued(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(show, "fit_progress", interrupted_when(lambda progress: progress.done is not None))
        caser("train", log, "--out", tmp_path / "run", *TINY)
    code, line = refusal("train", log, "--out", tmp_path / "run", *TINY, "--L", "4")
    assert code == 7
    assert "run.checkpoint must be a checkpoint of this very run" in line


def test_without_a_model_the_best_of_a_few_is_shipped(log: Path, tmp_path: Path) -> None:
    said = document("train", log, "--out", tmp_path / "run", "--epochs", "2", "--device", "cpu")
    assert {"caser", "count-knn", "markov", "popularity"} <= set(said["tried"])
    assert said["model"] in (next(iter(said["tried"])), "blend")
    assert manifest(tmp_path / "run")["why"] == said["why"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    outcome = caser("train", log, "--out", tmp_path / "run", "--epochs", "2", "--device", "cpu")
    assert "is best on validation" in outcome.out


def test_a_setting_of_caser_asks_for_caser(log: Path, tmp_path: Path) -> None:
    assert document("train", log, "--out", tmp_path / "run", *TINY)["model"] == "caser"


def test_a_preset_gives_published_settings_and_typed_ones_replace_them(log: Path, tmp_path: Path) -> None:
    words = ("--preset", "paper", "--d", "6", "--epochs", "1", "--device", "cpu")
    document("train", log, "--out", tmp_path / "run", *words)
    facts = manifest(tmp_path / "run")
    assert (facts["settings"]["d"], facts["settings"]["T"]) == (6, 3)
    assert (facts["training"]["loss"], facts["training"]["positions"]) == ("bce", "full")
    assert "Did you mean" in refusal("train", log, "--out", tmp_path / "other", "--preset", "papre")[1]


def test_a_budget_tunes_and_is_never_worse_on_validation(log: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason=NEEDS_EXTRAS)
    words = ("train", log, "--model", "count-knn", "--store", tmp_path / "store")
    tuned = document(*words, "--out", tmp_path / "tuned", "--budget", "1s")
    assert list(tuned["tried"]) == ["count-knn"]
    plain = document("train", log, "--out", tmp_path / "plain", "--epochs", "1", "--device", "cpu")
    assert tuned["tried"]["count-knn"] >= plain["tried"]["count-knn"]


def test_without_choosing_the_plan_of_the_log_is_trained_to_its_end(log: Path, tmp_path: Path) -> None:
    document("train", log, "--out", tmp_path / "run", "--no-choose", "--d", "4", "--n-h", "0", "--device", "cpu")
    facts = manifest(tmp_path / "run")
    assert facts["epochs"] == facts["training"]["epochs"] == 25


def test_a_preset_is_refused_for_a_model_that_has_none(log: Path, tmp_path: Path) -> None:
    words = ("train", log, "--out", tmp_path / "run", "--model", "markov", "--preset", "paper")
    assert "--preset has no effect on markov" in refusal(*words)[1]


# A log that is too short to be judged

PAIRS = "".join(f"u{user},i{user % 3},{user}\nu{user},j{user % 3},{user + 100}\n" for user in range(30))
SINGLES = "".join(f"u{user},i{user % 3},{user}\n" for user in range(9))


def short_log(folder: Path, rows: str) -> Path:
    path = folder / "short.csv"
    path.write_text(f"user,item,time\n{rows}")
    return path


@pytest.mark.parametrize("protocol", ["leave-one-out", "caser-paper", "user-sessions"])
@pytest.mark.parametrize("model", ["markov", "session-knn"])
def test_what_is_not_judged_is_not_refused_for_a_short_log(protocol: str, model: str, tmp_path: Path) -> None:
    log = short_log(tmp_path, PAIRS)
    words = ("train", log, "--model", model, "--protocol", protocol, "--out", tmp_path / "run")
    assert refusal(*words)[0] == 3
    outcome = caser(*words, "--all")
    assert outcome.code == 0, outcome.err
    assert f"too short for the protocol {protocol}, so nothing can be judged" in outcome.err
    assert (manifest(tmp_path / "run")["train_on"], manifest(tmp_path / "run")["left_out"]) == ("all", None)
    [answer] = document("recommend", tmp_path / "run", "--item", "i1", "--k", 1)["answers"]
    assert answer["items"][0]["item_id"] == "j1"
    assert refusal("evaluate", tmp_path / "run")[0] != 0
    document("refit", tmp_path / "run", "--out", tmp_path / "again")
    assert manifest(tmp_path / "again")["log"]["interactions"] == 60


def test_the_best_model_of_a_short_log_is_chosen_by_the_last_interaction(tmp_path: Path) -> None:
    words = ("--epochs", 1, "--device", "cpu", "--all", "--out", tmp_path / "run")
    said = document("train", short_log(tmp_path, PAIRS), *words)
    assert {"caser", "markov", "popularity"} <= set(said["tried"])
    assert said["train_on"] == "all"
    assert "too short" in said["notes"][0]


def test_where_nothing_can_choose_the_sentence_names_what_needs_no_choice(tmp_path: Path) -> None:
    log, out = short_log(tmp_path, SINGLES), tmp_path / "run"
    assert "--model popularity" in refusal("train", log, "--all", "--out", out)[1]
    assert document("train", log, "--all", "--model", "popularity", "--out", out)["train_on"] == "all"
    with_network = ("--model", "caser", "--no-choose", "--d", 4, "--epochs", 1, "--device", "cpu")
    assert document("train", log, "--all", *with_network, "--out", tmp_path / "caser")["epochs"] == 1
