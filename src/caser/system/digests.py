"""The digest of values: what a checkpoint, a kept result or a model is known by."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest_of_values(values: Any) -> str:
    """Return the SHA-256 of JSON values, as 64 hexadecimal digits. The order of the keys of an object does not count.

    values  JSON values: lists, objects, texts, numbers

    Keys that were saved hold this digest, so its text must stay as it is. Raises TypeError for what JSON does not have.

    >>> digest_of_values({"L": 5, "T": 3}) == digest_of_values({"T": 3, "L": 5}) != digest_of_values({"L": 5, "T": 4})
    True
    """
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
