"""What a worker of a training does, whichever engine has started it: its task, and what became of it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from caser.errors import CaserError, WorkerError

if TYPE_CHECKING:
    from caser.training.exchange import Exchange

Value = TypeVar("Value")

Task: TypeAlias = "Callable[[Exchange | None], Value]"
"""What each worker does. It gets None if it is alone; otherwise it must be importable by name, with its arguments."""

Outcome: TypeAlias = "tuple[Value | None, Exception | None]"
"""What a worker returned, or raised."""


def outcome_of(task: Task[Value], exchange: Exchange) -> Outcome[Value]:
    """Do the task, and leave the other workers. What it raises is returned, with its traceback as a note.

    task      what the worker does
    exchange  the other workers
    """
    try:
        value = task(exchange)
    except Exception as error:
        exchange.leave(error)
        known = error if isinstance(error, CaserError) else RuntimeError(f"{type(error).__name__}: {error}")
        known.add_note(f"In worker {exchange.rank}:\n{traceback.format_exc()}")
        return None, known
    exchange.leave()
    return value if exchange.is_first else None, None


def first_of(outcomes: Mapping[int, Outcome[Value]]) -> Outcome[Value]:
    """Return the outcome of all: an error if there is one, rather the cause than that others noticed it; else a value.

    outcomes  what became of each worker, by its number
    """
    errors = [error for _, error in outcomes.values() if error is not None]
    causes = [error for error in errors if not isinstance(error, WorkerError)]
    return outcomes[0][0], next(iter([*causes, *errors]), None)


def refuse_lost(rank: int, how: str, max_restarts: int) -> WorkerError:
    """Return the error of a worker that was lost once too often.

    rank  its number      how  how it ended, in a few words      max_restarts  how often all were started again
    """
    return WorkerError(
        f"all workers must live until the training ends; worker {rank} ended ({how}) after {max_restarts} restarts. "
        "Perhaps the memory was full: each worker holds the whole network. Start the same training again to continue "
        "from its checkpoint, with fewer workers if memory is short."
    )
