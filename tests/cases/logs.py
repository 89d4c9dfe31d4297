"""Logs as text for the cases: every case is a table that somebody had, made anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from caser.arrays.types import RawId
from caser.data.log import InteractionLog
from caser.data.readers import read_log

START = 1_600_000_000
"""2020-09-13 12:26:40 UTC."""

Cell = Callable[[int, int, int], object]
"""A value for the user, the item and the seconds since 1970 of an event."""


def rows_of(*cells: Cell, separator: str = ",", users: int = 30, each: int = 6) -> str:
    """Return a line for each event: six of each of thirty users, with twelve items, ten minutes apart."""
    events = [
        (user, 500 + (3 * user + 2 * step) % 12, START + 37 * user + 600 * step)
        for user in range(1, users + 1)
        for step in range(each)
    ]
    return "".join(separator.join(str(cell(*event)) for cell in cells) + "\n" for event in events)


def user(user: int, item: int, seconds: int) -> object:
    return user


def item(user: int, item: int, seconds: int) -> object:
    return item


def seconds(user: int, item: int, seconds: int) -> object:
    return seconds


def read(folder: Path, text: str, **options: Any) -> InteractionLog:
    path = folder / "events.csv"
    path.write_text(text, encoding="utf-8")
    return read_log(path, **options)


def users_of(log: InteractionLog) -> set[RawId]:
    return set(log.user_vocabulary.ids.to_list())


def items_of(log: InteractionLog) -> set[RawId]:
    return set(log.item_vocabulary.ids.to_list())


def doubts_of(log: InteractionLog) -> list[str]:
    return [note for note in log.provenance["notes"] if note.startswith("doubt: ")]
