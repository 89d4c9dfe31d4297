"""The OpenAPI document is true; schemathesis tries to find a request that breaks it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from caser.service import response_schemas
from caser.service.http.tokens import add_token
from tests.service.serving import process, serving
from tests.skips import NEEDS_EXTRAS


async def test_every_route_is_described_with_its_statuses_and_examples(run: Path) -> None:
    async with serving(run) as served:
        document = await served.get("/openapi.json")
    recommend = document["paths"]["/v1/recommend"]["post"]
    assert {"200", "401", "413", "422", "429", "503"} <= set(recommend["responses"])
    assert document["components"]["schemas"]["RecommendRequest"]["examples"]
    assert document["paths"]["/healthz"]["get"].get("security", []) == []
    assert recommend["security"] == [{"token": []}]

    assert recommend["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/RecommendRequest")
    assert "/docs" not in document["paths"]
    metrics = document["paths"]["/metrics"]["get"]["responses"]
    assert list(metrics["200"]["content"]) == ["text/plain"]
    assert list(metrics["401"]["content"]) == ["application/json"]


async def test_responses_match_their_schemas(run: Path) -> None:
    """Routes with a JSON body do not check their responses, so this test checks them against their schemas."""
    async with serving(run) as served:
        question = {"user_id": "ann", "history": [10, "new"], "explain": True, "exclude_seen": False, "k": 2}
        answer = await served.post("/v1/recommend", {**question, "exclude": [30]})
        response_schemas.RecommendResponse.model_validate(answer)
        assert answer["removed"]
        bulk = await served.post("/v1/recommend/bulk", {"questions": [question, {}]})
        response_schemas.BulkRecommendResponse.model_validate(bulk)
        event = {"user_id": "ann", "item_id": "later"}
        response_schemas.EventsResponse.model_validate(await served.post("/v1/events", event))


RECOMMEND = ("/v1/recommend", "/v1/recommend/bulk")
DEPENDS_ON_ITEMS = """
[[operations]]
include-path = "{}"
checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "422", "429", "5xx"]
"""
"""No schema can say which columns a filter may name: that depends on the table of items, so 422 is right too."""


@pytest.mark.slow  # benchmarks/serving_fuzz.py asks with 500 examples, route by route
def test_no_generated_request_breaks_the_openapi_document(run: Path) -> None:
    pytest.importorskip("schemathesis", reason=NEEDS_EXTRAS)
    token = add_token(run.parent / "tokens", "tester")
    with process(run, "--token-file", run.parent / "tokens") as served:
        description = run.parent / "openapi.json"
        bearer = f"Authorization: Bearer {token}"
        description.write_text(_description(served.url, token))
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", str(description), "--url", served.url, "--checks", "all",
            "--header", bearer, "--max-examples", "20", "--seed", "1", "--no-color",
        ]  # fmt: skip
        (run.parent / "schemathesis.toml").write_text("".join(map(DEPENDS_ON_ITEMS.format, RECOMMEND)))
        environment = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(run.parent)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=run.parent)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def _description(url: str, token: str) -> str:
    return httpx.get(f"{url}/openapi.json", headers={"authorization": f"Bearer {token}"}).text
