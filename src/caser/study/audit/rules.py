"""Sequential rules: how often the last few items, in their order, all but decide the next one.

A rule (X -> y) of order n has n neighbouring items X of one user on its left side and the item that follows them on its
right. It counts when X then y occurs at least `support` times, and in at least the share `confidence` of all times that
X occurs. Sequential intensity is the number of such rules, of all orders from 1 to 5, per user (Tang & Wang 2018,
section 4.1).

Differs from the paper: its .3265 for MovieLens-1M could not be reproduced. This definition gives .129 on the 999,611
interactions; on the training part, or with ties in the order of ids, or with rules that skip one or two steps counted
too, it lies between .11 and .21. Nearly all of these rules are the order of rows with equal times: .004 without it.
"""

from __future__ import annotations

import numpy as np

from caser.arrays.types import Int64
from caser.data.describe import Facts
from caser.data.log import InteractionLog
from caser.data.tape import Tape
from caser.study.audit.findings import Chart, Fact, Finding, Series, count
from caser.study.audit.ties import reordered

ORDERS = (1, 2, 3, 4, 5)
SUPPORT = 5
CONFIDENCE = 0.5


def sequential_rules(tape: Tape, support: int = SUPPORT, confidence: float = CONFIDENCE) -> dict[int, int]:
    """Number of rules by order of the left side.

    Of these sequences four are (1, 2, 3) and two (1, 2, 4): 1 -> 2, 2 -> 3 and (1, 2) -> 3 are rules with a support
    of at least 4; 2 -> 4 is none.

    >>> tape = Tape.from_sequences([[1, 2, 3]] * 4 + [[1, 2, 4]] * 2, num_items=4)
    >>> sequential_rules(tape, support=4)
    {1: 2, 2: 1, 3: 0, 4: 0, 5: 0}
    """
    if not len(tape):
        return dict.fromkeys(ORDERS, 0)
    found = {}
    grams: Int64 = tape.items.astype(np.int64)  # the name of the n items from each position on, -1 where there is none
    for order in ORDERS:
        following = _longer(grams, tape, order)
        times_left = np.bincount(grams[grams >= 0])
        present = following >= 0
        distinct, first, counts = np.unique(following[present], return_index=True, return_counts=True)
        holds = (counts >= support) & (counts >= confidence * times_left[grams[present][first]])
        found[order] = int(holds.sum())
        grams = _frequent(following, distinct[counts >= support])
    return found


def rules_finding(log: InteractionLog, facts: Facts, seed: int) -> Finding:
    """Sequential intensity of a log, and what is left of it when ties are in random order."""
    by_order = sequential_rules(Tape.from_log(log))
    total = sum(by_order.values())
    found: dict[str, Fact] = {"sequential intensity": total / log.num_users}
    found |= {f"rules of order {order}": number for order, number in by_order.items()}
    sentence = (
        f"{count(total, 'rule')}, {total / log.num_users:.4f} per user: up to 5 items in a row that the same item "
        "follows at least every second time"
    )
    is_hollow = False
    if facts["share_of_rows_tied"]:
        left = sum(sequential_rules(Tape.from_log(reordered(log, seed, 0))).values())
        is_hollow = left < total / 2
        found["sequential intensity with ties in random order"] = left / log.num_users
        sentence += f"; with events at equal times in random order {left:,}"
    return Finding(
        name="rules",
        question="Do sequences decide what comes next?",
        sentence=f"{sentence}.",
        severity="warning" if is_hollow else "note",
        facts=found,
        chart=Chart("bars", list(by_order), [Series("rules", list(by_order.values()))], "items in a row", "rules"),
        advice=("Most sequential rules of this log are the order of rows at equal times.",) if is_hollow else (),
    )


def _longer(grams: Int64, tape: Tape, order: int) -> Int64:
    """Name the order + 1 items from each position on by (the order items from there, the item after them)."""
    longer = np.full(len(tape), -1, dtype=np.int64)
    whole = np.zeros(len(tape), dtype=bool)
    whole[: max(len(tape) - order, 0)] = tape.users[order:] == tape.users[: max(len(tape) - order, 0)]
    whole &= grams >= 0
    after = np.flatnonzero(whole) + order
    longer[whole] = grams[whole] * (tape.num_items + 1) + tape.items[after]
    return longer


def _frequent(grams: Int64, names: Int64) -> Int64:
    """Rename grams to 0, 1, ...; those that are not among `names` (sorted) begin no rule and are forgotten."""
    place = np.searchsorted(names, grams)
    known = place < len(names)
    known[known] = names[place[known]] == grams[known]
    return np.where(known, place, -1)
