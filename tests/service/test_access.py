from __future__ import annotations

import json
import socket
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from caser.errors import ConfigError
from caser.service.http import access
from caser.service.http.access import AccessControl, RateLimit
from caser.service.http.page import page_routes
from caser.service.http.tokens import add_token, read_tokens
from tests.service.serving import serving

OPEN = {"/healthz", "/readyz"}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


async def test_every_route_except_health_and_page_needs_a_token(run: Path, token_file: Path) -> None:
    token = add_token(token_file, "web")
    async with serving(run, "0.0.0.0", token_file=token_file) as served:
        pages = {route.path for route in page_routes()}
        routes = [route for route in served.app.routes if isinstance(route, Route) and route.path not in pages]
        assert {"/v1/recommend", "/metrics", "/openapi.json"} <= {route.path for route in routes}
        for method, path in [(method, route.path) for route in routes for method in route.methods or ()]:
            place = path.replace("{user_id}", "ann").replace("{item_id}", "10")
            for header in ({}, {"authorization": "Bearer wrong-but-long-enough"}, {"authorization": f"Basic {token}"}):
                response = await served.client.request(method, place, headers=header)
                assert (response.status_code == 401) == (path not in OPEN), (method, path)
            response = await served.client.request(method, place, headers={"authorization": f"Bearer {token}"})
            assert response.status_code != 401


@pytest.mark.parametrize(
    "path",
    ["//v1/model", "/V1/model", "/v1/model/", "/v1/./model", "/healthz/../v1/model", "/%76%31/model", "/nothing"],
)
async def test_unusual_paths_and_hosts_do_not_bypass_the_token(run: Path, token_file: Path, path: str) -> None:
    add_token(token_file, "web")
    async with serving(run, "0.0.0.0", token_file=token_file) as served:
        for host in ("localhost", "127.0.0.1", "evil.example", ""):
            scope_path = httpx.URL("http://localhost").copy_with(raw_path=path.encode())
            response = await served.client.get(scope_path, headers={"host": host, "x-forwarded-for": "127.0.0.1"})
            assert response.status_code == 401


def test_other_machines_are_not_served_without_tokens(token_file: Path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "", "example.org"):
        with pytest.raises(ConfigError, match="must be with tokens"):
            AccessControl(host, None)
    token_file.write_text("# nobody\n\n")
    with pytest.raises(ConfigError, match="at least one token"):
        read_tokens(token_file)


@pytest.mark.parametrize(
    "line", ["changeme", "web short", "a-token-in-the-open-that-is-long", "web sha256:abc", "web md5:0"]
)
def test_a_token_file_with_an_invalid_line_is_refused_without_showing_the_line(token_file: Path, line: str) -> None:
    token_file.write_text(f"{line}\n")
    with pytest.raises(ConfigError, match=r"tokens:1 must be a name and `sha256:`") as caught:
        read_tokens(token_file)
    assert line not in str(caught.value)


def test_a_short_token_is_refused_even_if_its_digest_matches(token_file: Path) -> None:
    import hashlib

    token_file.write_text(f"web sha256:{hashlib.sha256(b'short').hexdigest()}\n")
    assert read_tokens(token_file).holder(b"Bearer short") is None


def test_a_token_file_holds_digests_with_unique_names_and_is_private(token_file: Path) -> None:
    first, second = add_token(token_file, "web"), add_token(token_file, "batch")
    content = token_file.read_text()
    assert first not in content
    assert second not in content
    assert token_file.stat().st_mode & 0o077 == 0
    tokens = read_tokens(token_file)
    assert tokens.holder(f"Bearer {second}".encode()) == "batch"
    with pytest.raises(ConfigError, match="already"):
        add_token(token_file, "web")
    with pytest.raises(ConfigError, match="name must be"):
        add_token(token_file, "two words")


@pytest.mark.parametrize(
    ("host", "status"), [("localhost:8000", 200), ("[::1]:80", 200), ("evil.example", 421), ("", 421)]
)
async def test_without_tokens_a_request_must_be_addressed_to_this_machine(run: Path, host: str, status: int) -> None:
    async with serving(run) as served:
        assert (await served.client.get("/v1/model", headers={"host": host})).status_code == status


async def test_an_allowed_host_is_served(run: Path) -> None:
    async with serving(run, allowed_host=("shop.example",)) as served:
        assert (await served.client.get("/v1/model", headers={"host": "shop.example"})).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost", 200), ("http://evil.example", 403), ("null", 403), ("http://localhost.evil.example", 403)],
)
async def test_a_page_of_another_origin_cannot_change_anything(run: Path, origin: str, status: int) -> None:
    async with serving(run) as served:
        await served.post("/v1/events", {"user_id": 1, "item_id": 10}, status, origin=origin)
        assert (await served.client.delete("/v1/users/1", headers={"origin": origin})).status_code == status


async def test_only_the_client_that_exceeds_the_rate_is_refused_with_retry_after(run: Path, token_file: Path) -> None:
    tokens = [add_token(token_file, name) for name in ("web", "batch")]
    async with serving(run, token_file=token_file, rate=0.5, burst=3) as served:
        statuses = []
        for token in [tokens[0]] * 5 + [tokens[1]]:
            response = await served.client.get("/v1/model", headers={"authorization": f"Bearer {token}"})
            statuses.append(response.status_code)
            if response.status_code == 429:
                assert 1 <= int(response.headers["retry-after"]) <= 2
        assert statuses == [200, 200, 200, 429, 429, 200]
        assert (await served.client.get("/healthz")).status_code == 200


def test_a_rate_limit_holds_over_time() -> None:
    now = [0.0]
    limit = RateLimit(2.0, 1, lambda: now[0])
    allowed = 0
    for _ in range(1000):
        now[0] += 0.01
        allowed += limit.seconds_to_wait("ann") == 0
    assert allowed in (20, 21)


def test_rate_limits_remember_a_bounded_number_of_clients() -> None:
    limit = RateLimit(1.0, 1)
    for number in range(100_000):
        limit.seconds_to_wait(str(number))
    assert len(limit._buckets) == access.MAX_CLIENTS


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/app.py", "/index.html/../app.py", "/C:/x", "/%00",
     "/.css", "/app.py", "/v1/users//history", "/v1/users/%ff/history", "/v1/model/../../x", "//etc/passwd"],
)  # fmt: skip
async def test_a_path_without_a_route_is_404(run: Path, path: str) -> None:
    async with serving(run) as served:
        url = httpx.URL("http://localhost").copy_with(raw_path=path.encode())
        response = await served.client.get(url, headers={"range": "bytes=0-0,-1,5-4"})
        assert response.status_code == 404
        assert "/" not in response.json()["error"].replace("/openapi.json", "")


async def test_logs_and_responses_hold_no_secret_and_users_only_as_digests(
    run: Path, token_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = add_token(token_file, "web")
    monkeypatch.setenv("CASER_SECRET", secret)
    log = tmp_path / "answers.jsonl"
    bearer = {"authorization": f"Bearer {secret}"}
    seen = []
    async with serving(run, "0.0.0.0", token_file=token_file, answer_log=log) as served:

        async def ask(method: str, path: str, content: str = "{}", **headers: str) -> None:
            given = {**bearer, "content-type": "application/json", **headers}
            seen.append((await served.client.request(method, path, content=content, headers=given)).text)

        await ask("POST", "/v1/recommend", '{"user_id": "margaret"}')
        await ask("POST", "/v1/events", '{"user_id": "margaret", "item_id": 10}')
        await ask("POST", f"/v1/recommend?key={secret}", "{")
        await ask("POST", "/v1/recommend", json.dumps({"k": secret}))
        await ask("GET", f"/v1/{secret}")
        await ask("GET", "/v1/model", cookie=secret)
        await ask("GET", "/metrics")

        def fail(questions: object) -> None:
            raise RuntimeError("a secret of the inside")

        monkeypatch.setattr(served.app.state.service.queue, "_answer_batch", fail)
        response = await served.client.post("/v1/recommend", json={}, headers=bearer)
        assert response.status_code == 500
        assert "inside" not in response.text
    written = capfd.readouterr().err + log.read_text()
    assert written.count('"status":') == 8
    for text in (written, *seen):
        assert secret not in text
        assert str(run) not in text
    assert "margaret" not in written
    assert all(json.loads(line)["user"] for line in log.read_text().splitlines()[:2])


async def test_the_service_opens_no_connection(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    async with serving(run) as served:
        for url in ("http://127.0.0.1:1/x", "file:///etc/passwd", "//evil.example"):
            await served.post("/v1/recommend", {"user_id": url, "history": [url]})
            await served.get("/v1/items?query=" + url)


async def test_every_response_has_security_headers(run: Path) -> None:
    async with serving(run) as served:
        for path in ("/v1/model", "/healthz", "/nothing", "/metrics"):
            headers = (await served.client.get(path)).headers
            assert "unsafe-inline" not in headers["content-security-policy"]
            assert headers["content-security-policy"].startswith("default-src 'none'")
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
