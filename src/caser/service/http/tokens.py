"""Bearer tokens: who may ask. A file holds a name and a SHA-256 digest a line; the token itself is shown once, ever.

    web sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

Digests of random tokens of 256 bits need no salt. Assumes that TLS is somebody else's work (a proxy in front).
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

SHORTEST = 16
"""Characters a token must have; a shorter one can be guessed, and is refused whatever the file says."""

_LINE = re.compile(r"([\w.-]{1,60}) sha256:([0-9a-f]{64})")


class Tokens:
    """The tokens of a file, by the name of whoever holds each.

    >>> tokens = Tokens({"web": hashlib.sha256(b"a token that is long enough").hexdigest()})
    >>> tokens.holder(b"Bearer a token that is long enough"), tokens.holder(b"Bearer another"), tokens.holder(None)
    ('web', None, None)
    """

    def __init__(self, digests: Mapping[str, str]) -> None:
        self._digests = {name: bytes.fromhex(digest) for name, digest in digests.items()}

    def holder(self, authorization: bytes | None) -> str | None:
        """The name of whoever sent this header; takes as long for a wrong token as for a right one."""
        scheme, _, token = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer" or len(token) < SHORTEST:
            return None
        digest, found = hashlib.sha256(token).digest(), None
        for name, known in self._digests.items():
            if hmac.compare_digest(digest, known):
                found = name
        return found


def read_tokens(path: Path) -> Tokens:
    """Read a file of tokens. Raises ConfigError if there is none in it, or a line that holds something else."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} must be a file of tokens; got: {error}. Make one with `caser token`.") from None
    found = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:  # the line is not shown: it may be a token
            raise ConfigError(
                f"{path}:{number} must be a name and `sha256:` with a digest. Make it with `caser token`."
            )
        found[match[1]] = match[2]
    if not found:
        raise ConfigError(f"{path} must hold at least one token; it has none. Make one with `caser token`.")
    return Tokens(found)


def add_token(path: Path, name: str) -> str:
    """Make a token, add its digest to a file, and return it. Raises ConfigError for a name that is taken or no name."""
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
