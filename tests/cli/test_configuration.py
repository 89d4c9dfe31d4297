"""A configuration file says what can be typed, gives the same, and repeats a run; what is wrong in it is refused."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cyclopts
import pytest

from caser.cli.app import build_app
from caser.cli.config_file import LARGEST
from caser.cli.configuration import configuration_of, names_of_commands
from caser.cli.given import form_of, key_of, to_toml, to_words
from caser.models import MODELS
from tests.cli.conftest import TINY, TrainedRun
from tests.cli.terminal import caser, document, refusal

VALUES: dict[str, Any] = {
    "budget": "9m", "over": "L=1,2", "metrics": ["hit@5"], "sessions": "30m", "out": "new.parquet",
    "table": "new.tex",
    "per-user": "new.csv", "port": 8123, "quotes": "plain", "dropout": 0.25, "device": "cpu", "root-path": "/shop",
    "min-item-count": 4, "allowed-host": ["a.example"], "filter": ["a=b"], "k-core": 3, "heights": [1, 2],
    "loss": "bpr", "max-body": 2048, "num-heads": 2, "host": "localhost", "encoding": "utf-16", "num-negatives": 9,
    "header": False, "choose": False, "d": 8, "first-settings": {"reach": "3"},
}  # fmt: skip
"""Values of options that not every value of their type suits."""

APART: list[dict[str, Any]] = [
    {"loss": "gbce", "loss-settings": {"calibration": 0.5}},
    {"loss": "softmax", "precision": "float32"},
    {"tied": False}, {"first": "markov", "second": "count-knn"}, {"second-settings": {"reach": "3"}},
]  # fmt: skip
"""Options that go with each other, and not with all others."""


def commands() -> list[tuple[str, ...]]:
    """The words of each command, and of `train` also with the name of each model."""
    words = [tuple(name.split(".")) for name in names_of_commands(built("caser"))]
    return [*words, *[("train", model) for model in (*MODELS, "auto")]]


@cache
def built(model: str) -> cyclopts.App:
    """The command line with the flags of a model."""
    return build_app(model)


def options_of(app: cyclopts.App, command: Sequence[str]) -> list[cyclopts.Argument]:
    """The options of a command."""
    for word in command:
        app = app[word]
    found = app.assemble_argument_collection()
    return [one for one in found if one.parse and one.name not in ("*", "--config", "--print-config")]


def sample(option: cyclopts.Argument) -> Any:
    """A value that suits an option."""
    form, kind = form_of(option)
    if key_of(option) in VALUES:
        return VALUES[key_of(option)]
    choices = option.get_choices(force=True)
    one = choices[-1] if choices else {bool: True, int: 7, float: 0.5, str: "x", object: "x"}[kind]
    return [one] if form is list else one


def parsed(app: cyclopts.App, words: list[str]) -> tuple[Any, Any]:
    """What a command is called with, and the options as a file holds them."""
    configuration = configuration_of(words)
    configuration.commands = names_of_commands(app)
    app.config = (configuration.apply,)
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    bound.arguments.pop("config", None)
    return {name: repr(value) for name, value in bound.arguments.items()}, configuration.given


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_what_can_be_typed_can_be_written_in_the_file(words: tuple[str, ...], tmp_path: Path) -> None:
    command, model = (words[:1], words[1]) if words[0] == "train" and len(words) > 1 else (words, "caser")
    app, file = built(model), tmp_path / "caser.toml"
    options = options_of(app, command)
    positional = [key_of(one) for one in options if not one.name.startswith("-")]
    needed = {key_of(one) for one in options if one.required}
    every = {key_of(one): sample(one) for one in options}
    every |= {"model": model} if "model" in every else {}
    tried = set()
    for apart in ({}, *APART):
        keys = {key for key in every if not apart or key in needed} | {key for key in apart if key in every}
        keys -= {key for one in APART for key in one if not apart and key not in VALUES}
        given = {key: value for key, value in {**every, **apart}.items() if key in keys}
        file.write_text(to_toml(command, given), encoding="utf-8")
        typed = parsed(app, to_words(command, given, positional))
        assert typed == parsed(app, [*command, "--config", str(file)])
        assert typed[1] == given
        tried |= keys
    assert tried == set(every)


def test_precedence_is_flag_then_file_then_default(tmp_path: Path, log: Path) -> None:
    file = tmp_path / "caser.toml"
    file.write_text(f'[train]\nlog = "{log}"\nout = "{tmp_path / "run"}"\nk-core = 2\nchoose = false\n'
                    'epochs = 9\nmodel = "caser"\nevent-types = ["a"]\n', encoding="utf-8")  # fmt: skip
    printed = caser("train", "--config", file, "--epochs", 2, "--choose", "--event-types", "b", "--print-config")
    table = tomllib.loads(printed.out)["train"]
    assert (table["epochs"], table["choose"], table["event-types"]) == (2, True, ["b"])
    assert table["k-core"] == 2
    assert "patience" not in table  # a default


@pytest.mark.slow
def test_a_run_says_the_file_that_repeats_it_exactly(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = caser("train", log, "--out", "first", *TINY, "--no-choose", "--model", "caser", "--print-config")
    assert not Path("first").exists()
    Path("caser.toml").write_text(printed.out, encoding="utf-8")
    assert caser("train", "--config", "caser.toml").code == 0
    said = caser("config", "first").out
    assert tomllib.loads(said) == tomllib.loads(printed.out) == document("config", "first")
    Path("again.toml").write_text(said, encoding="utf-8")
    assert caser("train", "--config=again.toml", "--out", "second").code == 0
    weights = [(Path(run) / "weights.safetensors").read_bytes() for run in ("first", "second")]
    assert weights[0] == weights[1]
    assert tomllib.loads(caser("config", "second").out)["train"]["out"] == "second"


def test_a_run_that_no_command_trained_says_so(trained: TrainedRun, tmp_path: Path) -> None:
    import caser as library

    recommender = library.load(trained("markov"))
    recommender.artefact.manifest["command"] = "caser teach log.csv"
    recommender.save(tmp_path / "run")
    assert "the command that trained it must be one of this version" in refusal("config", tmp_path / "run")[1]
    recommender.artefact.manifest["command"] = None
    recommender.save(tmp_path / "python")
    assert "it was trained in Python" in refusal("config", tmp_path / "python")[1]


def test_paths_are_relative_to_the_folder_of_the_command_not_of_the_file(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings").mkdir()
    (tmp_path / "log.csv").write_bytes(log.read_bytes())
    monkeypatch.chdir(tmp_path)
    Path("settings/caser.toml").write_text(
        '[train]\nlog = "log.csv"\nout = "run"\nmodel = "markov"\n', encoding="utf-8"
    )
    assert caser("train", "--config", "settings/caser.toml").code == 0
    assert (tmp_path / "run").is_dir()


HEAD = '[train]\nlog = "log.csv"\nout = "run"\n'
WRONG = [
    (HEAD + "epochz = 3", "caser.toml, line 4: Unknown option: --epochz. Did you mean --epochs?"),
    (HEAD + "batch_size = 3", "caser.toml, line 4: Unknown option: --batch_size. Did you mean --batch-size?"),
    (HEAD + 'epochs = "3"', 'caser.toml, line 4: epochs must be a whole number; got "3".'),
    (HEAD + "epochs = true", "caser.toml, line 4: epochs must be a whole number; got true."),
    (HEAD + "epochs = 3.0", "caser.toml, line 4: epochs must be a whole number; got 3.0."),
    (HEAD + "budget = 600", 'caser.toml, line 4: budget must be text in quotes: "..."; got 600.'),
    (HEAD + "time = 2026-11-29", 'caser.toml, line 4: time must be text in quotes: "..."; got 2026-11-29.'),
    (HEAD + 'choose = "yes"', 'caser.toml, line 4: choose must be true or false; got "yes".'),
    (HEAD + 'event-types = "buy"', 'event-types must be a list with at least one entry; got "buy".'),
    (HEAD + "event-types = []", "event-types must be a list with at least one entry; got []."),
    (HEAD + "event-types = [1]", 'each entry of event-types must be text in quotes: "..."; got 1.'),
    (HEAD + "loss-settings = 3", "loss-settings must be a table of values by name; got 3."),
    (HEAD + 'loss-settings.calibration = "a"', "line 4: loss-settings.calibration must be a number"),
    (HEAD + "epochs = 0", "--epochs must be at least 1; got 0. (epochs: caser.toml, line 4)"),
    (HEAD + "\n\nd = -1", "(d: caser.toml, line 6)"),
    (HEAD + 'protocol = "leave"', 'Invalid value "leave" for --protocol from caser.toml, line 4.'),
    (HEAD + 'model = "markof"', "did you mean markov? (model: caser.toml, line 4)"),
    (HEAD + 'model = "markov"\nepochs = 2', "caser.toml, line 5: --epochs has no effect on markov"),
    (HEAD + "choose = false\npatience = 3", "(choose: caser.toml, line 4; patience: caser.toml, line 5)"),
    (HEAD + 'loss = "softmax"\nloss-settings.a = 1', "(loss-settings: caser.toml, line 5)"),
    (HEAD + 'config = "other.toml"', "line 4: Unknown option: --config"),
    ("epochs = 3\n" + HEAD, "caser.toml, line 1: 'epochs' must be in the table of a command"),
    ("[trian]\n", "a table must have the name of a command; got [trian]: did you mean train?"),
    ("[data.descibe]\n" + HEAD, "got [data.descibe]: did you mean data.describe?"),
    ("[compare]\nquick = true\n", "caser.toml must have a table [train] for this command; it has [compare]."),
    ("", "caser.toml must have a table [train] for this command; it has no table."),
    (HEAD + "d = 3\nd = 4\n", "--config must be TOML; caser.toml is not: Cannot overwrite a value (at line 5"),
    ("x" * (LARGEST + 1), "at most 1,000,000 bytes"),
    (b"[train]\nlog = '\xff'", "must be text in UTF-8"),
    (None, "--config must be a file that can be read; got caser.toml: No such file"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_what_is_wrong_in_a_file_is_refused_with_its_place(
    text: str | bytes | None, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("caser.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    code, line = refusal("train", "--config", "caser.toml")
    assert code == 2
    assert sentence in line
    assert line.count("line 4") < 2
    assert not Path("run").exists()


def test_an_option_that_is_typed_is_not_blamed_on_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("caser.toml").write_text(HEAD + "epochs = 3", encoding="utf-8")
    assert refusal("train", "--config", "caser.toml", "--epochs", 0)[1] == "--epochs must be at least 1; got 0."


def test_one_file_may_serve_several_commands(log: Path, tmp_path: Path, trained: TrainedRun) -> None:
    file = tmp_path / "caser.toml"
    file.write_text(
        f'\ufeff[data.describe]\r\nlog = "{log}"\r\n[similar]\r\nitem = "3"\r\nk = 2\r\njson = false\r\n',
        encoding="utf-8",
    )
    assert document("data", "describe", "--config", file)["users"] == 40
    assert len(document("similar", trained("markov"), "--config", file)["items"]) == 2


@pytest.mark.parametrize("text", ['"', "\\", "\t", "\n", "\x1b[31m", "\x7f", "é☕", "𝄞", "\u202e", "a = 1 # no", "'''"])
def test_any_text_comes_back_from_the_file(text: str) -> None:
    for ascii_only in (False, True):
        written = to_toml(["train"], {"log": text, "loss-settings": {text: 1.0}}, ascii_only=ascii_only)
        assert tomllib.loads(written)["train"] == {"log": text, "loss-settings": {text: 1.0}}
        assert written.isascii() or not ascii_only
        assert all(line.isprintable() for line in written.splitlines())
