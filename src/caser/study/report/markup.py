"""HTML that cannot be broken by what it holds: text is escaped unless it was made here."""

from __future__ import annotations

import html
import json
from typing import Any


class Html(str):
    """Text that is HTML already."""


Content = str | Html | None


def element(name: str, /, *content: Content, **attributes: str | bool | None) -> Html:
    """One element: content that is plain text is escaped, None is left out, and so are attributes that are None.

    `_` in an attribute's name is `-`, and is dropped at its end (`class_`); True is an attribute without a value.

    >>> element("a", "<b>", element("i", "x"), class_="big", aria_label='"')
    '<a class="big" aria-label="&quot;">&lt;b&gt;<i>x</i></a>'
    """
    return Html(f"{_opening(name, attributes)}{joined(*content)}</{name}>")


def void(name: str, /, **attributes: str | bool | None) -> Html:
    """One element that has no content, such as `img`."""
    return Html(_opening(name, attributes))


def joined(*content: Content) -> Html:
    """Pieces of content one after the other."""
    return Html("".join(one if isinstance(one, Html) else html.escape(one) for one in content if one is not None))


def embedded(value: Any) -> Html:
    r"""JSON that can stand in a script element: nothing in it ends the element.

    >>> print(embedded({"title": "</script>"}))
    {"title":"\u003c/script\u003e"}
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Html(text)


def _opening(name: str, attributes: dict[str, str | bool | None]) -> str:
    written = [name]
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(attribute)
        elif value is not None and value is not False:
            written.append(f'{attribute}="{html.escape(value)}"')
    return f"<{' '.join(written)}>"
