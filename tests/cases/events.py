"""Sixty events of ten users, as every file of the cases holds them, and what reading a file gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from caser.arrays.types import RawId
from caser.data.log import InteractionLog
from caser.data.readers import read_log

NAMES = ("user_id", "item_id", "timestamp")

ROWS = [
    (user, 500 + (user * 7 + k * 3) % 13, 1_600_000_000 + user * 37 + k * 600) for user in range(10) for k in range(6)
]

RECORDS = [dict(zip(NAMES, row, strict=True)) for row in ROWS]


def text(separator: str = ",", header: bool = True, end: str = "\n", field: str = "{}") -> str:
    """Return the events as text, each value written as `field` says."""
    lines = [separator.join(NAMES)] if header else []
    lines += [separator.join(field.format(value) for value in row) for row in ROWS]
    return end.join(lines) + end


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(folder: Path, content: str | bytes, **options: Any) -> InteractionLog:
    return read_log(written(folder / "events", content), **options)


def raw(log: InteractionLog) -> list[tuple[RawId, RawId, int]]:
    """Return user, item and second of each event, ordered by user and time."""
    users, items = log.user_vocabulary.raw(log.users), log.item_vocabulary.raw(log.items)
    seconds = [time // 1_000_000 for time in log.times.tolist()]
    return sorted(zip(users, items, seconds, strict=True), key=lambda row: (str(row[0]), row[2]))


def has_note(log: InteractionLog, words: str) -> bool:
    return any(words in note for note in log.provenance["notes"])


EVENTS = sorted(ROWS, key=lambda row: (str(row[0]), row[2]))
