"""Counting models on MovieLens-100K under both splits of the guide, in time and at random (half a minute).

Nothing is drawn but the random split, so the numbers are the same everywhere. They show what a random split rewards.
"""

from benchmarks._tables import table
from caser.study.recipes import Recipe

PROTOCOLS = ("d2l", "random")

if __name__ == "__main__":
    for protocol in PROTOCOLS:
        table(f"guide_splits_{protocol}", "ml-100k", protocol, {"ease": Recipe.of("ease")}, benchmark="guide_splits")
