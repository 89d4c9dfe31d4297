"""D19: the titles of one's own log, or of one's own table of items, are shown wherever ids are."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import caser
from caser.answering.patterns import filters_fired
from caser.answering.recommender import Recommender
from tests.cli import terminal
from tests.runs import caser_run

TITLES = {"a": "Alien", "b": "Brazil", "c": "Casino", "d": "Dune"}


def rows(title: str = "movie_title") -> pl.DataFrame:
    """Six users who watch four films in turn, each film with its title."""
    users = [f"u{user}" for user in range(6) for _ in range(4)]
    films = [list(TITLES)[(user + step) % 4] for user in range(6) for step in range(4)]
    return pl.DataFrame({"user": users, "item": films, title: [TITLES[film] for film in films], "time": range(24)})


def titles_of(log: caser.InteractionLog) -> dict[object, object]:
    assert log.titles is not None
    return dict(zip(log.item_vocabulary.ids.to_list(), log.titles.to_list(), strict=True))


@pytest.mark.parametrize("name", ["title", "movie_title", "itemName", "Product Name"])
def test_a_log_with_a_column_of_titles_has_titles(name: str) -> None:
    log = caser.read_log(rows(name))
    assert titles_of(log) == TITLES
    assert f"read {name} as the titles of items" in log.provenance["notes"]


def test_titles_of_a_file_with_numbers_as_ids_and_without_some_titles(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,movieId,title,ts\n1,7,Up,100000001\n1,8,,100000002\n2,7,Up,100000003\n")
    assert titles_of(caser.read_log(tmp_path / "log.csv")) == {7: "Up", 8: None}


def test_titles_of_reviews_are_no_titles_of_items() -> None:
    frame = rows("title").with_columns(title=pl.format("Review {}", pl.int_range(24)))
    log = caser.read_log(frame)
    assert log.titles is None
    said = [note for note in log.provenance["notes"] if note.startswith("title holds no titles of items")]
    assert said == ["title holds no titles of items: item a has 'Review 0' and 'Review 7'"]


def test_a_title_that_is_the_item_itself_is_not_read_twice() -> None:
    assert caser.read_log(rows("title").drop("item"), item="title").titles is None


def test_filters_of_a_log_keep_the_titles_of_its_items() -> None:
    log = caser.read_log(rows(), filters=caser.LogFilters(k_core=2))
    assert titles_of(log) == TITLES


@pytest.fixture
def films(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A log without titles, a table of its films, and where a run goes."""
    rows().drop("movie_title").write_csv(tmp_path / "log.csv")
    table = {"item_id": list(TITLES), "name": list(TITLES.values()), "genre": ["SF", "SF", "Crime", "SF|Desert"]}
    pl.DataFrame({**table, "year": [1979, 1985, 1995, 2021]}).write_csv(tmp_path / "films.csv")
    return tmp_path / "log.csv", tmp_path / "films.csv", tmp_path / "run"


def test_a_run_keeps_the_titles_of_its_log_and_every_command_shows_them(tmp_path: Path) -> None:
    rows().write_csv(tmp_path / "log.csv")
    run = tmp_path / "run"
    terminal.caser("train", tmp_path / "log.csv", "--out", run, "--model", "markov")
    out = terminal.caser("recommend", run, "--item", "d", "--item", "c").out
    assert out.startswith("history d (Dune) c (Casino) · ")
    assert "Alien" in out
    out = terminal.caser("similar", run, "--item", "a", "--k", 3).out
    assert out.startswith("most similar to a (Alien)\n")
    assert "Brazil" in out
    out = terminal.caser("explain", run, "--item", "b", "--history", "a").out
    assert ("Brazil for history" in out, "Alien" in out) == (True, True)
    terminal.caser("recommend", run, "--all", "--out", tmp_path / "all.csv", "--no-exclude-seen")
    assert set(pl.read_csv(tmp_path / "all.csv")["title"]) <= set(TITLES.values())


def test_training_with_a_table_of_items_keeps_its_titles(films: tuple[Path, Path, Path]) -> None:
    log, table, run = films
    said = terminal.caser("train", log, "--out", run, "--model", "popularity", "--items", table)
    assert "films.csv: read column item_id as item id, name as title" in said.err
    assert "Dune" in terminal.caser("recommend", run, "--item", "a").out


def test_answers_of_a_run_without_titles_show_those_of_a_table_and_obey_filters(
    films: tuple[Path, Path, Path],
) -> None:
    log, table, run = films
    terminal.caser("train", log, "--out", run, "--model", "popularity")
    asked = ("recommend", run, "--items", table, "--user", "u0", "--no-exclude-seen", "--json")
    found = json.loads(terminal.caser(*asked, "--filter", "genre=SF", "--filter", "year=1980..").out)
    assert {row["title"] for row in found["answers"][0]["items"]} == {"Brazil", "Dune"}
    assert "Casino" in terminal.caser("similar", run, "--items", table, "--item", "a").out
    assert "Brazil for history" in terminal.caser(
        "explain", run, "--items", table, "--item", "b", "--history", "a"
    ).out  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("gnre=SF", "--filter gnre must name a column of the table of items; did you mean genre?"),
        ("genre", "--filter must be COLUMN=VALUE or COLUMN=FROM..TO; got 'genre'."),
        ("year=old", "filters.year: must fit the column, which holds numbers from 1979 to 2021."),
        ("year=..", 'filters.year: a range must have "min", "max" or both, and nothing else.'),
    ],
)
def test_a_filter_that_does_not_fit_is_one_line(films: tuple[Path, Path, Path], condition: str, words: str) -> None:
    log, table, run = films
    terminal.caser("train", log, "--out", run, "--model", "popularity")
    code, line = terminal.refusal("recommend", run, "--items", table, "--user", "u0", "--filter", condition)
    assert (code, line) == (2, words)


def test_a_filter_without_a_table_says_how_to_give_one(films: tuple[Path, Path, Path]) -> None:
    log, _, run = films
    terminal.caser("train", log, "--out", run, "--model", "popularity")
    code, line = terminal.refusal("recommend", run, "--user", "u0", "--filter", "genre=SF")
    assert (code, line.endswith("there is none: give a table of items (--items FILE).")) == (2, True)


def test_patterns_name_the_titles_of_a_table() -> None:
    recommender = Recommender(caser_run()).with_items(pl.DataFrame({"item_id": [10, 20], "title": ["X", "Y"]}))
    assert filters_fired(recommender, [20, 10]).titles == ["Y", "X"]
