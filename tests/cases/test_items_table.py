"""Case d09: attributes reach their items, whatever the file of the table of items looks like, or one sentence says why
not."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from caser.data.item_table import ItemTable, add_titles, read_items
from caser.data.log import InteractionLog, Vocabulary
from caser.errors import DataError

NUMBERS = Vocabulary(pl.Series(list(range(500, 512))))


def table(tmp_path: Path, content: str | bytes, items: Vocabulary = NUMBERS, name: str = "items.csv") -> ItemTable:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_items(path, items)


def with_value(read: ItemTable, column: str, value: str | float) -> list[object]:
    return sorted(read.attributes[column].condition(value).items, key=str)


def column(values: list[str], first: int = 500) -> str:
    return "".join(f"{first + number},{value}\n" for number, value in enumerate(values))


# Ids


def test_ids_with_leading_zeros_are_text_as_in_the_log(tmp_path: Path) -> None:
    articles = Vocabulary(pl.Series([f"06637135{number:02}" for number in range(12)]))
    rows = "".join(f"06637135{number:02},{'Socks' if number % 2 else 'Shoes'},Name {number}\n" for number in range(12))
    read = table(tmp_path, f"item_id,product_group_name,prod_name\n{rows}", articles)
    assert with_value(read, "product_group_name", "Socks")[0] == "0663713501"
    assert read.titles is not None
    assert read.titles.to_list()[3] == "Name 3"


def test_an_isbn_with_a_letter_late_in_the_table_is_read_like_the_others(tmp_path: Path) -> None:
    books = Vocabulary(pl.Series(["1551061503", "034545104X"]))
    numbers = "".join(f"{2_000_000_000 + number},x\n" for number in range(200))
    read = table(tmp_path, f"item_id,genre\n{numbers}1551061503,Poem\n034545104X,Novel\n", books)
    assert with_value(read, "genre", "Novel") == ["034545104X"]
    assert with_value(read, "genre", "Poem") == ["1551061503"]
    assert "200 of 202 rows name items that the model does not know, first '2000000000'" in read.notes


@pytest.mark.parametrize("name", ["movieId", "item_id", "ISBN", "product_id", "article_id", "Item ID", "id"])
def test_the_column_of_ids_is_found_by_the_names_that_a_log_may_use(tmp_path: Path, name: str) -> None:
    assert with_value(table(tmp_path, f"genre,{name}\nWar,503\nDrama,504\n"), "genre", "War") == [503]


def test_the_column_that_the_log_was_read_with_comes_first(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,code,genre\n1,500,War\n2,501,Drama\n")
    read = read_items(tmp_path / "items.csv", NUMBERS, {"item": "code"})
    assert with_value(read, "genre", "War") == [500]


def test_rows_without_an_id_are_counted(tmp_path: Path) -> None:
    read = table(tmp_path, "item_id,genre\n,A\n500,B\nNULL,A\n")
    assert "2 of 3 rows left out, without an item id, first line 2" in read.notes
    assert "11 of 12 items have no row, first '501': filters never keep such items" in read.notes


def test_ids_of_whole_floats_are_their_numbers() -> None:
    frame = pl.DataFrame({"item_id": [500.0, None, 502.0], "genre": ["a", "b", "c"]})
    assert with_value(read_items(frame, NUMBERS), "genre", "c") == [502]


def test_ids_that_pandas_wrote_as_floats_are_their_numbers(tmp_path: Path) -> None:
    assert with_value(table(tmp_path, "item_id,genre\n500.0,A\n,B\n501.0,B\n"), "genre", "B") == [501]


def test_numbers_in_a_table_match_the_same_text_in_the_log() -> None:
    frame = pl.DataFrame({"item_id": [7, 8], "genre": ["a", "b"]})
    assert with_value(read_items(frame, Vocabulary(pl.Series(["7", "x1"]))), "genre", "a") == ["7"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("item_id,genre\ni500,A\n", r"holds 'i500', the model has '500'; give the table that belongs to its log"),
        ("item_id,genre\n0500,A\n", r"holds '0500', the model has '500'; write both in the same way"),
        ("item_id,sku,genre\n0,500,A\n1,501,A\n", r"column sku holds more ids of the model \(2\) than item_id: is it"),
        ("item_id,genre\n,A\n", r"every row must name an item; column item_id holds none"),
        (
            "code,genre\n500,A\n",
            r"must hold the item ids; got the columns 'code', 'genre'; rename that column to item_id",
        ),
    ],
)
def test_a_table_that_names_no_item_is_refused_with_an_id_of_each_side(
    tmp_path: Path, content: str, words: str
) -> None:
    with pytest.raises(DataError, match=words) as error:
        table(tmp_path, content)
    assert str(error.value).endswith("; in the table of items items.csv.")


def test_ids_that_differ_in_case_only_are_shown_side_by_side(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds 'ab', the model has 'AB'"):
        table(tmp_path, "item_id,genre\nzz,B\nab,A\n", Vocabulary(pl.Series(["X", "AB"])))


def test_another_column_that_fits_better_is_named(tmp_path: Path) -> None:
    read = table(tmp_path, "id,ean,genre\n500,501,A\n3,502,A\n4,503,A\n")
    assert "column ean holds more ids of the model (3) than id: is it the item id?" in read.notes


# Dialects


@pytest.mark.parametrize(
    "content",
    [
        "item_id;genre\n500;B\n501;Comédie\n".encode(),
        "item_id\tgenre\n500\tB\n501\tComédie\n".encode(),
        "item_id|genre\n500|B\n501|Comédie\n".encode(),
        "\ufeffitem_id,genre\r\n500,B\r\n501,Comédie\r\n".encode(),
        "item_id,genre\n500,B\n501,Comédie\n".encode("latin-1"),
        '"item_id","genre"\n"500","B"\n"501","Comédie"\n'.encode(),
        '{"item_id": 500, "genre": "B"}\n{"item_id": 501, "genre": "Comédie"}\n'.encode(),
    ],
)
def test_a_table_is_read_in_any_dialect_that_a_log_may_have(tmp_path: Path, content: bytes) -> None:
    assert with_value(table(tmp_path, content), "genre", "Comédie") == [501]


def test_titles_with_separators_keep_them(tmp_path: Path) -> None:
    read = table(tmp_path, 'movieId,title,genres\n500,"Film, The 500 (1999)",Comedy\n501,"A ""B""",War\n')
    assert read.titles is not None
    assert read.titles.to_list()[:2] == ["Film, The 500 (1999)", 'A "B"']


def test_a_file_without_a_header_has_ids_and_titles_first(tmp_path: Path) -> None:
    read = table(tmp_path, "500::Toy Story (1995)::Animation|Comedy\n501::Heat (1995)::Action\n", name="movies.dat")
    assert read.titles is not None
    assert read.titles.to_list()[:2] == ["Toy Story (1995)", "Heat (1995)"]
    assert with_value(read, "3", "Comedy") == [500]


def test_a_line_with_a_field_too_many_is_one_bad_row(tmp_path: Path) -> None:
    read = table(tmp_path, "item_id,genre\n500,A\n501,B,C\n502,A\n")
    assert with_value(read, "genre", "A") == [500, 502]
    assert "1 of 3 rows left out, with a wrong column count, first line 3" in read.notes


def test_a_table_of_bad_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 of 3"):
        table(tmp_path, "item_id,title\n500,A, B\n501,C, D\n502,E\n")


# Values


def test_a_text_with_bars_is_a_list_of_values(tmp_path: Path) -> None:
    read = table(tmp_path, f"movieId,genres\n{column(['Comedy', 'Action|Drama', 'Drama'])}")
    assert with_value(read, "genres", "Action") == [501]
    assert with_value(read, "genres", "Drama") == [501, 502]
    assert with_value(read, "genres", "Action|Drama") == []
    assert "genres: a text such as 'Action|Drama' is read as a list of values: Action, Drama" in read.notes


def test_a_size_in_letters_after_many_numbers_makes_the_column_text(tmp_path: Path) -> None:
    rows = "".join(f"{number},A,{number}\n" for number in range(700, 850)) + "500,A,XL\n501,A,42\n"
    read = table(tmp_path, f"item_id,genre,size\n{rows}")
    assert read.attributes["size"].kind == "text"
    assert with_value(read, "size", "XL") == [500]
    assert with_value(read, "size", 42) == [501]


def test_two_rows_of_one_item_that_differ_are_shown(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"one row, or equal rows; 500 has genre A in line 2 and B in line 3 \(items like this: 2\)"
    ):
        table(tmp_path, "item_id,genre\n500,A\n500,B\n501,A\n501,B\n")


def test_two_titles_of_one_item_are_shown(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="501 has title Heat in line 3 and Heat 2 in line 4"):
        table(tmp_path, "item_id,title\n500,Up\n501,Heat\n501,Heat 2\n")


def test_equal_rows_and_differing_rows_of_unknown_items_do_no_harm(tmp_path: Path) -> None:
    read = table(tmp_path, "item_id,price\n500,10\n500,10.0\n9,1\n9,2\n")
    assert with_value(read, "price", 10) == [500]


# Titles of a log


def test_titles_of_a_table_become_those_of_a_log(tmp_path: Path) -> None:
    log = InteractionLog.from_columns(pl.Series([1, 1]), pl.Series([501, 500]), None)
    (tmp_path / "movies.csv").write_text("movieId,name\n500,Up\n501,Heat\n")
    titled = add_titles(log, tmp_path / "movies.csv")
    assert titled.titles is not None
    assert titled.titles.to_list() == ["Heat", "Up"]
    assert "movies.csv: read column movieId as item id, name as title" in titled.provenance["notes"]


def test_a_table_without_titles_gives_a_log_none(tmp_path: Path) -> None:
    log = InteractionLog.from_columns(pl.Series([1]), pl.Series([500]), None)
    with pytest.raises(DataError, match="a column must hold the titles, called title or name; got genre"):
        add_titles(log, pl.DataFrame({"item_id": [500], "genre": ["A"]}))
