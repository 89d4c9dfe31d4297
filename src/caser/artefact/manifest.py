"""The manifest of an artefact: what the model is and how it was made, as JSON text that contains its own checksum.

The text starts with the SHA-256 of everything after it, and will do so in every later format. A flipped bit anywhere is
therefore noticed. The set of keys is closed: an unknown key or a missing one is refused. Nothing here touches a disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from caser.config import Settings
from caser.errors import ArtefactError, ConfigError, did_you_mean
from caser.system.digests import digest_of_values
from caser.system.sealed import BROKEN, opening, seal_json, unseal_json

FORMAT = 3
"""Version of the folder's layout; a higher one is refused. Format 1 has no times, and no interactions for judging."""

FORMAT_WITHOUT_ATTRIBUTES = 2
"""The version of a run without attributes of items, which earlier versions of this library read too."""

_DIGEST = "manifest_sha256"

MOST_EPOCHS = 100_000
"""The most epochs of a training."""

MOST_METRICS = 1_000
"""The most metrics of an evaluation."""

MOST_SECONDS = 1e11
"""The most seconds of anything, and the latest time in seconds since 1970: three thousand years."""

OPENING = opening(_DIGEST)
"""How every manifest starts; the digest follows."""


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


class ReadingEntry(Settings):
    """What a manifest says of how its log was read, as far as a table of items is read in the same way."""

    model_config = ConfigDict(strict=True, extra="allow")

    item: str | None = None
    """The column with the item."""
    encoding: str | None = None
    """How its letters are written."""
    missing: list[str] | None = None
    """Words that mean that a value is missing."""


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
    filter_settings: dict[str, Any] = Field(default_factory=dict)
    """The filters; they are checked when the log is read again."""


class MetricEntry(Settings):
    """What a manifest says of a metric: its value is read back, and its interval is for people."""

    model_config = ConfigDict(strict=True, extra="allow")

    value: float | None
    """The value; null where it is no number."""


class Manifest(Settings):
    """The keys of manifest.json except the first, `manifest_sha256`. From `protocol` on they are facts for a reader.

    >>> Manifest.facts()[:3]
    ('protocol', 'fingerprint', 'seen')
    """

    model_config = ConfigDict(strict=True)

    format: int = FORMAT_WITHOUT_ATTRIBUTES
    """Version of the folder's layout."""
    library_version: str
    """The version of this library that wrote the folder."""
    model: str
    """The model's name."""
    settings: dict[str, Any]
    """The model's settings."""
    files: dict[str, str]
    """SHA-256 of every other file of the folder."""
    index: Annotated[dict[str, Any], readable_as(IndexFacts)] | None = None
    """`probes`, the cells that the approximate index looks at, and `recall@10`; absent where there is no index."""
    attributes: Annotated[dict[str, Any], readable_as(AttributeFacts)] | None = None
    """Which attributes of items the model reads, and how many items have them; absent where it reads none."""

    protocol: str
    """The protocol by which the log was split and the model is judged."""
    fingerprint: str
    """The digest of split and ranking rules: two metric values are comparable only if it is equal."""
    seen: Literal["remove", "keep"]
    """Whether items of the history are removed from the candidates."""
    train_on: Literal["fit", "final", "all"]
    """The part of the log that the model was trained on."""
    left_out: Annotated[dict[str, Any], readable_as(LeftOutFacts)] | None = None
    """How many interactions that part leaves out, of how many users, since when and until when; null for none."""
    training: dict[str, Any] | None
    """The settings that had an effect on the training of a network; null for a counting model."""
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] | None
    """The number of epochs trained; null for a counting model."""
    history: Annotated[list[dict[str, Any]], readable_as(EpochFacts)]
    """Loss, validation value and seconds of each epoch of choosing."""
    anonymous_user: Literal["mean", "learned"] | None
    """What user vector 0, for unknown users, is; null for a model without user vectors."""
    log: Annotated[dict[str, Any], readable_as(LogEntry)]
    """Where the log came from, how it was filtered, and its digest."""
    environment: dict[str, Any]
    """Versions of Python and packages, and the number of threads."""
    metrics: (
        Annotated[dict[str, Any], Field(max_length=MOST_METRICS), readable_as(MetricEntry, by_name=True)] | None
    ) = None
    """The metrics of the last evaluation, with their intervals."""
    test_openings: int = Field(default=0, ge=0, le=1_000_000)
    """How many times the test part was opened for this model."""
    command: str | None = None
    """The command line that trained it."""
    trained_at: Annotated[float, Field(ge=0, le=MOST_SECONDS)] | None = None
    """When training ended, in seconds since 1970; null in a run of format 1."""
    why: list[str] = Field(default_factory=list)
    """Sentences on why this model was chosen, where several were tried."""
    updated: Annotated[dict[str, Any], readable_as(UpdateFacts)] | None = None
    """What an updated run was made from; absent in a run that was trained from fresh parameters."""

    @model_validator(mode="after")
    def _what_is_left_out_is_in_the_log(self) -> Self:
        counted, total = (self.left_out or {}).get("interactions", 0), self.log.get("interactions", 0)
        if counted > total:
            raise ConfigError(f"left_out must count interactions of the log, which has {total:,}; got {counted:,}.")
        return self

    @classmethod
    def facts(cls) -> tuple[str, ...]:
        """Return the names of the keys that say how the model was made, in order."""
        keys = tuple(cls.model_fields)
        return keys[keys.index("protocol") :]


_MAY_BE_ABSENT = {"index", "attributes", "left_out", "trained_at", "updated"}
"""Keys that a run need not have: one without an approximate index or attributes, one of format 1, and one that was not
updated."""


def trained_digest(manifest: Manifest) -> str:
    """Return a SHA-256 digest of what was trained: the model, its settings and its files, and how it ranks.

    manifest  of a saved run

    An evaluation changes the manifest, and not this digest.
    """
    return digest_of_values(manifest.model_dump(include={"model", "settings", "files", "index", "seen"}))


def make(path: Path, /, **values: Any) -> Manifest:
    """Make a manifest. Raises ArtefactError for an unknown or missing key, or for a value that is not possible.

    path    the file it belongs to, for messages
    values  the keys of `Manifest`
    """
    try:
        return Manifest(**values)
    except ConfigError as error:
        raise ArtefactError(f"{path}: {error}") from None


def changed(path: Path, manifest: Manifest, changes: dict[str, Any]) -> Manifest:
    """Return the manifest with some facts changed. Raises ArtefactError for a name that is not a fact.

    path      the file it belongs to, for messages
    manifest  the manifest to change
    changes   the new values by name of the fact
    """
    for name in changes:
        if name not in Manifest.facts():
            raise ArtefactError(f"{path} has no fact {name!r} to change: {did_you_mean(name, Manifest.facts())}")
    return make(path, **{**manifest.model_dump(), **changes})


def render(path: Path, manifest: Manifest) -> bytes:
    """Return the bytes of the file. Raises ArtefactError if a fact is not a JSON value.

    path      the file it belongs to, for messages
    manifest  the manifest to write
    """
    try:
        optional = ("index", "attributes", "updated")
        values = manifest.model_dump(exclude={name for name in optional if not getattr(manifest, name)})
        return seal_json(values, _DIGEST)
    except (TypeError, ValueError, RecursionError) as error:
        raise ArtefactError(f"{path} must hold JSON values only; got: {error}.") from None


def parse(path: Path, content: bytes) -> Manifest:
    """Read a manifest from the bytes of its file.

    path     the file, for messages
    content  its bytes

    Raises ArtefactError if it is damaged, foreign, newer than this library, or has other keys.
    """
    if not content.startswith(OPENING):
        raise ArtefactError(f"{path} must be the manifest of a saved run; it does not start like one.")
    try:
        values = unseal_json(content, _DIGEST)
    except ValueError as error:
        if str(error) == BROKEN:
            raise ArtefactError(
                f"{path} does not match its checksum: it is damaged or was changed. Train again."
            ) from None
        raise ArtefactError(f"{path} must be JSON that a saved run holds; got: {error}. Train again.") from None
    version = values.get("format")
    if not isinstance(version, int) or version > FORMAT:
        raise ArtefactError(
            f"{path} must have a format up to {FORMAT}; got {version!r}, written by caser "
            f"{values.get('library_version', 'of an unknown version')}. Upgrade caser."
        )
    if unknown := sorted(set(values) - set(Manifest.model_fields)):
        raise ArtefactError(
            f"{path} has an unknown key {unknown[0][:40]!r}: it is damaged or was changed. Train again."
        )
    if missing := [name for name in Manifest.model_fields if name not in {*values, *_MAY_BE_ABSENT}]:
        raise ArtefactError(f"{path} must have the key {missing[0]!r}; it is missing. Train again.")
    return make(path, **values)
