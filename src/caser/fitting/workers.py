"""Start the workers of a training on this machine, with torchrun's engine, which starts them again if one is lost.

A task is a function of an `Exchange`; every worker calls it, and the result of worker 0 counts. What a worker raises
ends all of them, and is raised here. A worker that is killed is no error of the task: then all workers are ended and
started again, and the task continues from its checkpoint.
"""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from caser.errors import CaserError, ConfigError, WorkerError
from caser.system.kinds import must_be

if TYPE_CHECKING:
    from caser.training.exchange import Exchange

Value = TypeVar("Value")

Task: TypeAlias = "Callable[[Exchange | None], Value]"
"""What each worker does. It gets None if it is alone; otherwise it must be importable by name, with its arguments."""

MAX_RESTARTS = 3
"""How often the workers are started again by default, if one is lost."""


def is_first_worker() -> bool:
    """Whether this process is worker 0 of torchrun, or no worker of it."""
    return not _is_in_torchrun() or os.environ["RANK"] == "0"


def in_workers(task: Task[Value], number: int = 1, *, max_restarts: int = MAX_RESTARTS) -> Value | None:
    """Carry out a task in several processes of this machine, which exchange what they compute.

    task          what each of them does
    number        how many; with 1, this process does it
    max_restarts  how often all are started again if one is lost

    A process that torchrun has started is one of the workers, and starts none. Then the workers are on all machines
    where torchrun was started.

    Returns what the task returns in worker 0; None in another worker of torchrun. Raises what the task raises,
    WorkerError if a worker was lost more often than `max_restarts`, and ConfigError for a wrong argument, and if
    torchrun has started another number of workers.

    >>> in_workers(lambda exchange: exchange is None)
    True
    """
    if not callable(task):
        raise ConfigError(f"a task must be a function of an exchange; got {task!r}. Give the function, not its result.")
    must_be("number", number, int, "a number of workers")
    if number < 1 or max_restarts < 0:
        raise ConfigError(f"there must be at least 1 worker and 0 restarts; got {number} and {max_restarts}.")
    if _is_in_torchrun():
        if int(os.environ["WORLD_SIZE"]) != number:
            raise ConfigError(
                f"torchrun must start as many workers as the training has; it started {os.environ['WORLD_SIZE']}, and "
                f"the training has {number}. Give the same number to both: --workers {os.environ['WORLD_SIZE']}."
            )
        value, error = _outcome(task)
    elif number == 1:
        return task(None)
    else:
        value, error = _first_of(_launched(task, number, max_restarts))
    if error is not None:
        raise error
    return value


_Outcome: TypeAlias = "tuple[Value | None, Exception | None]"
"""What a worker returned, or raised."""


def _is_in_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


def _outcome(task: Task[Value]) -> _Outcome[Value]:
    """Join the workers, and do the task. What it raises is returned, with its traceback as a note."""
    from caser.training.exchange import join

    exchange = join()
    try:
        value = task(exchange)
    except Exception as error:
        exchange.leave(error)
        known = error if isinstance(error, CaserError) else RuntimeError(f"{type(error).__name__}: {error}")
        known.add_note(f"In worker {exchange.rank}:\n{traceback.format_exc()}")
        return None, known
    exchange.leave()
    return value if exchange.is_first else None, None


def _first_of(outcomes: dict[int, _Outcome[Value]]) -> _Outcome[Value]:
    """The outcome of all: an error if there is one, rather the cause than that others noticed it; else the value."""
    errors = [error for _, error in outcomes.values() if error is not None]
    causes = [error for error in errors if not isinstance(error, WorkerError)]
    return outcomes[0][0], next(iter([*causes, *errors]), None)


def _launched(task: Task[Value], number: int, max_restarts: int) -> dict[int, _Outcome[Value]]:
    """Start the workers on this machine, and wait for what they return."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with _environment(number), tempfile.TemporaryDirectory(prefix="caser-workers-") as folder:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=number,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=max_restarts,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
        )
        try:
            outcomes: dict[int, _Outcome[Value]] = elastic_launch(config, _outcome)(task)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            how = failure.signal_name() if failure.exitcode < 0 else f"exit code {failure.exitcode}"
            raise WorkerError(
                f"all workers must live until the training ends; worker {rank} ended ({how}) after {max_restarts} "
                "restarts. Perhaps the memory was full: each worker holds the whole network. Start the same training "
                "again to continue from its checkpoint, with fewer workers if memory is short."
            ) from None
        except SignalException as error:
            if error.sigval == signal.SIGINT:
                raise KeyboardInterrupt from None
            raise SystemExit(128 + error.sigval) from None
    return outcomes


@contextmanager
def _environment(number: int) -> Iterator[None]:
    """Within, workers that start share the cores; torchrun's engine is silent, and leaves nothing behind."""
    from caser.training.exchange import NO_SHARED_STORE

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    before = dict(os.environ)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // number)))
    os.environ[NO_SHARED_STORE] = "1"
    names = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT") if hasattr(signal, name)]
    handlers = {name: signal.getsignal(name) for name in names}
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        for name, handler in handlers.items():
            signal.signal(name, handler)
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
