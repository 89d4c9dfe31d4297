"""Caser on MovieLens-1M under caser-paper, with the paper's loss and softmax, three seeds (two hours on two cores).

The recipe `paper` is what the paper describes and the author's program sets: binary cross-entropy with three negatives
per target, batches of 512 full windows. The recipe `softmax` is the library's default, with a patience of 3.
"""

from benchmarks._tables import table
from caser.config import Training
from caser.models.caser.caser import Caser
from caser.study.recipes import Recipe

RECIPES = {
    "paper": Recipe(
        Caser(),
        Training(
            loss="bce",
            num_negatives=3,
            batch_size=512,
            learning_rate=1e-3,
            weight_decay=1e-6,
            positions="full",
            patience=3,
        ),
    ),
    "softmax": Recipe(Caser(), Training(batch_size=2048, patience=3)),
}
QUOTED = (
    "Published under this protocol: Caser .1507 MAP (paper), .1751 (the author's program, 20 epochs, run here before).",
)

if __name__ == "__main__":
    table("movielens_1m", "ml-1m", "caser-paper", RECIPES, QUOTED)
