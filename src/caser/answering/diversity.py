"""Diversity: chooses, among the best items of an answer, those that differ from each other.

Maximal marginal relevance (Carbonell & Goldstein 1998): items are chosen one by one, each time the one with the largest

    (1 - diversity) relevance(i) - diversity max over chosen j of similarity(i, j)

where the relevance is the score, shifted and scaled so that the best of the pool has 1 and the last 0. Scores have no
unit, so without scaling the same share would mean something else for each model. The similarity is the cosine of the
item vectors where the model has them. Otherwise it is the number of values that two items share, divided by the number
that either has (Jaccard), over all columns of text and of true and false in the table of items.

Shape suffixes: P items of the pool, D width of an item vector, F values of the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from scipy.sparse import csr_array

from caser.arrays.offsets import offsets_of
from caser.arrays.types import Int64, Scores
from caser.artefact.folder import Artefact
from caser.data.attributes import Attributes
from caser.data.item_values import NO_TEXTS
from caser.errors import ConfigError

_POOL, _LARGEST_POOL = 10, 1_000
"""The pool is this many times the items of an answer, and not more than so many, or than the answer has."""


def pool_size(k: int, diversity: float) -> int:
    """Return among how many of the best items an answer of `k` items is chosen.

    k          the number of items of an answer        diversity  from 0 to 1

    >>> pool_size(10, 0.0), pool_size(10, 0.3), pool_size(500, 0.3)
    (10, 100, 1000)
    """
    return max(k, min(_POOL * k, _LARGEST_POOL)) if diversity else k


def check_similarity(artefact: Artefact, attributes: Attributes, diversity: float, place: str = "") -> None:
    """Raise ConfigError if items should differ, and nothing tells how similar they are.

    artefact  the run        attributes  the columns of its table of items        diversity  from 0 to 1
    place     where the question stands in a request
    """
    if diversity and artefact.state_scorer is None and not _columns(attributes):
        raise ConfigError(
            f"{place}rules.diversity needs a model with item vectors, or a table of items with a column of text "
            f"(--items FILE); {artefact.config.name} has no vectors, and there is no such column."
        )


def diverse(similarity_PP: Scores, scores: Sequence[float], k: int, diversity: float) -> list[int]:
    """Choose items one by one by maximal marginal relevance; among equals, the one that ranks higher.

    similarity_PP  (P, P) floats, the similarity of each pair of the pool        scores  (P,) floats, the best first
    k              how many to choose                                            diversity  from 0 to 1

    Returns the places of the chosen items in the pool, in the order of the answer.

    >>> same, other = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]]), [3.0, 2.9, 1.0]
    >>> diverse(same, other, 2, 0.0), diverse(same, other, 2, 0.6)
    ([0, 1], [0, 2])
    """
    values_P = np.asarray(scores, dtype=np.float64)
    width = np.ptp(values_P) if len(values_P) else 0.0
    relevance_P = (1 - diversity) * ((values_P - values_P.min()) / width if width else np.zeros(len(values_P)))
    nearest_P = np.zeros(len(values_P))
    chosen: list[int] = []
    for _ in range(min(k, len(values_P))):
        value_P = relevance_P - diversity * nearest_P
        value_P[chosen] = -np.inf
        best = int(value_P.argmax())
        nearest_P = np.maximum(nearest_P, similarity_PP[best]) if chosen else similarity_PP[best].astype(np.float64)
        chosen.append(best)
    return chosen


def similarity_of(artefact: Artefact, attributes: Attributes, items: Sequence[int]) -> Scores:
    """Return how similar each pair of some items is, floats (P, P).

    artefact    the run, with the vectors or the raw ids of the items
    attributes  the columns of its table of items        items  P item indices
    """
    scorer = artefact.state_scorer
    if scorer is None:
        return _by_values(artefact, attributes, items)
    vectors_ID, _ = scorer.item_vectors()
    vectors_PD = vectors_ID[np.asarray(items, dtype=np.int64)]
    vectors_PD = vectors_PD / np.linalg.norm(vectors_PD, axis=1, keepdims=True).clip(min=1e-12)
    cosines_PP: Scores = vectors_PD @ vectors_PD.T
    return cosines_PP


def _by_values(artefact: Artefact, attributes: Attributes, items: Sequence[int]) -> Scores:
    """The values that two items share, divided by those that either has; 0 for two items without values."""
    raws = artefact.items.raw(np.asarray(items, dtype=np.int64))
    numbers: dict[tuple[int, str], int] = {}
    values = [
        [
            numbers.setdefault((place, text), len(numbers))
            for place, name in enumerate(_columns(attributes))
            for text in attributes[name].values.get(raw, NO_TEXTS)
        ]
        for raw in raws
    ]
    lengths_P: Int64 = np.array([len(own) for own in values], dtype=np.int64)
    columns = np.fromiter(chain.from_iterable(values), dtype=np.int64)
    has_PF = csr_array((np.ones(len(columns)), columns, offsets_of(lengths_P)), shape=(len(raws), max(1, len(numbers))))
    shared_PP = (has_PF @ has_PF.T).toarray()
    either_PP = lengths_P[:, None] + lengths_P[None, :] - shared_PP
    similarity_PP: Scores = shared_PP / np.maximum(either_PP, 1)
    return similarity_PP


def _columns(attributes: Attributes) -> list[str]:
    return [name for name, column in attributes.items() if column.kind in ("text", "boolean")]
