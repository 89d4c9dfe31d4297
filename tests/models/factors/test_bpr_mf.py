"""BPR-MF gives a score computed by hand, learns the taste of users, and ignores the order of items."""

from __future__ import annotations

import numpy as np
import pytest

from caser.config import Training
from caser.data.split import leave_one_out, sessions
from caser.data.synthetic import chain_world
from caser.data.tape import Tape
from caser.errors import ArtefactError, ConfigError
from caser.fitting.fit import fit
from caser.models.base import StateScorer
from caser.models.factors.bpr_mf import BPRMF
from caser.models.neural import NeuralScorer
from caser.training.loop import start
from tests.training.runs import train_on

USERS = np.array([0, 1, 2], dtype=np.int32)


def test_a_score_is_the_users_vector_times_the_items_plus_the_items_bias() -> None:
    arrays = {
        "P": np.array([[0, 0], [1, 2], [-1, 0]], dtype=np.float32),
        "V": np.array([[0, 0], [3, 1], [0, 2]], dtype=np.float32),
        "c": np.array([0, 0.5, 0], dtype=np.float32),
    }
    scorer = BPRMF(d=2).scorer(arrays, num_users=2, num_items=2)
    scores_BI = scorer.scores(USERS, np.zeros((3, 1), dtype=np.int32))
    assert scores_BI.tolist() == [[0, 0.5, 0], [0, 5.5, 4], [0, -2.5, 0]]


def test_the_last_items_change_no_score() -> None:
    scorer = NeuralScorer(BPRMF().build(num_users=2, num_items=4, seed=0))
    first, second = (scorer.scores(USERS, np.full((3, 2), item, dtype=np.int32)) for item in (1, 4))
    np.testing.assert_array_equal(first, second)


def test_it_learns_which_half_of_the_catalogue_belongs_to_which_group_of_users() -> None:
    """Every user has four of the five items of a half; the fifth must rank above the other half."""
    halves = [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]
    owned = [[item for item in half if item != missing] for half in halves for missing in half] * 4
    config = BPRMF(d=4)
    training = config.training.replace(epochs=20, batch_size=32, learning_rate=0.03, weight_decay=0.01, device="cpu")
    state = start(config.build(len(owned), num_items=10, seed=0), training)
    list(train_on(state, Tape.from_sequences(owned, num_items=10), training, num_targets=config.num_targets))
    users = np.arange(1, len(owned) + 1, dtype=np.int32)
    scorer: StateScorer = NeuralScorer(state.network)
    scores_UI = scorer.scores(users, np.zeros((len(users), 1), dtype=np.int32))
    for sequence, scores_I in zip(owned, scores_UI, strict=True):
        mine, other = halves if sequence[0] <= 5 else halves[::-1]
        assert scores_I[mine].min() > scores_I[other].max()


def test_by_default_it_draws_negatives_as_its_paper_does() -> None:
    training = BPRMF.training
    assert (training.loss, training.num_negatives, training.unseen_negatives) == ("bpr", 1, True)


def test_a_split_with_unknown_users_only_is_refused() -> None:
    split = sessions(chain_world(num_users=20, num_items=6, length=6).log)
    with pytest.raises(ConfigError, match="a user vector cannot be learned"):
        fit(BPRMF(), split, Training(epochs=1, device="cpu"))


def test_unknown_users_get_the_mean_vector() -> None:
    split = leave_one_out(chain_world(num_users=20, num_items=6, length=6).log)
    artefact = fit(BPRMF(d=4), split, Training(device="cpu"), epochs=1).artefact
    vectors_UE = artefact.scorer.arrays()["P"]
    np.testing.assert_allclose(vectors_UE[0], vectors_UE[1:].mean(axis=0), rtol=1e-5, atol=1e-7)


def test_parameters_of_another_width_are_refused() -> None:
    arrays = NeuralScorer(BPRMF(d=3).build(2, 4, seed=0)).arrays()
    with pytest.raises(ArtefactError, match=r"parameter P must be float32 \(3, 2\); got float32 \(3, 3\)"):
        BPRMF(d=2).scorer(arrays, num_users=2, num_items=4)
