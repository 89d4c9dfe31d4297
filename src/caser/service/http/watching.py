"""Watches the run folder: when it was replaced, the service loads it. See `--watch`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

from fastapi import HTTPException

from caser.artefact.run_folder import MANIFEST
from caser.errors import CaserError
from caser.service.logs import logger
from caser.system.storage import settled

SECONDS = 1.0
"""How often the folder is looked at. What is there twice in a row is complete."""

Look: TypeAlias = tuple[int, int, int, int] | None
"""What tells one manifest from another: device, inode, size and time of writing; None where there is none."""


async def watch(run: Path, served: Look, reload: Callable[[], Awaitable[Any]], seconds: float = SECONDS) -> None:
    """Reload whenever the run folder was replaced. Never returns.

    run      the run folder, or a link to one       served   what `look` saw before the run that is served was loaded
    reload   loads it; what it raises is in the log
    seconds  how often the folder is looked at

    A run that is refused is not tried again until something else is there.
    """
    before: Look = None
    while True:
        await asyncio.sleep(seconds)
        now = look(run)
        if now is not None and now == before != served:
            served = now
            logger.info("the run folder was replaced: loading it")
            try:
                await reload()
            except (HTTPException, CaserError) as error:
                logger.warning("the new run is not served: %s", getattr(error, "detail", error))
            except Exception:
                logger.exception("the new run is not served")
        before = now


def look(run: Path) -> Look:
    """Look at the run folder `run`: at what its manifest is, not at what it says."""
    try:
        found = (settled(run.resolve()) / MANIFEST).stat()
    except OSError:  # it is being replaced at this moment
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
