"""Caser on MovieLens-1M under caser-paper, as in the paper and with its defaults (six hours on one core).

The row `paper` is the preset of that name: what the paper describes and the author's program sets. The row `caser` is
the library's default.
"""

from benchmarks._tables import table
from caser.models.caser.caser import Caser
from caser.study.recipes import Recipe

RECIPES = {"paper": Recipe(*Caser.preset("paper")), "caser": Recipe.of("caser")}
QUOTED = (
    "Published under this protocol: Caser .1507 MAP (paper), .1751 (the author's program, 20 epochs, run here before).",
)

if __name__ == "__main__":
    table("movielens_1m", "ml-1m", "caser-paper", RECIPES, QUOTED, seeds=(0, 1, 2, 3, 4))
