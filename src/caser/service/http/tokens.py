"""Bearer tokens: who may use the service. Each line of a token file has a name and the SHA-256 digest of a token.

    web sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

The token itself is shown once, when it is made. A random token of 256 bits cannot be guessed, so its digest needs no
salt. Assumes that a proxy in front of the service provides TLS.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from caser.errors import ConfigError

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

    Raises ConfigError if it cannot be read, has no token, or has a line that is no name with a digest.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} must be a file of tokens; got: {error}. Make one with `caser token`.") from None
    digests = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:  # the message does not show the line: it may be a token
            raise ConfigError(
                f"{path}:{number} must be a name and `sha256:` with a digest. Make it with `caser token`."
            )
        digests[match[1]] = match[2]
    if not digests:
        raise ConfigError(f"{path} must hold at least one token; it has none. Make one with `caser token`.")
    return Tokens(digests)


def add_token(path: Path, name: str) -> str:
    """Make a token for `name`, add its digest to the token file `path`, and return the token.

    Raises ConfigError for a name that is invalid or already in the file, and for a file that cannot be written.
    """
    token = secrets.token_urlsafe(32)
    line = f"{name} sha256:{hashlib.sha256(token.encode()).hexdigest()}"
    if _LINE.fullmatch(line) is None:
        raise ConfigError(f"a token's name must be up to 60 letters, digits, dots and dashes; got {name!r}.")
    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+", encoding="utf-8") as file:
            if any(known.startswith(f"{name} ") for known in file.read().splitlines()):
                raise ConfigError(f"{path} has a token named {name!r} already; remove its line or choose another name.")
            file.write(f"{line}\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} must be a file of tokens; got: {error}. Choose another.") from None
    return token
