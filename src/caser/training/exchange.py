"""What the workers of one training tell each other, over torch.distributed.

Each worker has a replica of the whole network and works through lanes of its own. A step is the same on all of them,
because the optimiser sees the sum of their gradients:

    dense gradients        summed by all-reduce; the small ones travel together, in one flat tensor
    rows of large tables   each worker sends the numbers and the gradients of the rows that its lanes use (all-gather);
                           every worker adds them up in the same order, so only rows that a step uses travel
    numbers and values     the targets of a step, the metric of an epoch: gathered from all, or taken from worker 0

A worker that dies closes its connections. The others notice at the next exchange, call the roll, and end with a
sentence that names it. A worker that is alone has nobody to tell: then every method returns what it was given.

Shape suffixes: N workers, K numbers or columns, R rows.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist

from caser.errors import ConfigError, WorkerError

Value = TypeVar("Value")

TIMEOUT = timedelta(minutes=30)
"""How long a worker waits for the others. That one of them died is noticed at once, that a link is dead only then."""

NO_SHARED_STORE = "TORCH_DISABLE_SHARE_RDZV_TCP_STORE"
"""The variable by which each start of torchrun's workers gets a store of its own."""

RESTARTS = "TORCHELASTIC_RESTART_COUNT"
"""The variable that says how often all workers have been started again."""

ROLL_CALL = timedelta(seconds=5)
"""How long the workers that are left wait for each other before they say who is missing."""

_IN_PLACE = 2**16
"""A gradient with at least this many numbers is summed where it is; smaller ones are copied into one flat tensor."""


class Exchange:
    """The workers of a training, seen from one of them.

    rank      the number of this worker, from 0
    size      N, how many there are
    restarts  how often the engine has started all of them again, because one was lost
    bytes     what this worker has sent so far, in bytes, by kind: dense, rows or numbers. A sum counts 2 (N - 1) / N
              times the size of the tensor, and a gathering N - 1 times: what each worker of a ring sends
    """

    def __init__(self, rank: int = 0, size: int = 1, store: Any = None) -> None:
        """Make the exchange of a worker that is alone; `join` makes the others.

        rank, size  as above
        store       a store of torch.distributed, where the workers leave notes for a roll call
        """
        self.rank, self.size, self._store = rank, size, store
        self.restarts = int(os.environ.get(RESTARTS, 0)) if size > 1 else 0
        self.bytes: Counter[str] = Counter()
        if store is not None:
            store.set(f"caser/name/{rank}", f"worker {rank} ({socket.gethostname()}, process {os.getpid()})")

    @property
    def is_first(self) -> bool:
        """Whether this is worker 0, which validates, writes and speaks for all."""
        return self.rank == 0

    def share(self, number: int) -> range:
        """Return which of some lanes, or of other pieces of work, this worker does: every N-th.

        number  how many there are

        >>> Exchange(rank=1, size=2).share(5)
        range(1, 5, 2)
        """
        return range(self.rank, number, self.size)

    def block(self, number: int) -> tuple[int, int]:
        """Return which of some things in order this worker looks at: the first, and the one after the last.

        number  how many there are

        >>> [Exchange(rank, size=2).block(5) for rank in range(2)]
        [(0, 2), (2, 5)]
        """
        return number * self.rank // self.size, number * (self.rank + 1) // self.size

    def numbers(self, numbers_K: Tensor) -> Tensor:
        """Return a few whole numbers of every worker, (N, K) int64.

        numbers_K  (K,) int64, those of this worker
        """
        if self.size == 1:
            return numbers_K[None]
        numbers_NK = numbers_K.new_empty((self.size, len(numbers_K)))
        self._begin_gather(numbers_NK, numbers_K, "numbers")()
        return numbers_NK

    def add_gradients(self, parameters: Sequence[nn.Parameter], *others: Tensor) -> None:
        """Add up, in place, the gradients of parameters and other tensors over all workers.

        parameters  the same on all workers; one without a gradient counts as 0, and stays without if all are
        others      float tensors of the same shapes on all workers
        """
        if self.size == 1:
            return
        had_one = torch.tensor([float(one.grad is not None) for one in parameters], device=others[0].device)
        for one in parameters:
            one.grad = torch.zeros_like(one) if one.grad is None else one.grad.contiguous()
        tensors = [had_one, *others, *(one.grad for one in parameters if one.grad is not None)]
        # Begin with the large tensors, and send the small ones in one.
        small = [tensor for tensor in tensors if tensor.numel() < _IN_PLACE]
        flat = torch.cat([tensor.reshape(-1) for tensor in small])
        waits = [self._begin_sum(tensor) for tensor in tensors if tensor.numel() >= _IN_PLACE]
        for wait in [*waits, self._begin_sum(flat)]:
            wait()
        for tensor, part in zip(small, flat.split_with_sizes([tensor.numel() for tensor in small]), strict=True):
            tensor.copy_(part.view_as(tensor))
        for one, had in zip(parameters, had_one.tolist(), strict=True):
            one.grad = one.grad if had else None

    def add_rows(self, rows_R: Tensor, gradients_RK: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows that any worker uses, and the sum of their gradients.

        rows_R        (R,) int64, the rows that this worker uses, ascending, each once
        gradients_RK  (R, K) float, their gradients

        Returns the same for all workers together.
        """
        if self.size == 1:
            return rows_R, gradients_RK
        # All workers send as many rows as the one that has most.
        sizes = self.numbers(rows_R.new_tensor([len(rows_R)])).flatten().tolist()
        filled = max(sizes) - len(rows_R)
        rows = nn.functional.pad(rows_R.int(), (0, filled))
        gradients = nn.functional.pad(gradients_RK, (0, 0, 0, filled))
        rows_NR, gradients_NRK = (one.new_empty((self.size, *one.shape)) for one in (rows, gradients))
        for wait in [self._begin_gather(rows_NR, rows, "rows"), self._begin_gather(gradients_NRK, gradients, "rows")]:
            wait()
        # Add them up worker by worker: in the same order everywhere, so that the sums have the same bits.
        used = [each[:size].long() for each, size in zip(rows_NR, sizes, strict=True)]
        union: Tensor = torch.unique(torch.cat(used))
        sums = gradients_RK.new_zeros((len(union), gradients_RK.shape[1]))
        for each, added, size in zip(used, gradients_NRK, sizes, strict=True):
            sums.index_add_(0, torch.searchsorted(union, each), added[:size])
        return union, sums

    def from_all(self, value: Value) -> list[Value]:
        """Return the values that the workers give, in the order of the workers.

        value  a value of plain types or arrays
        """
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        self._try(lambda: dist.all_gather_object(values, value))
        return values

    def from_first(self, value: Value) -> Value:
        """Return the value that worker 0 gives.

        value  a value of plain types or arrays; only that of worker 0 matters
        """
        if self.size == 1:
            return value
        values = [value if self.is_first else None]
        self._try(lambda: dist.broadcast_object_list(values))
        return values[0]  # type: ignore[return-value]

    def refuse_different(self, values: Mapping[str, Tensor | str], when: str) -> None:
        """Raise WorkerError on all workers unless the values are the same everywhere; tensors, bit for bit.

        values  what must be the same, by name
        when    the moment, for the sentence, such as "after epoch 3"
        """
        if self.size == 1:
            return
        digests = {name: value if isinstance(value, str) else _digest(value) for name, value in values.items()}
        first, *others = self.from_all(digests)
        for rank, digests in enumerate(others, start=1):
            different = [name for name in {**first, **digests} if digests.get(name) != first.get(name)]
            if different:
                raise WorkerError(
                    f"all workers must have the same state {when}; {different[0]} of worker {rank} is not that of "
                    "worker 0. They need the same versions and settings, the same log, and a checkpoint that all of "
                    "them can read. The checkpoint holds the last epoch after which they agreed."
                )

    def check_device(self, device: torch.device) -> None:
        """Raise ConfigError if workers cannot train on a device.

        device  where this worker is to train
        """
        if self.size == 1 or device.type == "cpu":
            return
        here, gpus = int(os.environ.get("LOCAL_RANK", 0)), torch.accelerator.device_count()
        if device.type != "cuda":
            raise ConfigError(f"workers must train on cpu or cuda; got {device.type}. Use --device cpu.")
        if here >= gpus:
            raise ConfigError(
                f"each worker must have a GPU of its own; got more workers on a machine than its {gpus}. Use fewer "
                "workers, or --device cpu."
            )

    def leave(self, error: Exception | None = None) -> None:
        """Leave the other workers. Those that still need this one end, and say why it left.

        error  why this worker ends early; None if its work is done
        """
        if self._store is not None and error is not None and not isinstance(error, WorkerError):
            self._store.set(f"caser/stopped/{self.rank}", f"{type(error).__name__}: {error}")
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def _begin_sum(self, tensor: Tensor) -> Callable[[], object]:
        self.bytes["dense"] += 2 * (self.size - 1) * _bytes_of(tensor) // self.size
        return self._begin(lambda: dist.all_reduce(tensor, async_op=True))

    def _begin_gather(self, into: Tensor, tensor: Tensor, kind: str) -> Callable[[], object]:
        self.bytes[kind] += (self.size - 1) * _bytes_of(tensor)
        return self._begin(lambda: dist.all_gather_single(into.view(-1), tensor.view(-1), async_op=True))

    def _begin(self, collective: Callable[[], dist.Work | None]) -> Callable[[], object]:
        """Begin a collective operation; return a function that waits for it."""
        work = self._try(collective)
        return lambda: work and self._try(work.wait)

    def _try(self, exchange: Callable[[], Value]) -> Value:
        """Call a function of torch.distributed. What it raises means that a worker is missing."""
        try:
            return exchange()
        except RuntimeError as error:
            raise WorkerError(self._roll_call(error)) from error

    def _roll_call(self, error: RuntimeError) -> str:
        """Find out which workers are missing; return the sentence about them."""
        # Close the connections, so that those who wait for this worker notice too, and come to the roll call.
        if dist.is_initialized():
            dist.destroy_process_group()
        absent = list(self._absent())
        got = "; ".join(absent) or f"all answer, but an exchange failed ({' '.join(str(error).split())})"
        return (
            f"all workers must stay until the training ends; {got}. Every finished epoch is in the checkpoint: start "
            "the same training again to continue from there."
        )

    def _absent(self) -> Iterator[str]:
        """Name the workers that stopped or do not answer, and say what is known of each."""
        if self._store is None:
            return
        try:
            self._store.set(f"caser/here/{self.rank}", "")
            for rank in range(self.size):
                name, stopped = f"caser/name/{rank}", f"caser/stopped/{rank}"
                if self._store.check([stopped]):
                    yield f"{self._store.get(name).decode()} stopped: {self._store.get(stopped).decode().rstrip('.')}"
                elif not _answers(self._store, rank):
                    yield f"{self._store.get(name).decode()} was lost"
        except RuntimeError:
            yield "the worker that keeps their list was lost"


def join() -> Exchange:
    """Return the exchange of this process: with the workers that torchrun has started beside it, or alone.

    If a program has set up torch.distributed, its process group is used. Raises ConfigError if torchrun would start
    lost workers again in a way that makes them wait for each other forever.
    """
    if not dist.is_initialized():
        if not dist.is_torchelastic_launched():
            return Exchange()
        # The store that torchrun shares with the workers keeps the addresses of those that were lost.
        if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True" and os.environ["TORCHELASTIC_MAX_RESTARTS"] != "0":
            raise ConfigError(
                f"torchrun with --max-restarts must not share its store with the workers; set {NO_SHARED_STORE}=1 on "
                "every machine, or leave --max-restarts out."
            )
        _set_up(int(os.environ["LOCAL_RANK"]))
    return Exchange(dist.get_rank(), dist.get_world_size(), dist.distributed_c10d._get_default_store())


def meet(store: Any, rank: int, size: int) -> Exchange:
    """Return the exchange of this process with other workers, who have a store in common; alone if there are none.

    store  the store of torch.distributed in which they find each other
    rank   the number of this worker, from 0
    size   how many there are

    A worker that may use a GPU must see no other.
    """
    if size == 1:
        return Exchange()
    _set_up(0, store=store, rank=rank, world_size=size)
    return Exchange(rank, size, store)


def _set_up(gpu: int, **where: Any) -> None:
    """Set up torch.distributed: over NCCL where the worker has a GPU, else over gloo.

    gpu    which GPU of those that it sees is its own
    where  how the workers find each other; by default as torchrun says
    """
    has_gpu = torch.cuda.is_available() and dist.is_nccl_available()
    if has_gpu and gpu < torch.cuda.device_count():
        torch.cuda.set_device(gpu)
    dist.init_process_group("cpu:gloo,cuda:nccl" if has_gpu else "gloo", timeout=TIMEOUT, **where)


def _bytes_of(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _digest(tensor: Tensor) -> str:
    """The SHA-256 of the bits of a tensor."""
    return hashlib.sha256(tensor.detach().cpu().contiguous().numpy().data).hexdigest()


def _answers(store: Any, rank: int) -> bool:
    """Whether a worker comes to the roll call. (`Store.wait` would write lines of its own on stderr.)"""
    until = time.monotonic() + ROLL_CALL.total_seconds()
    while not store.check([f"caser/here/{rank}"]):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
