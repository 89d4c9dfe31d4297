"""What a run keeps of negative events: rejected.safetensors, the pairs of a user and an item that answers leave out."""

from __future__ import annotations

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from caser.data.rejected import Rejected
from caser.system.parsing import ArrayRule, check_arrays, parse_arrays


def rejected_to_bytes(rejected: Rejected) -> bytes:
    """Return the bytes of the file: `users` and `items` (R,) int32, and `times` (R,) int64 if the log has times.

    rejected  the pairs
    """
    arrays: dict[str, NDArray[np.generic]] = {"users": rejected.users, "items": rejected.items}
    arrays |= {} if rejected.times is None else {"times": rejected.times}
    return bytes(safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def rejected_from_bytes(content: bytes, num_users: int, num_items: int) -> Rejected:
    """Read the file. Raises ValueError for one that `rejected_to_bytes` cannot have made.

    content               the bytes of the file
    num_users, num_items  sizes of the vocabulary that the indices must lie in
    """
    arrays, _ = parse_arrays(content)
    shape = (arrays["users"].size,) if "users" in arrays else (0,)
    rules = {
        "users": ArrayRule(np.int32, shape, least=1, most=num_users),
        "items": ArrayRule(np.int32, shape, least=1, most=num_items),
        **({"times": ArrayRule(np.int64, shape)} if "times" in arrays else {}),
    }
    check_arrays(arrays, rules)
    users, items = arrays["users"], arrays["items"]
    pairs = users.astype(np.int64) * (num_items + 1) + items
    if (np.diff(pairs) <= 0).any():
        raise ValueError("pairs that are not in order, or that stand twice")
    return Rejected(users, items, arrays.get("times"))
