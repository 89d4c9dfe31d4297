"""What the facts of a manifest look like: an epoch, an index, what was left out, an update, attributes, the log."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field

from caser.config import Settings
from caser.data.event_kinds import MOST_NAMED_KINDS, weights_of

MOST_EPOCHS = 100_000
"""The most epochs of a training."""

MOST_METRICS = 1_000
"""The most metrics of an evaluation."""

MOST_SECONDS = 1e11
"""The most seconds of anything, and the latest time in seconds since 1970: three thousand years."""


class RejectedFacts(Settings):
    """What a manifest says of negative events."""

    model_config = ConfigDict(strict=True)

    pairs: int = Field(ge=0)
    """How many pairs of a user and an item answers leave out."""


SMALLEST_SCALE = 1e-30
"""The unit of differences of scores is above this."""


class EpochFacts(Settings):
    """An epoch of choosing, as the history of a manifest holds it."""

    model_config = ConfigDict(strict=True)

    number: int = Field(ge=1, le=MOST_EPOCHS)
    """The epoch, from 1."""
    loss: float
    """The mean loss over all targets."""
    num_states: int = Field(ge=0)
    """How many positions trained."""
    seconds: float = Field(ge=0, le=MOST_SECONDS)
    """How long training took."""
    validation: float
    """The value of the metric that chooses."""
    validation_seconds: float = Field(ge=0, le=MOST_SECONDS)
    """How long judging took."""


class IndexFacts(Settings):
    """What a manifest says of an approximate index."""

    model_config = ConfigDict(strict=True)

    probes: int = Field(ge=1)
    """How many cells a query probes."""
    recall: float = Field(alias="recall@10", ge=0, le=1)
    """The share of the exact top 10 that answers held when the index was built."""


class CalibrationFacts(Settings):
    """What turns the scores of a run into chances, see `evaluation/calibration.py`."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    scale: float = Field(gt=SMALLEST_SCALE)
    """The unit of differences of scores."""
    level: float
    """The usual score of the first item."""
    inside: Annotated[list[Annotated[float, Field(ge=0, le=1e6)]], Field(min_length=4, max_length=4)]
    """The weights of the terms of an item."""
    outside: Annotated[list[Annotated[float, Field(ge=-1e6, le=1e6)]], Field(min_length=3, max_length=3)]
    """The weights of the terms of none of the items."""
    targets: int = Field(ge=1)
    """How many validation queries it was learned from."""
    found: int = Field(ge=1)
    """How many of their targets were among the ranked items."""
    carried: Literal["refit", "update"] | None
    """How the run was made from the one that learned it; null for a run that learned it itself."""


class LeftOutFacts(Settings):
    """What the weights of a run leave out of its log."""

    model_config = ConfigDict(strict=True)

    interactions: int = Field(ge=1)
    """How many interactions."""
    users: int = Field(ge=1)
    """Of how many users."""
    since: Annotated[str, Field(max_length=40)] | None
    """The day of the first of them; null for a log without times."""
    until: Annotated[str, Field(max_length=40)] | None
    """The day of the last of them; null for a log without times."""


class UpdateFacts(Settings):
    """What a run was made from that was trained further on new events, and how."""

    model_config = ConfigDict(strict=True)

    parent: Annotated[str, Field(max_length=64)]
    """The version of the run that was trained further: a digest of what was trained."""
    full: Annotated[str, Field(max_length=64)]
    """The version of the run of the last full training."""
    updates: int = Field(ge=1)
    """How many updates there were since."""
    protocol: Annotated[str, Field(max_length=200)]
    """The protocol of the last full training."""
    interactions: int = Field(ge=1)
    """How many new interactions trained."""
    repeated: int = Field(ge=0)
    """How many events came that the parent held already."""
    late: int = Field(ge=0)
    """How many new events were not later than the last one of the parent."""
    replayed: int = Field(ge=0)
    """How many old interactions trained again; 0 for a model that counts, which is fitted on everything."""
    training: dict[str, Any] | None
    """The settings of this training of a network; null for a counting model."""
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] | None
    """Its number of epochs; null for a counting model."""


def readable_as(kind: type[Settings], *, by_name: bool = False) -> AfterValidator:
    """Return a check: a value, or each value of a list, must be what a settings class describes. It stays as it is.

    kind     the settings class
    by_name  whether an object holds such values by name, and is none itself
    """

    def check(value: Any) -> Any:
        values = value.values() if by_name else value if isinstance(value, list) else [value]
        for one in values:
            kind.of(one)
        return value

    return AfterValidator(check)


class AttributeColumnFacts(Settings):
    """What a manifest says of a column of a table of items that the model reads."""

    model_config = ConfigDict(strict=True)

    name: str
    """The column."""
    way: Literal["values", "words", "buckets", "vector"]
    """How it is read."""
    vectors: int = Field(ge=1)
    """How many vectors it has."""
    too_rare: int = Field(ge=0)
    """How many different values have no vector, because too few items of the part that trains share them."""


class AttributeItemFacts(Settings):
    """How many items have attributes."""

    model_config = ConfigDict(strict=True)

    trained_with_attributes: int = Field(ge=0)
    """Items with an interaction in the part that trains and with a value that has a vector."""
    trained_without: int = Field(ge=0)
    """Items with an interaction in that part and without such a value."""
    by_attributes_alone: int = Field(ge=0)
    """Items without an interaction in that part that the model knows by their attributes."""
    not_in_log: int = Field(ge=0)
    """How many of these are not in the log at all."""
    table_without_value: int = Field(ge=0)
    """Items of the table alone that have no such value: the model does not know them."""


class AttributeFacts(Settings):
    """What a manifest says of attributes of items."""

    model_config = ConfigDict(strict=True)

    own_dropout: float = Field(ge=0, lt=1)
    """Share of items that had only the vectors of their attributes in a step of training."""
    min_items: int = Field(ge=1)
    """Fewest items that had to share a value."""
    num_buckets: int = Field(ge=2)
    """Number of ranges of a column of numbers."""
    columns: Annotated[list[dict[str, Any]], readable_as(AttributeColumnFacts)]
    """The columns that are read."""
    items: Annotated[dict[str, Any], readable_as(AttributeItemFacts)]
    """How many items have attributes."""
    notes: list[str]
    """What was guessed when the table was read."""


def _with_weights(words: list[str]) -> list[str]:
    weights_of(tuple(words))
    return words


class ReadingEntry(Settings):
    """What a manifest says of how its log was read, as far as a table of items is read in the same way."""

    model_config = ConfigDict(strict=True, extra="allow")

    item: str | None = None
    """The column with the item."""
    encoding: str | None = None
    """How its letters are written."""
    missing: list[str] | None = None
    """Words that mean that a value is missing."""
    target_events: Annotated[list[str], AfterValidator(_with_weights)] | None = None
    """The kinds of events that are predicted, some with a weight."""
    negative_events: list[str] | None = None
    """The kinds of events that say "not this"."""


class FilterEntry(Settings):
    """What a manifest says of the filters of its log, as far as events that come later are filtered in the same way."""

    model_config = ConfigDict(strict=True, extra="allow")

    event_types: list[str] | None = None
    """The kinds of events that are kept."""


class LogEntry(Settings):
    """What a manifest says of its log: what is read back. Whatever else it says is for people."""

    model_config = ConfigDict(strict=True, extra="allow")

    digest: str
    """The digest of all interactions."""
    interactions: int = Field(default=0, ge=0)
    """How many interactions it has."""
    source: str | None = None
    """The path that it was read from, or a word for a log that was no file."""
    dataset: str | None = None
    """The name of a public data set."""
    reading: Annotated[dict[str, Any], readable_as(ReadingEntry)] = Field(default_factory=dict)
    """The settings of reading; they are checked when the log is read again."""
    filter_settings: Annotated[dict[str, Any], readable_as(FilterEntry)] = Field(default_factory=dict)
    """The filters; they are checked when the log is read again."""
    event_kinds: Annotated[list[str], Field(max_length=MOST_NAMED_KINDS)] | None = None
    """The kinds of events that the source has, where it was asked for kinds."""


class MetricEntry(Settings):
    """What a manifest says of a metric: its value is read back, and its interval is for people."""

    model_config = ConfigDict(strict=True, extra="allow")

    value: float | None
    """The value; null where it is no number."""
