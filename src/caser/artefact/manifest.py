"""The manifest of an artefact: what the model is and how it was made, as JSON text that contains its own checksum.

The text starts with the SHA-256 of everything after it, and will do so in every later format. A flipped bit anywhere is
therefore noticed. The set of keys is closed: an unknown key or a missing one is refused. Nothing here touches a disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from caser.artefact.manifest_facts import (
    MOST_EPOCHS,
    MOST_METRICS,
    MOST_SECONDS,
    AttributeFacts,
    CalibrationFacts,
    EpochFacts,
    IndexFacts,
    LeftOutFacts,
    LogEntry,
    MetricEntry,
    RejectedFacts,
    UpdateFacts,
    readable_as,
)
from caser.config import Settings
from caser.errors import ArtefactError, ConfigError, did_you_mean
from caser.system.digests import digest_of_values
from caser.system.sealed import BROKEN, opening, seal_json, unseal_json

FORMAT = 3
"""Version of the folder's layout; a higher one is refused. Format 1 has no times, and no interactions for judging."""

FORMAT_WITHOUT_FURTHER = 2
"""The version of a run without attributes of items and negative events, which earlier versions read too."""

_DIGEST = "manifest_sha256"

OPENING = opening(_DIGEST)
"""How every manifest starts; the digest follows."""


class Manifest(Settings):
    """The keys of manifest.json except the first, `manifest_sha256`. From `protocol` on they are facts for a reader.

    >>> Manifest.facts()[:3]
    ('protocol', 'fingerprint', 'seen')
    """

    model_config = ConfigDict(strict=True)

    format: int = FORMAT_WITHOUT_FURTHER
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
    rejected: Annotated[dict[str, Any], readable_as(RejectedFacts)] | None = None
    """How many items of users answers leave out because of negative events; absent for a log without such events."""

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
    calibration: Annotated[dict[str, Any], readable_as(CalibrationFacts)] | None = None
    """What validation taught of the chances of answers; absent in a run that learned none."""
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


_MAY_BE_ABSENT = {"index", "attributes", "rejected", "left_out", "trained_at", "calibration", "updated"}
"""Keys that a run need not have: one without an approximate index, attributes or negative events, one of format 1, one
that learned no chances, and one that was not updated."""


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
        optional = ("index", "attributes", "rejected", "calibration", "updated")
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
