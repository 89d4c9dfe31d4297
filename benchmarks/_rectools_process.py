"""A process that trains RecTools' SASRec, one epoch whenever it is told to.

    .../python benchmarks/_rectools_process.py FOLDER SETTINGS

FOLDER holds log.npz: the user and the item of every interaction, the interactions of a user in time order. SETTINGS are
the keyword arguments of SASRecModel, as JSON. The process answers `ready VERSIONS`. For each line of standard input it
trains an epoch, writes the states of all users and the vectors of all items to states.npz, and answers with the number
of the epoch, the seconds of training, and the seconds of computing the states. When standard input ends, it ends.

`SASRecModel.fit` trains, as a user of RecTools would call it; a callback of its trainer stops the clock between epochs.
checkpoint.pt holds the last epoch, from which another process continues. This process runs in an environment of its
own, so it imports nothing of this project.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as lightning
import torch
from rectools.dataset import Dataset
from rectools.models import SASRecModel

SEED = 0
PACKAGES = ("rectools", "pytorch-lightning", "torch", "numpy")


def main(folder: str, settings: str) -> None:
    """Load the log, then train as standard input says."""
    with np.load(Path(folder) / "log.npz") as log:
        users, items = log["users"], log["items"]
    frame = pd.DataFrame({"user_id": users, "item_id": items, "weight": 1.0, "datetime": np.arange(len(users))})
    dataset = Dataset.construct(frame)

    def trainer() -> Any:
        return lightning.Trainer(
            max_epochs=-1,
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[EpochByEpoch(dataset, Path(folder))],
        )

    lightning.seed_everything(SEED, verbose=False)
    model = SASRecModel(**json.loads(settings), get_trainer_func=trainer)
    print("ready", json.dumps({package: version(package) for package in PACKAGES}), flush=True)
    model.fit(dataset)


class EpochByEpoch(lightning.Callback):  # type: ignore[misc]
    """Waits for a line of standard input before each epoch, and answers after it."""

    def __init__(self, dataset: Any, folder: Path) -> None:
        self.dataset, self.folder = dataset, folder
        self.epoch, self.began = 0, 0.0

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Continue from the checkpoint, if there is one."""
        path = self.folder / "checkpoint.pt"
        if path.exists():
            saved = torch.load(path, weights_only=True)
            module.is_fitted = True  # otherwise RecTools draws new parameters, after this method
            module.torch_model.load_state_dict(saved["network"])
            trainer.optimizers[0].load_state_dict(saved["optimiser"])
            self.epoch = saved["epoch"]

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        """Wait until the last epoch has been judged, keep it, and start the clock."""
        if not sys.stdin.readline():
            sys.exit()
        if self.epoch:
            self._keep(trainer, module)
        lightning.seed_everything(SEED + self.epoch, verbose=False)
        self.began = time.perf_counter()

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Stop the clock, write the states, and answer."""
        trained = time.perf_counter()
        self.epoch += 1
        self._write_states(module)
        print("epoch", self.epoch, trained - self.began, time.perf_counter() - trained, flush=True)

    def _keep(self, trainer: Any, module: Any) -> None:
        """Write the checkpoint. A process that is killed leaves the old one or the new one."""
        optimiser = trainer.optimizers[0].state_dict()
        saved = {"network": module.torch_model.state_dict(), "optimiser": optimiser, "epoch": self.epoch}
        partial = self.folder / "checkpoint.partial"
        torch.save(saved, partial)
        partial.replace(self.folder / "checkpoint.pt")

    def _write_states(self, module: Any) -> None:
        """Write what a score is the product of: a state for each user, and a vector for each item that RecTools knows.

        These are the steps of RecTools' own `recommend`. It reads the last items of a history, and it knows the items
        that occur in what it reads.
        """
        preparator, network = module.data_preparator, module.torch_model
        users = self.dataset.user_id_map.external_ids
        asked = preparator.transform_dataset_u2i(self.dataset, users)
        module.eval()
        with torch.no_grad():
            vectors = network.item_model.get_all_embeddings()
            states = []
            for batch in preparator.get_dataloader_recommend(asked, batch_size=256):
                on_device = {name: values.to(module.device) for name, values in batch.items()}
                states.append(network.encode_sessions(on_device, vectors)[:, -1])
        module.train()
        padding = preparator.n_item_extra_tokens
        np.savez(
            self.folder / "states.npz",
            users=np.asarray(asked.user_id_map.external_ids, dtype=np.int64),
            states=torch.cat(states).cpu().numpy(),
            items=np.asarray(preparator.get_known_item_ids(), dtype=np.int64),
            vectors=vectors[padding:].cpu().numpy(),
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
