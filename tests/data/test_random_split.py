"""The random split: what is drawn, what a history holds, and that its reports say that it reads the future."""

from __future__ import annotations

import numpy as np
import pytest

from caser.data.random_split import READS_FUTURE, random_split
from caser.data.shards import ShardedLog
from caser.data.split import Split
from caser.data.synthetic import chain_world
from caser.errors import DataError
from caser.evaluation.fingerprint import describe
from caser.evaluation.protocols import PROTOCOLS, apply, resolve
from caser.evaluation.split_facts import later_share
from caser.fitting.evaluate import evaluate
from caser.fitting.fit import fit
from caser.models.counting.markov import Markov
from tests.data.logs import log_of_sequences

LOG = log_of_sequences({user: "abcdefghijklmnopqrst"[user % 7 : user % 7 + 9] for user in range(30)})


def asked(split: Split, part: str) -> dict[int, tuple[list[int], list[int]]]:
    """The history and the targets of each judged user."""
    queries = getattr(split, part)
    return {
        owner: (
            queries.items[queries.starts[row] : queries.ends[row]].tolist(),
            queries.targets[queries.target_offsets[row] : queries.target_offsets[row + 1]].tolist(),
        )
        for row, owner in enumerate(queries.owners.tolist())
    }


@pytest.mark.parametrize("seed", range(5))
def test_every_interaction_is_in_one_part_and_a_history_is_all_that_trains_in_time_order(seed: int) -> None:
    split = random_split(LOG, test=0.3, validation=0.2, seed=seed)
    assert (len(split.fit), len(split.final)) == (270 - 81 - 54, 270 - 81)
    by_part = {part: asked(split, part) for part in ("validation", "test")}
    for user in range(1, 31):
        own = LOG.items[LOG.users == user].tolist()
        fitted, final = split.fit.sequence(user).tolist(), split.final.sequence(user).tolist()
        # No item of a user repeats in this log, so an item tells its interaction.
        assert fitted == [item for item in own if item in fitted]
        assert final == [item for item in own if item in final]
        validates, tests = [item for item in final if item not in fitted], [item for item in own if item not in final]
        for part, history, targets in (("validation", fitted, validates), ("test", final, tests)):
            found = by_part[part].get(user)
            assert (found is None) == (not history or not targets)
            if found is not None:
                assert found[0] == history
                assert sorted(found[1]) == sorted(targets)


def test_histories_do_hold_what_is_later_than_the_targets() -> None:
    split = random_split(LOG)
    later = [
        LOG.items[LOG.users == user].tolist().index(history[-1])
        > LOG.items[LOG.users == user].tolist().index(targets[0])
        for user, (history, targets) in asked(split, "test").items()
    ]
    assert any(later)


def test_the_seed_draws_other_interactions_and_is_part_of_name_and_fingerprint() -> None:
    first, again, other = random_split(LOG), random_split(LOG), random_split(LOG, seed=3)
    prints = [describe(one, resolve(one.name, one), "test")["fingerprint"] for one in (first, again, other)]
    assert prints[0] == prints[1] != prints[2]
    assert (first.name, other.name) == ("random", "random-split test=0.1 validation=0.1 seed=3")


def test_shards_are_put_together() -> None:
    whole, pieces = random_split(LOG), random_split(ShardedLog.of(LOG, 3))
    assert np.array_equal(whole.final.items, pieces.final.items)
    assert np.array_equal(whole.test.targets, pieces.test.targets)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_the_share_of_later_interactions_is_that_of_the_drawn_targets(part: str) -> None:
    split = random_split(LOG, test=0.2, validation=0.2)
    # An item tells the interaction of a user, so the time of the earliest target can be looked up.
    time = {(user, item): moment for user, item, moment in zip(LOG.users, LOG.items, LOG.times, strict=True)}
    targets = [min(time[user, item] for item in own) for user, (_, own) in asked(split, part).items()]
    tape = split.fit if part == "validation" else split.final
    trained = [time[user, item] for user in range(1, 31) for item in tape.sequence(user).tolist()]
    expected = np.mean([moment > target for moment in trained for target in targets])
    assert later_share(split, tape, getattr(split, part)) == pytest.approx(expected)
    assert 0.2 < expected < 0.8


def test_a_report_says_that_the_split_reads_the_future() -> None:
    split = apply("random", chain_world(num_users=60, num_items=9, length=12, seed=0).log)
    report = evaluate(fit(Markov(), split), split)
    assert READS_FUTURE in report.notes
    assert any("later than the one they help to predict" in note for note in report.notes)
    assert report.to_dict()["protocol"] == "random"


def test_no_refusal_of_another_protocol_suggests_it() -> None:
    short = log_of_sequences(dict.fromkeys(range(40), "ab"))
    assert PROTOCOLS["random"].split(short).name == "random"
    with pytest.raises(DataError) as error:
        apply("leave-one-out", short)
    assert "random" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"test": 0.9, "validation": 0.2}, "a sum below 1"),
        ({"test": 1e-9}, "of 270 interactions, 27 and 0 are drawn"),
        ({"seed": -1}, "seed must be at least 0; got -1"),
        ({"seed": "a"}, "seed must be a whole number"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        random_split(LOG, **options)  # type: ignore[arg-type]
