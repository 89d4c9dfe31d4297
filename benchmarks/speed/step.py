"""Where the time of a training step goes, and how near the step is to the speed of its matrix products alone.

The shapes of all matrix products of one step are recorded, and the same products are done again with nothing around
them. The bar is the floating-point rate of the whole step divided by the rate of these products. The rows are the time
that torch's profiler measures in each group of operations.
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
"""Part of a step -> how the names of its operations begin; an operation belongs to the first part that matches."""


class Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the shapes of all matrix products."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shapes: list[tuple[torch.Size, torch.Size]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry out an operation, and record it if it is a matrix product."""
        name = func.overloadpacket.__name__
        if name in ("mm", "bmm", "addmm", "baddbmm"):
            left, right = args[-2:]
            self.shapes.append((left.shape, right.shape))
        return func(*args, **(kwargs or {}))

    @property
    def operations(self) -> int:
        """The number of floating-point operations of all recorded products."""
        return sum(2 * left.numel() * right[-1] for left, right in self.shapes)


def products_alone(products: Products, steps: int) -> _rounds.Contender:
    """Return a contender that does the same products on random matrices; its units are floating-point operations."""
    pairs = [(torch.randn(left), torch.randn(right)) for left, right in products.shapes]

    def run() -> float:
        for _ in range(steps):
            for left, right in pairs:
                torch.matmul(left, right)
        return float(steps * products.operations)

    return run


def parts(work: _rounds.Contender) -> Iterator[tuple[str, float]]:
    """Yield each part of a step, and its share of the time in percent."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        work()
    left = {event.key: event.self_cpu_time_total for event in profiled.key_averages()}
    whole = sum(left.values())
    for part, beginnings in PARTS.items():
        names = [name for name in left if name.startswith(beginnings)]
        yield part, 100 * sum(left.pop(name) for name in names) / whole
    yield "all else, and what calls cost", 100 * sum(left.values()) / whole


def main() -> None:
    """Measure a step on MovieLens-1M and its products in rounds."""
    parser = _rounds.parser(__doc__)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=2048)
    options = parser.parse_args()
    tape = protocols.apply("caser-paper", datasets.load("ml-1m")).final
    train = tape_contender(tape, options.batch_size)
    train(1)
    with Products() as one:
        train(1)

    def step() -> float:
        train(options.steps)
        return float(options.steps * one.operations)

    rates = _rounds.rates({"step": step, "its products alone": products_alone(one, options.steps)}, options.rounds)
    rows = [{"part of a step": name, "% of the time": share} for name, share in parts(step)]
    share = 100 * rates.ratio("step", "its products alone")
    _rounds.publish(
        "step",
        rows,
        [_rounds.Bar("floating-point rate of a step over that of its products", share, "%", 25, 50)],
        partial(_draw, rows),
        batch_size=options.batch_size,
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
