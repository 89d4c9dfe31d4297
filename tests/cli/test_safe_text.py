"""Text of a log is data: no command sends a terminal what it would obey, and JSON stays exact."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import polars as pl
import pytest

from caser.cli import show
from caser.system.safe_text import for_json, for_terminal
from tests.cli.terminal import caser, document, refusal

EVIL = [
    "\x1b[2Jclear",
    "\x1b]0;title\x07",
    "\x9b31mred",
    "back\rover",
    "two\nlines",
    "\u202egnitirw",
    "bell\x07\x08\x7f",
    "[red]markup[/red]",
    "[/]",
    ":smile:",
    "\u2066hidden\u2069\u200b",
]


@pytest.fixture(scope="module")
def evil_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose ids and titles are what a terminal would obey; its file name is one too."""
    path = tmp_path_factory.mktemp("evil") / "log\x1b[31m[bold].parquet"
    rows = [(EVIL[user], EVIL[(user + step) % len(EVIL)], step) for user in range(len(EVIL)) for step in range(6)]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    frame.with_columns(title=pl.lit("T\x1b[2J[red]") + pl.col("item_id")).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def evil_run(evil_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "run\x1b[0m"
    assert caser("train", evil_log, "--model", "markov", "--out", run).code == 0
    return run


def harmless(text: str) -> bool:
    return all(letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in text)


def test_every_harmful_character_is_escaped_and_no_other() -> None:
    for code in range(0x110000):
        letter = chr(code)
        shown = for_terminal(letter)
        assert shown == letter or (shown.isascii() and shown.startswith("\\"))
        if letter not in "\u200c\u200d":
            assert harmless(shown), hex(code)
    assert for_terminal("می\u200cخواهم 👩\u200d🔬 naïve\u00a0é") == "می\u200cخواهم 👩\u200d🔬 naïve\u00a0é"


@pytest.mark.parametrize("text", [*EVIL, "\U000e0041", "\ud800", "plain é"])
def test_escaped_json_is_read_as_the_same_value(text: str) -> None:
    written = for_json(json.dumps({text: text}, ensure_ascii=False))
    assert json.loads(written) == {text: text}
    assert harmless(written)


@pytest.mark.parametrize(
    "words",
    [
        ("recommend", "RUN", *(word for user in EVIL for word in ("--user", user))),
        ("recommend", "RUN", "--item", EVIL[0], "--exclude", "unknown\x1b[1m"),
        ("similar", "RUN", "--item", EVIL[2]),
        ("explain", "RUN", "--item", EVIL[1], "--user", EVIL[3]),
        ("evaluate", "RUN"),
        ("data", "describe", "LOG"),
        ("train", "LOG", "--model", "popularity", "--out", "OUT"),
        ("recommend", "RUN", "--user", "nobody\x1b[5m", "--filter", "\x1b[31m=1"),
        ("recommend", "no\x1b[31mrun", "--user", "1"),
        ("recommend", "RUN", "--use\x1b[31mr", "1"),
        ("similar", "RUN", "--item", "\x1b[31m", "--debug"),
        ("replay", "RUN", "--log", "LOG"),
    ],
    ids=lambda words: f"{words[0]} {len(words)}",
)
def test_no_command_prints_what_a_terminal_obeys(
    words: tuple[str, ...], evil_log: Path, evil_run: Path, tmp_path: Path
) -> None:
    places = {"RUN": str(evil_run), "LOG": str(evil_log), "OUT": str(tmp_path / "out\x1b[0m")}
    said = caser(*(places.get(word, word) for word in words))
    assert said.out or said.err
    assert harmless(said.out), repr(said.out)
    assert harmless(said.err), repr(said.err)


def test_markup_in_an_id_is_shown_as_it_is(evil_run: Path) -> None:
    answers = document("recommend", evil_run, "--user", EVIL[0], "--k", 11)["answers"]
    assert {item["item_id"] for item in answers[0]["items"]} <= set(EVIL)
    assert answers[0]["user_id"] == EVIL[0]
    shown = caser("similar", evil_run, "--item", "[red]markup[/red]").out
    assert "[red]markup[/red]" in shown
    everything = caser("recommend", evil_run, "--item", EVIL[3]).out
    assert re.search(r"T\\x1b\[2J\[red\]", everything)


def test_a_listener_shows_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    show.table("a[b]", ["[red]x", "\x1b[1m"], [["[/]", ":smile:"]])
    show.remark("[bold]no[/bold]")
    said = capsys.readouterr().out
    assert all(text in said for text in ("a[b]", "[red]x", "[/]", ":smile:", "[bold]no[/bold]", "\\x1b[1m"))


def test_a_spreadsheet_gets_no_formula_where_that_is_asked_for(tmp_path: Path) -> None:
    log, run = tmp_path / "log.csv", tmp_path / "run"
    rows = [f'"=u{user}","-i{(user + item) % 9}",{item}' for user in range(6) for item in range(5)]
    log.write_text("user_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    assert caser("train", log, "--model", "popularity", "--out", run).code == 0
    for words in (("--all",), ("--user", "=u1")):
        for safe, mark in (((), ""), (("--csv-safe",), "'")):
            assert caser("recommend", run, *words, "--out", tmp_path / "a.csv", *safe).code == 0
            answers = pl.read_csv(tmp_path / "a.csv")
            assert {user[: len(mark) + 2] for user in answers["user_id"]} == {f"{mark}=u"}
            assert {item[: len(mark) + 2] for item in answers["item_id"]} == {f"{mark}-i"}
    assert caser("evaluate", run, "--per-user", tmp_path / "v.csv", "--csv-safe").code == 0
    assert "'=u1" in (tmp_path / "v.csv").read_text()
    for wrong in (("--out", tmp_path / "a.parquet"), ()):
        assert refusal("recommend", run, "--user", "=u1", "--csv-safe", *wrong)[0] == 2
    assert refusal("data", "events", run, "--csv-safe", "--out", tmp_path / "a.jsonl")[0] == 2
