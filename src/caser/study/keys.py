"""Keys: the name under which a result is kept. Equal keys mean that training again would give the same result.

A key is a hash of the recipe, the data, the code and the task. Studies and audits use the same keys. A model whose code
cannot be read, because its class was defined in a notebook or at a prompt, has a new key each time: its results are
never used again.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from caser.data.queries import Queries
from caser.data.split import Split
from caser.data.tape import Tape
from caser.study.code_digest import UnreadableCodeError, code_digest, entries_of
from caser.study.recipes import Recipe
from caser.system.digests import digest_of_values


def key_of(recipe: Recipe, split_digest: str, computed_by: str, **task: Any) -> str:
    """Return the key of a result.

    recipe        the model, and how it is trained
    split_digest  the data, as `digest_of` hashes them
    computed_by   the module that computes the result: its code, and all that it imports, counts
    task          what else the result depends on, in JSON values, such as `part="test"`
    """
    try:
        code = code_digest(computed_by, *sorted(entries_of(recipe.model, recipe.training)))
    except UnreadableCodeError:
        code = secrets.token_hex()
    names = [type(model).__qualname__ for model in (recipe.model, *recipe.model.parts.values())]
    parts = [recipe.facts(), names, split_digest, code, task]
    return digest_of_values(parts)[:20]


def is_never_kept(recipe: Recipe) -> bool:
    """Whether the results of a recipe are never used again, because the code of its model cannot be read."""
    try:
        code_digest(*sorted(entries_of(recipe.model, recipe.training)))
    except UnreadableCodeError:
        return True
    return False


def digest_of(split: Split) -> str:
    """Return a hash of everything that a split trains on and asks: its protocol, its log, its tapes and its queries."""
    hasher = hashlib.sha256(f"{split.name} {split.log.digest}".encode())
    for part in (split.fit, split.final, split.validation, split.test):
        for array in _arrays(part):
            hasher.update(f"{array.dtype} {array.shape}".encode())
            hasher.update(array.tobytes())
    return hasher.hexdigest()


def _arrays(part: Tape | Queries) -> list[Any]:
    if isinstance(part, Tape):
        return [part.items, part.offsets, part.owners]
    histories = [part.starts, part.ends, part.starts_of_seen]
    return [part.users, part.items, *histories, part.targets, part.target_offsets, part.owners]
