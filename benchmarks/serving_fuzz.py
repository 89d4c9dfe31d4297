"""The service against its own description: schemathesis, every check, 500 examples a route and 50 paths through routes.

Five minutes on a quiet machine, 15 on a busy one, nearly all spent on making examples (lists of up to 1,000 questions
or events); so each route is asked alone and has ten minutes of its own. `--examples 20` for a quick look.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from benchmarks.speed import _rounds
from benchmarks.speed._served import ours, served
from benchmarks.speed.serving import make_run
from caser.service.http.tokens import add_token

BUDGET_SECONDS = 600
WALKS = 50


def parts(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
    """Descriptions of one route each, and then the whole one, whose routes are asked one after another."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            alone = {**document, "paths": {path: {method: operation}}}
            yield f"{method.upper()} {path}", alone, ["--phases", "examples,coverage,fuzzing"]
    yield "one after another", document, ["--phases", "stateful", "--max-examples", str(WALKS)]


def main() -> None:
    """Ask, route by route, and print what was found."""
    parser = _rounds.parser(__doc__)
    parser.add_argument("--examples", type=int, default=500, help="examples a route")
    words = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_run(folder / "run")
        bearer = f"Authorization: Bearer {add_token(folder / 'tokens', 'tester')}"
        with served(*ours(folder / "run", "--token-file", folder / "tokens")) as service:
            url = f"http://127.0.0.1:{service.port}"
            with urlopen(Request(f"{url}/openapi.json", headers=dict([bearer.split(": ", 1)]))) as response:  # noqa: S310
                document = json.load(response)
            for name, described, flags in parts(document):
                (folder / "openapi.json").write_text(json.dumps(described))
                command = [
                    sys.executable, "-m", "schemathesis.cli", "run", str(folder / "openapi.json"), "--url", url,
                    "--header", bearer, "--checks", "all", "--max-examples", str(words.examples), *flags,
                    "--seed", "1", "--no-color",
                ]  # fmt: skip
                rows.append({"route": name, **_asked(command, folder)})
    failed = sum(row["outcome"] != "passed" for row in rows)
    bars = [_rounds.Bar("routes that do not hold what they promise", failed, "", 0, 0, "lower")]
    _rounds.publish("serving_fuzz", rows, bars, examples=words.examples)


def _asked(command: list[str], folder: Path) -> dict[str, Any]:
    """How many cases there were, what came of them, and the seconds it took; what failed is printed."""
    began = time.perf_counter()
    environment = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(folder)}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=BUDGET_SECONDS, check=False
        )
        outcome, said = ("failed" if done.returncode else "passed"), done.stdout
    except subprocess.TimeoutExpired:
        outcome, said = "out of time", ""
    if outcome == "failed":
        print(said[-4000:])
    found = re.search(r"(\d+) generated", said)
    return {
        "cases": int(found[1]) if found else 0,
        "seconds": round(time.perf_counter() - began, 1),
        "outcome": outcome,
    }


if __name__ == "__main__":
    main()
