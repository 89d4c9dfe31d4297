"""The split for users whom training never saw: who is drawn, what is asked, and that a part never reads another."""

from __future__ import annotations

import numpy as np
import pytest

from caser.data.new_users import new_users
from caser.data.shards import ShardedLog
from caser.data.synthetic import chain_world
from caser.errors import DataError
from caser.evaluation.judge import judge
from caser.evaluation.protocols import apply, resolve
from caser.fitting.evaluate import evaluate
from caser.fitting.fit import fit
from caser.models.counting.markov import Markov
from tests.data.logs import log_of_sequences

LOG = log_of_sequences({user: "abcdefghij"[: 1 + user % 10] for user in range(200)})


def test_each_user_is_in_one_part_and_the_shares_hold() -> None:
    split = new_users(LOG, test=0.2, validation=0.1)
    lengths = np.bincount(LOG.users, minlength=201)
    trains, validates = split.fit.lengths > 0, (split.final.lengths > 0) & (split.fit.lengths == 0)
    assert (trains.sum(), validates.sum()) == (140, 20)
    for tape in (split.fit, split.final):  # whole users, or nothing of them
        assert set((tape.lengths == lengths) | (tape.lengths == 0)) == {True}
    for queries, is_drawn in ((split.validation, validates), (split.test, split.final.lengths == 0)):
        assert set(queries.owners.tolist()) == set(np.flatnonzero(is_drawn & (lengths > 1)).tolist())


def test_the_last_interaction_is_asked_for_after_all_others_and_without_a_user() -> None:
    split = new_users(LOG)
    for row, owner in enumerate(split.test.owners.tolist()):
        own = LOG.items[LOG.users == owner].tolist()
        history = split.test.histories(slice(row, row + 1), None)[0].tolist()
        assert (history, split.test.targets[row]) == (own[:-1], own[-1])
    assert not split.test.users.any()
    alone = int((split.fit.lengths == 0)[1::10].sum())  # every tenth user has one interaction
    assert split.notes == (f"{alone} drawn users have no history before their target and are not judged",)


def test_the_seed_draws_other_users_and_is_part_of_the_name() -> None:
    first, again, other = new_users(LOG), new_users(LOG), new_users(LOG, seed=3)
    assert first.test.owners.tolist() == again.test.owners.tolist() != other.test.owners.tolist()
    assert (first.name, other.name) == ("new-users", "new-users test=0.1 validation=0.1 seed=3")
    assert apply(other.name, LOG).test.owners.tolist() == other.test.owners.tolist()


def test_a_log_in_shards_is_split_like_one_in_one_piece() -> None:
    whole, pieces = new_users(LOG), new_users(ShardedLog.of(LOG, 3))
    for name in ("fit", "final"):
        one, many = getattr(whole, name), getattr(pieces, name)
        assert (one.items.tolist(), one.lengths.tolist()) == (many.items.tolist(), many.lengths.tolist())
    for name in ("validation", "test"):
        one, many = getattr(whole, name), getattr(pieces, name)
        assert (one.owners.tolist(), one.targets.tolist()) == (many.owners.tolist(), many.targets.tolist())
    assert whole.notes == pieces.notes


def test_a_model_is_judged_on_users_it_never_saw() -> None:
    world = chain_world(num_users=100, num_items=30, length=8, seed=0)
    split = apply("new-users", world.log)
    report = evaluate(fit(Markov(), split), split)
    assert report.estimate("markov", "hit@10").value > 0.8
    assert (report.to_dict()["protocol"], report.owner_word) == ("new-users", "user")
    assert not any(
        "later than the one they help to predict" in note and note.startswith("0.0") for note in report.notes
    )
    assert resolve("new-users", split).candidates[1:].all()
    alone = judge({"markov": fit(Markov(), split).artefact.scorer}, split, baselines=())
    assert len(alone.owners) == 10


@pytest.mark.parametrize(
    ("log", "parameters", "words"),
    [
        (log_of_sequences({1: "ab", 2: "ab"}), {}, "2 users, of whom 0 and 0 are drawn"),
        (log_of_sequences(dict.fromkeys(range(50), "a")), {}, "a user with 2 interactions"),
        (LOG, {"test": 0.5, "validation": 0.5}, "a sum below 1"),
        (LOG, {"seed": -1}, "seed must be at least 0; got -1"),
        (LOG, {"seed": "x"}, "seed must be a whole number"),
    ],
)
def test_what_cannot_be_split_is_refused(log: object, parameters: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        new_users(log, **parameters)  # type: ignore[arg-type]
