"""Where a training step's time goes, and how near its rate is to what the machine's products alone would reach.

The products of one step are noted, shape by shape, and done again with nothing around them. A step that were nothing
but products would be as fast as those; the share of that rate which the whole step reaches is the bar. The parts are
the time that torch's profiler sees in each group of operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.speed import _rounds
from benchmarks.speed.training import MODEL, tape_contender
from caser.data import datasets
from caser.evaluation import protocols

PARTS = {
    "products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm"),
    "filter rows and windows summed": ("_RowSums", "_WindowSums"),
    "maxima, biases, phi_c, dropout": ("_Features",),
    "own scores": ("_OwnScores", "OwnScores"),
    "rows fetched and gradients returned": ("aten::index", "aten::embedding", "aten::_index", "aten::gather"),
    "random draws": ("aten::random", "aten::rand", "aten::uniform"),
    "optimiser": ("aten::_fused_adam", "Optimizer", "aten::linalg_vector_norm", "aten::_foreach"),
    "zeros and copies": ("aten::fill_", "aten::zero", "aten::copy_", "aten::cat", "aten::clone", "aten::empty"),
}
"""Names of operations by how they begin; a later part has only what no earlier one has."""


class Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the shapes of all matrix products."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shapes: list[tuple[torch.Size, torch.Size]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do what was asked, and note it if it is a product."""
        name = func.overloadpacket.__name__
        if name in ("mm", "bmm", "addmm", "baddbmm"):
            left, right = args[-2:]
            self.shapes.append((left.shape, right.shape))
        return func(*args, **(kwargs or {}))

    @property
    def operations(self) -> int:
        """Floating-point operations of all of them."""
        return sum(2 * left.numel() * right[-1] for left, right in self.shapes)


def products_alone(products: Products, steps: int) -> _rounds.Contender:
    """The same products on random matrices; units are operations."""
    pairs = [(torch.randn(left), torch.randn(right)) for left, right in products.shapes]

    def run() -> float:
        for _ in range(steps):
            for left, right in pairs:
                torch.matmul(left, right)
        return float(steps * products.operations)

    return run


def parts(work: _rounds.Contender) -> Iterator[tuple[str, float]]:
    """The share of the time that each part takes, in %."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        work()
    left = {event.key: event.self_cpu_time_total for event in profiled.key_averages()}
    whole = sum(left.values())
    for part, beginnings in PARTS.items():
        names = [name for name in left if name.startswith(beginnings)]
        yield part, 100 * sum(left.pop(name) for name in names) / whole
    yield "all else, and what calls cost", 100 * sum(left.values()) / whole


def main() -> None:
    """Measure a step of MovieLens-1M and its products in turns."""
    parser = _rounds.parser(__doc__)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=2048)
    words = parser.parse_args()
    tape = protocols.apply("caser-paper", datasets.load("ml-1m")).final
    train = tape_contender(tape, words.batch_size)
    train(1)
    with Products() as one:
        train(1)

    def step() -> float:
        train(words.steps)
        return float(words.steps * one.operations)

    rates = _rounds.rates({"step": step, "its products alone": products_alone(one, words.steps)}, words.rounds)
    rows = [{"part of a step": name, "% of the time": share} for name, share in parts(step)]
    share = 100 * rates.ratio("step", "its products alone")
    _rounds.publish(
        "step",
        rows,
        [_rounds.Bar("floating-point rate of a step over that of its products", share, "%", 25, 50)],
        partial(_draw, rows),
        batch_size=words.batch_size,
        model=MODEL.model_dump(),
        operations_per_step=one.operations,
        gflops={name: round(rates.median(name) / 1e9, 1) for name in rates.per_round},
    )


def _draw(rows: list[dict[str, Any]], axes: Any) -> None:
    axes.barh([row["part of a step"] for row in rows], [row["% of the time"] for row in rows])
    axes.set(xlabel="% of the time of a step, batch 2048", title="MovieLens-1M, d = 50, L = 5, T = 3, one thread")
    axes.invert_yaxis()


if __name__ == "__main__":
    main()
