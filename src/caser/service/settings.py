"""Settings of the service. Each default is written here, once; the docstring of a setting is its `--help` text."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator

from caser.config import Settings

DEFAULT_HOST = "127.0.0.1"
"""The address to listen on: this machine only."""
DEFAULT_PORT = 8000
"""The port to listen on."""
DEFAULT_WINDOW = 1000
"""How many last interactions of a user count."""
DEFAULT_CACHE_MB = 256
"""Memory for histories of users, in MiB."""
DEFAULT_SHARE = "5%"
"""The share of the users who get a candidate."""
DEFAULT_MAX_WAITING_MB = 32
"""Memory for events that wait to be written, in MiB."""


class ServiceSettings(Settings):
    """How to serve a run.

    >>> ServiceSettings(max_waiting=10).max_waiting
    10
    """

    store: str | None = Field(default=None, repr=False)
    """What keeps events: a file, or postgresql://user@host/name. Without it, they are lost when the service stops."""
    items: Path | None = None
    """A table of items, in any format that a log may have: item ids, optionally titles, and columns for rules."""
    onnx: Path | None = None
    """Answer from this file, made by `caser export` from the same run: faster for models that read long histories."""
    candidate: Path | None = None
    """A second run folder, which answers a share of the users: docs/operations.md says how to run an experiment."""
    share: str = Field(default=DEFAULT_SHARE, max_length=20)
    """The share of the users who get --candidate, such as 5% or 0.05. Each user always gets the same run."""
    salt: str = Field(default="", max_length=200, repr=False)
    """Any text; it decides which users get --candidate. Two experiments with different texts are independent."""
    token_file: Path | None = None
    """A file of access tokens, made by `caser token`. Without one, the service answers this machine only."""
    allowed_host: tuple[str, ...] = ()
    """A host name that requests may use; repeat for several. Default: this machine's names, or any name with tokens."""
    root_path: str = ""
    """The path under which a proxy shows this service, such as /rec. The proxy may cut it off or pass it on."""
    answer_log: Path | None = None
    """Write every answer and event to this file, with user ids as digests; `caser replay --log` reads it."""
    log_user_ids: bool = False
    """Write user ids to logs as they are."""
    window: int = Field(default=DEFAULT_WINDOW, ge=1, le=100_000)
    """How many last interactions of a user count."""
    expire_days: float | None = Field(default=None, gt=0)
    """Forget events older than this many days."""
    rate: float | None = Field(default=None, gt=0)
    """Cost per second that one token (without tokens: one address) may ask for on average; a plain question costs 1."""
    burst: int = Field(default=100, ge=1)
    """Cost that may arrive at once above that rate. After a request that costs more, its client must wait longer."""
    max_cost: int = Field(default=20_000, ge=1)
    """Most that one request may cost, where 1 is a plain question with k = 10, about 0.1 ms of processor time."""
    max_waiting: int = Field(default=40_000, ge=1)
    """Most that all requests that wait may cost together; further ones are refused with status 503."""
    answer_seconds: float = Field(default=10.0, gt=0)
    """Deadline of every answer but that to a reload: then it is given up, and status 503 and a log line say so."""
    reload_seconds: float = Field(default=120.0, gt=0)
    """Seconds that loading a run again and trying it may take; then the old model stays, with status 409."""
    max_connections: int | None = Field(default=None, ge=2)
    """Connections in all; one address may have half of them. Default: four fifths of the files the process may open."""
    idle_seconds: float = Field(default=15.0, gt=0)
    """Seconds that a connection may be idle, take to send the head of a request, or not read its answer."""
    max_waiting_mb: int = Field(default=DEFAULT_MAX_WAITING_MB, ge=1)
    """Memory for events that wait to be written, in MiB; further ones are refused with status 503."""
    cache_mb: int = Field(default=DEFAULT_CACHE_MB, ge=1)
    """Memory for histories of users, in MiB. Those that do not fit are read from the store and the run when needed."""
    max_body: int = Field(default=2**20, ge=1024)
    """Maximum size of a request body, in bytes."""
    watch: bool = False
    """Look every second whether the run folder was replaced, and load it then, as a request to reload does."""
    drain_seconds: float = Field(default=1.0, ge=0)
    """After SIGTERM: seconds to keep answering while /readyz already reports 503."""

    @field_validator("store", mode="before")
    @classmethod
    def _name_of_store(cls, store: object) -> object:
        return str(store) if isinstance(store, Path) else store

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, path: str) -> str:
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", path):
            raise ValueError("must be a path that begins with a slash and does not end with one, such as /rec")
        return path
