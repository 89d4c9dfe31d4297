"""The description of the service that machines read, made from the table of routes and the models."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from caser import __version__
from caser.service.answering import API_VERSION
from caser.service.routes import ADAPTERS, ROUTES, Route
from caser.service.schemas import Problem

_ALWAYS = (400, 401, 403, 413, 421, 429, 500)
_WITH_BODY = (408, 415, 422)
_REFERENCE = "#/components/schemas/{model}"


def describe() -> dict[str, Any]:
    """The OpenAPI document.

    >>> sorted(describe()["paths"])[:2]
    ['/healthz', '/readyz']
    """
    answers = [(route.answer, "serialization") for route in ROUTES]
    _, found = models_json_schema([*answers, (Problem, "serialization")], ref_template=_REFERENCE)  # type: ignore[list-item]
    schemas: dict[str, Any] = dict(found["$defs"])
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        operation: dict[str, Any] = {
            "operationId": route.handler.__name__,
            "summary": (route.handler.__doc__ or "").partition("\n")[0],
            "parameters": _parameters(route),
            "responses": _responses(route),
            "security": [] if route.is_open else [{"token": []}],
        }
        if route.body is not None:
            schema = ADAPTERS[route.path].json_schema(ref_template=_REFERENCE)
            schemas |= schema.pop("$defs", {})
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "caser", "version": API_VERSION, "description": f"Next items, by caser {__version__}."},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _parameters(route: Route) -> list[dict[str, Any]]:
    ids = [part[1:-1] for part in route.parts if part.startswith("{")]
    schema = {"type": "string", "minLength": 1, "maxLength": 200}
    in_path = [{"name": name, "in": "path", "required": True, "schema": schema} for name in ids]
    in_query = [{"name": name, "in": "query", "schema": kind, "description": text} for name, kind, text in route.query]
    return [*in_path, *in_query]


def _responses(route: Route) -> dict[str, Any]:
    statuses = {*_ALWAYS, *route.statuses, *(_WITH_BODY if route.body else ()), *((404,) if "{" in route.path else ())}
    problem = {"application/json": {"schema": {"$ref": _REFERENCE.format(model="Problem")}}}
    answer = {"application/json": {"schema": {"$ref": _REFERENCE.format(model=route.answer.__name__)}}}
    return {
        "200": {"description": "As asked.", "content": answer},
        **{str(status): {"description": Problem.SENTENCES[status], "content": problem} for status in sorted(statuses)},
    }
