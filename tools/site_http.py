"""The page of the HTTP API on the documentation site, written from the OpenAPI document of the service."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import caser

Json = Mapping[str, Any]

HEAD = """\
# HTTP

Every route of `caser serve`, from its OpenAPI document; a running service gives the same at `/openapi.json`.
[Serving](../serving.md) explains how they are used, with examples. Bodies are JSON, and fields that are not listed
are refused. Every error is `{"error": "..."}`, one sentence."""


def page() -> str:
    """Return the page: a section for each route, and one for each kind of object."""
    document = openapi()
    routes = [(method, path, one) for path, own in document["paths"].items() for method, one in own.items()]
    always = set.intersection(*(errors(one) for _, _, one in routes if "security" in one))
    lines = [HEAD, "", "Every route with a token may answer these:", "", "| status | means |", "|---|---|"]
    lines += [f"| {status} | {meaning} |" for status, meaning in sorted(always)]
    for method, path, one in routes:
        lines += ["", f"## {method.upper()} {path}", "", *route(one, always)]
    lines += ["", "## The objects", ""]
    for name, schema in document["components"]["schemas"].items():
        lines += [f"### {name}", "", *described(schema), ""]
    return "\n".join(lines) + "\n"


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of the service; which run it serves makes no difference."""
    from caser.service.http.server import app_for_run
    from caser.service.settings import ServiceSettings

    split = caser.leave_one_out(caser.chain_world(num_users=5, num_items=6, length=5).log)
    with tempfile.TemporaryDirectory() as folder:
        caser.fit(caser.Markov(), split).save(Path(folder) / "run")
        app = app_for_run(Path(folder) / "run", ServiceSettings())
        try:
            return dict(app.openapi())
        finally:
            app.state.service.close()


def errors(one: Json) -> set[tuple[str, str]]:
    """Return the statuses of a route that mean an error, each with its meaning."""
    return {(status, answer["description"]) for status, answer in one["responses"].items() if status >= "400"}


def route(one: Json, always: set[tuple[str, str]]) -> Iterator[str]:
    """Yield the lines on one route.

    one     its part of the OpenAPI document
    always  the errors that need not be said again
    """
    yield one.get("description", one.get("summary", ""))
    yield ""
    yield "Needs a token, where the service has tokens." if "security" in one else "Needs no token."
    if parameters := one.get("parameters"):
        yield from ("", "| parameter | in | type | meaning |", "|---|---|---|---|")
        for each in parameters:
            meaning = cell(each.get("description", ""), each["schema"], each.get("required", False))
            yield f"| `{each['name']}` | {each['in']} | {kind(each['schema'])} | {meaning} |"
    if body := one.get("requestBody"):
        yield from ("", f"Body: {kind(content(body))}.")
    yield from ("", "| status | answer |", "|---|---|")
    for status, answer in sorted(one["responses"].items()):
        if (status, answer["description"]) not in always:
            schema = content(answer)
            yield f"| {status} | {kind(schema) if schema and status < '400' else answer['description']} |"


def content(part: Json) -> Json:
    """Return the schema of a body or of an answer; empty where it has none."""
    return next((one.get("schema", {}) for one in part.get("content", {}).values()), {})


def described(schema: Json) -> Iterator[str]:
    """Yield what an object is, and a table of its fields."""
    yield from (schema.get("description", ""), "")
    yield from ("| field | type | meaning |", "|---|---|---|")
    for name, field in schema.get("properties", {}).items():
        meaning = cell(field.get("description", ""), field, name in schema.get("required", ()))
        yield f"| `{name}` | {kind(field)} | {meaning} |"


def cell(text: str, schema: Json, required: bool) -> str:
    """Return the meaning of a field for a table, with its default and its limits."""
    names = {"minimum": "at least", "maximum": "at most", "minItems": "items, at least", "maxItems": "items, at most"}
    names |= {"minLength": "characters, at least", "maxLength": "characters, at most", "maxProperties": "keys, at most"}
    parts = [one for one in (schema, *schema.get("anyOf", ())) if isinstance(one, Mapping)]
    facts = [f"{words} {part[key]:,}" for part in parts for key, words in names.items() if key in part]
    if required:
        facts.insert(0, "required")
    elif schema.get("default") is not None:
        facts.insert(0, f"`{json.dumps(schema['default'])}` by default")
    whole = " ".join(text.split())
    return f"{whole} ({'; '.join(facts)})".strip().replace("|", "\\|") if facts else whole.replace("|", "\\|")


def kind(schema: Json) -> str:
    """Return the type of a value, in words.

    >>> kind({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}})
    'list of string or null'
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{json.dumps(one)}`" for one in schema.get("enum", [schema.get("const")]))
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(kind(one) for one in schema[key]))
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {kind(schema['additionalProperties'])}"
    return str(schema.get("type", "any value"))
