"""A clean environment with only the extra `serve` serves a run, without torch, numba or onnx."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.service.serving import process
from tests.skips import skipped
from tools import installing

ROOT = Path(__file__).resolve().parents[2]
ABSENT = ("torch", "numba", "onnx", "faiss", "optuna", "plotly", "matplotlib")


@pytest.mark.slow
def test_a_service_runs_with_the_extra_serve_alone(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run.parent / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    try:
        installing.install_pinned(python, ["serve", "build"], ROOT)
    except installing.SetupError as error:
        pytest.skip(skipped(f"pip could not install: {error}", "pip config list, to check the index"))
    installing.pip("Installing caser", python, ["--no-deps", "--no-build-isolation", "."], ROOT)
    looked = f"import importlib.util as u; print([name for name in {ABSENT} if u.find_spec(name)])"
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert subprocess.run([str(python), "-c", looked], capture_output=True, text=True).stdout == "[]\n"
    monkeypatch.setattr(sys, "executable", str(python))
    with process(run, "--store", run.parent / "events.db") as served, httpx.Client(base_url=served.url) as client:
        assert client.post("/v1/events", json={"user_id": "new", "item_id": 20}).json()["durable"]
        answer = client.post("/v1/recommend", json={"user_id": "new", "explain": True}).json()
        assert answer["source"] == "fold-in"
        assert answer["items"][0]["why"]["parts"]
        assert "<!doctype html>" in client.get("/").text
