"""SASRec on MovieLens-1M under leave-one-out, full softmax, one seed (half an hour on two cores).

The number of epochs is fixed, not chosen by validation, because the step size falls to 0 over all epochs.
"""

from benchmarks._tables import table
from caser.config import Training
from caser.models.sessions.sasrec import SASRec
from caser.study.recipes import Recipe

TRAINING = Training(batch_size=4096, schedule="linear", weight_decay=0.0, learning_rate=2e-3, epochs=20)
RECIPES = {"sasrec": Recipe(SASRec(), TRAINING, epochs=20)}
QUOTED = ("Published for SASRec with a full softmax on this log: .3152 hit@10 and .1821 NDCG@10.",)

if __name__ == "__main__":
    table("sasrec_1m", "ml-1m", "leave-one-out", RECIPES, QUOTED, seeds=(0,))
