"""Case d17: the page works behind `location /rec/ { proxy_pass http://caser/; }`, in a real browser."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.skips import NEEDS_EXTRAS, without_browser

pytest.importorskip("playwright", reason=NEEDS_EXTRAS)

from tests.service.page_served import CHROMIUM, Tab, browser, save_run, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=without_browser(CHROMIUM)),
]


class _Proxy(BaseHTTPRequestHandler):
    """Passes requests below /rec/ on to a service without this prefix, as nginx does, and refuses all others."""

    protocol_version = "HTTP/1.1"
    port = 0
    outside: list[str]

    def do_GET(self) -> None:
        """Pass one request on."""
        if not self.path.startswith("/rec/"):
            self.outside.append(self.path)
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request(self.command, self.path.removeprefix("/rec"), body, dict(self.headers.items()))
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "connection"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of the page behind a proxy, and the paths that were asked for outside the prefix."""
    run, items = save_run(tmp_path)
    with serving(run, "--items", str(items), "--root-path", "/rec") as address:
        outside: list[str] = []
        handler = type("Handler", (_Proxy,), {"port": int(address.rpartition(":")[2]), "outside": outside})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/rec/", outside
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_page_works_behind_a_prefix(proxied: tuple[str, list[str]]) -> None:
    address, outside = proxied
    with browser() as chromium:
        tab = Tab(chromium.new_context(reduced_motion="reduce").new_page(), address)
        tab.open()
        first = tab.shown()
        tab.take("Title 7")
        assert len(tab.shown()) == 10
        assert tab.shown() != first
        assert f"{address}v1/recommend" in (tab.page.locator("#curl").text_content() or "")
        link = tab.page.locator('a[href$="openapi.json"]').evaluate("link => link.href")
        assert link == f"{address}openapi.json"
        assert tab.trouble == []
    assert outside == []
