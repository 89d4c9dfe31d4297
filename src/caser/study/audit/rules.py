"""Sequential rules: sequences of items that the same item follows in most cases.

A rule (X -> y) of order n has n consecutive items X of one user on its left side, and the item y that follows them on
its right side. A rule counts if X followed by y occurs at least `support` times, and in at least the share `confidence`
of all occurrences of X. Sequential intensity is the number of rules of the orders 1 to 5, divided by the number of
users (Tang & Wang 2018, section 4.1).

Differs from the paper: its value for MovieLens-1M, .3265, could not be reproduced. This definition gives .129 on the
999,611 interactions. On the training part, or with ties in the order of ids, or if rules that skip one or two steps
count too, it lies between .11 and .21. Nearly all of these rules come from the order of rows with equal times: with
ties in random order, the value is .004.
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
"""Items on the left side of a rule."""
SUPPORT = 5
"""Occurrences that a rule needs."""
CONFIDENCE = 0.5
"""The share of occurrences of its left side that a rule needs."""


def sequential_rules(tape: Tape, support: int = SUPPORT, confidence: float = CONFIDENCE) -> dict[int, int]:
    """Return the number of rules of each order.

    tape        the sequences
    support     how often a rule must occur
    confidence  the share of occurrences of its left side that a rule must have, from 0 to 1

    In the example, four sequences are (1, 2, 3) and two are (1, 2, 4). So 1 -> 2, 2 -> 3 and (1, 2) -> 3 are rules with
    a support of at least 4, and 2 -> 4 is none.

    >>> tape = Tape.from_sequences([[1, 2, 3]] * 4 + [[1, 2, 4]] * 2, num_items=4)
    >>> sequential_rules(tape, support=4)
    {1: 2, 2: 1, 3: 0, 4: 0, 5: 0}
    """
    if not len(tape):
        return dict.fromkeys(ORDERS, 0)
    num_rules = {}
    # grams[i] is a number for the n items from position i on; -1 where fewer items follow, or where no rule can begin.
    grams: Int64 = tape.items.astype(np.int64)
    for order in ORDERS:
        following = _longer(grams, tape, order)
        times_left = np.bincount(grams[grams >= 0])
        present = following >= 0
        distinct, first, counts = np.unique(following[present], return_index=True, return_counts=True)
        holds = (counts >= support) & (counts >= confidence * times_left[grams[present][first]])
        num_rules[order] = int(holds.sum())
        grams = _frequent(following, distinct[counts >= support])
    return num_rules


def rules_finding(log: InteractionLog, facts: Facts, seed: int) -> Finding:
    """Return a finding on the sequential intensity of a log, in file order and with ties in random order.

    facts  those of `describe`
    seed   of the random order
    """
    by_order = sequential_rules(Tape.from_log(log))
    total = sum(by_order.values())
    numbers: dict[str, Fact] = {"sequential intensity": total / log.num_users}
    numbers |= {f"rules of order {order}": number for order, number in by_order.items()}
    sentence = (
        f"{count(total, 'rule')}, {total / log.num_users:.4f} per user: sequences of up to 5 items that the same item "
        "follows in at least half of the cases"
    )
    is_hollow = False
    if facts["share_of_rows_tied"]:
        left = sum(sequential_rules(Tape.from_log(reordered(log, seed, 0))).values())
        is_hollow = left < total / 2
        numbers["sequential intensity with ties in random order"] = left / log.num_users
        sentence += f"; {left:,} with events at equal times in random order"
    return Finding(
        name="rules",
        question="Do sequences decide what comes next?",
        sentence=f"{sentence}.",
        severity="warning" if is_hollow else "note",
        facts=numbers,
        chart=Chart(
            "bars", list(by_order), [Series("rules", list(by_order.values()))], "items in a row", "number of rules"
        ),
        advice=("Most sequential rules of this log come from the order of rows at equal times.",) if is_hollow else (),
    )


def _longer(grams: Int64, tape: Tape, order: int) -> Int64:
    """Number the `order + 1` items from each position on, by the number of the first `order` and the next item."""
    longer = np.full(len(tape), -1, dtype=np.int64)
    whole = np.zeros(len(tape), dtype=bool)
    whole[: max(len(tape) - order, 0)] = tape.users[order:] == tape.users[: max(len(tape) - order, 0)]
    whole &= grams >= 0
    after = np.flatnonzero(whole) + order
    longer[whole] = grams[whole] * (tape.num_items + 1) + tape.items[after]
    return longer


def _frequent(grams: Int64, names: Int64) -> Int64:
    """Renumber grams by their place in `names` (sorted); -1 for the others: no frequent rule begins with them."""
    place = np.searchsorted(names, grams)
    known = place < len(names)
    known[known] = names[place[known]] == grams[known]
    return np.where(known, place, -1)
