"""The options that a command was given, as words and in a configuration file: one can be turned into the other.

A value of a file becomes the token that its flag would be, so every check of a typed option also sees it. The values
are those of TOML: true and false, whole numbers, numbers, text, lists of one of these, and numbers by name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from cyclopts import Argument, Token

from caser.errors import ConfigError

Given = Mapping[str, Any]
"""The options that a command was given: values of TOML by key, the name of the flag without its dashes."""

_WORDS: Mapping[type, str] = {
    object: "one value",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: 'text in quotes: "..."',
}
"""What a value must be, by its type."""


def key_of(argument: Argument) -> str:
    """Return the key of an option in a file: `batch-size` for --batch-size, `log` for LOG.

    argument  a parameter of a command
    """
    name = argument.name
    return name.lstrip("-") if name.startswith("-") else name.lower()


def form_of(argument: Argument) -> tuple[type | None, type]:
    """Return whether an option takes a list, values by name (dict) or one value (None), and the type of a value.

    argument  a parameter of a command

    Raises TypeError for a type that no command has yet. The type object stands for any one value.
    """
    hint = argument.hint
    if get_origin(hint) in (Union, UnionType):
        [hint] = [one for one in get_args(hint) if one is not type(None)]
    form: type | None = None
    if get_origin(hint) in (tuple, list):
        form, hint = list, get_args(hint)[0]
    elif get_origin(hint) is dict:
        form, hint = dict, get_args(hint)[1]
    if get_origin(hint) is Literal or (isinstance(hint, type) and issubclass(hint, Path)):
        hint = str
    hint = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if hint is Any:
        return form, object
    if hint not in _WORDS:
        raise TypeError(f"{argument.name} has a type that no configuration file holds: {hint}")
    return form, hint


def tokens_of(argument: Argument, value: Any, source: str) -> list[Token]:
    """Return the tokens that stand for a value of a file, as if its flag had been typed.

    argument  the option      value  the value of TOML      source  where it stands

    Raises ConfigError if the value has the wrong type.
    """
    form, kind = form_of(argument)
    flag = argument.name if argument.name.startswith("-") else None
    if form is None:
        _check(value, kind, source, key_of(argument))
        if kind is bool:
            return _switch(argument, value, source)
        return [Token(keyword=flag, value=_word(value), source=source)]
    is_of_form: bool = type(value) is form
    if not is_of_form or not value:
        what = "a list with at least one entry" if form is list else "a table of values by name"
        raise ConfigError(f"{source}: {key_of(argument)} must be {what}; got {_shown(value)}.")
    named: Iterable[tuple[Any, Any]] = value.items() if form is dict else enumerate(value)
    tokens = []
    for index, (name, one) in enumerate(named):
        whose = f"{key_of(argument)}.{name}" if form is dict else f"each entry of {key_of(argument)}"
        _check(one, kind, source, whose)
        keys = (str(name),) if form is dict else ()
        place = 0 if form is dict else index
        tokens.append(Token(keyword=flag, value=_word(one), source=source, keys=keys, index=place))
    return tokens


def value_of(argument: Argument) -> Any:
    """Return what an option was given, as a value of TOML.

    argument  the option, with the words that were typed for it. Words that are no value of its type stay text: cyclopts
              refuses them later
    """
    form, kind = form_of(argument)
    if form is dict:
        if any(not token.keys for token in argument.tokens):  # it was typed as JSON
            return json.loads(argument.tokens[-1].value)
        return {".".join(token.keys): _read(token, kind) for token in argument.tokens}
    values = [_read(token, kind) for token in argument.tokens]
    return values if form is list else values[-1]


def to_toml(command: Sequence[str], given: Given, *, ascii_only: bool = False) -> str:
    r"""Return the table of a configuration file.

    command     the words that name the command
    given       its options
    ascii_only  whether letters outside of ASCII are written as escapes

    >>> print(to_toml(["train"], {"log": "a\tb.csv", "d": 8, "tied": False, "loss-settings": {"a": 1.0}}))
    [train]
    log = "a\tb.csv"
    d = 8
    tied = false
    loss-settings = {a = 1.0}
    """
    lines = [f"[{'.'.join(command)}]", *(f"{key} = {_toml(value, ascii_only)}" for key, value in given.items())]
    return "\n".join(lines)


def to_words(command: Sequence[str], given: Given, positional: Sequence[str]) -> list[str]:
    """Return the words that give a command the same options.

    command     the words that name the command
    given       its options
    positional  the keys of those that are typed without a flag

    >>> to_words(["train"], {"log": "a.csv", "d": 8, "tied": False, "user": "-7", "loss-settings": {"a": 1.0}}, ["log"])
    ['train', 'a.csv', '--d', '8', '--no-tied', '--user=-7', '--loss-settings.a', '1.0']
    """
    first = [str(one) for key in positional if key in given for one in _listed(given[key])]
    flags = [word for key, value in given.items() if key not in positional for word in _words(key, value)]
    return [*command, *first, *flags]


def _words(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _words(f"{key}.{name}", one)
    elif isinstance(value, bool):
        yield f"--{key}" if value else f"--no-{key}"
    else:
        for one in map(str, _listed(value)):
            # A value that begins with a hyphen would be taken for an option.
            yield from [f"--{key}={one}"] if one.startswith("-") else [f"--{key}", one]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _switch(argument: Argument, value: bool, source: str) -> list[Token]:
    """The token of --flag or --no-flag. A flag that has no --no-... form is off unless it is given."""
    if value:
        return [Token(keyword=argument.name, implicit_value=True, source=source)]
    negatives = list(argument.negatives)
    return [Token(keyword=negatives[0], implicit_value=False, source=source)] if negatives else []


def _check(value: Any, kind: type, source: str, name: str) -> None:
    """Raise ConfigError if a value has the wrong type. Nothing is turned into another type."""
    kinds: dict[type, tuple[type, ...]] = {float: (int, float), object: (bool, int, float, str)}
    if not isinstance(value, kinds.get(kind, (kind,))) or (isinstance(value, bool) and kind not in (bool, object)):
        raise ConfigError(f"{source}: {name} must be {_WORDS[kind]}; got {_shown(value)}.")


def _shown(value: Any) -> str:
    """A wrong value in a sentence, as TOML writes it as far as it can."""
    text = _toml(value) if isinstance(value, bool | int | float | str | list | dict) else str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _word(value: Any) -> str:
    """A value as it is typed."""
    return value if isinstance(value, str) else _toml(value)


def _read(token: Token, kind: type) -> Any:
    """The value of a token; its text if it is none of this type."""
    if kind is bool:
        return token.implicit_value if isinstance(token.implicit_value, bool) else token.value
    if kind is object:
        return token.value
    try:
        return kind(token.value)
    except ValueError:
        return token.value


def _toml(value: Any, ascii_only: bool = False) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value, ascii_only)
    if isinstance(value, list):
        return f"[{', '.join(_toml(one, ascii_only) for one in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(name, ascii_only)} = {_toml(one, ascii_only)}' for name, one in value.items())}}}"
    return repr(value) if isinstance(value, int | float) else str(value)


def _key(name: str, ascii_only: bool) -> str:
    is_bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if is_bare else _quoted(name, ascii_only)


def _quoted(text: str, ascii_only: bool) -> str:
    r"""Text in the quotes of TOML. What a terminal would obey, or hide, is an escape, also in ids.

    >>> _quoted('a "b" \x1b', False), _quoted("é", True)
    ('"a \\"b\\" \\u001b"', '"\\u00e9"')
    """
    if not text.isprintable() or ascii_only or '"' in text or "\\" in text:
        text = "".join(_escaped(letter, ascii_only) for letter in text)
    return f'"{text}"'


def _escaped(letter: str, ascii_only: bool) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    if letter == "\t":
        return "\\t"
    if letter.isprintable() and (letter.isascii() or not ascii_only):
        return letter
    if "\ud800" <= letter <= "\udfff":
        raise ConfigError("a configuration file holds text only; got a name that is not in UTF-8. Rename the file.")
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"
