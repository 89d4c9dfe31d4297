"""Uncounted: rows that other columns call no event, or one that was undone, but that count like all others.

A table of impressions has a row for each item that was shown, and a column that says whether it was clicked; exports of
shops keep cancelled orders; tables of services keep rows of bots, tests and deleted accounts. Nothing is left out in
silence: a doubt names the column, and the flags that keep the other rows.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection

import polars as pl

from caser.data.column_words import has_words, word_set, words_in
from caser.data.ids import MISSING, is_missing, shortened
from caser.data.names import in_words, option
from caser.data.rivals import FLAGS
from caser.data.tables import RawTable

SEARCHED = 40
"""How many columns are looked at."""

MOST_NAMED = 3
"""The most columns that are doubted."""

QUANTITIES = word_set("quantity qty menge anzahl quantité quantite cantidad quantidade units count amount")
"""Words in the names of columns that say how many were bought."""

HAPPENED = word_set(
    "click clicked purchase purchased buy bought order ordered converted conversion label target read watched viewed "
    "visited played listened interacted interaction success successful succeeded valid paid completed finished "
    "attended borrowed consumed gekauft acheté comprado"
)
"""Words in the names of columns that say whether there was an event at all."""

UNDONE = word_set(
    "bot robot crawler spider test testing deleted removed cancelled canceled cancellation refunded refund returned "
    "voided void fraud fraudulent spam internal duplicate fake invalid ignored excluded hidden anonymized storniert "
    "gelöscht annulé cancelado eliminado"
)
"""Words in the names of columns that say that a row is no event of a person, or was undone."""

FILLERS = word_set(
    "is was has did are been flag user customer account order item product event row record at on date time ts by"
)
"""Words that may stand beside these in a name."""

STATES = word_set("status state stage outcome estado statut stato zustand статус 状态 状態 ステータス")
"""Words in the names of columns that say how an order ended."""

UNDONE_STATE = (
    r"(?i)cancel|storn|refund|returned|retour|fail|declin|reject|denied|voided|deleted|removed|expired|abandon|annul|"
    r"rembours|reembols|devuelt|no.?show|charge.?back|отмен|возврат|取消|退款|キャンセル"
)
"""What the state of an order that came to nothing is called."""

NO_WORDS = frozenset(("0", "0.0", "false", "no", "f", "n", "nein", "non"))
YES_WORDS = frozenset((*FLAGS, "1", "1.0")) - NO_WORDS

MOST_STATES = 30


def doubts_on_uncounted(table: RawTable, chosen: Collection[str]) -> list[str]:
    """Return the doubts on columns that say that some rows are no events, or were undone.

    table  the rows        chosen  the columns that have a role

    >>> rows = pl.DataFrame({"user": [1, 1, 2], "item": [5, 6, 5], "clicked": [0, 1, 0], "qty": [1, 2, -1]})
    >>> for doubt in doubts_on_uncounted(RawTable.from_frame(rows), ["user", "item"]):
    ...     print(doubt)
    doubt: clicked is 0 in 2 of the first 3 rows, which count like all others: --event-type clicked --event-types 1 ...
    doubt: qty is below 0 in 1 of the first 3 rows, which count like all others: leave them out if they are returns
    """
    unused = [one for one in table.columns if one not in chosen] if table.has_header else []
    named = [one for one in unused if _speaks(one)][:SEARCHED]
    few = table.sample([one for one in unused if one in named or has_words(one, QUANTITIES)][:SEARCHED])
    found = [_on_flags(values, table) or _on_states(values, table) for values in few if values.name in named]
    doubts = [doubt for doubt in found if doubt is not None][:MOST_NAMED]
    return [*doubts, *_on_returns([values for values in few if has_words(values.name, QUANTITIES)], table)]


def _speaks(name: str) -> bool:
    words = set(words_in(name))
    return bool(words & STATES) or (bool(words & (HAPPENED | UNDONE)) and words <= HAPPENED | UNDONE | FILLERS)


def _on_flags(values: pl.Series, table: RawTable) -> str | None:
    """Doubt rows without an event, by a column of yes and no, and rows that were undone, also by a moment."""
    if values.dtype.is_nested():
        return None
    texts = values.cast(pl.String)
    present = texts.filter(~is_missing(texts, MISSING))
    words = present.str.strip_chars().str.to_lowercase()
    are_flags = len(words) > 0 and bool(words.is_in([*NO_WORDS, *YES_WORDS]).all())
    is_undone = has_words(values.name, UNDONE)
    if are_flags:
        uncounted = words.is_in(list(YES_WORDS if is_undone else NO_WORDS))
        number = int(uncounted.sum())
        kept = present.filter(~uncounted).unique(maintain_order=True).to_list()
        if not number or not (kept or is_undone):
            return None
        return _sentence(values, table, f"is {present.filter(uncounted)[0]}", number, kept)
    if is_undone and 0 < len(present) < len(values):
        return _sentence(values, table, f"is there ({shortened(present[0])})", len(present), [])
    return None


def _on_states(values: pl.Series, table: RawTable) -> str | None:
    """Doubt rows whose state is called cancelled, refunded or the like."""
    if values.dtype != pl.String or not has_words(values.name, STATES) or values.n_unique() > MOST_STATES:
        return None
    states = values.drop_nulls()
    undone = states.str.contains(UNDONE_STATE)
    if not undone.any():
        return None
    shown = " or ".join(shortened(one) for one in states.filter(undone).unique(maintain_order=True).to_list()[:3])
    kept = states.filter(~undone).unique(maintain_order=True).to_list()
    return _sentence(values, table, f"is {shown}", int(undone.sum()), kept)


def _sentence(values: pl.Series, table: RawTable, claim: str, number: int, kept: list[str]) -> str:
    """Say which rows count like all others, and how the other ones are kept."""
    way = "leave them out if they are no events"
    if kept:
        kinds = " ".join(f"--event-types {shlex.quote(one)}" for one in kept)
        way = f"{option('event_type', values.name)} {kinds} leaves them out"
    return (
        f"doubt: {in_words(values.name, table)} {claim} in {number:,} of the first {len(values):,} rows, which count "
        f"like all others: {way}"
    )


def _on_returns(quantities: Collection[pl.Series], table: RawTable) -> list[str]:
    """Doubt rows with quantities below 0."""
    for values in quantities:
        numbers = (
            values.cast(pl.Float64, strict=False) if values.dtype == pl.String or values.dtype.is_numeric() else None
        )
        below = 0 if numbers is None else int((numbers < 0).sum() or 0)
        if 0 < below <= len(values) / 2:
            return [
                f"doubt: {in_words(values.name, table)} is below 0 in {below:,} of the first {len(values):,} rows, "
                "which count like all others: leave them out if they are returns"
            ]
    return []
