"""Builds HTML in which no text from a study can become markup: everything is escaped unless it was built here."""

from __future__ import annotations

import html
import json
from typing import Any


class Html(str):
    """Text that is HTML already, and is not escaped again."""


Content = str | Html | None


def element(name: str, /, *content: Content, **attributes: str | bool | None) -> Html:
    """Build one element.

    name        the name of the tag
    content     its children; plain text is escaped, and None is left out
    attributes  its attributes: None and False leave one out, and True writes it without a value. An underscore in a
                name becomes a hyphen, and one at the end is dropped (`class_`)

    >>> element("a", "<b>", element("i", "x"), class_="big", aria_label='"')
    '<a class="big" aria-label="&quot;">&lt;b&gt;<i>x</i></a>'
    """
    return Html(f"{_opening(name, attributes)}{joined(*content)}</{name}>")


def void(name: str, /, **attributes: str | bool | None) -> Html:
    """Build an element that never has content, such as `img`; `name` and `attributes` are those of `element`."""
    return Html(_opening(name, attributes))


def joined(*content: Content) -> Html:
    """Join pieces of content; plain text is escaped, and None is left out."""
    return Html("".join(one if isinstance(one, Html) else html.escape(one) for one in content if one is not None))


def embedded(value: Any) -> Html:
    r"""Write a JSON `value` so that it can stand in a script element: nothing in it ends the element.

    Raises ValueError for a number that is not finite, TypeError for a value that JSON does not have.

    >>> print(embedded({"title": "</script>"}))
    {"title":"\u003c/script\u003e"}
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Html(text)


def _opening(name: str, attributes: dict[str, str | bool | None]) -> str:
    words = [name]
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(attribute)
        elif value is not None and value is not False:
            words.append(f'{attribute}="{html.escape(value)}"')
    return f"<{' '.join(words)}>"
