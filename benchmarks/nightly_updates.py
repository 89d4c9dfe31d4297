"""Seven nightly updates against seven full retrainings: quality of each night, and processor time (6 minutes).

A log of sessions is cut by days. One run is trained in full on everything before the first night. Then, every night, a
chain of runs is updated with the events of the day, and another run is trained by the recipe on everything so far. Both
are asked for every next item of the sessions of the next day; so is the run of the first night, unchanged. A target
that a run does not know is missed. The time is that of `caser.update` and `caser.refit`, without reading a log.

    python -m benchmarks nightly_updates                    yoochoose-clicks, the week before its last one
    python -m benchmarks.nightly_updates --weeks-back 0     its last week, which chose the settings of updates
    python -m benchmarks.nightly_updates --simulated        a world in which items are replaced every day (a minute)

The log yoochoose-clicks is not downloaded; it must be in the cache. The result is saved as JSON in benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

import caser
from benchmarks._tables import RESULTS
from caser.answering.recommender import Recommender
from caser.arrays.types import Int32
from caser.data import datasets
from caser.data.log import InteractionLog
from caser.evaluation.metrics import Values
from caser.evaluation.statistics import mean_over_owners, paired_difference
from caser.system.randomness import numpy_generator

NIGHTS = 7
DAY = 86_400_000_000
"""Microseconds."""

TRAINING = caser.Training(batch_size=512, learning_rate=3e-3, device="cpu", seed=0)
RUNS = ("full", "updated", "unchanged")


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print a table, and save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks-back", type=int, default=1)
    parser.add_argument("--simulated", action="store_true")
    given = parser.parse_args(words)
    if given.simulated:
        result = measure(drifting_world(), caser.GRU4Rec(d=32, max_length=20, dropout=0.0), epochs=8)
    else:
        result = measure(datasets.load("yoochoose-clicks"), caser.GRU4Rec(), epochs=7, weeks_back=given.weeks_back)
    log = "simulated" if given.simulated else f"yoochoose-clicks, {given.weeks_back} weeks before the last day"
    result = {"log": log, "date": datetime.now(UTC).date().isoformat(), "seed": TRAINING.seed, **result}
    for night in result["nights"]:
        print(" | ".join(str(value) for value in night.values()))
    print(json.dumps({name: value for name, value in result.items() if name != "nights"}, indent=1))
    RESULTS.mkdir(exist_ok=True)
    name = "simulated" if given.simulated else f"clicks_{given.weeks_back}"
    (RESULTS / f"nightly_updates_{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measure(log: InteractionLog, model: Any, *, epochs: int, weeks_back: int = 0) -> dict[str, Any]:
    """Return what each night and all nights together gave.

    log         sessions, with times
    model       what is trained        epochs  how long the full training is
    weeks_back  how many weeks the last night is before the end of the log
    """
    frame = by_sessions(log)
    end = int(frame["begin"].max()) // DAY * DAY - weeks_back * NIGHTS * DAY  # type: ignore[arg-type]
    days = [end - (NIGHTS - night) * DAY for night in range(NIGHTS + 1)]
    before = caser.split("sessions", part(frame, 0, days[0]), judged=False)
    first = caser.fit(model, before, TRAINING, epochs=epochs, train_on="all")
    updated = first
    nights: list[dict[str, Any]] = []
    values: dict[str, list[Values]] = {run: [] for run in RUNS}
    owners: list[Int32] = []
    for night in range(1, NIGHTS + 1):
        day, asked = part(frame, days[night - 1], days[night]), part(frame, days[night], days[night] + DAY)
        began = time.process_time()
        full = caser.refit(first, part(frame, 0, days[night]))
        seconds_full = time.process_time() - began
        began = time.process_time()
        updated = caser.update(updated, day, train_on="all")
        seconds = time.process_time() - began
        facts: dict[str, Any] = {
            "night": night,
            "events": len(day),
            "full_seconds": seconds_full,
            "update_seconds": seconds,
        }
        for name, run in zip(RUNS, (full, updated, first), strict=True):
            values[name].append(ndcg(run, asked))
            facts[f"{name}_ndcg"] = float(values[name][-1].mean())
        owners.append(asked.users[followers(asked)] + (owners[-1].max() if owners else 0))
        nights.append({name: round(value, 4) for name, value in facts.items()})
        print(nights[-1], flush=True)
    joined = {name: np.concatenate(each) for name, each in values.items()}
    return {"nights": nights, **summary(joined, np.concatenate(owners), nights)}


def summary(values: dict[str, Values], owners: Int32, nights: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean of each run with its interval, the difference, and the share of quality and of cost."""
    means = {name: mean_over_owners(each, owners) for name, each in values.items()}
    difference = paired_difference(values["updated"], values["full"], owners)
    cost = {name: sum(night[f"{name}_seconds"] for night in nights) for name in ("full", "update")}
    return {
        "targets": len(owners),
        "ndcg@10": {name: mean.to_dict() for name, mean in means.items()},
        "updated_minus_full": difference.to_dict(),
        "share_of_quality": means["updated"].value / means["full"].value,
        "share_of_cost": cost["update"] / cost["full"],
    }


def by_sessions(log: InteractionLog) -> pl.DataFrame:
    """Return the events of a log in raw ids, each with the time when its session begins."""
    columns = {
        "user": log.user_vocabulary.raw(log.users),
        "item": log.item_vocabulary.raw(log.items),
        "time": log.times,
    }
    return pl.DataFrame(columns).with_columns(pl.col("time").min().over("user").alias("begin"))


def part(frame: pl.DataFrame, begin: int, end: int) -> InteractionLog:
    """Return the sessions that begin in a span of time, as a log."""
    chosen = frame.filter((pl.col("begin") >= begin) & (pl.col("begin") < end))
    return caser.read_log(chosen.select("user", "item", "time"), time_format="microseconds")


def followers(log: InteractionLog) -> Any:
    """Return which interactions follow another one of their session, (N,) bool."""
    return np.concatenate([[False], log.users[1:] == log.users[:-1]])


def ndcg(run: Recommender, asked: InteractionLog) -> Values:
    """Return NDCG@10 of every next item of some sessions, (Q,) float64; every item that the run knows is ranked."""
    artefact = run.artefact
    items = np.concatenate([[0], artefact.items.indices(asked.item_vocabulary.ids.to_list())])[asked.items]
    length = 50
    places = np.flatnonzero(followers(asked))
    firsts = np.searchsorted(asked.users, asked.users[places])
    values = np.zeros(len(places))
    for begin in range(0, len(places), 256):
        block = slice(begin, begin + 256)
        histories = np.zeros((len(places[block]), length), np.int32)
        for row, (start, place) in enumerate(zip(firsts[block], places[block], strict=True)):
            known = items[start:place][items[start:place] > 0][-length:]
            histories[row, length - len(known) :] = known
        targets = items[places[block]]
        scores = artefact.scorer.scores(np.zeros(len(targets), np.int32), histories)
        scores[:, ~artefact.knows_item] = -np.inf
        own = scores[np.arange(len(targets)), targets]
        ranks = (scores >= own[:, None]).sum(axis=1)
        is_found = artefact.knows_item[targets] & (ranks <= 10)
        values[block] = np.where(is_found, 1 / np.log2(1 + ranks), 0)
    return values


def drifting_world(num_items: int = 300, days: int = 40, sessions: int = 150, seed: int = 0) -> InteractionLog:
    """Return sessions in a world in which, every day, one item in fifty is replaced by a new one.

    With probability 0.8 an item is followed by its successor, and otherwise by any item.
    """
    draw = numpy_generator(seed, "drifting world")
    shelf, successor, newest = np.arange(num_items), draw.permutation(num_items), num_items
    rows = []
    for day in range(days):
        replaced = draw.choice(num_items, num_items // 50, replace=False)
        shelf[replaced] = newest + np.arange(len(replaced))
        newest += len(replaced)
        place = draw.integers(num_items, size=sessions)
        for step in range(8):
            moments = day * DAY + np.arange(sessions) * 60_000_000 + step * 1_000_000
            rows += list(zip(day * sessions + np.arange(sessions), shelf[place], moments, strict=True))
            is_next = draw.random(sessions) < 0.8
            place = np.where(is_next, successor[place], draw.integers(num_items, size=sessions))
    users, items, times = (np.array(column) for column in zip(*rows, strict=True))
    moments = times + 1_577_836_800_000_000
    return InteractionLog.from_columns(pl.Series(users), pl.Series(items), moments)


if __name__ == "__main__":
    main()
