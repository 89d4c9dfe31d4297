"""Who may come in: asked of every request before its body is read.

In this order: the host that the request is addressed to (so that a page elsewhere cannot reach this machine through a
name of its own), the token, the page that it comes from, and how often its sender has asked.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

from fastapi import HTTPException

from caser.errors import ConfigError
from caser.service.http.tokens import Tokens

MOST_CLIENTS = 10_000
"""Senders whose rate is remembered; the ones not heard of for longest go first."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Guard:
    """Refuses requests. Raises ConfigError rather than serve other machines without tokens."""

    def __init__(self, host: str, tokens: Tokens | None, allowed_hosts: Iterable[str] = ()) -> None:
        if tokens is None and not is_loopback(host):
            raise ConfigError(
                f"serving on {host!r} must be with tokens, as other machines can reach it; got none. Make one with "
                "`caser token`, or serve on 127.0.0.1."
            )
        self._tokens = tokens
        own = (*_LOOPBACK, host) if tokens is None else ()
        self._hosts = {name.lower() for name in (*own, *allowed_hosts)} or None

    def admit(self, headers: dict[bytes, bytes], address: str, *, is_open: bool, changes: bool) -> str:
        """Let a request in, and return whose it is: the name of a token, or an address.

        is_open  whether it needs no token       changes  whether its method changes something
        Raises HTTPException with status 421, 401 or 403.
        """
        host = headers.get(b"host", b"").decode("latin-1")
        if self._hosts is not None and _name_of(host) not in self._hosts and not is_open:
            raise HTTPException(421, "the request must be addressed to a host of this service; see --allowed-host.")
        holder = None if self._tokens is None else self._tokens.holder(headers.get(b"authorization"))
        if self._tokens is not None and holder is None and not is_open:
            sentence = "the header Authorization must hold `Bearer` and a token of this service."
            raise HTTPException(401, sentence, {"www-authenticate": "Bearer"})
        origin = headers.get(b"origin")
        if changes and origin is not None and origin.decode("latin-1").partition("://")[2].lower() != host.lower():
            raise HTTPException(403, "a request from a page must come from this service's own page.")
        return holder or address


class RateLimit:
    """A bucket of tokens for each client: `burst` at once, `rate` a second on average.

    >>> limit = RateLimit(rate=1.0, burst=2, clock=lambda: 0.0)
    >>> [limit.wait("ann"), limit.wait("ann"), limit.wait("ann"), limit.wait("bob")]
    [0.0, 0.0, 1.0, 0.0]
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Count a request: 0 if it may go on, else after how many seconds the next may."""
        now = self._clock()
        left, since = self._buckets.pop(client, (float(self._burst), now))
        left = min(float(self._burst), left + (now - since) * self._rate)
        allowed = left >= 1
        self._buckets[client] = (left - allowed, now)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._rate


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that is bound to a host.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("")
    (True, True, False, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name_of(host: str) -> str:
    """A host without its port.

    >>> _name_of("LOCALHOST:80"), _name_of("[::1]:80"), _name_of("::1")
    ('localhost', '::1', '::1')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return (host if host.count(":") > 1 else host.partition(":")[0]).lower()
