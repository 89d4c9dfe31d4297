"""What is typed is what the library is asked: every flag of a command changes the call behind it.

No model is trained: the function behind the command writes down what it was asked, and stops.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from caser.cli import audit, auto, replay, study, train
from caser.cli.study_options import StudyOptions
from caser.config import Settings
from caser.data.filters import LogFilters
from caser.data.log import InteractionLog
from caser.data.split import Split
from caser.study import replay as replaying
from tests.cli.terminal import caser

OPTIONS: list[tuple[Any, ...]] = [
    ("--protocol", "d2l"), ("--seeds", 2), ("--quick",), ("--jobs", 7), ("--store", "elsewhere"),
]  # fmt: skip
FILTERS: list[tuple[Any, ...]] = [
    ("--min-rating", 3), ("--event-types", "buy"), ("--drop-duplicates",), ("--drop-repeats",),
    ("--min-item-count", 5), ("--k-core", 4),
]  # fmt: skip
STUDY = [*OPTIONS, *FILTERS]
# Command -> words that it needs, and flags with values that must change the call.
COMMANDS: dict[str, tuple[tuple[Any, ...], list[tuple[Any, ...]]]] = {
    "compare": ((), [*STUDY, ("--models", "markov"), ("--sessions", "1h"), ("--windows", 2), ("--budget", "9m"),
                     ("--epochs", 3)]),
    "ablate": (("--user-vector",),
               [*STUDY, ("--no-removals",), ("--no-choose",), ("--d", 7), ("--learning-rate", 0.5)]),
    "sweep": (("--over", "L=1,2"), [*STUDY, ("--over", "L=1,3"), ("--over", "d=1,2"), ("--d", 7), ("--epochs", 3)]),
    "audit": ((), [*FILTERS, *OPTIONS[:1], ("--model", "gru4rec"), ("--no-neural",), ("--block", 3), ("--seed", 1),
                   ("--out", "elsewhere")]),
    "train": (("--out", "run", "--model", "caser"),
              [*FILTERS, *OPTIONS[:1], ("--no-choose",), ("--all",), ("--d", 7), ("--L", 4), ("--learning-rate", 0.5),
               ("--seed", 1), ("--budget", "9m"), ("--out", "elsewhere")]),
    "train --budget": (("--out", "run", "--budget", "9m"),
                       [("--store", "elsewhere"), ("--all",), ("--budget", "8m"), *OPTIONS[:1]]),
    "train --model auto": (("--out", "run"), [*FILTERS, *OPTIONS[:1], *OPTIONS[3:], ("--budget", "9m")]),
}  # fmt: skip
BEHIND = [
    (study, "run_compare"), (study, "compare_sessions"), (study, "run_backtest"), (study, "run_ablate"),
    (study, "run_sweep"), (audit, "audit_log"), (train, "best"), (train, "fit"), (auto, "auto"),
]  # fmt: skip


class StopError(Exception):
    """Everything that a command wants to know has been asked."""


def plain(value: Any) -> Any:
    """A value as text that is equal for equal values."""
    if isinstance(value, Split):
        return value.name, plain(value.log)
    if isinstance(value, InteractionLog):
        return len(value), value.digest, [step["filter"] for step in value.provenance.get("filters", [])]
    return "a function" if callable(value) and not isinstance(value, type) else repr(value)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A function that runs a command and returns what the library was asked."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{user},{(user + place) % 8},{place},{1 + place % 5},{('view', 'buy')[place % 2]}"
            for user in range(9) for place in (*range(10), 9)]  # fmt: skip
    rows += [f"short,{item},{item},5,view" for item in range(3)] + ["0,rare,11,5,buy"]
    Path("log.csv").write_text("user,item,time,rating,event_type\n" + "\n".join(rows) + "\n", encoding="utf-8")
    said: list[Any] = []

    def recorder(name: str) -> Callable[..., Any]:
        def record(*arguments: Any, **options: Any) -> Any:
            said.append((name, [plain(one) for one in arguments], {key: plain(one) for key, one in options.items()}))
            raise StopError

        return record

    for module, name in BEHIND:
        monkeypatch.setattr(module, name, recorder(name))

    def ask(command: str, *words: Any) -> Any:
        said.clear()
        verb, *more = command.split()
        outcome = caser(verb, "log.csv", *([] if command == "train --budget" else more), *words)
        assert said, outcome.err
        [call] = said
        return call

    return ask


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_changes_what_the_library_is_asked(command: str, asked: Callable[..., Any]) -> None:
    needed, flags = COMMANDS[command]
    before = asked(command, *needed)
    assert before == asked(command, *needed)
    calls = [before]
    for words in flags:
        kept = [word for pair in pairs(needed) if pair[0] != words[0] for word in pair]
        calls.append(asked(command, *kept, *words))
        assert calls[-1] not in calls[:-1], words


def pairs(words: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Flags with their values."""
    found: list[tuple[Any, ...]] = []
    for word in words:
        if str(word).startswith("--"):
            found.append((word,))
        else:
            found[-1] = (*found[-1], word)
    return found


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "compare": study.compare, "ablate": study.ablate, "sweep": study.sweep, "audit": audit.audit, "train": train.train,
    "train --model auto": auto.train_auto,
}  # fmt: skip
OF_A_CLASS: dict[str, type[Settings]] = {"options": StudyOptions, "filters": LogFilters}
SHOWN = {
    "log",
    "items",
    "attributes",
    "json",
    "out",
    "model",
    "settings",
    "training",
    "reading",
    "memory_mb",
    "workers",
    "engine",
    "max_restarts",
    "track",
    "table",
}
"""Parameters that decide where and how something is shown, or have tests of their own."""


@pytest.mark.parametrize("command", FUNCTIONS)
def test_no_flag_of_a_command_is_left_out(command: str) -> None:
    names: set[str] = set()
    for name in inspect.signature(FUNCTIONS[command]).parameters:
        names |= set(OF_A_CLASS[name].model_fields) if name in OF_A_CLASS else {name}
    typed = [str(words[0]) for words in (*COMMANDS[command][1], *COMMANDS["train --budget"][1])]
    tested = {flag.removeprefix("--").removeprefix("no-").replace("-", "_") for flag in typed}
    assert not names - SHOWN - tested


def test_a_replay_asks_for_as_many_users_items_and_for_the_seed_that_were_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    def recorder(result: Any) -> Callable[..., Any]:
        def record(*given: Any, **options: Any) -> Any:
            calls.append((given, options))
            return result

        return record

    monkeypatch.setattr(replay, "load", lambda run: "the run")
    monkeypatch.setattr(replay, "model_version", lambda run: "v1")
    monkeypatch.setattr(replaying, "hit_rate", recorder(replaying.Served()))
    monkeypatch.setattr(replaying, "compare_with_service", recorder(replaying.Agreement(1, 0, {})))
    monkeypatch.setenv("CASER_TOKEN", "secret")
    words = ("--log", "answers", "--against", "http://a", "--k", 3, "--users", 4, "--seed", 5)
    assert caser("replay", "run", *words).code == 0
    assert calls == [
        ((Path("answers"), 3), {}),
        (("the run", "http://a"), {"version": "v1", "users": 4, "k": 3, "seed": 5, "token": "secret"}),
    ]
