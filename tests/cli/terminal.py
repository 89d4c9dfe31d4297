"""A terminal for tests: a command line typed in this process, and what came of it."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, NamedTuple

from caser.cli import app


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def caser(*words: object) -> Outcome:
    """Type `caser` and some words."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = app.run([str(word) for word in words])
    return Outcome(code, out.getvalue(), err.getvalue())


def document(*words: object) -> Any:
    """Type a command with --json: it must succeed, and print one JSON document and nothing else."""
    outcome = caser(*words, "--json")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def refusal(*words: object) -> tuple[int, str]:
    """Type a command that must fail: its exit code, and its one line."""
    outcome = caser(*words)
    assert outcome.code != 0
    assert outcome.out == ""
    *notes, line = outcome.err.splitlines()
    assert line.startswith("caser: ")
    assert all(note.startswith("  ") for note in notes), outcome.err  # what was read, before it failed
    return outcome.code, line.removeprefix("caser: ")
