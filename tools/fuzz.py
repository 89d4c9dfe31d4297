"""Give one reader of files inputs that atheris finds, until it fails in a way that it must not, or the time is over.

    python tools/dev.py fuzz            list the readers
    python tools/dev.py fuzz READER     --seconds N (600 by default)

The last line says how many inputs were tried, how long the slowest took, and how much memory was needed above that at
the start. What was found useful is kept in runs/fuzz/READER, so the next run goes on from there. An input that fails is
written to runs/fuzz/found/; put a small one into tests/fuzz/seeds/READER, where the test suite reads it from then on.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

KEPT = Path("runs/fuzz")

MOST_MEGABYTES = 1000
"""Above what Python, polars and torch take from the start."""


def main() -> None:
    """Fuzz the reader that the command line names. The process ends with a status other than 0 for a failure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("reader", nargs="?")
    parser.add_argument("--seconds", type=int, default=600)
    chosen = parser.parse_args()
    if chosen.reader is None:
        from tests.fuzz.readers import READERS

        print("\n".join(READERS))
        return
    try:
        import atheris
    except ImportError:
        parser.error("fuzzing needs atheris, which has builds for Linux on x86_64 only; fuzz on such a machine.")
    with atheris.instrument_imports(include=["caser", "tests.fuzz"]):
        from tests.fuzz.criterion import refusal_of
        from tests.fuzz.readers import READERS
    if chosen.reader not in READERS:
        parser.error(f"there is no reader {chosen.reader!r}; known: {', '.join(READERS)}")
    # A folder of its own for each reader: the fuzzer ends without cleaning up.
    folder = KEPT.resolve() / "work" / chosen.reader
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seeds = READERS[chosen.reader].seeds()
    read = READERS[chosen.reader].open(folder)
    for seed in seeds:  # what is loaded with the first input is no need of an input
        refusal_of(read, seed, folder)
    tried = _Tried(lambda content: refusal_of(read, content, folder), chosen.seconds)
    atheris.Setup([sys.argv[0], *_options(chosen.reader, seeds)], tried)
    atheris.Fuzz()


class _Tried:
    """A function of bytes, which counts what it needs, and ends the process when the time is over."""

    def __init__(self, check: Callable[[bytes], object], seconds: float) -> None:
        self._check = check
        self._end = time.monotonic() + seconds
        self._megabytes = _megabytes()
        self._num_inputs, self._slowest = 0, 0.0

    def __call__(self, content: bytes) -> None:
        start = time.process_time()
        self._check(content)
        self._num_inputs += 1
        self._slowest = max(self._slowest, time.process_time() - start)
        if time.monotonic() > self._end:
            needed = f"the slowest took {self._slowest:.2f} s, and {_megabytes() - self._megabytes} MB more at most"
            print(f"{self._num_inputs:,} inputs without a failure; {needed}", flush=True)
            os._exit(0)  # libFuzzer takes every other end for a failure


def _options(reader: str, seeds: Sequence[bytes]) -> list[str]:
    """Return the arguments of libFuzzer, after the seeds were put where it looks for them."""
    corpus, found = KEPT / reader, KEPT / "found"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    memory = f"-rss_limit_mb={_megabytes() + MOST_MEGABYTES}"
    return [memory, "-timeout=60", "-max_len=100000", f"-artifact_prefix={found}/{reader}-", str(corpus)]


def _megabytes() -> int:
    """Return the most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
