"""A process that trains RecBole's Caser for a number of steps whenever it is told to.

    .../python benchmarks/speed/_recbole_process.py DATA_FOLDER LENGTH BATCH_SIZE

It reads a number of steps from each line of standard input, and answers with the number of windows that were trained.
The steps are those of RecBole's own trainer; only the end of an epoch differs. The process runs in RecBole's own
environment, so it imports nothing of this project.
"""

from __future__ import annotations

import itertools
import os
import sys


def main(folder: str, length: str, batch_size: str) -> None:
    """Load the data, then train as standard input says."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    settings = {
        "data_path": folder,
        "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id",
        "TIME_FIELD": "timestamp",
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "MAX_ITEM_LIST_LENGTH": int(length),
        "train_batch_size": int(batch_size),
        "loss_type": "CE",
        "train_neg_sample_args": None,
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "use_gpu": False,
        "show_progress": False,
        "state": "ERROR",
        "checkpoint_dir": folder,
        "reproducibility": False,
    }
    config = Config(model="Caser", dataset="log", config_dict=settings)
    init_seed(0, False)
    data = create_dataset(config)
    train, _, _ = data_preparation(config, data)
    model = get_model("Caser")(config, train.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], "Caser")(config, model)
    print(f"ready {sum(p.numel() for p in model.parameters())}", flush=True)
    batches = itertools.chain.from_iterable(itertools.repeat(train))
    for line in sys.stdin:
        few_batches = _FewBatches(list(itertools.islice(batches, int(line))), train.sampler)
        trainer._train_epoch(few_batches, 0)
        print(sum(len(batch) for batch in few_batches.batches), flush=True)


class _FewBatches:
    """A few batches, in the form of RecBole's data loader."""

    shuffle = False

    def __init__(self, batches: list, sampler: object) -> None:  # type: ignore[type-arg]
        self.batches, self.sampler = batches, sampler

    def __iter__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204
        return iter(self.batches)


if __name__ == "__main__":
    main(*sys.argv[1:])
