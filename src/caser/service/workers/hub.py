"""What the workers of a service do together: they change the model at the same time, and their metrics are one.

A change has two steps. First every worker loads the new run and tries it, while it answers from the old one. Only when
all of them have it does each of them begin to answer from it. If one cannot, all of them keep the old model.

With a candidate, a version is that of both arms, with a space in between (`ServedArms.version`). A candidate that a new
worker cannot load, or that the others cannot, is withdrawn by all: the incumbent goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from fastapi import HTTPException

from caser.service.answers.arms import Arm
from caser.service.http.served_arms import NO_CANDIDATE
from caser.service.logs import logger
from caser.service.workers.line import Line, LineEndedError
from caser.service.workers.merged_metrics import merged_text

STEP_SECONDS = 10.0
"""How long a worker may take to begin with a model that it has loaded, or to tell its metrics."""

Result = TypeVar("Result")


class Hub:
    """Where the lines of all workers meet.

    reload_seconds  how long loading a run and trying it may take
    end             ends a worker that does not answer, so that no old model goes on
    arms            the arms that the service has
    """

    def __init__(
        self, reload_seconds: float, end: Callable[[Line], None], arms: Sequence[Arm] = ("incumbent",)
    ) -> None:
        self._arms = arms
        self._reload_seconds = reload_seconds
        self._end = end
        self._lines: list[Line] = []
        self._changing = asyncio.Lock()
        self.version: str | None = None
        """The version of the model that every worker serves; None before the first worker serves one."""

    async def admit(self, line: Line, version: str) -> str:
        """Let a worker serve, which has loaded a model. It serves the same as the others when this returns.

        line     of the worker       version  of the model that it has loaded

        If the run folder holds another run than the others have loaded, they load it too. Returns what all serve: the
        worker must withdraw a candidate that is not in it. Raises HTTPException 409 if the worker has loaded another
        model than the others serve then: it must load again.
        """
        async with self._changing:
            if self.version is None:
                self.version = version
            for arm in self._arms:
                if _of(self.version, arm) != _of(version, arm):
                    logger.info("a new worker found another run in the folder of the %s: all workers load it", arm)
                    await self._follow(arm)
            if self.version not in (version, _with(version, "candidate", NO_CANDIDATE)):
                raise HTTPException(409, "the other workers serve another model; load the run again.")
            self._lines.append(line)
            return self.version

    def forget(self, line: Line) -> None:
        """Take a worker out that has ended."""
        if line in self._lines:
            self._lines.remove(line)

    async def reload(self, arm: Arm = "incumbent") -> str:
        """Let all workers load a run again and change to it together. Returns the version that they serve.

        arm  which run

        Raises HTTPException 409, and all workers keep the old model, if one of them cannot load it; 503 if no worker
        serves.
        """
        async with self._changing:
            return await self._change(arm)

    async def metrics(self) -> bytes:
        """The metrics of all workers as those of one service, in the text format of Prometheus."""
        found = await self._from_all(lambda line: line.ask("metrics"), STEP_SECONDS)
        return merged_text([families for families in found.values() if not isinstance(families, BaseException)])

    def charge(self, sender: Line, costs: dict[str, float]) -> None:
        """Let the other workers know what clients of one worker have asked for.

        sender  the line of that worker       costs  what each client took
        """
        for line in self._lines:
            if line is not sender:
                line.tell("charge", costs)

    async def _follow(self, arm: Arm) -> None:
        """Change to what a new worker has found, or withdraw the candidate where that is not possible."""
        try:
            await self._change(arm)
        except HTTPException as error:
            if arm == "incumbent":
                raise
            logger.warning("the candidate is withdrawn: %s", error.detail)
            await self._from_all(lambda line: line.ask("withdraw"), STEP_SECONDS)
            self.version = _with(self.version or "", arm, NO_CANDIDATE)

    async def _change(self, arm: Arm) -> str:
        # Load everywhere.
        loaded = await self._from_all(lambda line: line.ask("load", arm), self._reload_seconds + STEP_SECONDS)
        refusals = [answer for answer in loaded.values() if isinstance(answer, HTTPException)]
        versions = {answer for answer in loaded.values() if isinstance(answer, str)}
        if not refusals and len(versions) == 1:
            (loaded_version,) = versions
            self.version = _with(self.version or "", arm, loaded_version)
            # From here on nobody may go back: a worker that does not follow is ended.
            begun = await self._from_all(lambda line: line.ask("begin", arm), STEP_SECONDS)
            for line, answer in begun.items():
                if isinstance(answer, BaseException):
                    self._end(line)
            return self.version
        await self._from_all(lambda line: line.ask("abandon", arm), STEP_SECONDS)
        if refusals:
            raise refusals[0]
        if versions:
            raise HTTPException(409, "the run changed while it was loaded, and the loaded one stays; try again.")
        raise HTTPException(503, "no worker of the service could load the run; try again.")

    async def _from_all(
        self, do: Callable[[Line], Awaitable[Result]], seconds: float
    ) -> dict[Line, Result | BaseException]:
        """What each worker answers. One that is gone, or that does not answer in time, is ended and not among them."""
        lines = list(self._lines)
        answers = await asyncio.gather(*(_within(do(line), seconds) for line in lines), return_exceptions=True)
        found = dict(zip(lines, answers, strict=True))
        for line in [line for line, answer in found.items() if isinstance(answer, TimeoutError | LineEndedError)]:
            self._end(line)
            self.forget(line)
            del found[line]
        return found


def incumbent_of(version: str) -> str:
    """Return the version of the model that is no candidate.

    version  of all arms

    >>> incumbent_of("a1 b2"), incumbent_of("a1")
    ('a1', 'a1')
    """
    return _of(version, "incumbent")


def _of(version: str, arm: Arm) -> str:
    """The version of one arm."""
    return version.partition(" ")[0 if arm == "incumbent" else 2]


def _with(version: str, arm: Arm, new: str) -> str:
    """The version of all arms, with another one of one arm; a service without a candidate gets none."""
    incumbent, space, candidate = version.partition(" ")
    return f"{new}{space}{candidate}" if arm == "incumbent" else f"{incumbent}{space}{new if space else ''}"


async def _within(work: Awaitable[Result], seconds: float) -> Result:
    async with asyncio.timeout(seconds):
        return await work
