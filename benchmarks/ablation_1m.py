"""The paper's ablation on MovieLens-1M, with the paper's loss and with softmax (an hour and a half on two cores).

One seed, and intervals over users. Every row trains for a fixed number of epochs: 20 with the paper's loss, as in the
run of the author's program, and 8 with softmax, the number that validation chose for the full model (movielens_1m). The
JSON contains the paper's own numbers beside ours.
"""

from benchmarks._tables import STORE, publish, tell
from benchmarks.movielens_1m import RECIPES
from caser.config import Training
from caser.data import datasets
from caser.evaluation import protocols
from caser.fitting.checks import for_given_epochs
from caser.models.caser.caser import Caser
from caser.study.ablate import ablate
from caser.study.engine import Plan

EPOCHS = {"paper": 20, "softmax": 8}

if __name__ == "__main__":
    split = protocols.apply("caser-paper", datasets.load("ml-1m"))
    for loss, epochs in EPOCHS.items():
        training = for_given_epochs(RECIPES[loss].training or Training()).replace(epochs=epochs)  # nothing stops early
        plan = Plan(store=STORE, seeds=(0,))
        study = ablate(split, Caser(), training, plan, removals=False, choose=False, tell=tell)
        publish(f"ablation_1m_{loss}", study, study.verdicts, benchmark="ablation_1m")
