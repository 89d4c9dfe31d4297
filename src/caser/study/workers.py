"""Worker processes that train at the same time, each with one thread; with one worker, this process does the work.

A worker gets the stores once, when it starts. It ends when the process that started it has ended, also by a kill.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from caser.errors import CaserError
from caser.study.runs import Store
from caser.system.cores import num_cores

Stores = Mapping[str, Store]
"""A store for each view of a study."""

Submit = Callable[..., "Future[Any]"]
"""submit(function, *arguments): a future of function(stores, *arguments)."""

_stores: Stores = {}


@contextmanager
def workers(stores: Stores, number: int) -> Iterator[Submit]:
    """Yield a function that submits tasks to worker processes.

    stores  the store of each view, the first argument of every task
    number  how many processes; with 1 there are none, and a task is done when it is submitted

    A task must be a function that can be imported by name. When the block ends by an error, the tasks that have not
    begun are dropped. Raises CaserError if a worker was killed.
    """
    if number == 1:
        yield lambda function, *arguments: _do_now(function, stores, *arguments)
        return
    # NumPy, polars and torch read these when a process loads them. There may be a worker on each core, so each worker
    # computes with one thread.
    threads = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    before = {name: os.environ.get(name) for name in threads}
    os.environ.update(threads)
    pool: Executor = ProcessPoolExecutor(
        number, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(stores,)
    )
    try:
        yield lambda function, *arguments: pool.submit(_do_in_worker, function, *arguments)
    except BrokenProcessPool:
        raise CaserError(
            "a study needs workers that live until their work is done; one ended before. If this program is a script "
            "of yours, its work must begin under `if __name__ == '__main__':`, because workers import the script. If "
            "it does, the memory may have been full: use fewer workers (--jobs 1, workers=1). Finished runs are kept."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def default_number() -> int:
    """Return the number of cores that this process may use, or 1 where a GPU does the work."""
    if find_spec("torch") is not None:
        import torch

        if torch.accelerator.is_available():
            return 1
    return num_cores()


def _do_now(function: Callable[..., Any], stores: Stores, *arguments: Any) -> Future[Any]:
    future: Future[Any] = Future()
    try:
        future.set_result(function(stores, *arguments))
    except Exception as error:
        future.set_exception(error)
    return future


def _start_worker(stores: Stores) -> None:
    global _stores
    _stores = stores
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do_in_worker(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(_stores, *arguments)
