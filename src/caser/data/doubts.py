"""Doubts: say aloud what makes it likely that a log was read in a wrong way, although every row could be read.

Each doubt is one sentence among the notes of the log and begins with "doubt:". A doubt changes nothing. The thresholds
are such that the public logs this library is measured on raise none.
"""

from __future__ import annotations

import time

import numpy as np
import polars as pl
from numpy.typing import NDArray

from caser.data.ids import MISSING, missing_flags, shortened
from caser.data.log import InteractionLog
from caser.data.names import are_event_kinds
from caser.data.times import looks_like_moments, shown_moment

PLACEHOLDERS = (
    *("-1", "unknown", "anonymous", "anon", "guest", "undefined", "missing", "nil", "not set", "(not set)"),
    *("default", "other", "n.a.", "?", "--", "empty", "blank", "test"),
)
"""Ids, in lower case, that often stand for many users or items whose id is not known."""

SPREADSHEET = r"^[-+]?\d([.,]\d+)?[eE]\+?\d+$"
"""A number as a spreadsheet rounds and writes it: 1.16189E+18."""

LIST = r"^(\[.*\]|[({].*[ ,;|].*[)}])$|^[\p{L}_-]*\d[\w.-]*([ ,;|]+[\p{L}_-]*\d[\w.-]*)+$"
"""Text in brackets, or several words that hold digits: "[1, 2]", "N1 N2 N503"."""

MANY = 10
"""The number of users or items from which shares of them are judged."""

OLDEST = 788_918_400_000_000
"""1995 in microseconds since 1970. Logs of events on the web are younger."""

MOST_KINDS = 50
"""The most kinds of events that a log has."""

YEAR = 366 * 86_400_000_000


def doubts_on_log(log: InteractionLog, *, is_typed: bool) -> list[str]:
    """Return the doubts on the users and items of a log.

    log       any log        is_typed  whether the source marks missing values itself, so that a word is an id

    >>> users = pl.Series([f"u{row}" for row in range(30)])
    >>> doubts_on_log(InteractionLog.from_columns(users, pl.Series([1, 2, 3] * 10), None), is_typed=False)
    ['doubt: every user has exactly one event: is the column of the user the number of the row?']
    """
    doubts = []
    for role, plural, indices, vocabulary in (
        ("user", "users", log.users, log.user_vocabulary),
        ("item", "items", log.items, log.item_vocabulary),
    ):
        counts = np.bincount(indices)[1:]
        doubts += _on_shares(vocabulary.ids, counts, role)
        if vocabulary.ids.dtype == pl.String:
            doubts += _on_texts(vocabulary.ids, counts, role, plural, is_typed=is_typed)
    for number, role in ((log.num_users, "user"), (log.num_items, "item")):
        if number == 1 and len(log) >= MANY:
            doubts.append(f"doubt: all {len(log):,} events have one {role}: is the column of the {role} right?")
    if log.num_users == len(log) >= MANY:
        doubts.append("doubt: every user has exactly one event: is the column of the user the number of the row?")
    elif 2 * log.num_items > len(log) >= 2 * MANY:
        doubts.append(
            f"doubt: {log.num_items:,} of {len(log):,} events have an item of their own: is the column of the item "
            "right?"
        )
    return doubts


def doubts_on_times(times: pl.Series, places: pl.Series) -> list[str]:
    """Return the doubts on the times of a log: before 1995, more than a year from now, or all equal.

    times   (N,) microseconds since 1970        places  (N,) where each is in the source, named "line" or "row"

    >>> print(*doubts_on_times(pl.Series([37_000_000, 637_000_000]), pl.Series("line", [2, 3])))
    doubt: all times lie before 1995, from 1970-01-01 00:00:37 UTC to 1970-01-01 00:10:37 UTC: are they in another unit?
    """
    first, last = times.min(), times.max()
    if not isinstance(first, int) or not isinstance(last, int):
        return []
    if first == last and len(times) >= MANY:
        return [f"doubt: all times are {shown_moment(first)}: only the order of rows orders the events"]
    if last < OLDEST:
        span = f"from {shown_moment(first)} to {shown_moment(last)}"
        return [f"doubt: all times lie before 1995, {span}: are they in another unit?"]
    now = int(time.time() * 1_000_000)
    doubts = []
    if first < OLDEST:
        doubts.append(_on_some(times, places, times < OLDEST, "lie before 1995"))
    if last > now + YEAR:
        doubts.append(_on_some(times, places, times > now + YEAR, "lie more than a year ahead of now"))
    return doubts


def _on_some(times: pl.Series, places: pl.Series, mask: pl.Series, claim: str) -> str:
    row = mask.arg_max() or 0
    count = int(mask.sum())
    advice = (
        "pass --missing=0 if 0 means none" if (times.filter(mask) == 0).all() else "correct them, or drop these rows"
    )
    return (
        f"doubt: {count:,} of {len(times):,} times {claim} (first at {places.name} {places[row]:,}: "
        f"{shown_moment(times[row])}); they are kept: {advice}"
    )


def _on_shares(ids: pl.Series, counts: NDArray[np.int64], role: str) -> list[str]:
    """Name an id that holds too many events: a share that no user has, or a placeholder with many more than others."""
    if len(ids) < MANY:
        return []
    most = int(counts.argmax())
    share, times_mean = counts[most] / counts.sum(), counts[most] / counts.mean()
    large = share > 0.2 and times_mean >= 5 if role == "user" else share > 0.4 and times_mean >= 10
    if large:
        return [_of_share(ids, counts, most, role)]
    texts = ids.cast(pl.String)
    unlike = counts / max(1.0, float(np.median(counts)))  # how many times as many events as the usual id
    placeholder = texts.str.to_lowercase().is_in(PLACEHOLDERS).to_numpy() & (unlike >= 2)
    zero = (texts == "0").to_numpy() & (unlike >= 5)
    rows = np.flatnonzero((placeholder | zero) & (counts >= 0.02 * counts.sum())).tolist()
    return [_of_share(ids, counts, row, role) for row in rows]


def _of_share(ids: pl.Series, counts: NDArray[np.int64], row: int, role: str) -> str:
    return (
        f"doubt: the {role} {shortened(ids[row])} has {counts[row]:,} of {counts.sum():,} events "
        f"({counts[row] / counts.sum():.0%}): does it stand for many {role}s? {missing_flags([str(ids[row])])} makes "
        "it a missing value"
    )


def _on_texts(ids: pl.Series, counts: NDArray[np.int64], role: str, plural: str, *, is_typed: bool) -> list[str]:
    """Return the doubts on how ids are written."""
    doubts = []
    if is_typed and (words := ids.filter(ids.is_in(MISSING)).to_list()):
        number = int(counts[ids.is_in(MISSING).to_numpy()].sum())
        doubts.append(
            f"doubt: {number:,} events have the {role} {' or '.join(map(repr, words))}: {missing_flags(words)} makes "
            "it a missing value"
        )
    for pattern, meaning in (
        (SPREADSHEET, "rounded by a spreadsheet, so that several may have become one: export the column as text"),
        (LIST, "lists of several ids: write one event per row"),
    ):
        like = ids.str.contains(pattern)
        if like.sum() >= (1 if pattern is SPREADSHEET else max(1, 0.2 * len(ids))):
            first = shortened(ids[like.arg_max() or 0])
            doubts.append(f"doubt: {like.sum():,} of {len(ids):,} {plural} look like {first}: {meaning}")
    if len(ids) <= MOST_KINDS and are_event_kinds(ids):
        doubts.append(f"doubt: the {plural} are kinds of events, such as {shortened(ids[0])}: is the column right?")
    if looks_like_moments(ids[:1000]) == "dates":
        doubts.append(f"doubt: the {plural} are moments, such as {shortened(ids[0])}: is the column right?")
    return [*doubts, *_on_spellings(ids, plural)]


def _on_spellings(ids: pl.Series, plural: str) -> list[str]:
    """Name ids that differ only in ways that are hard to see; they stay different."""
    doubts = []
    for spelling, difference in (
        (ids.str.strip_chars(), "only by blanks around them"),
        (ids.str.strip_chars_start("0").str.strip_suffix(".0"), "only by zeros"),
        (ids.str.normalize("NFC"), "only by how their accents are stored (Unicode NFC and NFD)"),
    ):
        groups = spelling.to_frame("spelling").with_columns(id=ids).filter(pl.col("spelling").is_duplicated())
        if len(groups):
            pair = groups.filter(pl.col("spelling") == groups["spelling"][0])["id"].to_list()[:2]
            shown = " and ".join(shortened(one) for one in pair)
            doubts.append(f"doubt: {len(groups):,} {plural} differ {difference}, such as {shown}: they stay different")
    return doubts
