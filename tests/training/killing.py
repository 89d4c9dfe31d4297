"""A program that fits, kills its fit, and fits again, and prints the result of each broken run.

`python -m tests.training.killing FOLDER SEED ROUNDS` first fits unbroken; then, in each round, kills two fits in a row
with SIGKILL, each at a random one of its moments, and lets a third finish. A moment is the end of a batch or an epoch,
or a step of writing the checkpoint: half written, written, renamed. It prints one JSON object. Fits run in forks of
this process, which itself only imports, so that the price of importing torch is paid once.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from caser.config import Training
from caser.data.split import leave_one_out
from caser.data.synthetic import chain_world
from caser.fitting.fit import fit
from caser.models.caser.caser import Caser
from caser.system import storage

MODEL = Caser(L=3, T=2, d=6, n_v=1, n_h=2, dropout=0.25, user_vector=True)
TRAINING = Training(
    loss="bce",
    epochs=4,
    patience=2,
    batch_size=64,
    learning_rate=0.01,
    schedule="linear",
    user_dropout=0.2,
    device="cpu",
)


class Moments:
    """Counts the moments of a fit, and kills the process at one of them."""

    def __init__(self, die_at: int | None) -> None:
        self.count, self.die_at = 0, die_at

    def __call__(self, *_: Any) -> None:
        self.count += 1
        if self.count == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def deadly(*args: Any) -> Any:
            self()
            return function(*args)

        return deadly

    def half_way(self, write: Callable[[Path, bytes, int], None]) -> Callable[[Path, bytes, int], None]:
        def deadly(path: Path, content: bytes, mode: int) -> None:
            if self.count + 1 == self.die_at:
                path.write_bytes(content[: len(content) // 2])
            self()
            write(path, content, mode)

        return deadly


def attempt(checkpoint: Path, die_at: int | None) -> dict[str, Any] | None:
    """Fit in a fork. Return its result, or None if it was killed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, json.dumps(_fit(checkpoint, Moments(die_at))).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return None
    outcome: dict[str, Any] = json.loads(told)
    return outcome


def _fit(checkpoint: Path, moments: Moments) -> dict[str, Any]:
    setattr(storage, "_write_new", moments.half_way(storage._write_new))  # noqa: B010
    setattr(storage, "sync_folder", moments.before(storage.sync_folder))  # noqa: B010
    setattr(Path, "replace", moments.before(Path.replace))  # noqa: B010
    split = leave_one_out(chain_world(num_users=40, num_items=10, length=12, seed=2).log)
    recommender = fit(MODEL, split, TRAINING, checkpoint=checkpoint, tell=moments)
    hasher = hashlib.sha256()
    for name, array in sorted(recommender.artefact.scorer.arrays().items()):
        hasher.update(name.encode() + array.tobytes())
    history = [
        {key: entry[key] for key in ("number", "loss", "validation")}
        for entry in recommender.artefact.manifest["history"]
    ]
    return {"weights": hasher.hexdigest(), "history": history, "moments": moments.count}


def main(folder: Path, seed: int, rounds: int) -> None:
    """Print the result of the unbroken run, those of the broken runs, and how often a run was killed."""
    for module in ("caser.models.neural", "caser.training.checkpoint", "torch._dynamo"):  # the optimiser's, and slow
        import_module(module)
    chance = random.Random(seed)
    unbroken = attempt(folder / "unbroken", None)
    assert unbroken
    killed, broken = 0, []
    for number in range(rounds):
        path = folder / f"round {number}" / "checkpoint"
        for _ in range(2):
            killed += attempt(path, chance.randint(1, unbroken["moments"] // 2)) is None
        broken.append(attempt(path, None))
    strays = [str(path) for path in folder.rglob("*.partial")]
    print(json.dumps({"unbroken": unbroken, "broken": broken, "killed": killed, "strays": strays}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
