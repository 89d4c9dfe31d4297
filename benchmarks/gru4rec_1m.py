"""GRU4Rec on MovieLens-1M under leave-one-out, full softmax, one seed (six minutes on one core).

The number of epochs is fixed, not chosen by validation, because the step size falls to 0 over all epochs.
"""

from benchmarks._tables import table
from caser.config import Training
from caser.models.sessions.gru4rec import GRU4Rec
from caser.study.recipes import Recipe

TRAINING = Training(batch_size=4096, schedule="linear", weight_decay=0.0, learning_rate=4e-3, epochs=8)
RECIPES = {"gru4rec": Recipe(GRU4Rec(d=100), TRAINING, epochs=8)}
QUOTED = ("Published for GRU4Rec with a full softmax on this log: .2811 hit@10 and .1648 NDCG@10.",)

if __name__ == "__main__":
    table("gru4rec_1m", "ml-1m", "leave-one-out", RECIPES, QUOTED, seeds=(0,))
