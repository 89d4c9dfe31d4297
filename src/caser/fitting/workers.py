"""Start the workers of a training: with torchrun's engine on this machine, or as actors of a Ray cluster.

A task is a function of an `Exchange`; every worker calls it, and the result of worker 0 counts. What a worker raises
ends all of them, and is raised here. A worker that is killed is no error of the task: then all workers are ended and
started again, and the task continues from its checkpoint.
"""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias, TypeVar, get_args

from caser.errors import ConfigError, did_you_mean
from caser.fitting.worker_task import Outcome, Task, first_of, outcome_of, refuse_lost
from caser.system.cores import num_cores
from caser.system.kinds import must_be

Value = TypeVar("Value")

Engine: TypeAlias = Literal["torchrun", "ray"]
"""What starts the workers: torchrun's engine on this machine, or a Ray cluster."""

ENGINES: tuple[Engine, ...] = get_args(Engine)

MAX_RESTARTS = 3
"""How often the workers are started again by default, if one is lost."""


def is_first_worker() -> bool:
    """Whether this process is worker 0 of torchrun, or no worker of it."""
    return not _is_in_torchrun() or os.environ["RANK"] == "0"


def in_workers(
    task: Task[Value], number: int = 1, *, max_restarts: int = MAX_RESTARTS, engine: Engine = "torchrun"
) -> Value | None:
    """Carry out a task in several processes, which exchange what they compute.

    task          what each of them does
    number        how many; with 1 and torchrun, this process does it
    max_restarts  how often all are started again if one is lost
    engine        what starts them: "torchrun" on this machine, or "ray" on the cluster that RAY_ADDRESS names; where it
                  names none, on a cluster that is started here for the task

    A process that torchrun has started is one of the workers, and starts none. Then the workers are on all machines
    where torchrun was started.

    Returns what the task returns in worker 0; None in another worker of torchrun. Raises what the task raises,
    WorkerError if a worker was lost more often than `max_restarts`, and ConfigError for a wrong argument, if torchrun
    has started another number of workers, and if the cluster cannot be reached or has fewer CPUs than workers;
    MissingDependencyError for "ray" without the extra `scale`.

    >>> in_workers(lambda exchange: exchange is None)
    True
    """
    if not callable(task):
        raise ConfigError(f"a task must be a function of an exchange; got {task!r}. Give the function, not its result.")
    must_be("number", number, int, "a number of workers")
    if number < 1 or max_restarts < 0:
        raise ConfigError(f"there must be at least 1 worker and 0 restarts; got {number} and {max_restarts}.")
    if engine not in ENGINES:
        raise ConfigError(f"unknown engine {engine!r}: {did_you_mean(str(engine), ENGINES)}")
    if _is_in_torchrun():
        if engine != "torchrun":
            raise ConfigError(f"torchrun has started the workers, so the engine must be torchrun; got {engine}.")
        if int(os.environ["WORLD_SIZE"]) != number:
            raise ConfigError(
                f"torchrun must start as many workers as the training has; it started {os.environ['WORLD_SIZE']}, and "
                f"the training has {number}. Give the same number to both: --workers {os.environ['WORLD_SIZE']}."
            )
        value, error = _outcome(task)
    elif engine == "ray":
        from caser.fitting import ray_workers

        value, error = first_of(ray_workers.launched(task, number, max_restarts))
    elif number == 1:
        return task(None)
    else:
        value, error = first_of(_launched(task, number, max_restarts))
    if error is not None:
        raise error
    return value


def _is_in_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


def _outcome(task: Task[Value]) -> Outcome[Value]:
    """Join the workers of torchrun, and do the task."""
    from caser.training.exchange import join

    return outcome_of(task, join())


def _launched(task: Task[Value], number: int, max_restarts: int) -> dict[int, Outcome[Value]]:
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
            outcomes: dict[int, Outcome[Value]] = elastic_launch(config, _outcome)(task)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            how = failure.signal_name() if failure.exitcode < 0 else f"exit code {failure.exitcode}"
            raise refuse_lost(rank, how, max_restarts) from None
        except SignalException as error:
            if error.sigval == signal.SIGINT:
                raise KeyboardInterrupt from None
            raise SystemExit(128 + error.sigval) from None
    return outcomes


@contextmanager
def _environment(number: int) -> Iterator[None]:
    """Within, workers that start share the cores; torchrun's engine is silent, and leaves nothing behind."""
    from caser.training.exchange import NO_SHARED_STORE

    before = dict(os.environ)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, num_cores() // number)))
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
