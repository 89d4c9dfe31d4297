"""Every route there is: what is checked, documented, and called. What is not in this table cannot be asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

from pydantic import TypeAdapter

from caser.service import schemas
from caser.service.asgi import RefusedError, Request
from caser.service.service import Service

Handler = Callable[[Service, Request, Any], Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class Route:
    """A method and a path, what its body and its answer are, and the method of the service that answers.

    statuses  what else than 200 may be answered      is_open  whether it needs no token
    query     parameters of the query: name, type, meaning
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    handler: Handler
    answer: type[schemas.Versioned] | type[schemas.Health]
    body: Any = None
    statuses: tuple[int, ...] = ()
    is_open: bool = False
    query: tuple[tuple[str, dict[str, Any], str], ...] = ()

    @property
    def parts(self) -> list[str]:
        """The path, cut at slashes; a part in braces is an id."""
        return self.path.split("/")[1:]


_K = ("k", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 10}, "How many.")
_SHOWN = ("k", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}, "How many.")
_WORDS = ("query", {"type": "string", "maxLength": 200, "default": ""}, "Words of the title.")

ROUTES = [
    Route("POST", "/v1/recommend", Service.recommend, schemas.Answer, schemas.Recommend, (503,)),
    Route("POST", "/v1/recommend/bulk", Service.recommend_bulk, schemas.BulkAnswer, schemas.Bulk, (503,)),
    Route(
        "POST",
        "/v1/events",
        Service.keep_event,
        schemas.Acknowledged,
        schemas.EventIn | schemas.EventsIn,
        (503, 507),
    ),
    Route("GET", "/v1/users/{user_id}/history", Service.history, schemas.History),
    Route("DELETE", "/v1/users/{user_id}", Service.erase, schemas.Erased, None, (503, 507)),
    Route("GET", "/v1/items/{item_id}/similar", Service.similar, schemas.Similar, None, (404, 422), query=(_K,)),
    Route("GET", "/v1/items", Service.search, schemas.Found, None, (422,), query=(_WORDS, _SHOWN)),
    Route("GET", "/v1/model", Service.model, schemas.ModelFacts),
    Route("POST", "/v1/model/reload", Service.reload, schemas.ModelFacts, None, (409,)),
    Route("GET", "/healthz", Service.health, schemas.Health, is_open=True),
    Route("GET", "/readyz", Service.ready, schemas.Health, None, (503,), is_open=True),
]

ADAPTERS: dict[str, TypeAdapter[Any]] = {route.path: TypeAdapter(route.body) for route in ROUTES if route.body}
"""What checks the body of a route."""

_EXACT: dict[tuple[str, str], Route] = {(route.method, route.path): route for route in ROUTES if "{" not in route.path}
_WITH_IDS = [route for route in ROUTES if "{" in route.path]


def find(method: str, raw_path: bytes) -> tuple[Route, dict[str, str]]:
    """The route of a request, and the ids in its path. Raises RefusedError with status 404 or 405.

    >>> route, ids = find("GET", b"/v1/users/a%2Fb/history")
    >>> route.path, ids
    ('/v1/users/{user_id}/history', {'user_id': 'a/b'})
    """
    method = "GET" if method == "HEAD" else method
    path = raw_path.decode("latin-1")
    exact = _EXACT.get((method, path))
    if exact is not None:
        return exact, {}
    parts, allowed = path.split("/")[1:], [known for known, other in _EXACT if other == path]
    for route in _WITH_IDS:
        if len(route.parts) == len(parts) and all(
            a == b or a[0] == "{" for a, b in zip(route.parts, parts, strict=True)
        ):
            if route.method == method:
                pairs = zip(route.parts, parts, strict=True)
                return route, {name[1:-1]: _id(part) for name, part in pairs if name[0] == "{"}
            allowed.append(route.method)
    if allowed:
        named = ", ".join(sorted(allowed))
        raise RefusedError(405, f"the method must be {named}.", [(b"allow", named.encode())])
    raise RefusedError(404, "there is nothing at this path; see /openapi.json.")


def _id(part: str) -> str:
    try:
        found = unquote(part, errors="strict")
    except UnicodeDecodeError:
        found = ""
    if not 1 <= len(found) <= 200:
        raise RefusedError(404, "an id must have 1 to 200 characters in UTF-8.")
    return found
