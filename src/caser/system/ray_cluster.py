"""A Ray cluster for the work of one command: the one that RAY_ADDRESS names, or one of its own on this machine.

A cluster of its own has the CPUs of this machine, asks everyone for a secret that only this process and its children
know, and ends with the command. An existing cluster must have this library and the same versions on every host, and
the folders that the command reads and writes.
"""

from __future__ import annotations

import importlib
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from caser.errors import ConfigError
from caser.system.cores import num_cores
from caser.system.extras import require
from caser.system.storage import discard

ADDRESS = "RAY_ADDRESS"
"""The variable that names an existing cluster, as HOST:PORT."""

CONNECT_SECONDS = 10
"""How long a cluster may take to answer at all."""

_PASSED_ON = ("CASER_CACHE", "OMP_NUM_THREADS", "OMP_WAIT_POLICY")

OBJECT_STORE_BYTES = 200 * 2**20
"""Memory for objects in a cluster of its own. What is large is handed over in files."""

_ONE_ATTEMPT = ("RAY_gcs_server_port_wait_time_s", "1")
"""Ray tries once, which takes up to 45 s, to connect to what answers and is no cluster; by default 20 times."""

_LONGEST_FOLDER = 40
"""The sockets of Ray lie below its folder, and the path of a socket has about 100 characters at most."""


@contextmanager
def ray_cluster(purpose: str, num_cpus: int = 1, *, has_cpus: int | None = None) -> Iterator[Any]:
    """Yield the module `ray`, connected to a cluster; a cluster that was started for it ends after the block.

    purpose   what needs it, in a few words, such as "--engine ray"
    num_cpus  how many CPUs the cluster must have at least
    has_cpus  how many CPUs one of its own offers; None for as many as this machine has

    A program that has called `ray.init` itself keeps its cluster. Raises MissingDependencyError without the extra
    `scale`, and ConfigError if the cluster cannot be reached or has fewer CPUs.
    """
    require("scale", purpose)
    address = os.environ.get(ADDRESS, "")
    is_local = address in ("", "local")
    if is_local:
        has_cpus = num_cores() if has_cpus is None else has_cpus
        _refuse_few(num_cpus, has_cpus, "this machine")
    else:
        has_cpus = None
        _check_address(address)
    ray = _imported(is_local)
    if ray.is_initialized():
        _refuse_few(num_cpus, int(ray.cluster_resources().get("CPU", 0)), "the cluster")
        yield ray
        return
    with _handlers_kept(), _own_cluster(ray, has_cpus) if has_cpus else _existing_cluster(ray, address):
        _end_on_sigterm()
        _refuse_few(num_cpus, int(ray.cluster_resources().get("CPU", 0)), f"the cluster {address}".rstrip())
        yield ray


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Put the handler of SIGTERM back afterwards: Ray has one of its own."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _end_on_sigterm() -> None:
    """Let SIGTERM end the block, so that nothing of the cluster is left."""

    def end(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)


def passed_on() -> dict[str, str]:
    """Return the variables of this process that decide what a process of the cluster does."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def _imported(is_local: bool) -> Any:
    """Import Ray, which reads these variables when it is loaded. A cluster of its own has a secret of its own."""
    if is_local and "ray" not in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    return importlib.import_module("ray")


@contextmanager
def _own_cluster(ray: Any, num_cpus: int) -> Iterator[None]:
    """Within, a cluster runs on this machine; nothing of it is left afterwards."""
    parent = tempfile.gettempdir()
    folder = Path(tempfile.mkdtemp(prefix="caser-ray-", dir=parent if len(parent) <= _LONGEST_FOLDER else "/tmp"))  # noqa: S108
    try:
        ray.init(
            "local",
            num_cpus=num_cpus,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=str(folder),
        )
        yield
    finally:
        ray.shutdown()
        discard(folder)


@contextmanager
def _existing_cluster(ray: Any, address: str) -> Iterator[None]:
    """Within, this process is connected to a cluster that others have started."""
    os.environ.setdefault(*_ONE_ATTEMPT)
    try:
        ray.init(address, log_to_driver=False, logging_level="ERROR")
    except Exception as error:
        raise _unreachable(address, " ".join(str(error).split())[:200] or type(error).__name__) from None
    try:
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raise ConfigError unless something answers at an address."""
    if address == "auto":
        return
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or "//" in address:
        raise ConfigError(f"{ADDRESS} must be the address of a Ray cluster as HOST:PORT; got {address!r}.")
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except OSError as error:
        raise _unreachable(address, error.strerror or str(error)) from None


def _unreachable(address: str, got: str) -> ConfigError:
    return ConfigError(
        f"{ADDRESS} must name a Ray cluster that answers, with the same versions of Ray and Python; {address} did not "
        f"({got.rstrip('.')}). Start it, or unset {ADDRESS} to use this machine."
    )


def _refuse_few(asked: int, there: int, where: str) -> None:
    if asked > there:
        raise ConfigError(f"each worker must have a CPU of its own; got {asked} workers, and {where} has {there}.")
