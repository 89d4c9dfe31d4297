"""Routes for the files of the web page. The files are read once from the package; no other file can be requested."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import Request, Response
from starlette.routing import Route

_MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


def page_routes() -> list[Route]:
    """Return one route for each file: `/` for index.html, and `/NAME` for the others. Empty if there is no page."""
    folder = files("caser.service").joinpath("page")
    return [_route(file) for file in folder.iterdir() if _media_type(file)] if folder.is_dir() else []


def _route(file: Traversable) -> Route:
    content, media_type = file.read_bytes(), _media_type(file)
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"cache-control": "no-cache", "etag": etag}

    async def respond(request: Request) -> Response:
        """Send the file, or 304 if the browser has it already."""
        if request.headers.get("if-none-match") == etag:
            return Response(None, 304, headers, media_type)
        return Response(content, 200, headers, media_type)

    return Route("/" if file.name == "index.html" else f"/{file.name}", respond)


def _media_type(file: Traversable) -> str | None:
    return next((media for suffix, media in _MEDIA_TYPES.items() if file.name.endswith(suffix)), None)
