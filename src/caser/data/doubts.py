"""Doubts: say aloud what makes it likely that a log was read in a wrong way, although every row could be read.

Each doubt is one sentence among the notes of the log and begins with "doubt:". A doubt changes nothing. The thresholds
are such that the public logs this library is measured on raise none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from caser.arrays.types import Int32, Int64
from caser.data.again import count_again, doubts_on_again
from caser.data.dates import DAY_LENGTH
from caser.data.ids import MISSING, missing_flags, shortened
from caser.data.joined_items import doubts_on_joined
from caser.data.log import InteractionLog
from caser.data.names import are_event_kinds
from caser.data.times import looks_like_moments

PLACEHOLDERS = ("-1", "default", "other", "test", "user", "admin", "system")
"""Ids, in lower case, that often stand for many users or items, and may be ids as well."""

NOBODY = (
    r"(?i)^[(<\[{]?(unknown( user| item)?|unbekannt|inconnu|desconocid[oa]|sconosciuto|onbekend|okänd|"
    r"anonymous( user)?|anonym|anon|an[oó]nimo|guests?|gast|invitado|undefined|missing|fehlt|nil|nan|"
    r"not[ _-]?(set|available|provided|found|logged in)|no[ _-]?(user|id|name|value|data)|n\.?/?[avd]\.?|"
    r"keine[ _-]?angaben?|sin[ _-]?(datos|usuario)|non[ _-]?renseign[ée]|sans[ _-]?nom|"
    r"n\.?/?b\.?|k\.? ?a\.?|s\.?o\.?|"
    r"empty|blank|leer|vide|vac[ií]o|object object|unset|unassigned|undef|void)[)>\]}]?$"
    r"|^[!-/:-@\[-`{-~]+$"  # ? -- . _
    r"|^#[\p{Lu}\d/]+[!?]$|^#(N/A|NV)$"  # errors of a spreadsheet: #REF! #NAME?
    r"|^\{?0{8}-?0{4}-?0{4}-?0{4}-?0{12}\}?$"  # the UUID of zeros
)
"""Text that is the id of nobody and nothing."""

SPREADSHEET = r"^[-+]?\d([.,]\d+)?[eE]\+\d{1,3}$"
"""A number as a spreadsheet rounds and writes it: 1.16189E+18."""

ROUNDED = r"^-?\d{17,}\.0+$"
"""A whole number as a program writes it that read it as a float, which holds about sixteen digits."""

LIST = r"^(\[.*\]|[({].*[ ,;|].*[)}])$|^[\p{L}_-]*\d[\w.-]*([ ,;|]+[\p{L}_-]*\d[\w.-]*)+$"
"""Text in brackets, or several words that hold digits: "[1, 2]", "N1 N2 N503"."""

MANY = 10
"""The number of users or items from which shares of them are judged."""

FEW_IDS = 5
"""Fewer users or items than that are rather kinds or numbers of something."""

MOST_NAMED = 3
"""The most ids that are doubted for their share."""

MOST_KINDS = 50
"""The most kinds of events that a log has."""


CLOCKS_SEEN = 1000
"""How many times are looked at before all are, to find one with a time of day."""


class Moments(NamedTuple):
    """What is seen of the times of events that are in the order of users, times and rows.

    moves      whether two events one after another have different times
    ties       how many events have the time of the event before them, which is of the same user
    steps      how many have a later time than that event        backwards  how many of these were in an earlier row
    last       the last time; None before the first event
    apart      how many events have the user, the time and the item of one before them that is not in the row before
    directly   how many have these of the event in the row before
    has_clock  whether a time is not the beginning of a day
    """

    moves: bool = False
    ties: int = 0
    steps: int = 0
    backwards: int = 0
    last: int | None = None
    apart: int = 0
    directly: int = 0
    has_clock: bool = False

    def after(self, users: Int32, times: Int64, rows: Int64, items: Int32) -> Moments:
        """Return what is seen with more events, all of later users.

        users, times, rows, items  (N,) of each event, in their order, at least one

        >>> Moments().after(np.array([1, 1, 1]), np.array([7, 7, 9]), np.array([1, 2, 0]), np.array([3, 3, 3]))
        Moments(moves=True, ties=1, steps=1, backwards=1, last=9, apart=0, directly=1, has_clock=True)
        """
        same_user, later = np.diff(users) == 0, np.diff(times) != 0
        steps = same_user & later
        again, directly = count_again(np.append(False, same_user & ~later), items, rows)
        return Moments(
            self.moves or bool(later.any()) or (self.last is not None and self.last != int(times[0])),
            self.ties + int((same_user & ~later).sum()),
            self.steps + int(steps.sum()),
            self.backwards + int((steps & (np.diff(rows) < 0)).sum()),
            int(times[-1]),
            self.apart + again - directly,
            self.directly + directly,
            self.has_clock or bool((times[:CLOCKS_SEEN] % DAY_LENGTH).any()) or bool((times % DAY_LENGTH).any()),
        )

    def doubts(self, num_events: int) -> list[str]:
        """Return the doubt on events that are there twice; see `again.doubts_on_again`.

        num_events  the number of all events
        """
        if not self.moves:
            return []  # all times are equal, so that a repetition is nothing strange
        return doubts_on_again(self.apart, self.directly, num_events, are_days=not self.has_clock)


@dataclass(frozen=True, eq=False)
class LogCounts:
    """What the doubts look at in a log.

    user_ids, item_ids        the raw ids, in the order of their indices
    user_counts, item_counts  how many events each of them has, int64
    moments                   what is seen of its times; None without times
    """

    user_ids: pl.Series
    item_ids: pl.Series
    user_counts: NDArray[np.int64]
    item_counts: NDArray[np.int64]
    moments: Moments | None

    @classmethod
    def of(cls, log: InteractionLog) -> LogCounts:
        """Count the events of a log.

        log  any log that is in memory
        """
        moments = Moments().after(log.users, log.times, log.rows, log.items) if log.has_times else None
        users, items = (np.bincount(indices)[1:] for indices in (log.users, log.items))
        return cls(log.user_vocabulary.ids, log.item_vocabulary.ids, users, items, moments)

    @property
    def num_events(self) -> int:
        """Number of events."""
        return int(self.user_counts.sum())


def doubts_on_log(log: LogCounts, *, is_typed: bool, rises: int = 0) -> list[str]:
    """Return the doubts on the users and items of a log.

    log       what was counted in it
    is_typed  whether the source marks missing values itself, so that a word is an id
    rises     how many rows have a later time than the row before them

    >>> users = pl.Series([f"u{row}" for row in range(30)])
    >>> log = InteractionLog.from_columns(users, pl.Series([*range(6)] * 5), None)
    >>> doubts_on_log(LogCounts.of(log), is_typed=False)
    ['doubt: every user has exactly one event: is the column of the user the number of the row?']
    """
    doubts = []
    for role, plural, ids, counts in (
        ("user", "users", log.user_ids, log.user_counts),
        ("item", "items", log.item_ids, log.item_counts),
    ):
        doubts += _on_shares(ids, counts, role)
        if ids.dtype == pl.String:
            doubts += _on_texts(ids, counts, role, plural, is_typed=is_typed)
    doubts += [] if log.moments is None else _on_moments(log, log.moments, rises)
    return [*doubts, *_on_numbers(log)]


def _on_numbers(log: LogCounts) -> list[str]:
    """Doubt that so few, or so many, users and items are users and items."""
    doubts = []
    num_events, num_users, num_items = log.num_events, len(log.user_ids), len(log.item_ids)
    for number, role in ((num_users, "user"), (num_items, "item")):
        if number == 1 and num_events >= MANY:
            doubts.append(f"doubt: all {num_events:,} events have one {role}: is the column of the {role} right?")
        elif number < FEW_IDS and num_events >= 2 * MANY and num_users + num_items >= MANY:
            doubts.append(f"doubt: all {num_events:,} events have {number} {role}s: is the column of the {role} right?")
    if num_users == num_events >= MANY:
        doubts.append("doubt: every user has exactly one event: is the column of the user the number of the row?")
    elif 2 * num_items > num_events >= 2 * MANY:
        doubts.append(
            f"doubt: {num_items:,} of {num_events:,} events have an item of their own: is the column of the item right?"
        )
    return doubts


def _on_moments(log: LogCounts, moments: Moments, rises: int) -> list[str]:
    """Doubt the order of events if all of a user have one time, or if the rows of each user go back in time."""
    doubts = []
    if log.num_events >= max(MANY, 2 * len(log.user_ids)) and moments.moves and not moments.steps:
        doubts.append(
            "doubt: every user has one moment in all events: only the order of rows orders them; is the column of the "
            "time right?"
        )
    # Rows that are newest first for all, or for one user after another; rows in the order of items rise more often.
    if moments.ties and moments.backwards == moments.steps >= MANY and rises < len(log.user_ids):
        doubts.append(
            f"doubt: the rows are newest first, and {moments.ties:,} events have the time of another of their user: "
            "these stay in the order of rows, the newest first; reverse the rows: (head -n 1 FILE; tail -n +2 FILE | "
            "tac) > log.csv"
        )
    return doubts


def _on_shares(ids: pl.Series, counts: NDArray[np.int64], role: str) -> list[str]:
    """Name ids that hold too many events: words for nobody, placeholders, and a share that no user or item has."""
    total = counts.sum()
    if total < MANY or len(ids) < 2:
        return []
    texts = ids.cast(pl.String)
    unlike = counts / max(1.0, float(np.median(counts)))  # how many times as many events as the usual id
    nobody = texts.str.contains(NOBODY).to_numpy() & ((counts >= 0.01 * total) | ((unlike >= 5) & (counts >= MANY)))
    placeholder = texts.str.to_lowercase().is_in(PLACEHOLDERS).to_numpy() & (unlike >= 2)
    zero = (texts == "0").to_numpy() & (unlike >= 5)
    named = nobody | ((placeholder | zero) & (counts >= 0.02 * total))
    giant = np.zeros(len(ids), np.bool_)
    giant[counts.argmax()] = _is_giant(counts, role)
    rows = np.flatnonzero(named | giant)
    rows = rows[np.argsort(-counts[rows], kind="stable")][:MOST_NAMED].tolist()
    return [_of_share(ids, counts, row, role) for row in rows]


def _is_giant(counts: NDArray[np.int64], role: str) -> bool:
    """Return whether one id has a share of the events that is absurd against the others."""
    second, most = (int(count) for count in np.partition(counts, -2)[-2:])
    share, times_mean = most / counts.sum(), most / counts.mean()
    if len(counts) >= MANY:
        return bool(share > 0.2 and times_mean >= 5 if role == "user" else share > 0.4 and times_mean >= 10)
    return bool(role == "user" and len(counts) > 2 and counts.sum() >= 2 * MANY and share > 0.4 and most >= 4 * second)


def _of_share(ids: pl.Series, counts: NDArray[np.int64], row: int, role: str) -> str:
    return (
        f"doubt: the {role} {shortened(ids[row])} has {counts[row]:,} of {counts.sum():,} events "
        f"({counts[row] / counts.sum():.0%}): does it stand for many {role}s? {missing_flags(role, [str(ids[row])])} "
        "makes it a missing value"
    )


def _on_texts(ids: pl.Series, counts: NDArray[np.int64], role: str, plural: str, *, is_typed: bool) -> list[str]:
    """Return the doubts on how ids are written."""
    doubts = []
    if is_typed and (words := ids.filter(ids.is_in(MISSING)).to_list()):
        number = int(counts[ids.is_in(MISSING).to_numpy()].sum())
        doubts.append(
            f"doubt: {number:,} events have the {role} {' or '.join(map(repr, words))}: {missing_flags(role, words)} "
            "makes it a missing value"
        )
    joined = doubts_on_joined(ids, counts) if role == "item" else []
    doubts += joined
    for pattern, meaning in (
        (SPREADSHEET, "rounded by a spreadsheet, so that several may have become one: export the column as text"),
        (ROUNDED, "rounded to floats, so that several may have become one: export the column as text"),
        (LIST, "lists of several ids: write one event per row"),
    ):
        like = ids.str.contains(pattern)
        if joined and pattern is LIST:
            continue
        if like.sum() >= (1 if pattern is not LIST else max(1, 0.2 * len(ids))):
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
        (ids.str.normalize("NFKC"), "only by how wide their letters are (Unicode NFKC)"),
        (ids.str.to_lowercase(), "only by upper and lower case"),
    ):
        groups = spelling.to_frame("spelling").with_columns(id=ids).filter(pl.col("spelling").is_duplicated())
        if len(groups):
            pair = groups.filter(pl.col("spelling") == groups["spelling"][0])["id"].to_list()[:2]
            shown = " and ".join(shortened(one) for one in pair)
            doubts.append(f"doubt: {len(groups):,} {plural} differ {difference}, such as {shown}: they stay different")
    return doubts
