"""What a person who runs the service may set. Each default is written here, once; a docstring is its `--help`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from caser.config import Settings


class ServiceSettings(Settings):
    """How to serve.

    >>> ServiceSettings(max_waiting=10).max_waiting
    10
    """

    store: Path | None = None
    """The file that keeps events; without one they go when the service stops."""
    items: Path | None = None
    """A .csv or .parquet table of items: item_id, perhaps title, and any columns that rules may name."""
    onnx: Path | None = None
    """Answer through this file, which `caser export` wrote from the run: far quicker for gru4rec, sasrec, nextitnet."""
    token_file: Path | None = None
    """Who may ask: a file that `caser token` writes. Without one the service answers this machine only."""
    allowed_host: tuple[str, ...] = ()
    """A name that requests may be addressed to; repeat for several. By default this machine's, or any with tokens."""
    answer_log: Path | None = None
    """Write every answer and event to this file, with users' ids as digests: what `caser replay --log` reads."""
    log_user_ids: bool = False
    """Write users' ids to logs as they are."""
    window: int = Field(1000, ge=1, le=100_000)
    """How many last interactions of a user count."""
    expire_days: float | None = Field(None, gt=0)
    """Forget events older than this."""
    rate: float | None = Field(None, gt=0)
    """Requests a second that one token (without tokens, one address) may make on average."""
    burst: int = Field(100, ge=1)
    """Requests that may come at once above that rate."""
    max_waiting: int = Field(256, ge=1)
    """Questions that may wait for their answer; more are refused with 503."""
    max_body: int = Field(2**20, ge=1024)
    """Bytes a request may have."""
    drain_seconds: float = Field(1.0, ge=0)
    """How long to go on answering after SIGTERM, while /readyz already says no."""
