"""Give one reader of files inputs that atheris finds, until it fails in a way that it must not, or the time is over.

    python tools/dev.py fuzz            list the readers
    python tools/dev.py fuzz READER     --seconds N (600 by default)

What was found useful is kept in runs/fuzz/READER, so the next run goes on from there. An input that fails is written to
runs/fuzz/found/; put a small one into tests/fuzz/seeds/READER, where the test suite reads it from then on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

KEPT = Path("runs/fuzz")

MOST_MEGABYTES = 2000
"""Of the whole process: 1 GB for a reader, and what Python, polars and torch take from the start."""


def main() -> None:
    """Fuzz the reader that the command line names. The process ends with a status other than 0 for a failure."""
    import atheris

    with atheris.instrument_imports(include=["caser", "tests.fuzz"]):
        from tests.fuzz.criterion import refusal_of
        from tests.fuzz.readers import READERS

    parser = argparse.ArgumentParser()
    parser.add_argument("reader", choices=READERS, nargs="?")
    parser.add_argument("--seconds", type=int, default=600)
    chosen = parser.parse_args()
    if chosen.reader is None:
        print("\n".join(READERS))
        return
    corpus, found = KEPT / chosen.reader, KEPT / "found"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(READERS[chosen.reader].seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    with tempfile.TemporaryDirectory() as folder:
        read = READERS[chosen.reader].open(Path(folder))
        options = [
            *(f"-max_total_time={chosen.seconds}", f"-rss_limit_mb={MOST_MEGABYTES}", "-timeout=10"),
            *("-max_len=100000", f"-artifact_prefix={found}/{chosen.reader}-", "-print_final_stats=1"),
        ]

        def check(content: bytes) -> None:
            refusal_of(read, content, Path(folder))

        atheris.Setup([sys.argv[0], *options, str(corpus)], check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
