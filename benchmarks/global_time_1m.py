"""Caser and its strongest rivals on MovieLens-1M under global-time, one seed (an hour on one core).

One moment cuts the log for all users, as in real use: nothing that trains is later than what is predicted. Every
network has the library's defaults for this log.
"""

from benchmarks._tables import table
from caser.study.recipes import Recipe

RECIPES = {name: Recipe.of(name) for name in ("gru4rec", "caser", "sasrec")}

if __name__ == "__main__":
    table("global_time_1m", "ml-1m", "global-time", RECIPES, seeds=(0,))
