"""Rows that are there twice, cells that hold several items, rows that are newest first, and who the users are."""

from __future__ import annotations

import random
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from caser.data.filters import LogFilters
from caser.data.prepared.prepare import prepare_log
from caser.data.readers import read_log
from tests.cases.logs import Cell, doubts_of, item, read, rows_of, seconds, user

HEADER = "user_id,item_id,timestamp\n"
ROWS = rows_of(user, item, seconds).splitlines(keepends=True)


def about(doubts: list[str], words: str) -> list[str]:
    return [doubt for doubt in doubts if words in doubt]


@pytest.mark.parametrize("first", [30, 90, 180])
def test_an_export_that_contains_the_one_before_is_doubted(tmp_path: Path, first: int) -> None:
    log = read(tmp_path, HEADER + "".join([*ROWS[:first], *ROWS]))
    [doubt] = doubts_of(log)
    assert f"{first} of {180 + first} events have the user, the item and the time of another event" in doubt
    assert "--drop-duplicates" in doubt
    once = read_log(tmp_path / "events.csv", filters=LogFilters(drop_duplicates=True))
    assert (len(once), doubts_of(once)) == (180, [])
    prepared = prepare_log(tmp_path / "events.csv", tmp_path / "prepared", memory_mb=64).log
    assert doubts_of(prepared) == [doubt]


def test_exports_in_a_folder_that_contain_one_another_are_doubted(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    for number, end in enumerate((60, 120, 180)):
        (folder / f"{number}.csv").write_text(HEADER + "".join(ROWS[:end]))
    assert about(doubts_of(read_log(folder)), "180 of 360 events")


def test_an_export_without_times_that_contains_the_one_before_is_doubted(tmp_path: Path) -> None:
    rows = [row.rpartition(",")[0] + "\n" for row in ROWS]
    random.Random(0).shuffle(rows)
    [doubt] = doubts_of(read(tmp_path, "user_id,item_id\n" + "".join([*rows[:90], *rows])))
    assert "the first 90 rows come again from row 91 on" in doubt


@pytest.mark.parametrize(("every", "is_doubted"), [(1, True), (3, True), (9, False)])
def test_equal_lines_one_after_the_other_are_quantities_if_they_are_few(
    tmp_path: Path, every: int, is_doubted: bool
) -> None:
    doubts = doubts_of(read(tmp_path, HEADER + "".join(row * (1 + (k % every == 0)) for k, row in enumerate(ROWS))))
    assert bool(about(doubts, "mostly in the next row: if each was sent or written twice")) == is_doubted
    assert len(doubts) == is_doubted


@pytest.mark.parametrize("name", ["Quantity", "qty", "order_units"])
def test_quantities_below_zero_are_doubted(tmp_path: Path, name: str) -> None:
    text = f"user_id,item_id,timestamp,{name}\n"
    said = doubts_of(read(tmp_path, text + rows_of(user, item, seconds, lambda u, i, s: -1 if u % 9 == 0 else 2)))
    assert about(said, f"{name} is below 0 in 18 of the first 180 rows")
    assert not doubts_of(read(tmp_path, text + rows_of(user, item, seconds, lambda *_: 1)))


IDS = {
    "MongoDB": lambda seconds: f"{seconds:08x}{7:016x}",
    "ULID": lambda seconds: f"01E{seconds:023}",
    "UUID": lambda seconds: f"{seconds * 1000:012x}-7000-8000-000000000000",
}


@pytest.mark.parametrize("kind", ["MongoDB", "ULID", "UUID"])
def test_ids_that_begin_with_a_moment_are_named_where_the_rows_are_in_another_order(tmp_path: Path, kind: str) -> None:
    def made(user: int, item: int, seconds: int) -> str:
        text = IDS[kind](seconds)
        return f"{text[:8]}-{text[8:12]}{text[12:]}" if kind == "UUID" else text

    rows = rows_of(user, item, made).splitlines(keepends=True)
    assert not doubts_of(read(tmp_path, "user_id,item_id,_id\n" + "".join(rows)))
    [doubt] = doubts_of(read(tmp_path, "user_id,item_id,_id\n" + "".join(rows[::-1])))
    assert (
        "begins with the moment at which it was made, and the rows are in another order: sort the rows by _id" in doubt
    )


def test_items_that_are_used_again_on_a_day_are_no_repetition(tmp_path: Path) -> None:
    day: Cell = lambda user, item, seconds: f"2024-01-{seconds // 600 % 3 + 1:02}"  # noqa: E731
    assert not about(doubts_of(read(tmp_path, HEADER + rows_of(user, lambda u, i, s: i % 9, day))), "exported twice")


WORDS = ("tea", "milk", "oat bar", "rice", "salt", "beer", "wine", "corn")


@pytest.mark.parametrize("separator", ["+", ";", "|", ", ", " & ", "/", " > "])
@pytest.mark.parametrize("alone", [True, False])
def test_several_items_in_one_cell_are_doubted_and_the_way_on_runs(tmp_path: Path, separator: str, alone: bool) -> None:
    draw = random.Random(7)
    sizes = (1, 1, 2, 3) if alone else (2, 3)
    cell: Cell = lambda *_: f'"{separator.join(draw.sample(WORDS, draw.choice(sizes)))}"'  # noqa: E731
    [doubt] = about(
        doubts_of(read(tmp_path, "user_id,products,timestamp\n" + rows_of(user, cell, seconds))), "hold several items"
    )
    if not alone:
        return
    command = shlex.split(doubt[doubt.index("python -c") :].replace("FILE", "events.csv").replace("ITEM", "products"))
    subprocess.run([sys.executable, *command[1:]], cwd=tmp_path, check=True)
    assert not about(doubts_of(read_log(tmp_path / "log.csv")), "hold several items")


@pytest.mark.parametrize(
    "names",
    [
        ("shirt, red", "shirt, blue", "hat, red", "coat, green", "hat, blue", "scarf, red"),
        ("The Good, the Bad", "Up", "Tom & Jerry", "Lock, Stock", "Me, Myself", "You, Me and Dupree", "I, Tonya"),
        ("/news/sport", "/news/tennis", "/shop/sport", "/shop/tea", "/a/b", "/news"),
        ("A-1+", "A-2+", "A-3+", "B+1", "B+2", "B+3"),
    ],
)
def test_signs_within_names_are_no_lists(tmp_path: Path, names: tuple[str, ...]) -> None:
    text = "user_id,product,timestamp\n" + rows_of(user, lambda u, i, s: f'"{names[(u + s) % len(names)]}"', seconds)
    assert not about(doubts_of(read(tmp_path, text)), "hold several items")


def test_rows_in_the_order_of_items_are_not_called_newest_first(tmp_path: Path) -> None:
    """Each user has two days, and the items of the later day come first."""
    rows = [
        f"u{who},{'ab'[day]}{part},2024-01-0{2 - day}\n" for day in (0, 1) for who in range(30) for part in range(2)
    ]
    by_day = read(tmp_path, HEADER + "".join(rows))
    assert about(doubts_of(by_day), "the rows are newest first")
    days = {f"u{who}": who % 20 for who in range(30)}
    moved = [row.replace("2024-01-0", f"2024-{1 + days[row.split(',')[0]] % 12:02}-0") for row in rows]
    assert not about(doubts_of(read(tmp_path, HEADER + "".join(moved))), "the rows are newest first")
    prepared = prepare_log(tmp_path / "events.csv", tmp_path / "prepared").log
    assert not about(doubts_of(prepared), "the rows are newest first")


def test_rows_of_one_user_after_another_are_called_newest_first(tmp_path: Path) -> None:
    def day(user: int, item: int, seconds: int) -> str:
        return datetime.fromtimestamp(1_700_000_000 - seconds // 1200 % 9 * 86_400, UTC).strftime("%Y-%m-%d")

    rows = sorted(rows_of(user, item, day).splitlines(keepends=True), key=lambda row: row.split(",")[2], reverse=True)
    rows.sort(key=lambda row: int(row.split(",")[0]))
    assert about(doubts_of(read(tmp_path, HEADER + "".join(rows))), "the rows are newest first")


@pytest.mark.parametrize(
    ("serves", "served"),
    [("user_id", "customer_id"), ("user", "customer"), ("account", "buyer"), ("client", "user_name")],
)
def test_few_users_beside_many_persons_are_doubted(tmp_path: Path, serves: str, served: str) -> None:
    text = f"{serves},{served},item_id,timestamp\n" + rows_of(lambda u, i, s: f"k{u % 6}", user, item, seconds)
    [doubt] = doubts_of(read(tmp_path, text))
    assert f"--user {served} reads it" in doubt
    assert not doubts_of(read(tmp_path, text, user=served))


@pytest.mark.parametrize("name", ["employee_id", "cashier", "clerk_no", "seller_id", "store", "device_id", "uploader"])
@pytest.mark.parametrize("served", ["customer_id", "member_no", "buyer", "guest_name", "loyalty_card"])
def test_who_is_served_is_the_user(tmp_path: Path, name: str, served: str) -> None:
    text = f"{name},{served},item_id,timestamp\n" + rows_of(lambda u, i, s: f"k{u % 6}", user, item, seconds)
    log = read(tmp_path, text)
    assert (log.num_users, doubts_of(log)) == (30, [])


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("device_id", "several persons may share one device_id"),
        ("employee_id,receipt", "employee_id may hold those who"),
    ],
)
def test_who_may_be_no_user_is_doubted_where_it_is_the_only_one(tmp_path: Path, columns: str, said: str) -> None:
    cells = [user, lambda u, i, s: f"R{s}"][: columns.count(",") + 1]
    [doubt] = doubts_of(read(tmp_path, f"{columns},item_id,timestamp\n" + rows_of(*cells, item, seconds)))
    assert said in doubt
