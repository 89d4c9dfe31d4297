"""Rivals: two columns that may have one role. The id wins over the name, and a guess with a rival is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from caser.data.log import InteractionLog
from caser.data.readers import read_log
from caser.errors import DataError
from tests.cases.logs import Cell, doubts_of, item, items_of, read, rows_of, seconds, user, users_of


def name(user: int, item: int, seconds: int) -> object:
    return f"Ann {user % 3}"


def title(user: int, item: int, seconds: int) -> object:
    return f"Tea {item % 4}"


def notes_of(log: InteractionLog) -> str:
    return "\n".join(log.provenance["notes"])


@pytest.mark.parametrize("header", ["user,user_id", "customer,customer_id", "Client,clientId", "member,member-id"])
def test_an_id_beats_the_name_of_a_user(tmp_path: Path, header: str) -> None:
    log = read(tmp_path, f"{header},item,ts\n" + rows_of(name, user, item, seconds))
    assert users_of(log) == set(range(1, 31))
    noun, identity = header.split(",")
    assert f"read {identity} as user; {noun} is there too; override" in notes_of(log)


@pytest.mark.parametrize("header", ["item,item_id", "product,product_id", "movie,movieId", "article,ArticleID"])
def test_an_id_beats_the_name_of_an_item_which_is_its_title(tmp_path: Path, header: str) -> None:
    log = read(tmp_path, f"user,{header},ts\n" + rows_of(user, title, item, seconds))
    assert items_of(log) == set(range(500, 512))
    assert log.titles is not None
    assert set(log.titles) == {"Tea 0", "Tea 1", "Tea 2", "Tea 3"}


def test_a_noun_without_letters_is_no_title(tmp_path: Path) -> None:
    log = read(tmp_path, "user,product,product_id,ts\n" + rows_of(user, item, item, seconds))
    assert log.titles is None


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("user_id,customer_id", "read user_id as user; customer_id is there too"),
        ("customer,user", "read user as user; customer is there too"),
        ("session_id,user", "read user as user; session_id is there too"),
        ("buyer_id,userId", "read userId as user; buyer_id is there too"),
    ],
)
def test_a_user_with_rivals_is_never_guessed_in_silence(tmp_path: Path, header: str, said: str) -> None:
    assert said in notes_of(read(tmp_path, f"{header},item,ts\n" + rows_of(user, name, item, seconds)))


def test_a_place_is_no_item_beside_an_item(tmp_path: Path) -> None:
    log = read(tmp_path, "user,business_id,item,ts\n" + rows_of(user, name, item, seconds))
    assert items_of(log) == set(range(500, 512))


def of_user(user: int, item: int, seconds: int) -> object:
    return f"2019-03-{user % 28 + 1:02} 10:00:00"


def moment(user: int, item: int, seconds: int) -> object:
    return f"2020-09-13 {seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


@pytest.mark.parametrize("guess", ["created_at", "timestamp", "date", "time"])
def test_a_column_of_one_moment_for_each_user_is_not_the_time_beside_another(tmp_path: Path, guess: str) -> None:
    log = read(tmp_path, f"user,item,{guess},order_date\n" + rows_of(user, item, of_user, moment))
    assert min(log.times) // 1_000_000 > 1_590_000_000
    assert f"{guess} holds one moment for each user: read order_date" in notes_of(log)
    assert f"read {guess} as time" not in notes_of(log)


def test_several_columns_instead_of_one_moment_for_each_user_are_refused(tmp_path: Path) -> None:
    text = "user,item,created_at,ordered,paid\n" + rows_of(user, item, of_user, moment, moment)
    with pytest.raises(DataError, match="pass --time ordered, or --time paid, or --time created_at"):
        read(tmp_path, text)
    assert read(tmp_path, text, time="created_at").has_times


def test_one_moment_for_each_user_is_doubted_without_another_column(tmp_path: Path) -> None:
    text = "user,item,created_at\n" + rows_of(user, item, of_user)
    assert "every user has one moment" in doubts_of(read(tmp_path, text))[0]
    assert not doubts_of(read(tmp_path, "user,item,created_at\n" + rows_of(user, item, moment)))


@pytest.mark.parametrize("other", [seconds, moment])
def test_a_second_column_of_times_is_named(tmp_path: Path, other: Cell) -> None:
    log = read(
        tmp_path, "user,item,time,event_time\n" + rows_of(user, item, lambda user, item, moment: moment + 9, other)
    )
    assert "event_time (" in notes_of(log)
    assert "looks like times too and is not used; override time with" in notes_of(log)


def test_offsets_in_a_column_of_their_own_are_doubted(tmp_path: Path) -> None:
    text = "user,item,local_time,tz\n" + rows_of(user, item, moment, lambda *_: "+02:00")
    assert doubts_of(read(tmp_path, text)) == [
        "doubt: tz holds offsets from UTC ('+02:00') and is not used: --time local_time,tz joins them"
    ]
    moved = min(read(tmp_path, text).times) - min(read(tmp_path, text, time="local_time,tz").times)
    assert moved == 7_200_000_000


@pytest.mark.parametrize(("header", "role"), [("user,item,ts,user", "user"), ("item,user,ts,item", "item")])
def test_two_columns_of_one_name_are_refused_unless_one_is_named(tmp_path: Path, header: str, role: str) -> None:
    text = f"{header}\n" + rows_of(user, item, seconds, lambda user, *_: user + 7000)
    with pytest.raises(
        DataError, match=f"got '{role}' twice, as columns 1 and 4, with '1' and '7001' in one row"
    ) as no:
        read(tmp_path, text)
    assert f"(--{role} '{role}#') if the second is" in str(no.value)
    second = read(tmp_path, text, user=f"{role}#" if role == "user" else None, item="item#" if role == "item" else None)
    assert min(users_of(second) if role == "user" else items_of(second)) == 7001
    assert read(tmp_path, text, **{role: role}).num_users == (30 if role == "user" else 12)


def test_two_equal_columns_of_one_name_are_read(tmp_path: Path) -> None:
    log = read(tmp_path, "user,item,ts,user\n" + rows_of(user, item, seconds, user))
    assert users_of(log) == set(range(1, 31))


def test_one_title_for_all_items_is_no_title(tmp_path: Path) -> None:
    log = read(tmp_path, "user,item,title,ts\n" + rows_of(user, item, lambda *_: "Great", seconds))
    assert log.titles is None
    assert "title holds no titles of items: all have 'Great'" in notes_of(log)


@pytest.mark.parametrize("twice", ["user", "item", "ts"])
def test_the_last_of_two_values_of_a_key_counts(tmp_path: Path, twice: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(f'{{"user": {n}, "item": 7, "ts": 1600000000, "{twice}": 1600000{n}00}}\n' for n in (1, 2)))
    log = read_log(path)
    values = {"user": users_of(log), "item": items_of(log), "ts": set((log.times // 1_000_000).tolist())}
    assert values[twice] == {160_000_0100, 160_000_0200}
