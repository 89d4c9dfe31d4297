"""Activity: users who are too busy to be people, users and items with too few events, and how popularity concentrates.

A user is an outlier if a number lies above the upper quartile of all users by more than three times the interquartile
range, on a logarithmic scale, and by a factor of at least five. (This is Tukey's outer fence; the scale is logarithmic
because activity is skewed.) Two numbers are examined: events, and events in the busiest hour.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caser.arrays.types import Int64, Mask
from caser.data.describe import Facts
from caser.data.id_text import in_words
from caser.data.log import InteractionLog
from caser.data.split import Split
from caser.study.audit.findings import Fact, Finding, Severity, count, share

HOUR_SECONDS = 3_600
MOST_NAMED = 5
"""Users that a sentence names."""
LEAST_FACTOR = 5.0
"""The fence lies at least this many times above the upper quartile."""
MINOR_SHARE = 0.01
"""Outliers who made no more than this share of all events get no advice."""


def bots(log: InteractionLog) -> Finding:
    """Return a finding on the users of `log` with implausibly many events, in all or in one hour."""
    events = np.bincount(log.users)[1:]
    numbers = {"events": events}
    if log.has_times:
        numbers["events in the busiest hour"] = busiest_hours(log)
    flagged = np.zeros(len(events), dtype=bool)
    facts: dict[str, Fact] = {}
    for name, values in numbers.items():
        out, fence = far_out(values)
        flagged |= out
        facts |= {f"median {name}": float(np.median(values)), f"most {name}": int(values.max())}
        facts |= {f"fence of {name}": round(fence, 1), f"users above the fence of {name}": int(out.sum())}
    held = float(events[flagged].sum() / events.sum())
    facts |= {"users far out": int(flagged.sum()), "share of events of users far out": held}
    sentence, advice = "No user is far busier than the rest.", ""
    if flagged.any():
        busiest = np.flatnonzero(flagged)[np.argsort(-events[flagged], kind="stable")][:MOST_NAMED] + 1
        ids = ", ".join(in_words(raw) for raw in log.user_vocabulary.raw(busiest))
        sentence = (
            f"{count(int(flagged.sum()), 'user')} far busier than the rest made {share(held)} of all events; "
            f"the busiest: {ids}."
        )
        facts["busiest"] = ids
        advice = f"Look at the busiest users ({ids}) before training: if they are machines, take their rows out."
    severity: Severity = "warning" if held > 0.05 else "note" if flagged.any() else "good"
    return Finding(
        "bots", "Are all users people?", sentence, severity, facts, advice=(advice,) if held > MINOR_SHARE else ()
    )


def far_out(values: Int64) -> tuple[Mask, float]:
    """Return which values lie above the outer fence, (N,) bool, and the fence.

    values  (N,) positive integers

    >>> far_out(np.array([5, 6, 7, 8, 9, 4000]))[0].tolist()
    [False, False, False, False, False, True]
    """
    lower, upper = np.quantile(np.log(values), [0.25, 0.75])
    fence = float(np.exp(upper + max(3 * (upper - lower), np.log(LEAST_FACTOR))))
    return values > fence, fence


def busiest_hours(log: InteractionLog) -> Int64:
    """Return the most events of each user within an hour, (num_users,) int64; `log` must have times."""
    # Give each user a range of time of their own, so that one search counts the events within an hour for all users.
    seconds = (log.times - log.times.min()) // 1_000_000
    span = int(seconds.max()) + HOUR_SECONDS + 1
    moments = (log.users.astype(np.int64) - 1) * span + seconds
    within = np.searchsorted(moments, moments + HOUR_SECONDS, "left") - np.arange(len(moments))
    busiest = np.zeros(log.num_users, dtype=np.int64)
    np.maximum.at(busiest, log.users - 1, within)
    return busiest


def cold(log: InteractionLog, split: Split) -> Finding:
    """Return a finding on users and items with few events, and on validation targets that never occur in training.

    log    counted for the users and items
    split  of that log, for the targets
    """
    users, items = np.bincount(log.users)[1:], np.bincount(log.items)[1:]
    targets = split.validation.targets
    unseen = float(np.mean(split.fit.item_counts[targets] == 0)) if len(targets) else None
    facts: dict[str, Fact] = {
        "share of users with fewer than 3 events": _below(users, 3),
        "share of users with fewer than 5 events": _below(users, 5),
        "share of items with fewer than 5 events": _below(items, 5),
        "share of validation targets never seen in training": unseen,
    }
    sentence = (
        f"{share(_below(users, 5))} of users and {share(_below(items, 5))} of items have fewer than 5 events; "
        f"{share(unseen or 0.0)} of the items to be predicted never occur in training."
    )
    advice = []
    if _below(items, 5) > 0.3:
        advice.append(
            "Many items have fewer than 5 events: --min-item-count 5 leaves them out, but numbers on the smaller log "
            "are not comparable with numbers on the whole log."
        )
    if _below(users, 3) > 0.1:
        advice.append("Many users have fewer than 3 events and cannot be judged: --k-core 3 leaves them out.")
    warned = bool(advice) or (unseen or 0) > 0.05
    return Finding(
        "cold", "Is there enough to learn from?", sentence, "warning" if warned else "good", facts, advice=tuple(advice)
    )


def concentration(log: InteractionLog, facts: Facts) -> Finding:
    """Return a finding on how popularity concentrates in `log`; `facts` are those of `describe`."""
    counts = np.sort(np.bincount(log.items)[1:])[::-1]
    tenths = [float(part.sum() / counts.sum()) for part in np.array_split(counts, 10)]
    gini, top = facts["popularity_gini"], facts["share_of_top_1_percent_of_items"]
    sentence = (
        f"The top 1 % of items take {share(top)} of events; Gini coefficient {gini:.2f} (0: all items are equally "
        "popular, 1: a single item takes all)."
    )
    return Finding(
        name="popularity",
        question="Do all users take the same items?",
        sentence=sentence,
        severity="note" if gini > 0.8 or top > 0.25 else "good",
        facts={
            "Gini coefficient": gini,
            "share of the top 1 % of items": top,
            "share of the top 10 % of items": tenths[0],
            "share of the lower half of items": float(counts[len(counts) // 2 :].sum() / counts.sum()),
        },
        advice=("Popularity is strong here: look at coverage beside accuracy.",) if gini > 0.8 else (),
    )


def _below(counts: NDArray[np.integer], least: int) -> float:
    return float(np.mean(counts < least))
