"""A program that trains with one worker and with several, and prints what came out.

`python -m tests.training.replicas FOLDER equal` fits every case of CASES with one worker and with two, both with two
lanes; `... FOLDER lost` breaks a group of three in every way of FAULTS. Both print a JSON object: what each worker
said. Workers are forks of this process, which itself only imports, so that the price of importing torch is paid once.
They meet in a file of FOLDER.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import distributed as dist

from caser.config import Training
from caser.data.split import leave_one_out
from caser.data.synthetic import chain_world
from caser.errors import DataError
from caser.fitting.fit import fit
from caser.fitting.progress import Progress
from caser.models.caser.caser import Caser
from caser.models.sessions.gru4rec import GRU4Rec
from caser.training import rows
from caser.training.exchange import Exchange, join

LOG = chain_world(num_users=61, num_items=30, length=14, seed=3).log
"""An odd number of users: the lanes are not alike."""
SPLIT = leave_one_out(LOG)

MODELS: dict[str, Any] = {
    "caser": Caser(L=3, T=2, d=8, n_v=2, n_h=3, dropout=0.25, user_vector=True),
    "gru4rec": GRU4Rec(d=8),
}
FULL = Training(loss="softmax", epochs=3, batch_size=96, lanes=2, device="cpu", weight_decay=1e-4)
TRAININGS: dict[str, Training] = {
    "full": FULL,
    "sampled": FULL.replace(loss="bce", num_negatives=3, popularity_exponent=0.5, unseen_negatives=True),
}
CASES = [(model, loss, tables) for model in MODELS for loss in TRAININGS for tables in ("whole tables", "by rows")]
Work = Callable[[Exchange], Any]


def in_group(folder: Path, number: int, work: Work) -> list[Any]:
    """Do some work in forks that are workers of one group; return what each said, None for one that was killed."""
    (folder / "meet").unlink(missing_ok=True)
    pipes = []
    for rank in range(number):
        read, write = os.pipe()
        if os.fork() == 0:
            dist.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=number)
            os.write(write, json.dumps(_said(work)).encode())
            os._exit(0)
        os.close(write)
        pipes.append(read)
    said = []
    for read in pipes:
        with os.fdopen(read) as pipe:
            said.append(pipe.read())
    for _ in pipes:
        os.wait()
    return [json.loads(text) if text else None for text in said]


def _said(work: Work) -> Any:
    exchange = join()
    try:
        result = work(exchange)
    except Exception as error:
        exchange.leave(error)
        return f"{type(error).__name__}: {error}"
    exchange.leave()
    return result


def fitting(model: str, loss: str, tables: str) -> Work:
    """Return the work of fitting a case."""

    def work(exchange: Exchange) -> dict[str, Any]:
        setattr(rows, "MANY_ROWS", 1 if tables == "by rows" else 10**6)  # noqa: B010
        recommender = fit(MODELS[model], SPLIT, TRAININGS[loss], exchange=exchange)
        arrays = sorted(recommender.artefact.scorer.arrays().items())
        return {
            "history": recommender.artefact.manifest["history"],
            "weights": hashlib.sha256(b"".join(array.tobytes() for _, array in arrays)).hexdigest(),
            "numbers": [array.ravel().tolist() for _, array in arrays],
            "answers": recommender.recommend(users=LOG.user_vocabulary.ids.to_list(), k=5).to_dicts(),
            "bytes": dict(exchange.bytes),
        }

    return work


class Fault:
    """Something that happens to worker 1 after its third batch."""

    def __init__(self, exchange: Exchange, happens: Callable[[], None]) -> None:
        self.batches, self.is_hit, self.happens = 0, exchange.rank == 1, happens

    def __call__(self, _: Progress) -> None:
        self.batches += 1
        if self.is_hit and self.batches == 3:
            self.happens()


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def failed() -> None:
    raise DataError("a log must stay; got nothing. Put it back.")


def meeting(happens: Callable[[], None]) -> Work:
    """Return the work of a training in which something happens to worker 1."""

    def work(exchange: Exchange) -> str:
        fit(MODELS["caser"], SPLIT, FULL.replace(lanes=3), exchange=exchange, tell=Fault(exchange, happens))
        return "done"

    return work


def with_own_seed(exchange: Exchange) -> str:
    fit(MODELS["caser"], SPLIT, FULL.replace(lanes=3, seed=exchange.rank // 2), exchange=exchange)
    return "done"


def with_changed_weights(exchange: Exchange) -> str:
    """A fault of the machine: one bit of worker 1 differs, in a step of its own."""
    original = exchange.add_gradients

    def add_gradients(parameters: Any, *others: Any) -> None:
        original(parameters, *others)
        if exchange.rank == 1:
            parameters[0].grad.view(-1)[-1] += 1e-3

    setattr(exchange, "add_gradients", add_gradients)  # noqa: B010
    fit(MODELS["caser"], SPLIT, FULL.replace(lanes=3), exchange=exchange)
    return "done"


def with_too_few_lanes(exchange: Exchange) -> str:
    fit(MODELS["caser"], SPLIT, FULL, exchange=exchange)
    return "done"


FAULTS: dict[str, Work] = {
    "killed": meeting(killed),
    "failed": meeting(failed),
    "own seed": with_own_seed,
    "changed weights": with_changed_weights,
    "too few lanes": with_too_few_lanes,
}


def main(folder: Path, what: str) -> None:
    """Print what the workers of every case said."""
    for module in ("caser.models.neural", "caser.training.checkpoint", "torch._dynamo"):  # the optimiser's, and slow
        import_module(module)
    if what == "equal":
        said: Any = {" ".join(case): [in_group(folder, number, fitting(*case)) for number in (1, 2)] for case in CASES}
    else:
        said = {name: in_group(folder, 3, work) for name, work in FAULTS.items()}
    print(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
