"""The commands put together, and the one place where an error becomes a line and an exit code.

Exit codes: 0 done · 1 unexpected · 2 wrong usage or setting · 3 log · 4 download · 5 unknown id · 6 not finite ·
7 artefact · 8 missing extra · 9 store of events · 130 interrupted.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Sequence

import cyclopts
from pydantic import ValidationError

from caser import __version__
from caser.cli import answer, audit, auto, data, demo, doctor, export, replay, serve, study, train
from caser.cli.flags import DEFAULTS, flag_name
from caser.cli.show import say
from caser.config import first_problem
from caser.errors import CaserError, ConfigError
from caser.models import model_class

EPILOGUE = (
    "Exit codes: 0 done, 1 unexpected, 2 usage, 3 log, 4 download, 5 unknown id, 6 not finite, 7 artefact, "
    "8 missing extra, 9 store of events, 130 interrupted. An error is one line; with --debug anywhere, also its "
    "traceback."
)
INTERRUPTED = 130


DEFAULT_MODEL = "caser"


def build_app(model: str = DEFAULT_MODEL) -> cyclopts.App:
    """Make the command line; `model` decides which settings `train` has flags for."""
    app = cyclopts.App(
        name="caser",
        help="Next-item recommendations from an interaction log: trained, judged honestly, explained.",
        help_epilogue=EPILOGUE,
        version=__version__,
        name_transform=flag_name,
        default_parameter=DEFAULTS,
        help_format="markdown",
        suppress_keyboard_interrupt=False,
    )
    app.command(demo.demo, name="demo")
    app.command(data.build_app(), name="data")
    if model == auto.NAME:
        app.command(auto.train_auto, name="train")
        model = DEFAULT_MODEL
    else:
        app.command(train.train_command(model_class(model)), name="train")
    app.command(train.evaluate, name="evaluate")
    app.command(study.compare, name="compare")
    app.command(study.ablate, name="ablate")
    app.command(study.sweep_command(model_class(model)), name="sweep")
    app.command(audit.audit, name="audit")
    app.command(answer.recommend, name="recommend")
    app.command(answer.similar, name="similar")
    app.command(answer.explain, name="explain")
    app.command(export.export, name="export")
    app.command(answer.index, name="index")
    app.command(serve.serve, name="serve")
    app.command(replay.replay, name="replay")
    app.command(serve.token, name="token")
    app.command(doctor.doctor, name="doctor")
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. `--debug` anywhere shows the traceback of an error."""
    debug = "--debug" in arguments
    words = [word for word in arguments if word != "--debug"]
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: say(f"caser: {message}")
            build_app(_model_named(words))(words, exit_on_error=False, print_error=False, result_action="return_value")
    except (CaserError, cyclopts.CycloptsError, ValidationError) as error:
        if debug:
            traceback.print_exc()
        say(f"caser: {_sentence(error)}")
        return error.exit_code if isinstance(error, CaserError) else ConfigError.exit_code
    except KeyboardInterrupt:
        say("caser: interrupted. The same command again continues a training from its last checkpoint.")
        return INTERRUPTED
    except BrokenPipeError:
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        say(f"caser: unexpected {type(error).__name__}: {_one_line(error)}. Run again with --debug and report it.")
        return 1
    return 0


def _model_named(words: Sequence[str]) -> str:
    """Find the model's name before parsing, because it decides which flags there are."""
    for index, word in enumerate(words):
        if word == "--model" and index + 1 < len(words):
            return words[index + 1]
        if word.startswith("--model="):
            return word.removeprefix("--model=")
    return DEFAULT_MODEL


def _sentence(error: Exception) -> str:
    """One line for any error that is the user's to fix."""
    cause = error.__cause__
    if isinstance(cause, CaserError):
        return str(cause)
    if isinstance(error, ValidationError):
        return first_problem(error, "setting")
    if isinstance(cause, ValidationError):
        return first_problem(cause, "setting")
    return _one_line(error)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
