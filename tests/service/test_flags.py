"""The flags of `caser serve`: each arrives at the service as it was typed, and changes nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caser.service.http import server
from caser.service.settings import DEFAULT_HOST, DEFAULT_PORT, ServiceSettings
from tests.cli.terminal import caser

VALUES: dict[str, tuple[list[Any], Any]] = {
    "store": (["postgresql://db.example/shop"], "postgresql://db.example/shop"),
    "items": (["items.csv"], Path("items.csv")),
    "onnx": (["model.onnx"], Path("model.onnx")),
    "candidate": (["run2"], Path("run2")),
    "share": (["20%"], "20%"),
    "salt": (["spring"], "spring"),
    "token_file": (["tokens"], Path("tokens")),
    "root_path": (["/shop"], "/shop"),
    "allowed_host": (["shop.example"], ("shop.example",)),
    "answer_log": (["answers.jsonl"], Path("answers.jsonl")),
    "log_user_ids": ([], True),
    "window": ([7], 7),
    "expire_days": ([0.5], 0.5),
    "rate": ([2.5], 2.5),
    "burst": ([3], 3),
    "max_cost": ([6], 6),
    "max_waiting": ([5], 5),
    "max_waiting_mb": ([8], 8),
    "cache_mb": ([9], 9),
    "answer_seconds": ([2.5], 2.5),
    "reload_seconds": ([3.5], 3.5),
    "max_connections": ([7], 7),
    "idle_seconds": ([4.5], 4.5),
    "max_body": ([2048], 2048),
    "watch": ([], True),
    "drain_seconds": ([0.25], 0.25),
}
NEEDED: dict[str, dict[str, Any]] = {
    "burst": {"rate": 9.0},
    "share": {"candidate": Path("run2")},
    "salt": {"candidate": Path("run2")},
}
"""Settings without which another one has no effect, and is refused."""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been served: the run, the settings, the host and the port."""
    arguments: list[Any] = []
    # Without the last argument, the function that is told the address.
    monkeypatch.setattr(server, "serve", lambda *given: arguments.extend(given[:-1]))
    return arguments


@pytest.mark.parametrize("name", VALUES)
def test_a_setting_arrives_as_it_was_typed_and_the_others_keep_their_defaults(name: str, served: list[Any]) -> None:
    words, value = VALUES[name]
    needed = NEEDED.get(name, {})
    further = [word for other, needed_value in needed.items() for word in (f"--{other}", needed_value)]
    outcome = caser("serve", "run", "--" + name.replace("_", "-"), *words, *further)
    assert outcome.code == 0, outcome.err
    run, settings, *address = served
    assert (run, settings, address) == (
        Path("run"), ServiceSettings(**{name: value, **needed}), [DEFAULT_HOST, DEFAULT_PORT, None],
    )  # fmt: skip
    assert settings != ServiceSettings()


@pytest.mark.parametrize("port", [0, 65_535])
def test_the_address_arrives_as_it_was_typed(port: int, served: list[Any]) -> None:
    assert caser("serve", "run", "--host", "::1", "--port", port).code == 0
    assert served == [Path("run"), ServiceSettings(), "::1", port, None]


def test_a_socket_arrives_as_it_was_typed(served: list[Any]) -> None:
    assert caser("serve", "run", "--uds", "caser.sock").code == 0
    assert served == [Path("run"), ServiceSettings(), DEFAULT_HOST, DEFAULT_PORT, Path("caser.sock")]


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_does_not_exist_is_refused(port: int, served: list[Any]) -> None:
    assert caser("serve", "run", "--port", port).code == 2
    assert not served


def test_every_setting_has_a_value_here() -> None:
    assert VALUES.keys() == ServiceSettings.model_fields.keys()
