"""The files of the page, read once from the package: what is not among them cannot be asked for."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from caser.service.asgi import Request, Response

_MEDIA = {".html": b"text/html; charset=utf-8", ".css": b"text/css; charset=utf-8", ".js": b"text/javascript"}


def read_page() -> dict[str, Response]:
    """An answer for each path: `/` is index.html, and each other file has its name. Empty without a page."""
    folder = files("caser.service").joinpath("page")
    answers: dict[str, Response] = {}
    if not folder.is_dir():
        return answers
    for file in folder.iterdir():
        media = next((media for ending, media in _MEDIA.items() if file.name.endswith(ending)), None)
        if media is not None:
            content = file.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'.encode()
            path = "/" if file.name == "index.html" else f"/{file.name}"
            answers[path] = Response(content, media=media, headers=[(b"cache-control", b"no-cache"), (b"etag", tag)])
    return answers


def unchanged(request: Request, answer: Response) -> Response:
    """The answer, or 304 for a browser that has it already."""
    tag = dict(answer.headers)[b"etag"]
    if request.headers.get(b"if-none-match") == tag:
        return Response(b"", 304, answer.media, answer.headers)
    return answer
