"""Reads a page without a browser: its elements, with their attributes and the text inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img"}


@dataclass
class Element:
    """One element of a page."""

    name: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text inside."""
        return "".join(one if isinstance(one, str) else one.text for one in self.children)

    def all(self, name: str, **attributes: str) -> list[Element]:
        """Elements below with a name and some attributes."""
        below = [one for one in self.children if isinstance(one, Element)]
        is_meant = [one for one in below if one.name == name and attributes.items() <= one.attributes.items()]
        return is_meant + [found for one in below for found in one.all(name, **attributes)]

    def every(self) -> list[Element]:
        """All elements below."""
        below = [one for one in self.children if isinstance(one, Element)]
        return below + [found for one in below for found in one.every()]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.path = [Element("page", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        one = Element(tag, {name: value or "" for name, value in attrs})
        self.path[-1].children.append(one)
        if tag not in VOID:
            self.path.append(one)

    def handle_endtag(self, tag: str) -> None:
        if tag != self.path[-1].name:
            raise AssertionError(f"{tag} ends inside {self.path[-1].name}")
        self.path.pop()

    def handle_data(self, data: str) -> None:
        self.path[-1].children.append(data)


def read_page(text: str) -> Element:
    """Read a page; elements must be nested as they should."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    if len(reader.path) != 1:
        raise AssertionError(f"{reader.path[-1].name} does not end")
    return reader.path[0]
