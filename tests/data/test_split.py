"""Each split by hand: what trains, what each query asks, which targets it has, and what the split is called."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import floor

import polars as pl
import pytest

from caser.data.log import InteractionLog
from caser.data.split import Split, d2l, global_time, leave_one_out, parameters_in_name, sessions, user_fraction
from caser.data.synthetic import chain_world
from caser.errors import DataError
from tests.data.logs import Row, log_of, log_of_sequences, raw_queries, raw_sequences

LONG = log_of_sequences(dict.fromkeys(range(20), "abcdefghij"))


def test_leave_one_out_tests_on_the_last_interaction_and_validates_on_the_one_before() -> None:
    split = leave_one_out(log_of_sequences({"ann": "abcd", "ben": "cab"}))
    assert raw_sequences(split, "fit") == {"ann": ["a", "b"], "ben": ["c"]}
    assert raw_queries(split, "validation") == [("ann", ["a", "b"], ["c"]), ("ben", ["c"], ["a"])]
    assert raw_sequences(split, "final") == {"ann": ["a", "b", "c"], "ben": ["c", "a"]}
    assert raw_queries(split, "test") == [("ann", ["a", "b", "c"], ["d"]), ("ben", ["c", "a"], ["b"])]


def test_users_with_fewer_than_three_interactions_only_train() -> None:
    split = leave_one_out(log_of_sequences({"ann": "abc", "ben": "xy", "cid": "z"}))
    assert raw_sequences(split, "fit") == {"ann": ["a"], "ben": ["x", "y"], "cid": ["z"]}
    assert [owner for owner, _, _ in raw_queries(split, "test")] == ["ann"]


def test_everything_is_the_whole_log() -> None:
    split = leave_one_out(log_of_sequences({"ann": "abcd", "ben": "xy"}))
    assert raw_sequences(split, "everything") == {"ann": list("abcd"), "ben": list("xy")}


def test_user_fraction_cuts_seven_one_two() -> None:
    split = user_fraction(log_of_sequences({"ann": "abcdefghij"}))
    assert raw_sequences(split, "fit") == {"ann": list("abcdefg")}
    assert raw_queries(split, "validation") == [("ann", list("abcdefg"), ["h"])]
    assert raw_queries(split, "test") == [("ann", list("abcdefgh"), ["i", "j"])]


@pytest.mark.parametrize("length", range(5, 60))
def test_user_fraction_rounds_down_as_the_paper_does(length: int) -> None:
    split = user_fraction(log_of_sequences({"ann": range(length)}))
    assert len(split.final) == length - floor(Fraction(2, 10) * length)
    assert len(split.fit) == length - floor(Fraction(3, 10) * length)


def test_targets_are_distinct_in_order_of_time() -> None:
    split = user_fraction(log_of_sequences({"ann": "abcdefghijklmnopqrstuvwx" + "zyzzya"}))
    assert raw_queries(split, "test")[0][2] == ["z", "y", "a"]
    assert split.test.num_targets.tolist() == [3]


def test_global_time_cuts_all_users_at_one_moment() -> None:
    rows: list[Row] = [("ann" if time % 2 else "ben", f"item {time}", time) for time in range(18)]
    split = global_time(log_of([*rows, ("cid", "new", 18), ("ann", "last", 19)]))
    assert len(split.fit) == 16
    assert [(owner, targets) for owner, _, targets in raw_queries(split, "validation")] == [
        ("ben", ["item 16"]),
        ("ann", ["item 17"]),
    ]
    assert [(owner, targets) for owner, _, targets in raw_queries(split, "test")] == [("ann", ["last"])]
    assert split.notes == ("1 users first appear after the cut and are not judged",)


def test_an_interaction_at_the_moment_of_the_cut_lies_after_it() -> None:
    times = [*range(7), 7, 7, 9]  # by count the test part would begin at 9, the validation part amid the two at 7
    split = global_time(
        log_of([("ann", f"item {row}", time) for row, time in enumerate(times)]), test=0.1, validation=0.1
    )
    assert len(split.fit) == 7
    assert len(split.final) == 9


def test_global_time_trains_on_nothing_that_is_later_than_what_it_tests() -> None:
    log = log_of([(f"user {row % 7}", f"item {row}", (row * 37) % 101) for row in range(101)])
    split = global_time(log)
    times = {item: (int(str(item).removeprefix("item ")) * 37) % 101 for item in log.item_vocabulary.ids.to_list()}
    latest = max(times[item] for items in raw_sequences(split, "final").values() for item in items)
    assert all(times[item] > latest for _, _, targets in raw_queries(split, "test") for item in targets)


def test_sessions_are_never_cut_between_parts() -> None:
    split = sessions(log_of_sequences({f"session {index}": "abc" for index in range(10)}))
    assert list(raw_sequences(split, "fit")) == [f"session {index}" for index in range(8)]
    assert list(raw_sequences(split, "final")) == [f"session {index}" for index in range(9)]
    assert raw_queries(split, "test") == [("session 9", ["a"], ["b"]), ("session 9", ["a", "b"], ["c"])]
    assert raw_queries(split, "validation") == [("session 8", ["a"], ["b"]), ("session 8", ["a", "b"], ["c"])]


def test_queries_on_sessions_use_no_user_vector() -> None:
    split = sessions(log_of_sequences(dict.fromkeys(range(20), "abc")))
    assert set(split.test.users.tolist()) == {0}


def test_sessions_are_ordered_by_their_beginning_and_not_by_their_end() -> None:
    rows: list[Row] = [
        (f"session {index}", item, 10 * index + step) for index in range(10) for step, item in enumerate("ab")
    ]
    late = [*rows[:1], (rows[1][0], "b", 10_000), *rows[2:]]  # the first session ends after all others
    assert {owner for owner, _, _ in raw_queries(sessions(log_of(late)), "test")} == {"session 9"}


def test_d2l_tests_the_first_in_file_order_among_equal_last_times() -> None:
    split = d2l(log_of([("ann", "a", 1), ("ann", "b", 3), ("ann", "c", 3), ("ann", "d", 2), ("ann", "e", 3)]))
    assert raw_queries(split, "test") == [("ann", ["a", "d", "c", "e"], ["b"])]
    assert raw_sequences(split, "fit") == {"ann": ["a", "d", "c"]}
    assert split.notes == ("for 100.0% of users the last timestamp is tied, so file order picks the test item",)


@pytest.mark.parametrize("make", [leave_one_out, d2l])
def test_d2l_is_leave_one_out_where_no_times_are_tied(make: Callable[[InteractionLog], Split]) -> None:
    split = make(log_of_sequences({"ann": "abcde", "ben": "xyzy"}))
    assert raw_queries(split, "test") == [("ann", list("abcd"), ["e"]), ("ben", list("xyz"), ["y"])]
    assert raw_queries(split, "validation") == [("ann", list("abc"), ["d"]), ("ben", list("xy"), ["z"])]


@pytest.mark.parametrize("make", [leave_one_out, user_fraction, global_time, sessions, d2l])
def test_a_log_that_cannot_be_split_is_refused_in_one_sentence(make: Callable[[InteractionLog], Split]) -> None:
    with pytest.raises(DataError) as refused:
        make(log_of([("ann", "a", 1), ("ben", "b", 1)]))
    assert "got" in str(refused.value) or "too few" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (leave_one_out, "leave-one-out"),
        (user_fraction, "caser-paper"),
        (global_time, "global-time"),
        (sessions, "sessions"),
        (d2l, "d2l"),
    ],
)
def test_a_split_with_default_parameters_has_the_name_of_its_protocol(
    make: Callable[[InteractionLog], Split], name: str
) -> None:
    assert make(LONG).name == name


@pytest.mark.parametrize(
    ("make", "name"),
    [(user_fraction, "user-fraction"), (global_time, "global-time"), (sessions, "sessions")],
)
def test_a_split_with_other_parameters_has_all_of_them_in_its_name(make: Callable[..., Split], name: str) -> None:
    assert make(LONG, test=0.5).name == f"{name} test=0.5 validation=0.1"
    assert make(LONG, validation=1 / 3).name.endswith(" validation=0.3333333333333333")


@pytest.mark.parametrize("make", [user_fraction, global_time, sessions])
@pytest.mark.parametrize(
    ("test", "validation"), [(0, 0.1), (0.2, 0), (0.5, 0.5), (1.5, 0.1), (-0.1, 0.3), (float("nan"), 0.1)]
)
def test_fractions_that_leave_a_part_empty_are_refused(
    make: Callable[[InteractionLog, float, float], Split], test: float, validation: float
) -> None:
    with pytest.raises(DataError, match="fractions must be positive with a sum below 1"):
        make(LONG, test, validation)


def test_the_message_on_few_sessions_says_how_many_the_shares_need() -> None:
    with pytest.raises(DataError, match="needs at least 20 sessions; got 19"):
        sessions(log_of_sequences(dict.fromkeys(range(19), "abc")), test=0.05)
    assert len(sessions(log_of_sequences(dict.fromkeys(range(20), "abc")), test=0.05).test) == 2


def test_global_time_needs_times() -> None:
    log = InteractionLog.from_columns(pl.Series([1, 1, 1]), pl.Series([1, 2, 3]), None)
    with pytest.raises(DataError, match="needs timestamps; this log has none"):
        global_time(log)


def test_a_validation_part_with_only_new_users_has_no_queries() -> None:
    rows: list[Row] = [("ann", time, time) for time in range(16)]
    split = global_time(log_of([*rows, ("new", 16, 16), ("new", 17, 17), ("ann", 18, 18), ("ann", 19, 19)]))
    assert len(split.validation) == 0
    assert raw_queries(split, "test") == [("ann", list(range(16)), [18, 19])]


@pytest.mark.parametrize("make", [user_fraction, global_time, sessions])
@pytest.mark.parametrize(
    ("test", "validation"), [(0.5, 0.5), (0.0, 0.1), (0.1, 0.0), (1.0, 0.1), (0.1, 1.0), (-0.1, 0.2)]
)
def test_a_share_at_its_bound_is_refused(make: Callable[..., Split], test: float, validation: float) -> None:
    log = chain_world(num_users=20, num_items=6, length=20, seed=0).log
    with pytest.raises(DataError, match="fractions must be positive with a sum below 1"):
        make(log, test=test, validation=validation)


@pytest.mark.parametrize(("test", "needed"), [(0.2, 5), (0.3, 4), (0.5, 2)])
def test_the_message_on_short_users_says_how_long_one_must_be(test: float, needed: int) -> None:
    short = log_of_sequences({"ann": list(range(needed - 1)), "bob": [1]})
    with pytest.raises(DataError, match=f"a user with at least {needed} interactions; got at most"):
        user_fraction(short, test=test, validation=0.1)
    long_enough = user_fraction(log_of_sequences({"ann": list(range(needed))}), test=test, validation=0.1)
    assert len(long_enough.test) == 1


def test_user_fraction_cuts_by_the_sum_of_both_shares() -> None:
    split = user_fraction(log_of_sequences({"ann": list(range(20))}), test=0.25, validation=0.15)
    assert (len(split.fit), len(split.final), len(split.test.targets), len(split.validation.targets)) == (12, 15, 5, 3)


def test_sessions_give_each_part_its_share_rounded_down() -> None:
    log = log_of_sequences({user: [1, 2, 3] for user in range(29)})
    split = sessions(log, test=0.1, validation=0.2)
    assert (len(split.fit), len(split.final)) == (3 * (29 - 2 - 5), 3 * (29 - 2))
    assert sorted(set(split.validation.owners.tolist())) == [23, 24, 25, 26, 27]
    assert sorted(set(split.test.owners.tolist())) == [28, 29]
    assert sessions(log_of_sequences({user: [1, 2] for user in range(10)})).test.owners.tolist() == [10]


@pytest.mark.parametrize("make", [leave_one_out, d2l])
def test_exactly_three_interactions_are_enough(make: Callable[[InteractionLog], Split]) -> None:
    split = make(log_of_sequences({"ann": [1, 2, 3], "bob": [1, 2]}))
    assert (split.test.owners.tolist(), split.validation.owners.tolist()) == ([1], [1])
    assert len(split.fit) == 1 + 2


def test_the_share_of_tied_users_in_the_note_of_d2l_counts_users() -> None:
    rows: list[Row] = [("a", 1, 1), ("a", 2, 5), ("a", 3, 5), ("b", 1, 1), ("b", 2, 2), ("b", 3, 3), ("c", 1, 4)]
    assert "for 33.3% of users" in d2l(log_of(rows)).notes[0]


def test_the_note_on_new_users_counts_those_of_the_test_part_only() -> None:
    rows: list[Row] = [("old", time, time) for time in range(20)]
    rows += [("first", 1, 15), ("second", 1, 19), ("third", 2, 19)]
    split = global_time(log_of(sorted(rows, key=lambda row: row[2])), test=0.2, validation=0.1)
    assert split.notes == ("2 users first appear after the cut and are not judged",)


def test_a_name_with_other_parameters_than_those_of_the_function_is_not_read() -> None:
    assert parameters_in_name(global_time, "global-time test=0.25") is None
    assert parameters_in_name(global_time, "global-time test=much validation=0.1") is None
    assert parameters_in_name(global_time, "global-time") is None
    assert parameters_in_name(global_time, "global-time validation=0.2 test=0.25") == {"test": 0.25, "validation": 0.2}
