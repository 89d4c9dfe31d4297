"""The service as a FastAPI application: every operation there is, described by its types, behind the door.

What is not in the table of operations, and is no file of the page, cannot be asked for. Documentation pages are off, as
they would load scripts from elsewhere; `/openapi.json` describes everything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any, TypeAlias

from fastapi import Depends, FastAPI, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from caser import __version__
from caser.service import schemas
from caser.service.answers.answer import API_VERSION
from caser.service.http.door import Door
from caser.service.http.guard import Guard, RateLimit
from caser.service.http.json_route import JsonRoute
from caser.service.http.page import page_routes
from caser.service.http.problems import HANDLERS, responses
from caser.service.http.service import Service

_HEALTH = frozenset({"/healthz", "/readyz"})
_ALWAYS = (400, 401, 403, 413, 421, 429, 500)
_WITH_BODY = (408, 415, 422)
_METRICS = "text/plain; version=0.0.4; charset=utf-8"

Operation: TypeAlias = Callable[..., Awaitable[dict[str, Any]]]
Kind: TypeAlias = type[APIRoute]

_UNTOLD: Any = {"auto_configure": False, "tracing": False, "metrics": False, "logs": False}
"""Nothing is told to a collector, whatever the environment says: a trace would hold paths, and so users."""

_TOKEN = Depends(HTTPBearer(scheme_name="token", auto_error=False))
"""Described here, asked for at the door."""


def make_application(service: Service, guard: Guard, limit: RateLimit | None) -> FastAPI:
    """Serve a Service. Needs no token: whether it lives, whether it is ready, and the files of the page."""
    pages = page_routes()
    application = FastAPI(
        title="caser",
        version=API_VERSION,
        description=f"Next items, by caser {__version__}.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_UNTOLD,
        exception_handlers=HANDLERS,  # type: ignore[arg-type]
        generate_unique_id_function=lambda route: route.name,
    )
    application.state.service = service
    _add_operations(application, service)
    described = application.openapi
    application.openapi = cache(lambda: _exact(described()))  # type: ignore[method-assign]
    application.router.routes += pages
    is_open = _HEALTH | {route.path for route in pages}
    application.add_middleware(Door, service=service, guard=guard, limit=limit, is_open=is_open, unlimited=_HEALTH)
    return application


def _add_operations(application: FastAPI, service: Service) -> None:
    """Method, path, what answers, the model of the answer, and what else than 200 may be answered."""

    def add(method: str, path: str, operation: Operation, answer: type, *statuses: int, kind: Kind = APIRoute) -> None:
        also = (*(_WITH_BODY if kind is JsonRoute else ()), *((404, 422) if "{" in path else ()))
        application.router.add_api_route(
            path,
            operation,
            methods=[method],
            response_model=answer,
            response_model_exclude_unset=True,
            responses=responses(*{*_ALWAYS, *also, *statuses}),
            dependencies=[] if path in _HEALTH else [_TOKEN],
            route_class_override=kind,
        )

    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type=_METRICS)

    add("POST", "/v1/recommend", service.recommend, schemas.Answer, 503, kind=JsonRoute)
    add("POST", "/v1/events", service.keep_event, schemas.Acknowledged, 503, 507, kind=JsonRoute)
    add("POST", "/v1/recommend/bulk", service.recommend_bulk, schemas.BulkAnswer, 503, kind=JsonRoute)
    add("GET", "/v1/users/{user_id}/history", service.history, schemas.History)
    add("DELETE", "/v1/users/{user_id}", service.erase, schemas.Erased, 503, 507)
    add("GET", "/v1/items/{item_id}/similar", service.similar, schemas.Similar)
    add("GET", "/v1/items", service.search, schemas.Found, 422)
    add("GET", "/v1/model", service.model, schemas.ModelFacts)
    add("POST", "/v1/model/reload", service.reload, schemas.ModelFacts, 409)
    add("GET", "/healthz", service.health, schemas.Health)
    add("GET", "/readyz", service.ready, schemas.Health, 503)
    application.add_api_route("/metrics", metrics, include_in_schema=False)


def _exact(described: Any) -> Any:
    """A description whose whole numbers are written as such: FastAPI makes floats of bounds, and 2^63 gets lost.

    >>> _exact({"maximum": 9.223372036854775807e18, "items": [{"minimum": 0.5}]})
    {'maximum': 9223372036854775808, 'items': [{'minimum': 0.5}]}
    """
    if isinstance(described, dict):
        return {name: _exact(value) for name, value in described.items()}
    if isinstance(described, list):
        return [_exact(value) for value in described]
    return int(described) if isinstance(described, float) and described.is_integer() else described
