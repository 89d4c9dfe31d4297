"""A terminal for tests: run a command line in this process and return what it printed."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from typing import Any, NamedTuple
from unittest.mock import patch

import cyclopts

from caser.cli import app
from caser.config import LOSSES
from caser.evaluation.metrics import METRICS
from caser.evaluation.protocols import PROTOCOLS
from caser.models import MODELS


class Outcome(NamedTuple):
    """The exit code of a command, and what it printed."""

    code: int
    out: str
    err: str


@cache
def _built(model: str, names: tuple[tuple[str, ...], ...]) -> cyclopts.App:
    """The command line, which is made in a moment, but hundreds of times; `names` are those that its flags list."""
    return app.build_app(model)


def _build_once(model: str) -> cyclopts.App:
    with patch.object(app, "build_app", _BUILD_APP):
        return _built(model, tuple(tuple(names) for names in (MODELS, LOSSES, METRICS, PROTOCOLS)))


_BUILD_APP = app.build_app


def caser(*words: object) -> Outcome:
    """Run `caser` with some words in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), patch.object(app, "build_app", _build_once):
        code = app.run([str(word) for word in words])
    return Outcome(code, out.getvalue(), err.getvalue())


def document(*words: object) -> Any:
    """Run a command with --json; it must succeed and print exactly one JSON document."""
    outcome = caser(*words, "--json")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def refusal(*words: object) -> tuple[int, str]:
    """Run a command that must fail, and return its exit code and its one line."""
    outcome = caser(*words)
    assert outcome.code != 0
    assert outcome.out == ""
    *notes, line = outcome.err.splitlines()
    assert line.startswith("caser: ")
    assert all(note.startswith("  ") for note in notes), outcome.err  # what was read, before it failed
    return outcome.code, line.removeprefix("caser: ")
