"""Bearer tokens: who may use the service. Each line of a token file has a name and the SHA-256 digest of a token.

    web sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

The token itself is shown once, when it is made. A random token of 256 bits cannot be guessed, so its digest needs no
salt. Assumes that a proxy in front of the service provides TLS.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from caser.errors import ArtefactError, ConfigError
from caser.system.locks import locked
from caser.system.storage import write_file

MIN_TOKEN_LENGTH = 16
"""Characters that a token must have. A shorter token could be guessed, so it is refused even if its digest matches."""

_LINE = re.compile(r"([\w.-]{1,60}) sha256:([0-9a-f]{64})")


class Tokens:
    """The tokens that the service accepts.

    digests  the SHA-256 digest of each token, as hexadecimal text, by the name of its holder

    >>> tokens = Tokens({"web": hashlib.sha256(b"a token that is long enough").hexdigest()})
    >>> tokens.holder(b"Bearer a token that is long enough"), tokens.holder(b"Bearer another"), tokens.holder(None)
    ('web', None, None)
    """

    def __init__(self, digests: Mapping[str, str]) -> None:
        self._digests = {name: bytes.fromhex(digest) for name, digest in digests.items()}

    def holder(self, authorization: bytes | None) -> str | None:
        """Return the name of the token in an `authorization` header, or None if the token is not known.

        All digests are compared in constant time: a wrong token takes as long as a right one.
        """
        scheme, _, token = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer" or len(token) < MIN_TOKEN_LENGTH:
            return None
        digest, holder = hashlib.sha256(token).digest(), None
        for name, known in self._digests.items():
            if hmac.compare_digest(digest, known):
                holder = name
        return holder


def read_tokens(path: Path) -> Tokens:
    """Read the token file `path`.

    Raises ConfigError if it cannot be read, has no token, has two of one name, or has a line that is no name with a
    digest.
    """
    digests = _parsed(path, _text(path))
    if not digests:
        raise ConfigError(f"{path} must hold at least one token; it has none. Make one with `caser token`.")
    return Tokens(digests)


def add_token(path: Path, name: str) -> str:
    """Make a token for `name`, add its digest to the token file `path`, and return the token.

    The file is replaced as a whole: if that fails, every token that it had is still there.

    Raises ConfigError for a name that is invalid or already in the file, and for a file that is no token file or cannot
    be written.
    """
    token = secrets.token_urlsafe(32)
    line = f"{name} sha256:{hashlib.sha256(token.encode()).hexdigest()}"
    if _LINE.fullmatch(line) is None:
        raise ConfigError(f"a token's name must be up to 60 letters, digits, dots and dashes; got {name!r}.")
    try:
        file = path.resolve()  # a link stays a link
        with locked(file):
            is_new = not file.exists()
            text = "" if is_new else _text(file)
            if name in _parsed(path, text):
                raise ConfigError(f"{path} has a token named {name!r} already; remove its line or choose another name.")
            text += "" if not text or text.endswith("\n") else "\n"
            write_file(file, f"{text}{line}\n".encode(), 0o600)
    except (OSError, ValueError, ArtefactError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path} must be a file of tokens; got: {error}. Choose another.") from None
    return token


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} must be a file of tokens; got: {error}. Make one with `caser token`.") from None


def _parsed(path: Path, text: str) -> dict[str, str]:
    """Return the digests in the text of a token file, by name. Raises ConfigError, which names the line."""
    digests: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:  # the message does not show the line: it may be a token
            raise ConfigError(
                f"{path}:{number} must be a name and `sha256:` with a digest. Make it with `caser token`."
            )
        if match[1] in digests:
            raise ConfigError(f"{path}:{number} must be the only token named {match[1]!r}; there is one above it.")
        digests[match[1]] = match[2]
    return digests
