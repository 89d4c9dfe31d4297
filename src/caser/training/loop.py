"""The training loop: `train()` is a generator that yields one finished epoch at a time.

The caller's `for` loop validates, saves, logs and stops; nothing here knows about metrics, files or the command line.
Every random stream is a function of (seed, name, epoch), so a state that is put back continues bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from caser.config import Training
from caser.data.tape import Tape
from caser.errors import ConfigError, NumericalError
from caser.models.base import SequenceEncoder
from caser.system.memory import keep_freed_memory
from caser.system.randomness import torch_generator
from caser.training.batches import Batches
from caser.training.objective import Objective, StepInputs
from caser.training.rows import LargeTables


@dataclass(frozen=True)
class Epoch:
    """What one epoch did. `loss` is the mean over targets; `num_states` the positions that trained; time in seconds."""

    number: int
    loss: float
    num_states: int
    seconds: float


@dataclass
class TrainingState:
    """All that training changes: the network's parameters, the optimiser's, and how many epochs are done."""

    network: SequenceEncoder
    optimiser: torch.optim.Adam
    epoch: int = 0


def start(network: SequenceEncoder, training: Training) -> TrainingState:
    """Put the network on its device and give it an optimiser: the state before the first epoch."""
    network.to(choose_device(training.device))
    parameters = list(network.parameters())
    optimiser = torch.optim.Adam(parameters, lr=training.learning_rate, weight_decay=training.weight_decay, fused=True)
    return TrainingState(network, optimiser)


def train(
    state: TrainingState,
    tape: Tape,
    training: Training,
    *,
    num_targets: int,
    until: int | None = None,
    on_batch: Callable[[int, int], None] | None = None,
) -> Iterator[Epoch]:
    """Train from `state` on, changing it in place; yield after every epoch.

    num_targets  T, how many next items each state must predict
    until        the epoch after which to end, `training.epochs` by default; the step-size schedule does not change
    on_batch     called with (batches done, batches in the epoch), for a progress bar

    Raises NumericalError naming epoch and batch when a loss or a gradient is not finite.
    """
    keep_freed_memory()
    network, device = state.network, choose_device(training.device)
    batches = Batches(
        tape,
        window=network.window,
        max_length=network.max_length,
        num_targets=num_targets,
        batch_size=training.batch_size or default_batch_size(len(tape)),
        positions=training.positions,
        device=device,
    )
    objective = Objective(network, tape, training, device)
    tables = LargeTables(network, state.optimiser, names_every_item=objective.names_every_item)
    last = training.epochs if until is None else until
    while state.epoch < last:
        yield _epoch(state, tables, batches, objective, training, device, on_batch)


def default_batch_size(num_positions: int) -> int:
    """The largest power of two from 64 to 2048 that leaves an epoch at least 40 steps.

    >>> default_batch_size(1_000_000), default_batch_size(10_000)
    (2048, 128)
    """
    steps_of_one = max(num_positions // 40, 1)
    return min(max(1 << (steps_of_one.bit_length() - 1), 64), 2048)


def choose_device(name: str) -> torch.device:
    """Return the device for a setting: `auto` is a GPU when there is one.

    >>> choose_device("cpu")
    device(type='cpu')
    """
    cpu = torch.device("cpu")
    present = (torch.accelerator.is_available() and torch.accelerator.current_accelerator()) or cpu
    if name == "auto":
        return present
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device must be auto, cpu, cuda or mps; got {name!r}.") from None
    if device.type not in (cpu.type, present.type) or (device.index or 0) >= max(torch.accelerator.device_count(), 1):
        raise ConfigError(f"device must be one that this machine and this torch have; got {name!r}. Use auto or cpu.")
    return device


def _epoch(
    state: TrainingState,
    tables: LargeTables,
    batches: Batches,
    objective: Objective,
    training: Training,
    device: torch.device,
    on_batch: Callable[[int, int], None] | None,
) -> Epoch:
    number = state.epoch + 1
    network, optimiser = state.network, state.optimiser
    began = time.perf_counter()
    network.train()
    network.dropout_generator = torch_generator(training.seed, "dropout", number, device=device)
    objective.generator = torch_generator(training.seed, "negatives", number, device=device)
    totals: list[Tensor] = []  # sum of the loss over targets, and their number, per batch
    num_states = 0
    for index, batch in enumerate(batches.epoch(torch_generator(training.seed, "order", number))):
        if training.schedule == "linear":
            done = (state.epoch + index / batches.num_batches) / training.epochs
            for group in optimiser.param_groups:
                group["lr"] = training.learning_rate * (1 - done)
        if question := objective.ask(batch):
            totals.append(_step(state, tables, objective, question, number, index))
            num_states += len(question.targets_MT)
        if on_batch:
            on_batch(index + 1, batches.num_batches)
    state.epoch = number
    loss_sum, num_targets = torch.stack(totals).double().sum(0).tolist()
    return Epoch(number, loss_sum / num_targets, num_states, time.perf_counter() - began)


def _step(
    state: TrainingState, tables: LargeTables, objective: Objective, question: StepInputs, number: int, index: int
) -> Tensor:
    """Take one step; return the sum of the loss over targets, and their number."""
    num_targets = (question.targets_MT > 0).sum()
    with tables.rows_of(question) as small:
        loss = objective.cost(small)
        state.optimiser.zero_grad()
        torch.autograd.backward(loss)
        _check_finite(state.network, loss, number, index)
        state.optimiser.step()
    return torch.stack([loss.detach() * num_targets, num_targets])


def _check_finite(network: SequenceEncoder, loss: Tensor, epoch: int, index: int) -> None:
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if not bool(torch.isfinite(loss + norm)):
        raise NumericalError(
            f"loss and gradients must be finite; got loss {loss.item()} and gradient norm {norm.item()} "
            f"in epoch {epoch}, batch {index + 1}. Lower the learning rate; the last checkpoint is intact."
        )
