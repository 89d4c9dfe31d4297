"""The interaction log: which user interacted with which item, and when.

Raw ids are used only at the edges of the library. Inside, a user or an item is an index from 1; index 0 is padding
among items and the anonymous user among users. Indices are assigned in order of first appearance in time. So they do
not depend on the ids themselves, nor on the order of rows with distinct times. `readers.py` reads logs from files,
`filters.py` filters them and `split.py` splits them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from caser.arrays.types import Int32, Int64, Mask, RawId
from caser.data.appearance import index_by_appearance
from caser.data.event_kinds import EventKinds
from caser.data.id_text import (
    check_lengths,
    id_written,
    in_words,
    kind_of,
    other_spellings,
    plain,
    refuse_converted,
    written,
)
from caser.data.rejected import Rejected
from caser.errors import ConfigError, DataError, UnknownIdError, did_you_mean
from caser.system.notebook import table_html


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Raw ids and their indices: `ids[0]` has index 1; index 0 belongs to no raw id.

    ids  the distinct raw ids in order of their indices

    >>> vocabulary = Vocabulary(pl.Series(["tea", "milk"]))
    >>> vocabulary.indices(["milk", "soap"]).tolist()
    [2, 0]
    >>> vocabulary.raw([2, 1])
    ['milk', 'tea']
    """

    ids: pl.Series

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def kind(self) -> type:
        """The kind of the ids: str, int, float or bool."""
        return kind_of(self.ids.dtype)

    @cached_property
    def _index(self) -> dict[RawId | None, int]:
        return {raw: index for index, raw in enumerate(self._raw, start=1)}

    @cached_property
    def _raw(self) -> list[RawId]:
        return self.ids.to_list()

    def lookup(self, raw: Iterable[RawId]) -> list[int]:
        """Return the index of each raw id, 0 for an unknown one.

        raw  ids; a number stands for the text that it is written as, and only that text for it (see `id_text.py`)

        Raises ConfigError for an unknown float or bool where ids are of another kind, and for what cannot be an id.
        """
        index_of, kind = self._index.get, self.kind
        # The type is compared first: Python takes True, 1 and 1.0 for the same key.
        return [index_of(one, 0) if type(one) is kind else self._index_of_other(one) for one in raw]

    def _index_of_other(self, raw: RawId) -> int:
        """Return the index of an id whose type is not that of the ids: of the one that is written in the same way."""
        raw = raw if type(raw) in (str, int) else plain(raw)
        index = self._index.get(id_written(written(raw), self.kind), 0)
        if index == 0:
            refuse_converted(raw, self.kind)
        return index

    def indices(self, raw: Iterable[RawId]) -> Int32:
        """Return the index of each raw id as an array, (N,) int32; 0 for an unknown one.

        raw  N ids, as for `lookup`
        """
        return np.array(self.lookup(raw), dtype=np.int32)

    def index(self, raw: RawId, kind: str = "id") -> int:
        """Return the index of one raw id. Raises UnknownIdError, with the most similar known id, for an unknown one.

        raw   an id, as for `lookup`        kind  what it identifies, for the message: "user" or "item"
        """
        [index] = self.lookup([raw])
        if index == 0:
            raise UnknownIdError(f"{kind} must be one the model was trained on; got {raw!r}{self._hint(raw)}")
        return index

    def spelled_alike(self, raw: RawId) -> RawId | None:
        """Return a known id that differs from an unknown one only in zeros in front, blanks, or upper and lower case.

        raw  an unknown id

        Returns None if there is none.

        >>> Vocabulary(pl.Series(["007", "Tea"])).spelled_alike(7), Vocabulary(pl.Series([7])).spelled_alike("8")
        ('007', None)
        """
        return next((self._raw[index - 1] for index in self.lookup(other_spellings(written(raw))) if index), None)

    def _hint(self, raw: RawId) -> str:
        """The end of a sentence about an unknown id: the known id that was probably meant."""
        alike = self.spelled_alike(raw)
        if alike is not None:
            return f": did you mean {in_words(alike)}?"
        # Numbers with similar digits are not similar ids, and a list of all known ids would be too long.
        is_number = str(raw).lstrip("-").isdecimal()
        hint = "" if is_number or len(self) > 100_000 else did_you_mean(str(raw), map(str, self.ids.to_list()))
        return f": {hint}" if hint.startswith("did") else "."

    def raw(self, indices: Sequence[int] | NDArray[np.integer]) -> list[RawId]:
        """Return the raw id of each index.

        indices  (N,) integers from 1 to len(self)

        Raises ConfigError for anything else, such as index 0, which is padding.
        """
        array, raw = np.asarray(indices), self._raw
        wanted = array.tolist()
        is_list = array.ndim == 1 and array.dtype.kind in "iu"
        if array.size and not (is_list and 0 < min(wanted) <= max(wanted) <= len(raw)):
            raise ConfigError(
                f"an index must be a whole number from 1 to {len(self):,}, in a list; got {in_words(indices)}. Index 0 "
                "is padding and has no id; `indices` turns ids into indices."
            )
        return [raw[index - 1] for index in wanted]

    def part(self, first: int, end: int) -> Vocabulary:
        """Return the vocabulary of the indices from `first` to `end - 1`, which get the indices 1, 2, ...

        first, end  indices from 1 to len(self) + 1

        >>> Vocabulary(pl.Series(["tea", "milk", "soap"])).part(2, 4).indices(["milk", "tea"]).tolist()
        [1, 0]
        """
        return Vocabulary(self.ids.slice(first - 1, end - first))

    def with_new(self, written_ids: Iterable[str]) -> Vocabulary:
        """Return the vocabulary with unknown ids behind its own, in their order. What cannot be such an id is left out.

        written_ids  ids as they are written, see `id_text.py`

        >>> Vocabulary(pl.Series([7, 8])).with_new(["9", "7", "009", "x", "9"]).ids.to_list()
        [7, 8, 9]
        """
        found = dict.fromkeys(id_written(text, self.kind) for text in written_ids)
        new = [raw for raw in found if raw is not None and raw not in self._index]
        added = pl.Series(new, dtype=self.ids.dtype, strict=False).drop_nulls()
        return Vocabulary(pl.concat([self.ids, added.alias(self.ids.name)])) if len(added) else self


@dataclass(frozen=True, eq=False)
class InteractionLog:
    """All N interactions, ordered by (user, time, row). Make one with `read_log` or `from_columns`.

    users  (N,) int32, indices from 1        items  (N,) int32, indices from 1
    times  (N,) int64, microseconds since 1970 UTC; the row number if the log has no times
    rows   (N,) int64, position in the source, from 0; among equal times, the order of rows is the order of events
    user_vocabulary, item_vocabulary  raw ids and indices
    has_times   False if the source has no times, so that the order of rows is the order of events
    kinds       which interactions are predicted, and of which kind they are; the others are history only. None: all
                are predicted, and none has a kind
    """

    users: Int32
    items: Int32
    times: Int64
    rows: Int64
    user_vocabulary: Vocabulary
    item_vocabulary: Vocabulary
    has_times: bool = True
    titles: pl.Series | None = None
    """Titles of items, in the order of `item_vocabulary.ids`; null for an item without a title."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """The source of the log and what was done to it; JSON values only."""
    kinds: EventKinds | None = None
    rejected: Rejected | None = None
    """What users do not want, from negative events; None without such events."""

    @classmethod
    def from_columns(
        cls,
        users: pl.Series,
        items: pl.Series,
        times: Int64 | None,
        *,
        titles: Mapping[RawId, str] | None = None,
        provenance: Mapping[str, Any] | None = None,
        kinds: EventKinds | None = None,
    ) -> InteractionLog:
        """Make a log from columns of raw values.

        users, items  (N,) raw ids, without nulls
        times         (N,) int64, microseconds since 1970 UTC; None if the order of rows is the order of events
        titles        titles of items by raw id        provenance  facts about the source; JSON values only
        kinds         which interactions are predicted, and their kinds; None if all are

        Raises DataError if there are no rows, and for an id that is empty or longer than `id_text.MAX_ID_LENGTH`.

        >>> log = InteractionLog.from_columns(pl.Series(["b", "a", "b"]), pl.Series([7, 7, 8]), np.array([3, 1, 2]))
        >>> log.user_vocabulary.raw(log.users), log.item_vocabulary.raw(log.items)
        (['a', 'b', 'b'], [7, 8, 7])
        """
        if len(users) == 0:
            raise DataError("a log must hold at least one interaction; got none: check the file and the filters.")
        # Number users and items by first appearance in time.
        rows = np.arange(len(users), dtype=np.int64)
        has_times = times is not None
        moments = rows if times is None else np.asarray(times, dtype=np.int64)
        by_time = np.argsort(moments, kind="stable")
        user_index, user_ids = index_by_appearance(users, by_time)
        item_index, item_ids = index_by_appearance(items, by_time)
        check_lengths(user_ids, "user")
        check_lengths(item_ids, "item")
        # Order by (user, time, row). User and place in time are packed into one integer: a single sort is fastest.
        place_in_time = user_index.astype(np.int64) << 32 | rows
        place_in_time.sort()
        place_in_time &= 0xFFFFFFFF
        order = by_time[place_in_time]
        return cls(
            users=np.sort(user_index),
            items=item_index[place_in_time],
            times=moments[order],
            rows=order,
            user_vocabulary=Vocabulary(user_ids),
            item_vocabulary=Vocabulary(item_ids),
            has_times=has_times,
            titles=None if not titles else pl.Series([titles.get(raw) for raw in item_ids.to_list()], dtype=pl.String),
            provenance=dict(provenance or {}),
            kinds=None if kinds is None else kinds[order],
        )

    def __len__(self) -> int:
        return len(self.users)

    def __repr__(self) -> str:
        return f"InteractionLog({len(self):,} interactions, {self.num_users:,} users, {self.num_items:,} items)"

    def _repr_html_(self) -> str:
        """Show the log in a notebook: its sizes, when it begins and ends, and where it comes from."""
        shown = {"interactions": f"{len(self):,}", "users": f"{self.num_users:,}", "items": f"{self.num_items:,}"}
        if self.has_times:
            ends = pl.Series([int(self.times.min()), int(self.times.max())]).cast(pl.Datetime("us")).to_list()
            shown |= dict(zip(("first", "last"), map(str, ends), strict=True))
        if source := self.provenance.get("source") or self.provenance.get("dataset"):
            shown["source"] = str(source)
        return table_html("InteractionLog", ["", ""], shown.items())

    @property
    def num_users(self) -> int:
        """Number of users; their indices are 1 to num_users."""
        return len(self.user_vocabulary)

    @property
    def num_items(self) -> int:
        """Number of items; their indices are 1 to num_items, and padding does not count."""
        return len(self.item_vocabulary)

    @property
    def targets(self) -> Mask:
        """Which interactions are predicted, (N,) bool: those of the kinds that `kinds` names, or all."""
        return np.ones(len(self), dtype=bool) if self.kinds is None else self.kinds.is_target

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the indices, their order, the times, the raw ids and what is predicted, as 64 hex digits.

        Logs with the same digest give the same splits and train the same models.
        """
        hasher = hashlib.sha256()
        for column in (self.users, self.items, self.times):
            hasher.update(np.ascontiguousarray(column).data)
        for vocabulary in (self.user_vocabulary, self.item_vocabulary):
            hasher.update("\x1f".join(map(str, vocabulary.ids.to_list())).encode("utf-8", "surrogatepass"))
            hasher.update(b"\x1e")
        if self.kinds is not None:
            hasher.update(np.ascontiguousarray(self.kinds.codes).data)
            hasher.update(self.kinds.by_code.data)
        return hasher.hexdigest()

    def with_facts(self, *, titles: pl.Series | None, provenance: Mapping[str, Any]) -> InteractionLog:
        """Return a log with the same interactions and other facts about them. A digest that is known stays known.

        titles      titles of items, in the order of `item_vocabulary.ids`; None for none
        provenance  the source of the log and what was done to it
        """
        log = replace(self, titles=titles, provenance=provenance)
        log.__dict__.update({name: value for name, value in vars(self).items() if name == "digest"})
        return log

    def keep(self, mask: NDArray[np.bool_], step: str) -> InteractionLog:
        """Return a log with some of the interactions. Users and items get new indices.

        mask  (N,) bool: True for the interactions to keep        step  the name of the filter, for `provenance`

        Raises DataError if no interaction is kept.
        """
        if bool(mask.all()):
            return self._with_step(step, 0)
        # Build a log whose raw ids are this log's indices, in the row order of the source.
        by_row = np.argsort(self.rows[mask], kind="stable")
        users, items = (pl.Series(column[mask][by_row]) for column in (self.users, self.items))
        times = self.times[mask][by_row] if self.has_times else None
        kinds = None if self.kinds is None else self.kinds[mask][by_row]
        kept = InteractionLog.from_columns(users, items, times, provenance=self.provenance, kinds=kinds)
        # Put the raw ids and titles back.
        old_users, old_items = (one.ids - 1 for one in (kept.user_vocabulary, kept.item_vocabulary))
        kept = replace(
            kept,
            user_vocabulary=Vocabulary(self.user_vocabulary.ids.gather(old_users)),
            item_vocabulary=Vocabulary(self.item_vocabulary.ids.gather(old_items)),
            titles=None if self.titles is None else self.titles.gather(old_items),
            rejected=None if self.rejected is None else self.rejected.renumbered(old_users + 1, old_items + 1),
        )
        return kept._with_step(step, int((~mask).sum()))

    def _with_step(self, step: str, dropped: int) -> InteractionLog:
        steps = [*self.provenance.get("filters", []), {"filter": step, "dropped": dropped}]
        return self.with_facts(titles=self.titles, provenance={**self.provenance, "filters": steps})
