r"""Text from logs, files and services as a terminal may see it: nothing in it moves the cursor or hides other text.

A terminal obeys control characters: an id with ESC could clear the screen, change the title of the window, or write
over the line before it. Characters that turn the direction of writing, and invisible ones, could make one id look like
another. All of them are written as Python writes them: \x1b, \x9b, \u202e.
"""

from __future__ import annotations

import re
import unicodedata

_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of Unicode: control characters, invisible ones, halves of characters, ends of lines and paragraphs."""

_JOINERS = "\u200c\u200d"
"""Invisible, and needed: Persian words and many emoji are written with them."""

_BEYOND_ASCII = re.compile("[^\x00-\x7e]")


def for_terminal(text: str) -> str:
    r"""Return a text with every character that a terminal would obey, or hide, written as an escape.

    text  any text, of one line

    >>> for_terminal("tea \x1b[31m\r\u202ecoffee"), for_terminal("Amélie ☕")
    ('tea \\x1b[31m\\r\\u202ecoffee', 'Amélie ☕')
    """
    if text.isprintable():
        return text
    return "".join(repr(letter)[1:-1] if _is_harmful(letter) else letter for letter in text)


def for_json(text: str) -> str:
    r"""Return JSON text with the same characters written as JSON writes them: it is read as the same values.

    text  JSON text, in which the characters below the blank are already escaped

    >>> for_json('"\x9b31m \u202e"')
    '"\\u009b31m \\u202e"'
    """
    return text if text.isascii() and "\x7f" not in text else _BEYOND_ASCII.sub(_json_escape, text)


def _is_harmful(letter: str) -> bool:
    return unicodedata.category(letter) in _HARMFUL and letter not in _JOINERS


def _json_escape(found: re.Match[str]) -> str:
    letter = found[0]
    if not _is_harmful(letter):
        return letter
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
