"""Caser on MovieLens-1M under leave-one-out with its defaults for the log, five seeds (ninety minutes on two cores)."""

from benchmarks._tables import table
from caser.study.recipes import Recipe

RECIPES = {"caser": Recipe.of("caser")}
QUOTED = (
    "Published: RecBole's Caser .2039 hit@10 and .1061 NDCG@10 (another log: ratings of 3 and more, 10-core); "
    "SASRec with a full softmax .3152 and .1821, with 3,000 negatives .1857 NDCG@10 (this log).",
)

if __name__ == "__main__":
    table("leave_one_out_1m", "ml-1m", "leave-one-out", RECIPES, QUOTED, seeds=(0, 1, 2, 3, 4))
