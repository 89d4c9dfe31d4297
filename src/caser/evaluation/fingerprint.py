"""Fingerprints: a short hash of everything that decides the numbers of a report.

Numbers with different fingerprints must not stand in one table, and `refuse_mixed` enforces it. Published numbers and
saved runs carry fingerprints, so what is hashed, and how, must not change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from caser.arrays.types import Int64
from caser.data.queries import Queries
from caser.data.split import Split
from caser.errors import ConfigError
from caser.evaluation.protocol import Part, RankingRules
from caser.evaluation.protocols import parts
from caser.evaluation.split_facts import hash_array, queries_hasher
from caser.system.kinds import must_be

Facts = Mapping[str, Any]
"""What a protocol settled for one part of a split before anything was ranked: JSON values by name."""

MOST_NAMED = 3
"""An error names at most this many facts that differ."""


def fingerprint(split: Split, rules: RankingRules, part: Part = "test") -> str:
    """Hash everything that decides the numbers: histories, seen items, targets, owners, candidates, rules and filters.

    split  the split log
    rules  what `resolve` settled for the part
    part   which of its queries judge

    Returns 16 hexadecimal digits. They do not depend on raw ids: renaming users or items changes nothing.
    """
    queries = parts(split, part)[1]
    hasher = queries_hasher(queries).copy()
    # Published numbers were hashed without where seen items begin, so it is added only where the split's name does not
    # say it already.
    if not np.array_equal(queries.starts_of_seen, _usual_starts_of_seen(split, queries)):
        hash_array(hasher, queries.starts_of_seen.astype(np.int64))
    hash_array(hasher, rules.candidates.astype(np.int32))
    hasher.update(json.dumps(_settings(split, rules, part), sort_keys=True).encode())
    return str(hasher.hexdigest())[:16]


def describe(split: Split, rules: RankingRules, part: Part = "test") -> Facts:
    """Return the facts behind a fingerprint, and the fingerprint: what must be equal where numbers are compared.

    split  the split log
    rules  what `resolve` settled for the part
    part   which of its queries judge

    >>> from caser.data.synthetic import chain_world
    >>> from caser.evaluation.protocols import apply, resolve
    >>> split = apply("leave-one-out", chain_world(num_users=4, num_items=6, length=5, seed=0).log)
    >>> facts = describe(split, resolve("leave-one-out", split))
    >>> facts["protocol"], facts["part"], facts["num_queries"]
    ('leave-one-out', 'test', 4)
    """
    queries = parts(split, part)[1]
    return {
        **_settings(split, rules, part),
        "seen": "remove" if rules.remove_seen else "keep",
        "num_users": len(np.unique(queries.owners)),
        "num_queries": len(queries),
        "num_targets": len(queries.targets),
        "num_candidates": int(rules.candidates.sum()),
        "fingerprint": fingerprint(split, rules, part),
    }


def refuse_mixed(facts_by_name: Mapping[str, Facts]) -> None:
    """Check that numbers may stand in one table.

    facts_by_name  name of each model or table -> what `describe` returned for it

    Raises ConfigError, naming the first facts that differ, unless all have the same fingerprint; and for what is no
    dict.

    >>> refuse_mixed({"caser": {"part": "test", "fingerprint": "ab"}, "gru": {"part": "test", "fingerprint": "ab"}})
    """
    must_be("facts_by_name", facts_by_name, Mapping, "a dict of the facts of each model, by its name")
    (first, facts), *others = facts_by_name.items()
    for name, other in others:
        if other.get("fingerprint") == facts.get("fingerprint") is not None:
            continue
        keys = [key for key in {**facts, **other} if key != "fingerprint" and facts.get(key) != other.get(key)]
        differences = ", ".join(f"{key} {facts.get(key)} and {other.get(key)}" for key in keys[:MOST_NAMED])
        raise ConfigError(
            f"numbers of one table must have one fingerprint; {first} has {facts.get('fingerprint')} and {name} has "
            f"{other.get('fingerprint')}, which differ in {differences or 'the histories or the targets themselves'}. "
            "Judge both under one protocol, on one log."
        )


def _usual_starts_of_seen(split: Split, queries: Queries) -> Int64:
    """Where the seen items of queries begin under the protocol that a split is named after, (Q,).

    They begin with the history, and under user-sessions with the first interaction of the user.
    """
    if split.name.partition(" ")[0] == "user-sessions":
        return np.searchsorted(split.log.users, queries.owners)
    return queries.starts


def _settings(split: Split, rules: RankingRules, part: Part) -> Facts:
    """The settings that a fingerprint hashes beside the queries and candidates; do not change a key or a value."""
    filters = sorted({step["filter"] for step in split.log.provenance.get("filters", [])})
    return {"protocol": split.name, "part": part, "seen": rules.remove_seen, "ties": rules.ties, "filters": filters}
