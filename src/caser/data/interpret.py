"""Interpret: make a log from a table. Choose the columns, read their values, refuse bad rows, say doubts.

`roles.py` chooses columns, `rows.py` reads the values, finds bad rows and applies the filters that need other columns,
and `doubts.py`, `time_doubts.py` and `strays.py` look at the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from caser.data.again import doubts_on_repetition
from caser.data.bad_rows import doubt_on_bad_rows, most_frequent
from caser.data.doubts import LogCounts, doubts_on_log
from caser.data.event_kinds import MOST_NAMED_KINDS, EventKinds
from caser.data.filters import LogFilters
from caser.data.ids import as_integers_if_exact, without_point_zero
from caser.data.log import InteractionLog, Vocabulary
from caser.data.log_titles import with_own_titles
from caser.data.rejected import Rejected, last_negatives
from caser.data.roles import choose_columns
from caser.data.rows import Rows, Rules, check_rows, needed_roles, read_rows
from caser.data.strays import Edges, doubts_on_strays
from caser.data.tables import RawTable
from caser.data.time_doubts import TimeFacts, doubts_on_times
from caser.data.time_units import MEANINGS, times_in_words
from caser.data.times import shown_moment
from caser.errors import DataError


def to_log(table: RawTable, rules: Rules, filters: LogFilters, facts: Mapping[str, Any]) -> InteractionLog:
    """Make a log from a table. Apply the filters on ratings and events here, as a log does not keep these columns.

    table    the rows of a source        rules  what the caller says about them
    filters  of these, `min_rating` and `event_types` are applied
    facts    the beginning of the log's provenance: JSON values

    Raises DataError if the columns or values have no meaning or several, for bad rows, and if no row is left.
    """
    roles = choose_columns(table, rules.named, needed_roles(rules, filters))
    rows = read_rows(roles.table, roles.columns, rules, filters)
    check_rows(rows, roles.columns, table, rules, filters)
    rows, rejected = _without_negatives(rows, rules)
    provenance = provenance_of(rows, table.notes, roles.notes, filters, facts)
    times = rows.kept["time"].to_numpy() if "time" in rows.kept else None
    kinds = kinds_of(rows.kept, rules.target_events) if rules.target_events else None
    if kinds is not None:
        provenance["notes"].append(note_on_kinds(kinds.weights, kinds.num_targets, len(rows.kept)))
    log = InteractionLog.from_columns(rows.kept["user"], rows.kept["item"], times, provenance=provenance, kinds=kinds)
    log = _with_rejected(log, rejected, rules) if rejected is not None else log
    log = _with_integers(log) if table.is_text else log
    log = with_own_titles(log, roles.table, roles.columns)
    doubts = [
        *doubt_on_bad_rows(rows.bad_rows, rows.num_rows),
        *_doubts(log, rows, filters, is_typed=not table.is_text),
    ]
    return _with_notes(log, [first_row(log), *doubts])


def provenance_of(
    rows: Rows, on_table: Sequence[str], on_roles: Sequence[str], filters: LogFilters, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the provenance of the log of some rows: JSON values.

    rows      what was read        on_table, on_roles  sentences on the source, and on the choice of its columns
    filters   which interactions were to be kept        facts  the beginning of the provenance
    """
    on_lists, on_ids = rows.notes
    return {
        **facts,
        "filter_settings": filters.model_dump(mode="json", exclude_defaults=True),
        "notes": [*on_table, *on_roles, *on_lists, _note_on_times(rows.time_unit), *on_ids],
        "rows_read": rows.num_rows,
        "bad_rows": most_frequent(rows.bad_rows),
        "time_unit": rows.time_unit,
        "filters": rows.dropped,
        **({"event_kinds": list(rows.kinds)} if 0 < len(rows.kinds) <= MOST_NAMED_KINDS else {}),
    }


def _without_negatives(rows: Rows, rules: Rules) -> tuple[Rows, pl.DataFrame | None]:
    """Return the rows without negative events, and the pairs that answers leave out; None where no kind is negative."""
    kinds = rules.negative_events
    if not kinds:
        return rows, None
    kept = rows.kept.filter(~pl.col("event_type").is_in(kinds).fill_null(False))
    if kept.is_empty():
        raise DataError("negative_events (--negative-events) must leave other events; got none after the filters")
    dropped = {"filter": f"negative_events={','.join(kinds)}", "dropped": len(rows.kept) - len(kept)}
    return replace(rows, kept=kept, dropped=[*rows.dropped, dropped]), last_negatives(rows.kept, kinds)


def _with_rejected(log: InteractionLog, found: pl.DataFrame, rules: Rules) -> InteractionLog:
    """Add the pairs of raw ids that answers leave out, and a sentence on them."""
    pairs = Rejected.of(found, log.user_vocabulary.ids, log.item_vocabulary.ids)
    note = f"negative events ({', '.join(rules.negative_events)}): answers leave out {len(pairs):,} items of users"
    if others := len(found) - len(pairs):
        note += f"; {others:,} of a user or an item without another event are not kept"
    return _with_notes(replace(log, rejected=pairs), [note])


def kinds_of(kept: pl.DataFrame, weights: Mapping[str, float]) -> EventKinds:
    """Return the kinds of rows.

    kept  the rows, with their `event_type`        weights  the weight of each kind that is predicted
    """
    code_of = {kind: code for code, kind in enumerate(weights, start=1)}
    codes = kept["event_type"].replace_strict(code_of, default=0, return_dtype=pl.UInt8)
    return EventKinds(codes.fill_null(0).to_numpy(), weights)


def note_on_kinds(weights: Mapping[str, float], num_targets: int, num_events: int) -> str:
    """Return the sentence on the kinds that are predicted. Raises DataError if no event is.

    weights      the weight of each kind        num_targets, num_events  how many events are predicted, and of how many
    """
    if not num_targets:
        raise DataError("target_events (--target-events) must leave an event to predict; got none after the filters")
    is_weighted = len(set(weights.values())) > 1
    words = ", ".join(f"{kind} (weight {weight:g})" if is_weighted else kind for kind, weight in weights.items())
    return f"events of kind {words} are predicted, {num_targets:,} of {num_events:,}; the others are history only"


def _note_on_times(unit: str | None) -> str:
    if unit is None:
        return "no time column: rows are in the order of events; name one with time= (--time)"
    way_out = "; override with time_format= (--time-format)" if unit in MEANINGS else ""
    return f"read times as {times_in_words(unit)}{way_out}"


def _with_integers(log: InteractionLog) -> InteractionLog:
    """Convert the ids of a text file to integers where this changes none of them.

    This is done here, because the vocabularies hold each id only once.
    """
    notes, vocabularies = [], []
    for role, vocabulary in (("user", log.user_vocabulary), ("item", log.item_vocabulary)):
        ids = as_integers_if_exact(vocabulary.ids)
        if ids.dtype == pl.String and (whole := without_point_zero(ids)) is not None:
            notes.append(note_on_whole(role, ids[0], whole[0]))
            ids = whole
        vocabularies.append(Vocabulary(ids))
    users, items = vocabularies
    return _with_notes(replace(log, user_vocabulary=users, item_vocabulary=items), notes)


def note_on_whole(role: str, text: str, whole: int) -> str:
    """Return the sentence on ids that a text file writes as whole floats.

    role  "user" or "item"        text, whole  the first id, as it is written and as it is read
    """
    return f"the ids of {role}s are whole floats: {text} is read as the id {whole}"


def first_row(log: InteractionLog, place: int | None = None) -> str:
    """Return how the first row of the source was understood.

    log  the log        place  where the first row is in it; None searches it
    """
    place = int(np.flatnonzero(log.rows == 0)[0]) if place is None else place
    user, item = log.user_vocabulary.ids[int(log.users[place]) - 1], log.item_vocabulary.ids[int(log.items[place]) - 1]
    when = f", time {shown_moment(int(log.times[place]))}" if log.has_times else ""
    return f"first row: user {str(user)[:60]}, item {str(item)[:60]}{when}"


def _doubts(log: InteractionLog, rows: Rows, filters: LogFilters, *, is_typed: bool) -> list[str]:
    frame = rows.kept
    counts = LogCounts.of(log)
    edges = Edges.of(frame, rows.place_name)
    times = TimeFacts.of(frame, rows.place_name) if "time" in frame else None
    return [
        *(
            doubts_on_repetition(frame.select("user", "item"))
            if times is None
            else doubts_on_times(times, rows.time_unit)
        ),
        *([] if filters.drop_duplicates or counts.moments is None else counts.moments.doubts(len(log))),
        *doubts_on_log(counts, is_typed=is_typed, rises=0 if times is None else times.rises),
        *doubts_on_strays(edges, counts, lambda role, raw: int((frame[role].cast(pl.String) == raw).sum())),
    ]


def _with_notes(log: InteractionLog, notes: list[str]) -> InteractionLog:
    return replace(log, provenance={**log.provenance, "notes": [*log.provenance["notes"], *notes]})
