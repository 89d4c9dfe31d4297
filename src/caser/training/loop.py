"""The training loop: `train()` is a generator that yields one finished epoch at a time.

The caller gives it the batches; its `for` loop validates, saves, logs and stops. Nothing here knows about metrics,
files or the command line. A step adds up the gradients of one batch of each lane (`lanes.py`); often there is one lane.
Every random stream depends only on (seed, name, epoch), so training continues bit for bit from a restored state.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.func import functional_call

from caser.config import Training
from caser.errors import ConfigError, NumericalError
from caser.models.base import SequenceEncoder
from caser.system.memory import keep_freed_memory
from caser.system.randomness import torch_generator
from caser.training.averages import Averages
from caser.training.exchange import Exchange
from caser.training.lanes import Lanes
from caser.training.objective import Objective, StepInputs, Streams
from caser.training.rows import LargeTables

WARM_UP = 0.02
"""The share of all steps in which the learning rate of the linear schedule rises."""


@dataclass(frozen=True)
class Epoch:
    """The result of one epoch.

    number      the epoch, from 1
    loss        the mean loss over all targets of the epoch
    num_states  how many positions trained
    seconds     how long the epoch took
    """

    number: int
    loss: float
    num_states: int
    seconds: float


@dataclass
class TrainingState:
    """Everything that training changes.

    network    the network with its parameters
    optimiser  Adam with its moments
    averages   the averages of the parameters over the last epochs; None if the setting `averaging` is 0
    epoch      how many epochs are done
    moving     which rows of a table may move, bool, by the name of its parameter; of a table without an entry, all
    """

    network: SequenceEncoder
    optimiser: torch.optim.Adam
    averages: Averages | None = None
    epoch: int = 0
    moving: Mapping[str, Tensor] = field(default_factory=dict)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that training changes, by name: parameters, Adam's moments and steps, and averages."""
        tensors = {}
        for name, parameter in self.network.named_parameters():
            tensors[f"network/{name}"] = parameter.detach()
            moments = self.optimiser.state.get(parameter, {})
            tensors |= {f"adam/{moment}/{name}": value.detach() for moment, value in moments.items()}
        averages = self.averages.tensors if self.averages else {}
        return tensors | {f"average/{name}": value for name, value in averages.items()}

    def as_judged(self) -> AbstractContextManager[None]:
        """Return a context within which the network has the parameters that are judged: the averages, if there are."""
        return self.averages.used() if self.averages else nullcontext()

    def finish(self) -> SequenceEncoder:
        """End the training, and return the network with the parameters that are judged."""
        if self.averages:
            self.averages.keep()
        return self.network


def start(network: SequenceEncoder, training: Training) -> TrainingState:
    """Make the state before the first epoch: the network on its device, a new optimiser, and new averages.

    network   a fresh network; it is moved in place
    training  how to train

    Raises ConfigError for a device that this machine does not have.
    """
    network.to(choose_device(training.device))
    parameters = list(network.parameters())
    optimiser = torch.optim.Adam(parameters, lr=training.learning_rate, weight_decay=training.weight_decay, fused=True)
    averages = Averages(network, training.averaging) if training.averaging else None
    return TrainingState(network, optimiser, averages)


def train(
    state: TrainingState,
    batches: Lanes,
    training: Training,
    *,
    exchange: Exchange | None = None,
    until: int | None = None,
    on_batch: Callable[[int, int], None] | None = None,
) -> Iterator[Epoch]:
    """Train a network, starting from `state`. The state is changed in place.

    state     where to start, from `start` or restored from a checkpoint
    batches   what to train on, such as `batches_of` a tape
    training  how to train
    exchange  the workers that train replicas on other lanes; None if this process trains alone
    until     the last epoch to train, `training.epochs` by default; the step-size schedule does not depend on it
    on_batch  a function that is called with (batches done, batches in the epoch), for a progress bar

    Yields after every epoch; then all workers have the same state, bit for bit. Raises NumericalError, with the epoch
    and the batch, when a loss or a gradient is not finite; ConfigError for a device that this machine does not have, or
    that cannot be shared; and WorkerError if another worker was lost or has another state.
    """
    keep_freed_memory()
    network, device = state.network, choose_device(training.device)
    exchange = exchange or Exchange()
    exchange.check_device(device)
    exchange.refuse_different(state.tensors(), "before the first step")
    objective = Objective(network, batches.item_counts, training, device)
    tables = LargeTables(network, state.optimiser, uses_every_item=objective.uses_every_item, moving=state.moving)
    last = training.epochs if until is None else until
    while state.epoch < last:
        epoch = _epoch(state, tables, batches, objective, training, exchange, on_batch)
        exchange.refuse_different(state.tensors(), f"after epoch {epoch.number}")
        yield epoch


def share_of_rate(done: float) -> float:
    """Compute the share of the learning rate that the linear schedule uses.

    done  the share of all steps of the schedule that are done, from 0 to 1

    It rises during the first WARM_UP of the steps, because Adam's first moments are rough, and then falls to 0.

    >>> share_of_rate(0.5), share_of_rate(1.0)
    (0.5, 0.0)
    """
    return min(1.0, (done + 1e-4) / WARM_UP) * (1 - done)


def choose_device(name: str) -> torch.device:
    """Return the torch device for the setting `device`.

    name  "auto" for a GPU when there is one, or the name of a device

    Raises ConfigError for a device that this machine does not have.

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
    batches: Lanes,
    objective: Objective,
    training: Training,
    exchange: Exchange,
    on_batch: Callable[[int, int], None] | None,
) -> Epoch:
    """Train one epoch."""
    # Set the random streams of this epoch.
    number, device = state.epoch + 1, objective.device
    began = time.perf_counter()
    state.network.train()

    def stream(name: str, lane: int) -> torch.Generator:
        return torch_generator(training.seed, name, number, *([lane] if lane else []), device=device)

    streams = {lane: Streams(stream("dropout", lane), stream("negatives", lane)) for lane in batches.by_lane}
    # One step for the batches of all lanes that have a state to train.
    totals: list[Tensor] = []  # for each step: the sum of the loss over its targets, and their number
    num_states = 0
    for index, of_lanes in enumerate(batches.epoch(training.seed, number)):
        if training.schedule == "linear":
            done = (state.epoch + index / batches.num_batches) / training.epochs
            for group in state.optimiser.param_groups:
                group["lr"] = training.learning_rate * share_of_rate(done)
        prepared = [objective.prepare(batch, streams[lane]) for lane, batch in of_lanes]
        lanes = [inputs for inputs in prepared if inputs]
        totals.append(_step(state, tables, objective, lanes, exchange, f"epoch {number}, batch {index + 1}"))
        num_states += sum(len(inputs.targets_MT) for inputs in lanes)
        if state.averages:
            state.averages.after(state.epoch, index, batches.num_batches)
        if on_batch:
            on_batch(index + 1, batches.num_batches)
    state.epoch = number
    loss_sum, num_targets = torch.stack(totals).double().sum(0).tolist()
    num_states = sum(exchange.from_all(num_states))
    return Epoch(number, loss_sum / num_targets, num_states, time.perf_counter() - began)


def _step(
    state: TrainingState,
    tables: LargeTables,
    objective: Objective,
    lanes: Sequence[StepInputs],
    exchange: Exchange,
    place: str,
) -> Tensor:
    """Take one step; return the sum of the loss over the targets of all lanes, and their number, (2,)."""
    # Count the targets of all workers. Without any, there is no step.
    loss_sum = torch.zeros((), device=objective.device)
    num_targets = [(inputs.targets_MT > 0).sum() for inputs in lanes]
    own_targets = sum(num_targets, torch.zeros((), dtype=torch.int64, device=objective.device))
    all_targets = exchange.numbers(own_targets[None]).sum()
    if not lanes and not all_targets:
        return torch.stack([loss_sum, all_targets])
    # The loss of a step is the mean over the targets of all lanes; the gradients of the lanes add up.
    touched, renumbered = tables.touched(lanes)
    rows = {f"network.{each.name}": each.values for each in touched}
    state.optimiser.zero_grad()
    for inputs, num in zip(renumbered, num_targets, strict=True):
        loss = functional_call(objective, rows, (inputs,))
        torch.autograd.backward(loss * (num / all_targets))
        loss_sum = loss_sum + loss.detach() * num
    # Add up what the workers computed, and let the optimiser use it: in the same way on all of them.
    exchange.add_gradients(tables.whole, loss_sum)
    touched = tables.added_up(touched, exchange)
    tables.hold(touched)
    gradients = [parameter.grad for parameter in [*tables.whole, *(each.values for each in touched)]]
    _check_finite(loss_sum / all_targets, gradients, place)
    state.optimiser.step()
    tables.update(touched)
    return torch.stack([loss_sum, all_targets])


def _check_finite(loss: Tensor, gradients: Iterable[Tensor | None], place: str) -> None:
    norm = torch.nn.utils.get_total_norm([gradient for gradient in gradients if gradient is not None])
    if not bool(torch.isfinite(loss + norm)):
        raise NumericalError(
            f"loss and gradients must be finite; got loss {loss.item()} and gradient norm {norm.item()} in {place}. "
            "Lower the learning rate; the last checkpoint is intact."
        )
