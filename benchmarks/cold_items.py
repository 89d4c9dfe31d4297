"""What attributes of items are worth, on MovieLens: are new items found, and do known items lose anything?

`python -m benchmarks.cold_items ml-100k` (some minutes on one core) or `ml-1m` (hours) trains one model with and
without genres, year and words of the title, under two protocols with seed 0. Under `cold-items` every target is an item
that training never saw. Under `leave-one-out` nearly every target is known, and both models are compared on the same
targets. A model may be named after the log, and after it a number of epochs; otherwise Caser is trained, and validation
chooses the number. The folder CASER_CACHE must hold the log and its table of items.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import polars as pl

from caser.config import Training
from caser.data import datasets
from caser.data.attribute_columns import ItemAttributes
from caser.evaluation import judge, protocols
from caser.fitting.evaluate import compared
from caser.fitting.fit import fit
from caser.models import model_settings
from caser.models.settings import ModelSettings

RESULTS = Path(__file__).parent / "results"
COLUMNS = ("genres", "year", "title")
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""The genres of ml-100k, in the order of its columns."""


def items_of(name: str) -> pl.DataFrame:
    """Return the table of items of a log: item_id, title, year and genres."""
    cache = Path(os.environ["CASER_CACHE"])
    path = cache / "ml-100k" / "u.item" if name == "ml-100k" else cache / "ml-1m-movies.dat"
    rows = []
    for line in path.read_text(encoding="latin-1").splitlines():
        if name == "ml-100k":
            number, title, *_, flags = line.split("|", 5)
            genres = [genre for genre, flag in zip(GENRES, flags.split("|"), strict=True) if flag == "1"]
        else:
            number, title, listed = line.split("::")
            genres = listed.split("|")
        rows.append({"item_id": int(number), "title": title, "genres": genres})
    frame = pl.DataFrame(rows)
    return frame.with_columns(year=pl.col("title").str.extract(r"\((\d{4})\)\s*$").cast(pl.Int64))


def judged(
    log_name: str, protocol: str, model: ModelSettings, attributes: ItemAttributes, epochs: int | None
) -> dict[str, Any]:
    """Train the model with and without attributes, and judge both beside the counting models."""
    split = protocols.apply(protocol, datasets.load(log_name))
    training = Training(seed=0, device="cpu")
    fitted = {
        "without attributes": fit(model, split, training, epochs=epochs),
        "with attributes": fit(model, split, training, epochs=epochs, items=items_of(log_name), attributes=attributes),
    }
    scorers = judge.counting_baselines(split)
    for name, recommender in fitted.items():
        scorers[name] = compared(recommender, split, "test", baselines=False)[model.name]
    report = judge.judge(scorers, split, baselines=["without attributes"])
    kept = fitted["with attributes"].artefact.attributes
    return {
        **report.to_dict(),
        "epochs": {name: one.artefact.manifest["epochs"] for name, one in fitted.items()},
        "attributes": kept.facts if kept else None,
    }


if __name__ == "__main__":
    log_name = sys.argv[1]
    model = model_settings(sys.argv[2] if len(sys.argv) > 2 else "caser")
    attributes = ItemAttributes(columns=COLUMNS)
    epochs = int(sys.argv[3]) if len(sys.argv) > 3 else None
    path = RESULTS / f"cold_items_{log_name}_{model.name}.json"
    found: dict[str, Any] = {}
    for protocol in ("cold-items", "leave-one-out"):
        found[protocol] = judged(log_name, protocol, model, attributes, epochs)
        path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(f"{protocol}: wrote {path}", flush=True)
