"""Start the workers of a training as actors of a Ray cluster, and start them again if one is lost.

Each worker has a CPU (and a GPU, if the cluster has enough of them), which all workers get together or not at all. It
works in the folder in which the command was typed. Worker 0 opens the store in which the others find it.
"""

from __future__ import annotations

import importlib
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TypeVar

from caser.errors import ConfigError, WorkerError
from caser.fitting.worker_task import Outcome, Task, outcome_of, refuse_lost
from caser.system.ray_cluster import passed_on, ray_cluster

Value = TypeVar("Value")

PLACE_SECONDS = 60
"""How long the workers may wait until the cluster has CPUs for all of them."""

_RELAY_SECONDS = 0.2
"""How often the lines of the workers are fetched."""


def launched(task: Task[Value], number: int, max_restarts: int) -> dict[int, Outcome[Value]]:
    """Start the workers, and wait for what they return.

    task          what each of them does
    number        how many
    max_restarts  how often all are started again if one is lost

    Returns what became of each, by its number. Raises WorkerError if a worker was lost more often than that,
    ConfigError if the cluster cannot be reached or has no room, and MissingDependencyError without the extra `scale`.
    """
    with ray_cluster("--engine ray", number) as ray, _placed(ray, number) as places:
        for restarts in range(max_restarts + 1):
            outcomes, lost = _attempt(ray, places, task, restarts)
            if not lost:
                return outcomes
    [(rank, how)] = lost.items()
    raise refuse_lost(rank, how, max_restarts)


class _Worker:
    """The process of one worker. Two threads: one works, the other hands over what it says."""

    def __init__(self, rank: int, size: int, restarts: int) -> None:
        self.rank, self.size = rank, size
        self._store: Any = None
        self._said = io.StringIO()
        self._handed_over = 0
        os.environ["TORCHELASTIC_RESTART_COUNT"] = str(restarts)

    def open(self) -> tuple[str, int]:
        """Open the store of all workers; return its host and port."""
        host = importlib.import_module("ray.util").get_node_ip_address()
        self._store = _distributed().TCPStore(host, 0, self.size, is_master=True, wait_for_workers=False)
        return host, self._store.port

    def run(self, task: Task[Value], host: str, port: int, folder: str, words: list[str]) -> Outcome[Value]:
        """Meet the others, and do the task."""
        from caser.training.exchange import meet

        try:
            os.chdir(folder)
        except OSError as error:
            return None, ConfigError(
                f"every host of the cluster must have the folder in which the command is typed; got {error.strerror} "
                f"for {folder}. Put it on storage that all hosts share."
            )
        sys.argv[:] = words
        store = self._store or _distributed().TCPStore(host, port, self.size, is_master=False)
        with redirect_stderr(self._said), redirect_stdout(self._said):
            return outcome_of(task, meet(store, self.rank, self.size))

    def said(self) -> str:
        """Return what was said since the last call."""
        new = self._said.getvalue()[self._handed_over :]
        self._handed_over += len(new)
        return new


def _distributed() -> Any:
    """Import torch.distributed in a worker; the process that starts the workers needs no torch."""
    return importlib.import_module("torch.distributed")


@contextmanager
def _placed(ray: Any, number: int) -> Iterator[list[Any]]:
    """Within, there is room for all workers; yields the options of each.

    Raises ConfigError if other work holds the CPUs for too long.
    """
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    needs = {"CPU": 1, "GPU": 1} if ray.cluster_resources().get("GPU", 0) >= number else {"CPU": 1}
    group = placement_group([needs] * number)
    try:
        if not group.wait(PLACE_SECONDS):
            raise ConfigError(
                f"the cluster must have {number} free CPUs; other work has held them for {PLACE_SECONDS} s. Wait, or "
                "use fewer workers."
            )
        yield [
            {
                "num_cpus": 1,
                "num_gpus": needs.get("GPU", 0),
                "max_concurrency": 2,
                "runtime_env": {"env_vars": passed_on()},
                "scheduling_strategy": PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=place),
            }
            for place in range(number)
        ]
    finally:
        remove_placement_group(group)


def _attempt(
    ray: Any, places: list[Any], task: Task[Value], restarts: int
) -> tuple[dict[int, Outcome[Value]], dict[int, str]]:
    """Start all workers once; return what became of each, or the first that was lost and how."""
    actor, size = ray.remote(_Worker), len(places)
    workers = [actor.options(**place).remote(rank, size, restarts) for rank, place in enumerate(places)]
    try:
        return _outcomes(ray, workers, task), {}
    except _LostError as error:
        return {}, {error.rank: error.how}
    finally:
        for worker in workers:
            ray.kill(worker)


class _LostError(WorkerError):
    """A worker ended before its task."""

    def __init__(self, rank: int, how: str) -> None:
        super().__init__(how)
        self.rank, self.how = rank, how


def _outcomes(ray: Any, workers: list[Any], task: Task[Value]) -> dict[int, Outcome[Value]]:
    """Let all workers do the task, and say what they say. Raises _LostError if one of them ends before."""
    outcomes: dict[int, Outcome[Value]] = {}

    def asked(rank: int, reference: Any) -> Any:
        try:
            return ray.get(reference)
        except ray.exceptions.RayActorError as error:
            raise _LostError(rank, _how(error)) from None
        except ray.exceptions.RayError as error:
            raise WorkerError(
                f"every host of the cluster must have the packages of this one; worker {rank} could not begin its "
                f"task: {str(error).strip().splitlines()[-1]}"
            ) from None

    host, port = asked(0, workers[0].open.remote())
    words = (ray.put(task), host, port, str(Path.cwd()), sys.argv)
    runs = {worker.run.remote(*words): rank for rank, worker in enumerate(workers)}
    while runs:
        done, _ = ray.wait(list(runs), timeout=_RELAY_SECONDS)
        sys.stderr.write("".join(asked(rank, worker.said.remote()) for rank, worker in enumerate(workers)))
        sys.stderr.flush()
        for reference in done:
            rank = runs.pop(reference)
            outcomes[rank] = asked(rank, reference)
    return outcomes


def _how(error: Exception) -> str:
    """Say in a few words how an actor ended; Ray's own account has a page."""
    found = re.search(r"exit detail: ([^.]+)", str(error))
    return found[1] if found else type(error).__name__
