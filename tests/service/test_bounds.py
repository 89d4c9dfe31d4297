"""The limits of a request: what lies exactly at a limit is accepted, and the next is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from caser.errors import ConfigError
from caser.service import request_schemas as schemas
from caser.service.request_schemas import NewEvent, NewEvents, RecommendRequest
from caser.service.settings import ServiceSettings

EVENT: dict[str, Any] = {"user_id": 1, "item_id": 1}
VALUES = [str(number) for number in range(101)]


def text(length: int) -> str:
    return "x" * length


# A schema, the fields of the largest (or smallest) request that is accepted, and those of the first that is refused.
BOUNDS: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    (RecommendRequest, {"k": 1000}, {"k": 1001}),
    (RecommendRequest, {"k": 1}, {"k": 0}),
    (RecommendRequest, {"k": 5.0}, {"k": 5.5}),
    (RecommendRequest, {"history": [1] * 1000}, {"history": [1] * 1001}),
    (RecommendRequest, {"exclude": [1] * 1000}, {"exclude": [1] * 1001}),
    (RecommendRequest, {"only": [1] * 1000}, {"only": [1] * 1001}),
    (RecommendRequest, {"user_id": "x"}, {"user_id": ""}),
    (RecommendRequest, {"filters": {text(100): ["a"]}}, {"filters": {text(101): ["a"]}}),
    (RecommendRequest, {"filters": {"a": VALUES[:100]}}, {"filters": {"a": VALUES}}),
    (RecommendRequest, {"filters": {"a": ["b"]}}, {"filters": {"a": []}}),
    (
        RecommendRequest,
        {"filters": {name: ["a"] for name in VALUES[:10]}},
        {"filters": {name: ["a"] for name in VALUES[:11]}},
    ),
    (RecommendRequest, {"rules": {"at_most": {"a": 1}}}, {"rules": {"at_most": {"a": 0}}}),
    (
        RecommendRequest,
        {"rules": {"at_most": dict.fromkeys("abcde", 1)}},
        {"rules": {"at_most": dict.fromkeys("abcdef", 1)}},
    ),
    (
        RecommendRequest,
        {"rules": {"boosts": [{"where": {}, "amount": 1e6}] * 10}},
        {"rules": {"boosts": [{"where": {}, "amount": 1e6}] * 11}},
    ),
    (
        RecommendRequest,
        {"rules": {"boosts": [{"where": {}, "amount": -1e6}]}},
        {"rules": {"boosts": [{"where": {}, "amount": -1e6 - 1}]}},
    ),
    (NewEvents, {"events": [EVENT] * 1000}, {"events": [EVENT] * 1001}),
    (NewEvents, {"events": [EVENT]}, {"events": []}),
    (NewEvent, {**EVENT, "time": 0.0}, {**EVENT, "time": -0.5}),
    (NewEvent, {**EVENT, "event_id": "a"}, {**EVENT, "event_id": ""}),
    (ServiceSettings, {"window": 1}, {"window": 0}),
    (ServiceSettings, {"window": 100_000}, {"window": 100_001}),
    (ServiceSettings, {"burst": 1}, {"burst": 0}),
    (ServiceSettings, {"max_waiting": 1}, {"max_waiting": 0}),
    (ServiceSettings, {"max_body": 1024}, {"max_body": 1023}),
    (ServiceSettings, {"drain_seconds": 0.0}, {"drain_seconds": -0.1}),
    (ServiceSettings, {"expire_days": 0.001}, {"expire_days": 0.0}),
    (ServiceSettings, {"rate": 0.001}, {"rate": 0.0}),
]


@pytest.mark.parametrize(("schema", "accepted", "refused"), BOUNDS)
def test_what_lies_at_a_bound_is_accepted_and_the_next_is_refused(
    schema: Any, accepted: dict[str, Any], refused: dict[str, Any]
) -> None:
    schema(**accepted)
    with pytest.raises((ValidationError, ConfigError)):
        schema(**refused)


@pytest.mark.parametrize(
    ("kind", "accepted", "refused"),
    [(schemas.NumSimilar, [1, 1000], [0, 1001]), (schemas.NumFound, [1, 100], [0, 101])],
)
def test_a_number_of_items_in_a_path_has_its_bounds(kind: Any, accepted: list[int], refused: list[int]) -> None:
    adapter = TypeAdapter(kind)
    assert [adapter.validate_python(number) for number in accepted] == accepted
    for number in refused:
        with pytest.raises(ValidationError):
            adapter.validate_python(number)
