"""`--config FILE` and `--print-config`, which every command has, and `caser config RUN`.

The precedence is: what is typed, then the file, then the default. Paths in a file are relative to the folder in which
the command runs, as typed ones are.
"""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from cyclopts import ArgumentCollection, Parameter

from caser import __version__
from caser.cli.config_file import ConfigFile, read_config_file
from caser.cli.flags import DEFAULT_MODEL, Command, Switch
from caser.cli.given import key_of, to_toml, to_words, tokens_of, value_of
from caser.cli.streams import encoding_of
from caser.cli.unused import explain_unknown_option
from caser.errors import ConfigError
from caser.system.storage import write_file

CONFIG = "--config"
PRINT_CONFIG = "--print-config"

_DEFAULTS = f"Options that are not here have the defaults of caser {__version__}."
_HEADING = "Configuration"
_CONFIG_HELP = "A TOML file with a table for the command, whose keys are its options. What is typed replaces them."
_PRINT_HELP = "Print the options that are given as such a file, and do nothing else."


class Configuration:
    """The configuration file of one command line, and the options that the command was given at last."""

    def __init__(self, typed: Sequence[str] = (), file: ConfigFile | None = None) -> None:
        """Begin with no options.

        typed  what was typed after `caser`        file  the configuration file, None without one
        """
        self.typed, self.file = typed, file
        self.commands: Sequence[str] = ()
        """The names of all commands, with a dot between two words."""
        self.command: tuple[str, ...] = ()
        self.given: dict[str, Any] = {}
        self._positional: list[str] = []
        self._from_file: list[str] = []

    def model(self, command: str) -> str | None:
        """Return the model that the file names for a command, or None: it decides which flags there are.

        command  the first word of the command
        """
        table = self.file.tables.get(command) if self.file else None
        model = table.get("model") if isinstance(table, dict) else None
        if not isinstance(model, str):
            return None
        self.command, self._from_file = (command,), ["model"]
        return model

    def apply(self, _: cyclopts.App, command: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Give the options of the file to a command, except those that are typed. cyclopts calls this.

        command    the words that name the command
        arguments  its parameters with the words that were typed for each

        Raises ConfigError for a key that is no option of the command, and for a value of the wrong type.
        """
        options = [one for one in arguments if one.parse and one.name not in (CONFIG, PRINT_CONFIG, "*")]
        self.command = command
        self._positional = [key_of(one) for one in options if not one.name.startswith("-")]
        if self.file:
            self._read(self.file, self.file.table(command, self.commands), options)
        self.given = {key_of(one): value_of(one) for one in options if one.tokens}

    def _read(self, file: ConfigFile, table: Mapping[str, Any], options: Sequence[cyclopts.Argument]) -> None:
        """Add the tokens of the file to the options that have none."""
        by_key = {name.lstrip("-"): one for one in options for name in one.names if name not in one.negatives}
        by_key |= {key_of(one): one for one in options}
        read: dict[str, str] = {}
        model = next((token.value for one in options if one.name == "--model" for token in one.tokens), None)
        for key, value in table.items():
            source = file.place(*self.command, key)
            if key not in by_key:
                flags = [f"--{name}" for name in by_key]
                named = model or table.get("model") or DEFAULT_MODEL
                raise ConfigError(
                    f"{source}: {explain_unknown_option(' '.join(self.command), f'--{key}', named, flags)}"
                )
            option = by_key[key]
            if option.name in read:
                raise ConfigError(f"{source}: {key} and {read[option.name]} are one option. Leave one of them out.")
            read[option.name] = key
            tokens = tokens_of(option, value, source)
            if not option.tokens:
                option.tokens[:] = tokens
                self._from_file += [key] if tokens else []

    def placed(self, sentence: str) -> str:
        """Return the sentence of an error with the place of every option of the file that it names.

        sentence  one line, with flags such as --epochs
        """
        if self.file is None:
            return sentence
        named = [key for key in self._from_file if self._names(key).search(sentence)]
        places = {key: self.file.place(*self.command, key) for key in named}
        new = "; ".join(f"{key}: {place}" for key, place in places.items() if place not in sentence)
        return f"{sentence} ({new})" if new and not sentence.startswith(str(self.file.path)) else sentence

    def _names(self, key: str) -> re.Pattern[str]:
        """What a sentence calls an option: --batch-size or batch_size, --no-choose, LOG."""
        names = [f"--(no-)?{re.escape(key)}"]
        names += [key.replace("-", "_")] if "-" in key else []
        names += [key.upper()] if key in self._positional else []
        return re.compile(rf"(?<![\w-])({'|'.join(names)})(?![\w-])")

    def words(self) -> list[str]:
        """Return the command line that gives the same options without the file."""
        return to_words(self.command, self.given, self._positional)


_CURRENT: ContextVar[Configuration] = ContextVar("configuration")


def configuration_of(words: Sequence[str]) -> Configuration:
    """Read the file that --config names, and return the configuration of a command line, which is the current one now.

    words  what was typed after `caser`

    Raises ConfigError for a file that cannot be read.
    """
    path = value_in(words, CONFIG)
    configuration = Configuration(words, read_config_file(Path(path).expanduser()) if path else None)
    _CURRENT.set(configuration)
    return configuration


def typed_command() -> str:
    """Return the command line of this process as a person types it; the options of a file are written out."""
    current = _CURRENT.get(None)
    if current is None:
        return shlex.join(["caser", *sys.argv[1:]])
    return shlex.join(["caser", *(current.words() if current.file else current.typed)])


def write_options(folder: Path) -> None:
    """Write the options of the command that runs as a configuration file, which repeats it.

    folder  of a report, where the file is configuration.toml
    """
    current = _CURRENT.get()
    write_file(folder / "configuration.toml", f"# {_DEFAULTS}\n{to_toml(current.command, current.given)}\n".encode())


def with_config(command: Command) -> Command:
    """Return a command that also has --config and --print-config.

    command  the function behind a command, or one that has a signature of its own
    """
    signature = inspect.signature(command, eval_str=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    file = Annotated[Path | None, Parameter(group=_HEADING, help=_CONFIG_HELP)]
    switch = Annotated[Switch, Parameter(group=_HEADING, help=_PRINT_HELP)]
    more = [
        inspect.Parameter("config", keyword, default=None, annotation=file),
        inspect.Parameter("print_config", keyword, default=False, annotation=switch),
    ]

    # cyclopts prefers the annotations of `run` to the signature, so these two names must be no command's parameters.
    def run(*_positional: Any, **_named: Any) -> None:
        _named.pop("config", None)  # it was read before the words
        if _named.pop("print_config", False):
            print_configuration(_CURRENT.get(), _DEFAULTS)
        else:
            command(*_positional, **_named)

    run.__doc__ = command.__doc__
    run.__name__ = command.__name__
    vars(run)["__signature__"] = signature.replace(parameters=[*signature.parameters.values(), *more])
    return run


def print_configuration(configuration: Configuration, remark: str) -> None:
    """Print the options of a command as a configuration file, on stdout.

    configuration  the options
    remark         a sentence that is a comment of the file
    """
    is_unicode = encoding_of(sys.stdout).startswith("utf")
    text = to_toml(configuration.command, configuration.given, ascii_only=not is_unicode)
    sys.stdout.write(f"# {remark}\n{text}\n")


def value_in(words: Sequence[str], flag: str) -> str | None:
    """Return the value of a flag before the words are parsed; None if it was not typed.

    words  what was typed      flag  such as "--model"

    >>> value_in(["train", "LOG", "--model", "markov"], "--model"), value_in(["train", "--model=ease"], "--model")
    ('markov', 'ease')
    """
    for index, word in enumerate(words):
        if word == flag and index + 1 < len(words):
            return words[index + 1]
        if word.startswith(f"{flag}="):
            return word.removeprefix(f"{flag}=")
    return None


def names_of_commands(app: cyclopts.App) -> list[str]:
    """Return the names of all commands, with a dot between two words.

    app  the command line
    """
    names = []
    for name in app:
        if not name.startswith("-"):
            inside = names_of_commands(app[name])
            names += [f"{name}.{one}" for one in inside] if inside else [name]
    return names
