"""A simulated log of communities, and item vectors trained on it, to measure large catalogues.

A user belongs to four communities of 200 items, stays in one for five steps on average, and takes its items by Zipf's
law. The model is a factorised Markov chain (`FPMC(user_vector=False)`), trained by plain stochastic gradient descent,
one window at a time, with sampled binary cross-entropy; half of the negatives are drawn by popularity, half uniformly.
The vectors are trained because random vectors have no near neighbours, so that an index on them would show nothing.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import polars as pl
from numpy.typing import NDArray

from caser.answering.recommender import Recommender
from caser.arrays.types import Int32
from caser.artefact.folder import Artefact
from caser.data.log import Vocabulary
from caser.data.tape import Tape
from caser.models.factors.fpmc import FPMC
from caser.system.randomness import numpy_generator

COMMUNITY = 200
GENRE = 50
LENGTH = 40


def trained_run(num_items: int, num_users: int, d: int, epochs: int = 3, seed: int = 0) -> Recommender:
    """Simulate a log, train item vectors on it, and return a recommender with the whole log as its histories."""
    items_UH = simulate(num_items, num_users, seed)
    model = FPMC(L=5, d=d, user_vector=False)
    random = numpy_generator(seed, "initialisation")
    shapes = model.shapes(num_users, num_items)
    arrays = {
        name: (random.standard_normal(shape, dtype=np.float32) / d**0.5) * scale
        for (name, shape), scale in zip(shapes.items(), (0.3, 0.0, 1.0), strict=True)
    }
    descend(items_UH, arrays["Q"], arrays["V"], arrays["c"], epochs, 0.3, 6, model.L, seed)
    offsets = np.concatenate([[0], np.arange(num_users + 1) * LENGTH])
    return Recommender(
        Artefact(
            config=model,
            scorer=model.scorer(arrays, num_users, num_items),
            users=Vocabulary(pl.Series(np.arange(1, num_users + 1))),
            items=Vocabulary(pl.Series(np.arange(1, num_items + 1))),
            titles=None,
            histories=Tape(items_UH.ravel(), offsets, num_items),
            manifest=_facts(),
        )
    )


def simulate(num_items: int, num_users: int, seed: int) -> Int32:
    """Simulate the items of every user in order, (U, LENGTH) int32."""
    random = numpy_generator(seed, "world")
    num_communities = num_items // COMMUNITY
    popular = random.permutation(num_communities)[_zipf(num_communities, 0.5, random, (num_users, 2))]
    near = popular[:, :1] // GENRE * GENRE + random.integers(0, GENRE, (num_users, 2))
    own_U4 = np.concatenate([popular, near.clip(max=num_communities - 1)], axis=1)
    place_UH = _zipf(COMMUNITY, 1.0, random, (num_users, LENGTH))
    items_UH = np.empty((num_users, LENGTH), dtype=np.int32)
    now_U = np.zeros(num_users, dtype=np.int64)
    for step in range(LENGTH):
        moves_U = random.random(num_users) < 0.2
        now_U = np.where(moves_U, random.integers(0, 4, num_users), now_U)
        items_UH[:, step] = own_U4[np.arange(num_users), now_U] * COMMUNITY + place_UH[:, step] + 1
    return items_UH


def _zipf(size: int, exponent: float, random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int64]:
    total = np.cumsum(np.arange(1, size + 1) ** -exponent)
    drawn: NDArray[np.int64] = total.searchsorted(random.random(shape) * total[-1]).clip(max=size - 1)
    return drawn


def _descend(
    items: Any, Q: Any, V: Any, c: Any, epochs: int, rate: float, negatives: int, window: int, seed: int
) -> None:
    np.random.seed(seed)
    users, length = items.shape
    d, num_items = Q.shape[1], Q.shape[0] - 1
    flat = items.ravel()
    state, gradient = np.empty(d, np.float32), np.empty(d, np.float32)
    for step in range(users * epochs):
        user = np.random.randint(users)
        size = np.float32(rate * (1.02 - step / (users * epochs)))
        for place in range(1, length):
            first = max(0, place - window)
            share = np.float32(1 / (place - first))
            state[:] = 0
            gradient[:] = 0
            for read in range(first, place):
                for e in range(d):
                    state[e] += Q[items[user, read], e] * share
            for draw in range(negatives + 1):
                item = items[user, place]
                if draw:
                    item = flat[np.random.randint(flat.size)] if draw % 2 else np.random.randint(1, num_items + 1)
                    if item == items[user, place]:
                        continue
                score = c[item]
                for e in range(d):
                    score += state[e] * V[item, e]
                truth = np.float32(1) if draw == 0 else np.float32(0)
                change = (truth - np.float32(1) / (np.float32(1) + np.exp(-score))) * size
                c[item] += np.float32(0.3) * change
                for e in range(d):
                    gradient[e] += change * V[item, e]
                    V[item, e] += change * state[e]
            for read in range(first, place):
                for e in range(d):
                    Q[items[user, read], e] += gradient[e] * share


descend: Any = numba.njit(fastmath=True)(_descend)


def _facts() -> dict[str, Any]:
    return {
        "protocol": "leave-one-out",
        "fingerprint": "simulated",
        "seen": "keep",
        "train_on": "all",
        "training": None,
        "epochs": None,
        "history": [],
        "anonymous_user": None,
        "log": {"digest": "simulated"},
        "environment": {},
        "metrics": None,
        "test_openings": 0,
        "why": [],
        "command": None,
    }
