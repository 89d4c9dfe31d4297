"""Does the service do what its OpenAPI description says? Schemathesis, all checks, 500 examples per route.

Every route is tested alone, and then 50 sequences of requests to several routes. It takes five minutes on a quiet
machine and 15 on a busy one. Nearly all of it is spent on making examples (lists of up to 1,000 questions or events),
so each route gets ten minutes of its own. Use `--examples 20` for a quick look.
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
SEQUENCES = 50


def parts(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
    """Yield the name, the description and the flags of every test: one per route, and one of sequences of requests."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            one_route = {**document, "paths": {path: {method: operation}}}
            yield f"{method.upper()} {path}", one_route, ["--phases", "examples,coverage,fuzzing"]
    yield "one after another", document, ["--phases", "stateful", "--max-examples", str(SEQUENCES)]


def main() -> None:
    """Test route by route, and print the outcomes."""
    parser = _rounds.parser(__doc__)
    parser.add_argument("--examples", type=int, default=500, help="examples per route")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_run(folder / "run")
        bearer = f"Authorization: Bearer {add_token(folder / 'tokens', 'tester')}"
        with served(*ours(folder / "run", "--token-file", folder / "tokens")) as service:
            url = f"http://127.0.0.1:{service.port}"
            with urlopen(Request(f"{url}/openapi.json", headers=dict([bearer.split(": ", 1)]))) as response:  # noqa: S310
                document = json.load(response)
            for name, description, flags in parts(document):
                (folder / "openapi.json").write_text(json.dumps(description))
                command = [
                    sys.executable, "-m", "schemathesis.cli", "run", str(folder / "openapi.json"), "--url", url,
                    "--header", bearer, "--checks", "all", "--max-examples", str(options.examples), *flags,
                    "--seed", "1", "--no-color",
                ]  # fmt: skip
                rows.append({"route": name, **_outcome(command, folder)})
    failed = sum(row["outcome"] != "passed" for row in rows)
    bars = [_rounds.Bar("routes that do not hold what they promise", failed, "", 0, 0, "lower")]
    _rounds.publish("serving_fuzz", rows, bars, examples=options.examples)


def _outcome(command: list[str], folder: Path) -> dict[str, Any]:
    """Run schemathesis; return the number of cases, the outcome and the seconds it took, and print failures."""
    began = time.perf_counter()
    environment = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(folder)}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=BUDGET_SECONDS, check=False
        )
        outcome, output = ("failed" if done.returncode else "passed"), done.stdout
    except subprocess.TimeoutExpired:
        outcome, output = "out of time", ""
    if outcome == "failed":
        print(output[-4000:])
    cases = re.search(r"(\d+) generated", output)
    return {
        "cases": int(cases[1]) if cases else 0,
        "seconds": round(time.perf_counter() - began, 1),
        "outcome": outcome,
    }


if __name__ == "__main__":
    main()
