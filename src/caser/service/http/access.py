"""Access control and rate limits: checks of a request before its body is read.

`AccessControl` checks the host that the request is addressed to, the token, and the origin, in this order. The host
check stops DNS rebinding: a page elsewhere cannot reach this service through a host name of its own.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

from fastapi import HTTPException

from caser.errors import ConfigError
from caser.service.http.tokens import Tokens

MAX_CLIENTS = 10_000
"""Clients whose rate is remembered. The one that was silent for longest is forgotten first."""

_WRONG_HOST = (
    "the header Host must name this service, as localhost does; if another name or a proxy leads here, start the "
    "service with --allowed-host and that name."
)
_WRONG_ORIGIN = (
    "a page may write only to the host that it comes from, but the headers Origin and Host differ; put the page and "
    "this service behind one proxy that passes Host on (nginx: proxy_set_header Host $http_host), or send the request "
    "from the page's own server."
)
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class AccessControl:
    """Decides which requests may come in.

    host           the address that the server listens on
    tokens         the tokens that are accepted; None for a service without tokens
    allowed_hosts  further host names that a request may be addressed to

    Raises ConfigError for a host that other machines can reach when there are no tokens.
    """

    def __init__(self, host: str, tokens: Tokens | None, allowed_hosts: Iterable[str] = ()) -> None:
        if tokens is None and not is_loopback(host):
            raise ConfigError(
                f"serving on {host!r} must be with tokens, as other machines can reach it; got none. Make one with "
                "`caser token`, or serve on 127.0.0.1."
            )
        self._tokens = tokens
        own_names = (*_LOOPBACK_NAMES, host) if tokens is None else ()
        self._host_names = {name.lower() for name in (*own_names, *allowed_hosts)} or None

    def check(self, headers: dict[bytes, bytes], address: str, *, is_public: bool, is_write: bool) -> str:
        """Return the client that sends the request: the name of its token, or its address.

        headers    of the request, with names in lower case       address   of the sender
        is_public  whether the path needs no token                is_write  whether the method may change something

        Raises HTTPException: 421 for another host, 401 for a missing or wrong token, 403 for a write from a page of
        another origin.
        """
        host = headers.get(b"host", b"").decode("latin-1")
        if self._host_names is not None and _without_port(host) not in self._host_names and not is_public:
            raise HTTPException(421, _WRONG_HOST)
        holder = None if self._tokens is None else self._tokens.holder(headers.get(b"authorization"))
        if self._tokens is not None and holder is None and not is_public:
            sentence = "the header Authorization must hold `Bearer` and a token of this service."
            raise HTTPException(401, sentence, {"www-authenticate": "Bearer"})
        origin = headers.get(b"origin")
        if is_write and origin is not None and origin.decode("latin-1").partition("://")[2].lower() != host.lower():
            raise HTTPException(403, _WRONG_ORIGIN)
        return holder or address


class RateLimit:
    """A bucket of cost for each client.

    rate   cost per second on average       burst  cost that may arrive at once
    clock  returns the time in seconds

    A request is allowed where at least 1 is left, and what it costs beyond is taken afterwards. So a bucket may hold
    less than nothing, and its client waits until it is paid.

    >>> limit = RateLimit(rate=1.0, burst=2, clock=lambda: 0.0)
    >>> [limit.seconds_to_wait(client) for client in ("ann", "ann", "ann", "bob")]
    [0.0, 0.0, 1.0, 0.0]
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By client: what is left in its bucket, and when that was computed."""

    def seconds_to_wait(self, client: str) -> float:
        """Take 1 for a request of `client`. Returns 0 if it is allowed, else the seconds until the next one is."""
        now = self._clock()
        left, since = self._buckets.pop(client, (float(self._burst), now))
        left = min(float(self._burst), left + (now - since) * self._rate)
        is_allowed = left >= 1
        self._keep(client, left - is_allowed, now)
        return 0.0 if is_allowed else (1 - left) / self._rate

    def charge(self, client: str, cost: float) -> None:
        """Take a further `cost` from a client whose request was allowed."""
        left, since = self._buckets.get(client, (float(self._burst), self._clock()))
        self._keep(client, left - cost, since)

    def _keep(self, client: str, left: float, since: float) -> None:
        self._buckets[client] = (left, since)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("")
    (True, True, False, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_port(host: str) -> str:
    """The name in a Host header, in lower case.

    >>> _without_port("LOCALHOST:80"), _without_port("[::1]:80"), _without_port("::1")
    ('localhost', '::1', '::1')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return (host if host.count(":") > 1 else host.partition(":")[0]).lower()
