"""The commands put together, and the one place where an error becomes one line and an exit code.

The exit code of an error is in its class, in `caser.errors`; EPILOGUE lists all codes.
"""

from __future__ import annotations

import itertools
import re
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cyclopts
from pydantic import ValidationError

from caser import __version__
from caser.artefact.folder import read_facts
from caser.cli import (
    answer,
    audit,
    auto,
    cite,
    data,
    demo,
    doctor,
    evaluate,
    export,
    promote,
    refit,
    replay,
    serve,
    study,
    train,
    update,
)
from caser.cli.configuration import (
    Configuration,
    configuration_of,
    names_of_commands,
    print_configuration,
    value_in,
    with_config,
)
from caser.cli.flags import AUTO, DEFAULT_MODEL, DEFAULTS, Command, Switch, flag_name
from caser.cli.home import expand_home
from caser.cli.needs import check_needs
from caser.cli.show import document, note, out
from caser.cli.streams import abandon, allow_any_encoding, is_of_output
from caser.cli.unused import explain_unknown_option, refuse_unused
from caser.errors import ArtefactError, CaserError, ConfigError, did_you_mean
from caser.models import MODELS
from caser.system.problems import WrongValueError, first_problem

UNEXPECTED = CaserError.exit_code
"""The exit code of an error that is a mistake of this library."""

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""

NO_READER = 141
"""The exit code where the reader of the output has gone, as in `caser --help | head -1`; as shells have it."""


def _exit_codes(error: type[CaserError] = CaserError) -> Iterator[tuple[int, str]]:
    """Yield the exit code and the plain name of every kind of error that has a code of its own.

    >>> next(_exit_codes())
    (2, 'config')
    """
    for kind in error.__subclasses__():
        if kind.exit_code != error.exit_code:
            words = re.findall(r"[A-Z][a-z]+", kind.__name__.removesuffix("Error"))
            yield kind.exit_code, " ".join(words).lower()
        yield from _exit_codes(kind)


EXIT_CODES = {
    0: "done",
    UNEXPECTED: "unexpected",
    **dict(_exit_codes()),
    INTERRUPTED: "interrupted",
    NO_READER: "nobody read the output",
}
"""What each exit code means."""

EPILOGUE = (
    f"Exit codes: {', '.join(f'{code} {meaning}' for code, meaning in EXIT_CODES.items())}. An error is one line; "
    "with --debug anywhere, also its traceback."
)


CHECKS = (expand_home, refuse_unused, check_needs)
"""What happens to the words of a command after they are read, and before it begins."""

OWN_MODEL = (
    "A model of your own needs an installed package with an entry point in the group caser.models, or a script that "
    "imports it and then, if __name__ == '__main__', calls caser.__main__.main() (docs/howto/own-model.md)."
)
"""What to do if --model names a model of one's own that is not registered."""


def build_app(model: str = DEFAULT_MODEL) -> cyclopts.App:
    """Make the command line.

    model  a name in MODELS, or "auto": `train` and `sweep` have flags for its settings

    Raises ConfigError for an unknown model.
    """
    if model != AUTO and model not in MODELS:
        hint = did_you_mean(model, MODELS)
        hint = hint if hint.endswith("?") else f"{hint} {OWN_MODEL}"
        raise ConfigError(f"--model must be a known name; got {model!r}: {hint}")
    app = cyclopts.App(
        name="caser",
        help="Next-item recommendations from an interaction log: trained, judged honestly, explained.",
        help_epilogue=EPILOGUE,
        version=__version__,
        version_flags=("--version", "-V"),
        name_transform=flag_name,
        default_parameter=DEFAULTS,
        help_format="markdown",
        suppress_keyboard_interrupt=False,
        console=out,
        config=CHECKS,
    )
    app.register_install_completion_command(help="Let the shell complete commands and options with the tab key.")
    app.command(data.build_app(), name="data")
    for name, command in _commands(model).items():
        app.command(with_config(command), name=name)
    return app


def _commands(model: str) -> dict[str, Command]:
    """Return the commands by name, with the flags of a model, or of any model if it is "auto"."""
    is_auto = model == AUTO
    return {
        "demo": demo.demo,
        "train": auto.train_auto if is_auto else train.train_command(model),
        "evaluate": evaluate.evaluate,
        "promote": promote.promote,
        "refit": refit.refit,
        "update": update.update,
        "compare": study.compare,
        "ablate": study.ablate_command(),
        "sweep": study.sweep_command(DEFAULT_MODEL if is_auto else model),
        "audit": audit.audit,
        "recommend": answer.recommend,
        "similar": answer.similar,
        "explain": answer.explain,
        "export": export.export,
        "index": answer.index,
        "serve": serve.serve,
        "replay": replay.replay,
        "token": serve.token,
        "doctor": doctor.doctor,
        "config": config,
        "cite": cite.cite,
    }


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    arguments  the words after `caser`; `--debug` anywhere also prints the traceback of an error
    """
    words = _with_standard_input([word for word in arguments if word != "--debug"])
    configuration = Configuration()
    allow_any_encoding()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: note(f"caser: {message}")
            configuration = configuration_of(words)
            app = _parser(words, configuration, *CHECKS)
            app(words, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except (CaserError, cyclopts.CycloptsError, ValidationError) as error:
        sentence = configuration.placed(_sentence(error, _model_in(words, configuration)))
        _report(sentence, with_traceback="--debug" in arguments)
        return error.exit_code if isinstance(error, CaserError) else ConfigError.exit_code
    except KeyboardInterrupt:
        note("caser: interrupted. The same command again continues a training from its last checkpoint.")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone; nobody is left to tell
        abandon(sys.stdout, sys.stderr)
        return NO_READER
    except Exception as error:
        if is_of_output(error):
            abandon(sys.stdout)
            note(f"caser: the output must be writable; got: {error.strerror}. Send it to another place, or make room.")
            return ArtefactError.exit_code
        sentence = f"unexpected {type(error).__name__}: {_one_line(error)}. Run again with --debug and report it."
        _report(sentence, with_traceback="--debug" in arguments)
        return UNEXPECTED
    return 0


def _parser(words: Sequence[str], configuration: Configuration, *checks: Callable[..., None]) -> cyclopts.App:
    """Make the command line that reads some words: with the flags of their model, and the options of a file."""
    app = build_app(_model_in(words, configuration))
    configuration.commands = names_of_commands(app)
    app.config = (configuration.apply, *checks)
    return app


def config(run: Path, /, *, json: Switch = False) -> None:
    """Print a configuration file that trains a run again: caser train --config FILE.

    Paths are as they were typed: relative to the folder in which the run was trained.

    Parameters
    ----------
    run
        A run folder.
    json
        Print one JSON document instead of TOML.

    """
    typed = read_facts(run)["command"]
    saved = Configuration()
    try:
        words = _with_standard_input([word for word in shlex.split(typed or "")[1:] if word != "--debug"])
        _parser(words, saved).parse_args(words, exit_on_error=False, print_error=False)
    except (CaserError, cyclopts.CycloptsError, ValueError) as error:
        raise ArtefactError(
            f"{run}: the command that trained it must be one of this version; got {typed!r}."
        ) from error
    if not saved.given:
        raise ConfigError(
            f"{run} must have been trained by a command; it was trained in Python. The manifest has its settings."
        )
    if json:
        document({".".join(saved.command): saved.given})
    else:
        print_configuration(saved, "Options that are not here have the defaults of the caser that trained this run.")


def _with_standard_input(words: Sequence[str]) -> list[str]:
    """Replace the LOG "-" by a path, because the parser takes every word that begins with a hyphen for an option.

    >>> _with_standard_input(["train", "-", "--model", "markov"])
    ['train', '/dev/stdin', '--model', 'markov']
    """
    first_flag = next((index for index, word in enumerate(words) if word.startswith("--")), len(words))
    return ["/dev/stdin" if word == "-" and index < first_flag else word for index, word in enumerate(words)]


def _model_in(words: Sequence[str], configuration: Configuration | None = None) -> str:
    """Return the value of --model before the words are parsed, because it decides which flags there are.

    >>> _model_in(["train", "LOG", "--model", "markov"]), _model_in(["doctor"])
    ('markov', 'caser')
    """
    typed = value_in(words, "--model")
    command = next((word for word in words if not word.startswith("-")), "")
    return typed or (configuration and configuration.model(command)) or DEFAULT_MODEL


def _report(sentence: str, *, with_traceback: bool) -> None:
    """Print an error as one line, after the traceback of the error that is being handled if it is wanted."""
    if with_traceback:
        for line in traceback.format_exc().splitlines():
            note(line)
    note(f"caser: {sentence}")


def _sentence(error: Exception, model: str) -> str:
    """Return one line for an error that the user can fix.

    model  the value of --model; an option that only another model has is explained with it
    """
    cause = error.__cause__
    problem = next((one for one in (error, cause) if isinstance(one, ValidationError)), None)
    wrong = cause if problem is None else first_problem(problem, "setting")
    if isinstance(wrong, WrongValueError):
        return _about_flag(wrong)
    if isinstance(wrong, CaserError):
        return str(wrong)
    if isinstance(error, cyclopts.UnknownOptionError):
        command = " ".join(error.command_chain or ())
        option = error.token.keyword or error.token.value
        flags = [name for argument in error.argument_collection if argument.parse for name in argument.names]
        return explain_unknown_option(command, option, model, flags)
    if isinstance(error, cyclopts.UnknownCommandError):
        sentence = _one_line(error)
        return sentence if "Did you mean" in sentence else f"{sentence} See --help; --version says the version."
    if isinstance(error, cyclopts.MissingArgumentError):
        return f"{_one_line(error)}{_hint_on_dash(error)}"
    if isinstance(error, cyclopts.CoercionError) and error.argument and error.argument.name in ("--model", "--models"):
        return f"{_one_line(error)} {OWN_MODEL}"
    return _one_line(error)


def _hint_on_dash(error: cyclopts.MissingArgumentError) -> str:
    """Return how to type a value that begins with "-", such as an id, if one follows the flag; else nothing."""
    words = list(error.root_input_tokens or ())
    after = next((word for flag, word in itertools.pairwise(words) if flag == error.keyword), "")
    if not after.startswith("-"):
        return ""
    return f" A value that begins with - is joined to its flag: {shlex.quote(f'{error.keyword}={after}')}"


def _about_flag(error: WrongValueError) -> str:
    """Return the sentence of an error with the name of the flag instead of those of the settings class and setting."""
    _, setting, rest = error.args
    # A value that was typed is text: it needs no quotes.
    rest = re.sub(r"; got '(.*)'\.$", r"; got \1.", rest)
    return f"--{'.'.join(map(flag_name, setting.split('.')))} {rest}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
