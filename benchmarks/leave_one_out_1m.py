"""Caser on MovieLens-1M under leave-one-out with the default recipe, three seeds (an hour on two cores)."""

from benchmarks._tables import table
from caser.config import Training
from caser.models.caser.caser import Caser
from caser.study.recipes import Recipe

RECIPES = {"softmax": Recipe(Caser(), Training(batch_size=2048, patience=3))}
QUOTED = (
    "Published: RecBole's Caser .2039 hit@10 and .1061 NDCG@10 (another log: ratings of 3 and more, 10-core); "
    "SASRec with a full softmax .3152 and .1821 (this log).",
)

if __name__ == "__main__":
    table("leave_one_out_1m", "ml-1m", "leave-one-out", RECIPES, QUOTED)
