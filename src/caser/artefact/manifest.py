"""The manifest of an artefact: what the model is and how it came to be, as JSON text that carries its own checksum.

The text starts with the SHA-256 of all that follows it, in every format to come, so a flipped bit anywhere in it is
noticed. Keys are closed: one too many or one too few is refused. Nothing here touches a disk.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from caser.config import Settings
from caser.errors import ArtefactError, ConfigError, did_you_mean

FORMAT = 1
"""Version of the folder's layout; a higher one is refused."""

OPENING = b'{\n  "manifest_sha256": "'
"""How every manifest starts; the digest follows."""

_END = len(OPENING) + 64


class Manifest(Settings):
    """The keys of manifest.json but the first, `manifest_sha256`. From `protocol` on they are facts for a reader.

    >>> Manifest.facts()[:3]
    ('protocol', 'fingerprint', 'seen')
    """

    model_config = ConfigDict(strict=True)

    format: int = FORMAT
    """Version of the folder's layout."""
    library_version: str
    """The version of this library that wrote the folder."""
    model: str
    """The model's name."""
    settings: dict[str, Any]
    """The model's settings."""
    files: dict[str, str]
    """SHA-256 of every other file of the folder."""
    index: dict[str, Any] | None = None
    """How many cells the approximate index looks at, and the recall that gives; absent where there is no index."""

    protocol: str
    """How the log was split, and how the model is to be judged."""
    fingerprint: str
    """What two numbers must share to be compared."""
    seen: Literal["remove", "keep"]
    """Whether items of the history leave the candidates."""
    train_on: Literal["fit", "final", "all"]
    """The part of the log that trained."""
    training: dict[str, Any] | None
    """How a neural model was trained."""
    epochs: int | None
    """Epochs trained."""
    history: list[dict[str, Any]]
    """What validation said after each epoch of choosing."""
    anonymous_user: Literal["mean", "learned"] | None
    """What user vector 0 is, in a model that has user vectors."""
    log: dict[str, Any]
    """Where the log came from, what was done to it, and its digest."""
    environment: dict[str, Any]
    """Versions and threads."""
    metrics: dict[str, Any] | None = None
    """What the last evaluation said."""
    test_openings: int = Field(0, ge=0)
    """How often the test part was opened for this model."""
    command: str | None = None
    """The command that trained."""
    why: list[str] = Field(default_factory=list)
    """Why this model, where several were tried."""

    @classmethod
    def facts(cls) -> tuple[str, ...]:
        """The keys that say how the model came to be."""
        keys = tuple(cls.model_fields)
        return keys[keys.index("protocol") :]


def make(path: Path, **values: Any) -> Manifest:
    """Make the manifest that belongs at `path`. Raises ArtefactError for an unknown, missing or impossible value."""
    try:
        return Manifest(**values)
    except ConfigError as error:
        raise ArtefactError(f"{path}: {error}") from None


def changed(path: Path, manifest: Manifest, changes: dict[str, Any]) -> Manifest:
    """Make the manifest with some facts changed. Raises ArtefactError for what is not a fact."""
    for name in changes:
        if name not in Manifest.facts():
            raise ArtefactError(f"{path} has no fact {name!r} to change: {did_you_mean(name, Manifest.facts())}")
    return make(path, **{**manifest.model_dump(), **changes})


def render(path: Path, manifest: Manifest) -> bytes:
    """The bytes of the file. Raises ArtefactError if a fact is no JSON value."""
    try:
        values = manifest.model_dump(exclude={"index"} if manifest.index is None else None)
        text = json.dumps({"manifest_sha256": "0" * 64, **values}, indent=2, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ArtefactError(f"{path} must hold JSON values only; got: {error}.") from None
    rest = text.encode()[_END:] + b"\n"
    return OPENING + _digest(rest) + rest


def parse(path: Path, content: bytes) -> Manifest:
    """Read the bytes of the file. Raises ArtefactError if it is damaged, foreign, newer, or has other keys."""
    if not content.startswith(OPENING):
        raise ArtefactError(f"{path} must be the manifest of a saved run; it does not start as one.")
    if content[len(OPENING) : _END] != _digest(content[_END:]):
        raise ArtefactError(f"{path} does not match its checksum: it is damaged or was changed. Train again.")
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ArtefactError(f"{path} must be JSON; got: {error}.") from None
    del values["manifest_sha256"]
    version = values.get("format")
    if not isinstance(version, int) or version > FORMAT:
        raise ArtefactError(
            f"{path} must have a format up to {FORMAT}; got {version!r}, written by caser "
            f"{values.get('library_version', 'of an unknown version')}. Upgrade caser."
        )
    if missing := [name for name in Manifest.model_fields if name not in {*values, "index"}]:
        raise ArtefactError(f"{path} must have the key {missing[0]!r}; it has not. Train again.")
    return make(path, **values)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
