"""Windows trained per second on MovieLens-1M: the tape against a plain Caser that convolves every window on its own.

All contenders have the same network, loss (the paper's, with 3 negatives per target), batch size and windows.
`published` draws negatives one by one in Python, as published programs do. `plain` draws them in one call, so that it
differs from ours in the network only.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.speed import _rounds
from benchmarks.speed._steps import some_steps
from caser.config import Training
from caser.data import datasets
from caser.data.tape import Tape
from caser.evaluation import protocols
from caser.models.caser.caser import Caser
from caser.training.batches import Batches
from caser.training.loop import start

MODEL = Caser(L=5, T=3, d=50, n_v=4, n_h=16)
NEGATIVES = 3
BATCH_SIZES = (512, 2048)
"""The author's batch size, and the one that this library chooses for a log of this size."""


Contender = Callable[[int], float]
"""Trains a number of steps, and returns the number of windows in them."""


class PlainCaser(nn.Module):
    """Caser written as in the paper: one Conv2d per filter height over each window's L x d matrix."""

    def __init__(self, model: Caser, num_users: int, num_items: int) -> None:
        super().__init__()
        self.items = nn.Embedding(num_items + 1, model.d, padding_idx=0)
        self.users = nn.Embedding(num_users + 1, model.d)
        self.horizontal = nn.ModuleList(nn.Conv2d(1, model.n_h, (h, model.d)) for h in range(1, model.L + 1))
        self.vertical = nn.Conv2d(1, model.n_v, (model.L, 1))
        self.dropout = nn.Dropout(model.dropout)
        self.dense = nn.Linear(model.num_features, model.d)
        self.out = nn.Embedding(num_items + 1, 2 * model.d)
        self.bias = nn.Embedding(num_items + 1, 1)

    def forward(self, users_B: Tensor, windows_BL: Tensor, items_BK: Tensor) -> Tensor:
        """Return scores of K items for each window, (B, K)."""
        image = self.items(windows_BL).unsqueeze(1)
        maxima = [torch.relu(convolve(image).squeeze(3)).amax(dim=2) for convolve in self.horizontal]
        features = torch.cat([self.vertical(image).flatten(1), *maxima], dim=1)
        state = torch.cat([torch.relu(self.dense(self.dropout(features))), self.users(users_B)], dim=1)
        scores: Tensor = torch.einsum("bd,bkd->bk", state, self.out(items_BK)) + self.bias(items_BK).squeeze(2)
        return scores


def tape_contender(tape: Tape, batch_size: int) -> Contender:
    """Return our own training as a contender."""
    training = Training(
        loss="bce", num_negatives=NEGATIVES, batch_size=batch_size, learning_rate=1e-3, positions="full", epochs=10**5
    )
    state = start(MODEL.build(tape.num_users, tape.num_items, seed=0), training)
    num_windows = len(all_windows(tape)[0])
    return lambda steps: num_windows * some_steps(state, tape, training, MODEL.T, steps)


def plain_contender(tape: Tape, batch_size: int, draw: Callable[[Tensor], Tensor]) -> Contender:
    """Return the plain network as a contender; `draw` gives negatives, (B, T * NEGATIVES), for users, (B,)."""
    network = PlainCaser(MODEL, tape.num_users, tape.num_items)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=1e-6, fused=True)
    users, windows, targets = all_windows(tape)

    def run(steps: int) -> float:
        for chosen in torch.randperm(len(users))[: steps * batch_size].view(steps, batch_size):
            items = torch.cat([targets[chosen], draw(users[chosen])], dim=1)
            scores = network(users[chosen], windows[chosen], items)
            positive, negative = scores[:, : MODEL.T], scores[:, MODEL.T :]
            loss = (functional.softplus(-positive).sum() + functional.softplus(negative).sum()) / positive.numel()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return steps * batch_size

    return run


def all_windows(tape: Tape) -> tuple[Tensor, Tensor, Tensor]:
    """Return every full window with all its targets: users (N,), windows (N, L), targets (N, T)."""
    batches = Batches(tape, window=MODEL.L, num_targets=MODEL.T, batch_size=4096, positions="full")
    users, windows, targets = [], [], []
    for batch in batches.epoch(torch.Generator().manual_seed(0)):
        valid = batch.valid_CW
        users.append(batch.users_CW[valid])
        windows.append(batch.tape_CX.unfold(1, MODEL.L, 1)[valid])
        targets.append(batch.targets_CWT[valid])
    return torch.cat(users).long(), torch.cat(windows).long(), torch.cat(targets)


def draw_in_python(tape: Tape) -> Callable[[Tensor], Tensor]:
    """Draw negatives as published programs do: one at a time, and again while the user has the item."""
    seen = {user: set(tape.sequence(user).tolist()) for user in range(1, tape.num_users + 1)}

    def one(user: int) -> int:
        item = random.randint(1, tape.num_items)
        while item in seen[user]:
            item = random.randint(1, tape.num_items)
        return item

    return lambda users: torch.tensor([[one(user) for _ in range(MODEL.T * NEGATIVES)] for user in users.tolist()])


def draw_at_once(tape: Tape) -> Callable[[Tensor], Tensor]:
    """Draw all negatives in one call, as ours are drawn."""
    return lambda users: torch.randint(1, tape.num_items + 1, (len(users), MODEL.T * NEGATIVES))


def product_contender() -> float:
    """Multiply large float32 matrices, the best case of the machine; return the number of floating-point operations."""
    left, right = torch.randn(2048, 1024), torch.randn(1024, 1024)
    for _ in range(5):
        left @ right
    return 5 * 2 * 2048 * 1024 * 1024


def main() -> None:
    """Measure all contenders in rounds, and print medians."""
    parser = _rounds.parser(__doc__)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    tape = protocols.apply("caser-paper", datasets.load("ml-1m")).final
    rows: list[dict[str, Any]] = []
    bars, products = [], []
    for batch_size in BATCH_SIZES:
        trainers = {
            "tape": tape_contender(tape, batch_size),
            "plain": plain_contender(tape, batch_size, draw_at_once(tape)),
            "published": plain_contender(tape, batch_size, draw_in_python(tape)),
        }
        contenders = {name: partial(contender, options.steps) for name, contender in trainers.items()}
        rates = _rounds.rates({**contenders, "product": product_contender}, options.rounds)
        products.append(rates.median("product"))
        rows += [
            {
                "batch": batch_size,
                "form": name,
                "windows a second": rates.median(name),
                "ratio": rates.ratio("tape", name),
            }
            for name in trainers
        ]
        against = f"at batch {batch_size}, against"
        bars += [
            _rounds.Bar(f"training {against} the published way", rates.ratio("tape", "published"), "x", 5, 12),
            _rounds.Bar(f"training {against} the plain form", rates.ratio("tape", "plain"), "x", 2.5, 6),
        ]
    _rounds.publish(
        "training",
        rows,
        bars,
        partial(_draw, rows),
        threads=torch.get_num_threads(),
        float32_product_gflops=round(statistics.median(products) / 1e9),
    )


def _draw(rows: list[dict[str, Any]], axes: Any) -> None:
    axes.barh([f"{row['form']}, batch {row['batch']}" for row in rows], [row["windows a second"] for row in rows])
    axes.set(xlabel="windows trained per second", title="MovieLens-1M, d = 50, L = 5, T = 3, nine sampled negatives")
    axes.invert_yaxis()


if __name__ == "__main__":
    main()
