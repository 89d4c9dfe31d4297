"""Stops the process at once on SIGTERM or Ctrl-C while a service starts. Needs nothing but the standard library.

Process 1 of a container ignores SIGTERM until it has a handler. Importing and loading take seconds, so the handler must
be there before. Nothing is lost: a service that has not started has acknowledged nothing.

Python runs a handler between two steps of the main thread, and not while that thread waits: for a file on a network
that does not answer, or in a long call of a library. So a thread waits for the same signals, and stops it then.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

_is_stopping = threading.Lock()
"""Taken by the first that stops the process."""


def install() -> None:
    """Let SIGTERM and Ctrl-C end this process with exit code 0 and one log line. Call it in the main thread.

    Other handlers may replace this one: then a signal is theirs.
    """
    heard, told = socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.detach(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    threading.Thread(target=_wait, args=(heard,), name="early-stop", daemon=True).start()


def _wait(heard: socket.socket) -> None:
    """Stop the process on the first signal, as long as the handlers are those of this file."""
    with heard:
        for number in iter(lambda: heard.recv(1), b""):
            if signal.getsignal(number[0]) is not _stop:
                return
            _stop(number[0], None)


def _stop(number: int, _: FrameType | None) -> None:
    if not _is_stopping.acquire(blocking=False):
        return
    message = f"stopped by {signal.Signals(number).name}; no request was in progress"
    line = json.dumps({"time": time.time(), "level": "INFO", "message": message})
    with suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), line.encode() + b"\n")
    # An exception could be lost in a library's callback, and a thread could keep the process.
    os._exit(0)
