"""SASRec and GRU4Rec on MovieLens-1M under leave-one-out, full softmax, one seed (an hour on two cores).

The number of epochs is given, not chosen: the step size falls to 0 over it.
"""

from benchmarks._tables import table
from caser.config import Training
from caser.models.gru4rec import GRU4Rec
from caser.models.sasrec import SASRec
from caser.study.recipes import Recipe

TRAINING = Training(batch_size=4096, schedule="linear", weight_decay=0.0)
RECIPES = {
    "sasrec": Recipe(SASRec(), TRAINING.but(learning_rate=2e-3, epochs=20), epochs=20),
    "gru4rec": Recipe(GRU4Rec(d=100), TRAINING.but(learning_rate=4e-3, epochs=15), epochs=15),
}
QUOTED = ("Published: SASRec with a full softmax .3152 hit@10 and .1821 NDCG@10, GRU4Rec .2811 and .1648 (this log).",)

if __name__ == "__main__":
    table("models_1m", "ml-1m", "leave-one-out", RECIPES, QUOTED, seeds=(0,))
