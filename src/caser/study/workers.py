"""Work done side by side: one process and one thread each, or here when one is enough.

A worker gets the store once, when it starts, and ends when the process that started it is gone, however that ended.
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

Stores = Mapping[str, Store]
"""A store for each view of a study."""

Submit = Callable[..., "Future[Any]"]
"""submit(function, *arguments): a future of function(stores, *arguments)."""

_stores: Stores = {}


@contextmanager
def workers(stores: Stores, number: int) -> Iterator[Submit]:
    """Yield what takes work: `number` processes, or this one for 1, where work is done when it is submitted.

    Functions must be importable by name. What is left undone when the block ends by an error is dropped.
    """
    if number == 1:
        yield lambda function, *arguments: _done(function, stores, *arguments)
        return
    # Read when a process loads NumPy, polars and torch: workers are as many as there are cores, so each keeps to one.
    threads = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    before = {name: os.environ.get(name) for name in threads}
    os.environ.update(threads)
    pool: Executor = ProcessPoolExecutor(
        number, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(stores,)
    )
    try:
        yield lambda function, *arguments: pool.submit(_work, function, *arguments)
    except BrokenProcessPool:
        raise CaserError(
            "a study needs workers that live until their work is done; one was ended, perhaps for want of memory. Run "
            "it again with fewer at once (--jobs 1, workers=1); what was finished is kept."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def default_number() -> int:
    """As many as there are cores to use, or 1 where a GPU does the work."""
    if find_spec("torch") is not None:
        import torch

        if torch.accelerator.is_available():
            return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _done(function: Callable[..., Any], stores: Stores, *arguments: Any) -> Future[Any]:
    future: Future[Any] = Future()
    try:
        future.set_result(function(stores, *arguments))
    except Exception as error:
        future.set_exception(error)
    return future


def _begin(stores: Stores) -> None:
    global _stores
    _stores = stores
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(_stores, *arguments)
