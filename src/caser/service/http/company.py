"""The other processes of a service, as one of them sees them. A service with one process has no company."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from caser.service.answers.arms import Arm
from caser.service.http.access import RateLimit

if TYPE_CHECKING:
    from caser.service.http.service import Service


class Company(Protocol):
    """What a process of a service asks of all of them."""

    @property
    def pseudonym_key(self) -> bytes:
        """The key of the digests that stand for users in the logs of all processes."""

    async def join(self, service: Service, stop: Callable[[], None]) -> None:
        """Wait until this process may serve. It serves the same model as the others then.

        service  of this process       stop  ends it, as SIGTERM does
        """

    async def reload(self, arm: Arm) -> None:
        """Let all processes load a run again, and change to it together.

        arm  which run

        Raises HTTPException 409, and all keep the old model, if one of them cannot load it.
        """

    async def metrics(self) -> bytes:
        """The metrics of all processes as those of one service, in the text format of Prometheus."""

    def rate_limit(self, rate: float, burst: int) -> RateLimit:
        """A limit that counts what a client asks of any process.

        rate  cost per second on average       burst  cost that may arrive at once
        """
