"""Stops the process at once on SIGTERM or Ctrl-C while a service starts. Needs nothing but the standard library.

Process 1 of a container ignores SIGTERM until it has a handler. Importing and loading take seconds, so the handler must
be there before. Nothing is lost: a service that has not started has acknowledged nothing.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from types import FrameType


def install() -> None:
    """Let SIGTERM and Ctrl-C end this process with exit code 0 and one log line. Call it in the main thread."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)


def _stop(number: int, _: FrameType | None) -> None:
    message = f"stopped by {signal.Signals(number).name}; no request was in progress"
    line = json.dumps({"time": time.time(), "level": "INFO", "message": message})
    with suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), line.encode() + b"\n")
    # An exception could be lost in a library's callback, and a thread could keep the process.
    os._exit(0)
