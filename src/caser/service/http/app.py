"""The FastAPI application: the table of routes, and the middleware around it.

Only the routes in the table and the files of the page can be requested. FastAPI's documentation pages are off, because
they load scripts from other servers; `/openapi.json` describes every route.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from inspect import getdoc
from typing import Any, TypeAlias

from fastapi import Depends, FastAPI, Response
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.types import ASGIApp

from caser import __version__
from caser.service import response_schemas as responses
from caser.service.answers.answer import API_VERSION
from caser.service.http.access import AccessControl, RateLimit
from caser.service.http.error_responses import described_errors
from caser.service.http.json_route import JsonRoute, StrictRoute
from caser.service.http.middleware import RequestMiddleware
from caser.service.http.page import page_routes
from caser.service.http.service import Service

_HEALTH_PATHS = frozenset({"/healthz", "/readyz"})
_ERRORS_OF_EVERY_ROUTE = (400, 401, 403, 413, 421, 422, 429, 500)
_ERRORS_WITH_BODY = (408, 415, 503)
_ERRORS_WITH_ID_IN_PATH = (404,)
_PROMETHEUS_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ERROR_AS_JSON = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}
"""Describes an error of a route whose answer is not JSON."""

_ERASED_LATER: dict[int | str, dict[str, Any]] = {
    202: {
        "model": responses.EraseResponse,
        "description": "The user is erased, and no answer uses the events. Their bytes leave the disk a little later.",
    }
}
"""Describes the second status of an erasure."""

Operation: TypeAlias = Callable[..., Awaitable[dict[str, Any]]]
RouteClass: TypeAlias = type[APIRoute]

_NO_TELEMETRY: Any = {"auto_configure": False, "tracing": False, "metrics": False, "logs": False}
"""FastAPI must not send traces to a collector, whatever the environment says: paths may hold user ids."""

_TOKEN = Depends(HTTPBearer(scheme_name="token", auto_error=False))
"""Describes the token in the API documentation; the middleware checks it."""


class _Application(FastAPI):
    """FastAPI with one layer around its routes, and with exact whole numbers in its OpenAPI document."""

    def build_middleware_stack(self) -> ASGIApp:
        """Put our middleware around the routes, without FastAPI's own layers for errors, sizes and telemetry."""
        app: ASGIApp = AsyncExitStackMiddleware(self.router)  # FastAPI's routes need it
        for layer, arguments, keywords in self.user_middleware:
            app = layer(app, *arguments, **keywords)
        return app

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document; it is made once."""
        if self.openapi_schema is None:
            self.openapi_schema = _with_whole_numbers(super().openapi())
        return self.openapi_schema


def make_app(service: Service, access: AccessControl, rate_limit: RateLimit | None) -> FastAPI:
    """Make the application.

    service     carries out the operations       access  decides who may come in
    rate_limit  limits each client; None for no limit

    The health checks and the files of the page need no token.
    """
    pages, root_path = page_routes(), service.settings.root_path
    app = _Application(
        title="caser",
        version=API_VERSION,
        description=f"Recommends the next items for a user or a history. Served by caser {__version__}.",
        servers=[{"url": root_path}] if root_path else None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = service
    _add_routes(app, service)
    app.router.routes += pages
    app.add_middleware(
        RequestMiddleware,
        service=service,
        json_routes={route.path: route for route in app.routes if isinstance(route, JsonRoute)},
        access=access,
        rate_limit=rate_limit,
        public_paths=_HEALTH_PATHS | {route.path for route in pages},
        unlimited_paths=_HEALTH_PATHS,
    )
    return app


def _add_routes(app: FastAPI, service: Service) -> None:
    """Add each route: its method, path, operation, response schema, and the errors that are special to it."""
    add = partial(_add_route, app)

    async def metrics() -> Response:
        """Return the metrics of the service in the text format of Prometheus."""
        return Response(await service.metrics_text(), media_type=_PROMETHEUS_MEDIA_TYPE)

    # With a JSON body.
    add("POST", "/v1/recommend", service.recommend, responses.RecommendResponse, 503, route_class=JsonRoute)
    add("POST", "/v1/events", service.store_events, responses.EventsResponse, 409, 503, 507, route_class=JsonRoute)
    add(
        "POST", "/v1/recommend/bulk", service.recommend_bulk, responses.BulkRecommendResponse, 503,
        route_class=JsonRoute,
    )  # fmt: skip
    # Users, items and the model.
    add("GET", "/v1/users/{user_id}/history", service.history, responses.HistoryResponse, 503)
    add("DELETE", "/v1/users/{user_id}", service.erase, responses.EraseResponse, 503, 507, more=_ERASED_LATER)
    add("GET", "/v1/items/{item_id}/similar", service.similar, responses.SimilarItemsResponse)
    _add_routes_with_query(add, service)
    add("GET", "/v1/items", service.search, responses.ItemSearchResponse)
    add("GET", "/v1/model", service.model_facts, responses.ModelResponse)
    add("POST", "/v1/model/reload", service.reload, responses.ModelResponse, 409)
    # For load balancers and monitoring.
    add("GET", "/healthz", service.health, responses.HealthResponse, route_class=APIRoute)
    add("GET", "/readyz", service.ready, responses.HealthResponse, 503, route_class=APIRoute)
    app.router.add_api_route(
        "/metrics",
        metrics,
        response_class=PlainTextResponse,
        responses={
            status: {"description": error["description"], "content": _ERROR_AS_JSON}
            for status, error in described_errors(*_ERRORS_OF_EVERY_ROUTE).items()
        },
        dependencies=[_TOKEN],
    )


def _add_route(
    app: FastAPI,
    method: str,
    path: str,
    operation: Operation,
    schema: type,
    *errors: int,
    route_class: RouteClass = StrictRoute,
    more: dict[int | str, dict[str, Any]] | None = None,
) -> None:
    errors_of_kind = (
        *_ERRORS_OF_EVERY_ROUTE,
        *(_ERRORS_WITH_BODY if route_class is JsonRoute else ()),
        *(_ERRORS_WITH_ID_IN_PATH if "{" in path else ()),
    )
    app.router.add_api_route(
        path,
        operation,
        methods=[method],
        response_model=schema,
        description=(getdoc(operation) or "").partition("\n\n")[0],
        response_model_exclude_unset=True,
        responses={**described_errors(*{*errors_of_kind, *errors}), **(more or {})},
        dependencies=[] if path in _HEALTH_PATHS else [_TOKEN],
        route_class_override=route_class,
    )


def _add_routes_with_query(add: Callable[..., None], service: Service) -> None:
    """Add routes whose id is in the query: a browser takes ".." out of a path, and some proxies decode its slashes."""
    add("GET", "/v1/history", service.history_of, responses.HistoryResponse, 422)
    add("DELETE", "/v1/users", service.erase_user, responses.EraseResponse, 422, 503, 507, more=_ERASED_LATER)
    add("GET", "/v1/similar", service.similar_to, responses.SimilarItemsResponse, 404, 422)


def _with_whole_numbers(document: Any) -> Any:
    """Replace each float without a fraction by an integer. FastAPI turns bounds into floats, which would change 2^63.

    >>> _with_whole_numbers({"maximum": 9.223372036854775807e18, "items": [{"minimum": 0.5}]})
    {'maximum': 9223372036854775808, 'items': [{'minimum': 0.5}]}
    """
    if isinstance(document, dict):
        return {name: _with_whole_numbers(value) for name, value in document.items()}
    if isinstance(document, list):
        return [_with_whole_numbers(value) for value in document]
    return int(document) if isinstance(document, float) and document.is_integer() else document
