"""Caser on MovieLens-100K under d2l, with the guide's settings and with its defaults, three seeds (ten minutes).

A user's training items are never drawn as negatives. The guide also excludes the held-out item; we do not.
"""

from benchmarks._tables import table
from caser.models.caser.caser import Caser
from caser.study.recipes import Recipe

RECIPES = {
    "guide": Recipe(*Caser.preset("guide"), epochs=8),
    "caser": Recipe.of("caser"),
}
QUOTED = ("Published for the guide's program: hit@50 .381, AUC .882 (its negatives exclude the held-out item).",)

if __name__ == "__main__":
    table("movielens_100k", "ml-100k", "d2l", RECIPES, QUOTED)
