"""The files of the page, read once from the package: what is not among them cannot be asked for."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import Request, Response
from starlette.routing import Route

_MEDIA = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


def page_routes() -> list[Route]:
    """A route for each file: `/` is index.html, and each other file has its name. None without a page."""
    folder = files("caser.service").joinpath("page")
    return [_route(file) for file in folder.iterdir() if _media(file)] if folder.is_dir() else []


def _route(file: Traversable) -> Route:
    content, media = file.read_bytes(), _media(file)
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"cache-control": "no-cache", "etag": tag}

    async def answer(request: Request) -> Response:
        """The file, or 304 for a browser that has it already."""
        if request.headers.get("if-none-match") == tag:
            return Response(None, 304, headers, media)
        return Response(content, 200, headers, media)

    return Route("/" if file.name == "index.html" else f"/{file.name}", answer)


def _media(file: Traversable) -> str | None:
    return next((media for ending, media in _MEDIA.items() if file.name.endswith(ending)), None)
