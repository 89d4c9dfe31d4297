"""What a question costs, computed before it is accepted.

The unit: 1 is a plain question with k = 10 about a known user, which takes about 0.1 ms of processor time and one
kilobyte of answer when a run of Caser on MovieLens-1M answers many at once. Everything else counts as many plain
questions as it takes time, or as its part of the answer takes bytes, whichever is more, in the worst case:

    k              0.4 for each item above 10
    lists          1 for 100 ids in `history`, `exclude` and `only` together
    unknown user   the fold-in: positions x items / 12,000
    rules          each condition is tested on every item that may be read; unknown values are compared with others;
                   diversity compares each pair of the items that it chooses from
    chance         3: the ranking once more, a hundred items of it
    explain        0.35 for each item of the answer and item of the history; one question for each item of the history

`make bench NAME=serving_cost` measures what the most expensive requests that are accepted need.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from caser.answering.diversity import pool_size
from caser.answering.explain import MOST_EFFECTS
from caser.answering.fold_in import MOST_POSITIONS
from caser.answering.recommender import Recommender
from caser.answering.rules import CompiledRules
from caser.answering.wanted_items import MOST_READ
from caser.service.request_schemas import RecommendRequest

_FREE_ITEMS = 10
_PER_ITEM = 0.4
_IDS_PER_UNIT = 100
_FOLD_IN_SIZE = 12_000
_RULE_SIZE = 500
_SMALLEST_CATALOGUE = 2_000
_PER_UNKNOWN_VALUE = 40
_LOOKED_UP_PER_UNIT = 1_000
_PAIRS_PER_UNIT = 10_000
_MOST_UNKNOWN_VALUES = 5
_PER_CHANCE = 3
_PER_EFFECT = 0.35
_READ_PER_UNIT_OF_NETWORK = 20
_READ_PER_UNIT_OF_COUNTS = 100
_SIMILAR_SIZE = 100
_SEARCH_SIZE = 500
_PER_INTERACTION = 0.25
_EVENTS_PER_UNIT = 10


class CostRates:
    """What questions to one model cost.

    recommender  the model; the size of its catalogue and the way it reads a history count
    """

    def __init__(self, recommender: Recommender) -> None:
        artefact = recommender.artefact
        self.num_items = len(artefact.items)
        scorer = artefact.state_scorer
        self.folds_in = scorer is not None and scorer.user_vectors() is not None
        """Whether a vector is searched for an unknown user."""
        self._reach = artefact.scorer.history_length
        self._read_per_unit = _READ_PER_UNIT_OF_COUNTS if scorer is None else _READ_PER_UNIT_OF_NETWORK

    def question(self, request: RecommendRequest, rules: CompiledRules, *, read: int, folded: int) -> int:
        """Return the cost of a question.

        request  the question                       rules   its filters and rules
        read     the length of the history, which counts only for an explanation
        folded   the length of the history of a user whose vector is searched; 0 for other users
        """
        items = min(request.k, self.num_items)
        num_ids = sum(len(ids) for ids in (request.history, request.exclude, request.only) if ids)
        cost = 1 + _PER_ITEM * max(0, items - _FREE_ITEMS) + num_ids / _IDS_PER_UNIT
        cost += min(folded, MOST_POSITIONS) * self.num_items / _FOLD_IN_SIZE
        if request.filters or request.rules is not None:
            cost += self._rules(rules, request.k)
        cost += _PER_CHANCE if request.chance else 0
        if request.explain:
            read = read if self._reach is None else min(read, self._reach)
            effects = min(read, MOST_EFFECTS)
            cost += _PER_EFFECT * items * (effects + 3) + (effects + 1) * (1 + read / self._read_per_unit)
        return ceil(cost)

    def similar(self, k: int) -> int:
        """Return the cost of a question for `k` similar items."""
        items = max(0, min(k, self.num_items) - _FREE_ITEMS)
        return ceil(1 + _PER_ITEM * items + self.num_items / _SIMILAR_SIZE)

    def search(self, k: int) -> int:
        """Return the cost of a search for `k` titles."""
        return ceil(1 + _PER_ITEM * max(0, k - _FREE_ITEMS) + self.num_items / _SEARCH_SIZE)

    def _rules(self, rules: CompiledRules, k: int) -> float:
        read = min(self.num_items, MOST_READ)
        passes = 3 + rules.num_conditions
        unknown = min(rules.num_unknown_values, _MOST_UNKNOWN_VALUES)
        boosted = sum(min((one.most for one in where), default=self.num_items) for where, _ in rules.boosts)
        pool = min(pool_size(k, rules.diversity), self.num_items) if rules.diversity else 0
        return (
            passes * (read + _SMALLEST_CATALOGUE) / _RULE_SIZE
            + unknown * _PER_UNKNOWN_VALUE
            + max(0, boosted - MOST_READ) / _LOOKED_UP_PER_UNIT
            + pool * pool / _PAIRS_PER_UNIT
        )


def events_cost(number: int) -> int:
    """Return the cost of storing some events.

    >>> events_cost(1), events_cost(1_000)
    (1, 100)
    """
    return ceil(number / _EVENTS_PER_UNIT)


def history_cost(number: int) -> int:
    """Return the cost of showing a history of so many interactions.

    >>> history_cost(0), history_cost(1_000)
    (1, 251)
    """
    return ceil(1 + number * _PER_INTERACTION)


def sentence_about_cost(questions: Iterable[RecommendRequest], cost: int, most: int) -> str:
    """Return the sentence that refuses some questions because they cost too much.

    questions  the questions of the request       cost  their cost       most  the most that a request may cost

    >>> sentence_about_cost([RecommendRequest(k=10, explain=True)], 40_000, 20_000)
    'this request costs 40,000 (1 question x k 10 x explain), at most 20,000: ask for no explanations.'
    """
    questions = list(questions)
    k = max(question.k for question in questions)
    rules = any(question.filters or question.rules for question in questions)
    lists = any(question.history or question.exclude or question.only for question in questions)
    explains = any(question.explain for question in questions)
    number = f"{len(questions):,} question{'s'[: len(questions) > 1]}"
    factors = [number, f"k {k:,}", *(["ids"] * lists), *(["rules"] * rules), *(["explain"] * explains)]
    less = [
        *(["fewer questions at once"] * (len(questions) > 1)),
        *(["a smaller k"] * (k > _FREE_ITEMS)),
        *(["shorter lists of ids"] * lists),
        *(["fewer rules"] * rules),
        *(["no explanations"] * explains),
    ]
    advice = " or ".join([part for part in (", ".join(less[:-1]), *less[-1:]) if part])
    return f"this request costs {cost:,} ({' x '.join(factors)}), at most {most:,}: ask for {advice}."
