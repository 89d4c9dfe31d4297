"""Doubts: say aloud what makes it likely that a log was read in a wrong way, although every row could be read.

Each doubt is one sentence among the notes of the log and begins with "doubt:". A doubt changes nothing. The thresholds
are such that the public logs this library is measured on raise none.
"""

from __future__ import annotations

import time

import numpy as np
import polars as pl
from numpy.typing import NDArray

from caser.data.dates import DAY, ZONED
from caser.data.ids import MISSING, missing_flags, shortened
from caser.data.log import InteractionLog
from caser.data.names import are_event_kinds
from caser.data.times import looks_like_moments, shown_moment

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

OLDEST = 788_918_400_000_000
"""1995 in microseconds since 1970. Logs of events on the web are younger."""

LOOKED_AT = 10_000
"""How many written times are looked at."""

FEW_IDS = 5
"""Fewer users or items than that are rather kinds or numbers of something."""

MOST_NAMED = 3
"""The most ids that are doubted for their share."""

MOST_KINDS = 50
"""The most kinds of events that a log has."""

YEAR = 366 * 86_400_000_000


def doubts_on_log(log: InteractionLog, *, is_typed: bool) -> list[str]:
    """Return the doubts on the users and items of a log.

    log       any log        is_typed  whether the source marks missing values itself, so that a word is an id

    >>> users = pl.Series([f"u{row}" for row in range(30)])
    >>> doubts_on_log(InteractionLog.from_columns(users, pl.Series([*range(6)] * 5), None), is_typed=False)
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
    if log.has_times and len(log) >= max(MANY, 2 * log.num_users) and _one_moment_each(log):
        doubts.append(
            "doubt: every user has one moment in all events: only the order of rows orders them; is the column of the "
            "time right?"
        )
    doubts += _on_newest_first(log) if log.has_times else []
    for number, role in ((log.num_users, "user"), (log.num_items, "item")):
        if number == 1 and len(log) >= MANY:
            doubts.append(f"doubt: all {len(log):,} events have one {role}: is the column of the {role} right?")
        elif number < FEW_IDS and len(log) >= 2 * MANY and log.num_users + log.num_items >= MANY:
            doubts.append(f"doubt: all {len(log):,} events have {number} {role}s: is the column of the {role} right?")
    if log.num_users == len(log) >= MANY:
        doubts.append("doubt: every user has exactly one event: is the column of the user the number of the row?")
    elif 2 * log.num_items > len(log) >= 2 * MANY:
        doubts.append(
            f"doubt: {log.num_items:,} of {len(log):,} events have an item of their own: is the column of the item "
            "right?"
        )
    return doubts


def doubts_on_times(times: pl.Series, places: pl.Series, written: pl.Series | None = None) -> list[str]:
    """Return the doubts on the times of a log: rounded, some with a zone, before 1995, far from now, or all equal.

    times    (N,) microseconds since 1970        places  (N,) where each is in the source, named "line" or "row"
    written  (N,) the times as the source has them; None if this is not known

    >>> print(*doubts_on_times(pl.Series([37_000_000, 637_000_000]), pl.Series("line", [2, 3])))
    doubt: all times lie before 1995, from 1970-01-01 00:00:37 UTC to 1970-01-01 00:10:37 UTC: are they in another unit?
    """
    first, last = times.min(), times.max()
    if not isinstance(first, int) or not isinstance(last, int):
        return []
    if first == last and len(times) >= MANY:
        return [f"doubt: all times are {shown_moment(first)}: only the order of rows orders the events"]
    doubts = _on_floats(written) if written is not None and written.dtype == pl.Float32 else []
    doubts += [] if written is None or written.dtype != pl.String else _on_written(written)
    if last < OLDEST:
        span = f"from {shown_moment(first)} to {shown_moment(last)}"
        return [*doubts, f"doubt: all times lie before 1995, {span}: are they in another unit?"]
    now = int(time.time() * 1_000_000)
    if first < OLDEST:
        doubts.append(_on_some(times, places, times < OLDEST, "lie before 1995", written))
    if last > now + YEAR:
        doubts.append(_on_some(times, places, times > now + YEAR, "lie more than a year ahead of now", written))
    return doubts


def _on_floats(written: pl.Series) -> list[str]:
    """Doubt times that floats of 32 bits round."""
    largest = written.abs().max()
    if not isinstance(largest, float) or largest < 2**24:
        return []
    step = 2 ** (int(np.log2(largest)) - 23)
    return [
        f"doubt: times are floats of 32 bits, which hold {largest:,.0f} only in steps of {step:,}, so that the order "
        "of events is lost: write the column as integers or floats of 64 bits"
    ]


def _on_written(written: pl.Series) -> list[str]:
    """Name times that a spreadsheet rounded, and times of which only some have a zone."""
    few = written if len(written) <= LOOKED_AT else written.sample(LOOKED_AT, seed=0)
    doubts = []
    rounded = few.str.strip_chars().str.contains(SPREADSHEET)
    if rounded.sum() >= max(1, 0.01 * len(few)):
        doubts.append(
            f"doubt: times look like {shortened(few[rounded.arg_max() or 0])}: rounded by a spreadsheet, so that the "
            "order of events is lost: export the column as text"
        )
    days = few.str.contains(DAY)
    if 0.01 * len(few) < days.sum() < 0.99 * len(few) and few.filter(~days).str.contains(":").any():
        doubts.append(
            f"doubt: some times are days ({shortened(few.filter(days)[0])}) and others have a time of day "
            f"({shortened(few.filter(~days)[0])}): a day counts as its midnight, before all others of the day"
        )
    zoned = few.str.contains(ZONED)
    if 0.01 * len(few) < zoned.sum() < 0.99 * len(few):
        with_zone, without = few.filter(zoned)[0], few.filter(~zoned)[0]
        doubts.append(
            f"doubt: some times have a zone ({shortened(with_zone)}) and others have none ({shortened(without)}), "
            "which are read in UTC: write all with a zone"
        )
    return doubts


def _on_newest_first(log: InteractionLog) -> list[str]:
    """Doubt the order of equal times if the rows of each user go back in time."""
    same_user = np.diff(log.users) == 0  # the events of a user are together, in the order of times, then of rows
    later, backwards = np.diff(log.times) > 0, np.diff(log.rows) < 0
    ties = int((same_user & ~later).sum())
    steps = int((same_user & later).sum())
    if not ties or steps < MANY or int((same_user & later & backwards).sum()) < steps:
        return []
    return [
        f"doubt: the rows are newest first, and {ties:,} events have the time of another of their user: these stay in "
        "the order of rows, the newest first; reverse the rows: (head -n 1 FILE; tail -n +2 FILE | tac) > log.csv"
    ]


def _one_moment_each(log: InteractionLog) -> bool:
    """Return whether the events of each user have one time, and the users have several."""
    same_user = np.diff(log.users) == 0  # the events of a user are together
    moves = np.diff(log.times) != 0
    return bool(moves.any()) and not bool((same_user & moves).any())


def _on_some(times: pl.Series, places: pl.Series, mask: pl.Series, claim: str, written: pl.Series | None) -> str:
    row = mask.arg_max() or 0
    count = int(mask.sum())
    advice = "correct them, or drop these rows"
    values = [] if written is None else written.filter(mask).unique(maintain_order=True).to_list()
    if len(values) == 1 and not isinstance(values[0], str | int | float):
        advice = "set them to null if this means none"
    elif len(values) == 1:
        word = str(values[0]).strip()
        advice = f"pass {missing_flags([word])} --bad-rows skip if {word} means none"
    return (
        f"doubt: {count:,} of {len(times):,} times {claim} (first at {places.name} {places[row]:,}: "
        f"{shown_moment(times[row])}); they are kept: {advice}"
    )


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
        (ROUNDED, "rounded to floats, so that several may have become one: export the column as text"),
        (LIST, "lists of several ids: write one event per row"),
    ):
        like = ids.str.contains(pattern)
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
