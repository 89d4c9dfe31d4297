"""The notebook, commands, settings and figures of the tutorial agree with the page, the library and the benchmarks.

`test_documents.py` checks that the page runs from top to bottom, as for every other document.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from benchmarks.movielens_100k import RECIPES
from caser.cli.app import build_app
from caser.data import datasets
from caser.evaluation.protocols import apply, resolve
from tests.documents.blocks import blocks
from tests.skips import without_log
from tools.notebook import DOCS, NOTEBOOK, PAGE, labelled, notebook

TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(command, comments=True)[1:]
    for block in blocks(TEXT)
    if block.language == "console"
    for command in block.commands
]
ML_100K = Path(os.environ.get("CASER_CACHE", "no-cache")) / "ml-100k" / "u.data"
FIGURE = re.compile(r"(?<!\d)\.\d{3,}")


def cells() -> list[dict[str, Any]]:
    """Return the cells of the notebook next to the page."""
    read: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return read


def arguments(words: list[str]) -> dict[str, Any]:
    """Return the arguments that a command line would pass to its command."""
    _, bound, _ = build_app().parse_args(words, exit_on_error=False, print_error=False)
    return dict(bound.arguments)


def guide() -> dict[str, Any]:
    """Return the names that the block with the guide's settings defines."""
    [block] = [one for one in blocks(TEXT) if one.text.startswith("GUIDE, ")]
    namespace: dict[str, Any] = {}
    exec("import caser\n" + block.text, namespace)
    return namespace


def test_the_notebook_equals_the_page() -> None:
    assert NOTEBOOK.read_text(encoding="utf-8") == notebook(TEXT), "type: python tools/notebook.py"


def test_the_notebook_runs_what_the_page_runs_in_the_same_order() -> None:
    code = ["".join(cell["source"]) + "\n" for cell in cells() if cell["cell_type"] == "code"]
    assert code == [block.text for block in blocks(TEXT) if block.runs]


def test_the_notebook_holds_all_text_of_the_page() -> None:
    prose = "\n\n".join("".join(cell["source"]) for cell in cells()[1:] if cell["cell_type"] == "markdown")
    assert "<!--" not in prose
    assert prose.split() == re.sub(r"^```python\n.*?^```$", "", labelled(TEXT), flags=re.MULTILINE | re.DOTALL).split()


def test_the_first_cell_says_how_to_install_and_none_has_an_output() -> None:
    assert "pip install" in "".join(cells()[0]["source"])
    assert not [cell for cell in cells() if cell.get("outputs") or cell.get("execution_count")]


def test_what_a_block_prints_is_beside_it() -> None:
    ours = blocks(TEXT)
    after = [*ours[1:], None]
    runs = [
        (block, other is not None and other.prints_within is not None) for block, other in zip(ours, after, strict=True)
    ]
    prints = [has_output for block, has_output in runs if block.runs and re.search(r"print\(|show\(", block.text)]
    assert len(prints) > 15
    assert all(prints)


def test_every_cell_has_its_own_valid_id() -> None:
    ids = [cell["id"] for cell in cells()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", one) for one in ids)


def test_a_changed_page_gives_a_changed_notebook() -> None:
    assert notebook(TEXT + "\nOne more line.\n") != notebook(TEXT)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_of_the_tutorial_can_be_typed(words: list[str]) -> None:
    assert arguments(words)


def test_the_guides_settings_are_those_of_the_benchmark() -> None:
    made, measured = guide(), RECIPES["guide"]
    assert (made["GUIDE"], made["GUIDE_TRAINING"]) == (measured.model, measured.training)


def test_the_guides_command_trains_the_preset_for_as_long_as_the_guide() -> None:
    [words] = [words for words in COMMANDS if words[0] == "train"]
    typed = arguments(words)
    assert (typed["preset"], typed["choose"], typed["protocol"]) == ("guide", False, "d2l")
    assert typed["training"].epochs == guide()["GUIDE_TRAINING"].epochs


def test_the_flags_in_the_table_of_settings_are_those_of_the_preset() -> None:
    flags = re.findall(r"^\|.*\| `(--.+)` \|$", TEXT, flags=re.MULTILINE)
    assert len(flags) == 14
    typed = arguments(["train", "LOG", "--out", "RUN", *" ".join(flags).split()])
    made = guide()
    for part, preset in (("settings", made["GUIDE"]), ("training", made["GUIDE_TRAINING"])):
        values = typed[part].model_dump(exclude_unset=True)
        assert values
        assert values == {name: getattr(preset, name) for name in values}


def test_a_figure_in_the_tutorial_is_one_of_the_results() -> None:
    prose = "".join("".join(cell["source"]) for cell in cells() if cell["cell_type"] == "markdown")
    results = (DOCS / "results.md").read_text(encoding="utf-8")
    assert FIGURE.findall(prose)
    assert set(FIGURE.findall(prose)) <= set(FIGURE.findall(results))


@pytest.mark.data
@pytest.mark.skipif(not ML_100K.exists(), reason=without_log("ml-100k"))
def test_the_numbers_of_the_tutorial_for_movielens_100k_are_right() -> None:
    log = datasets.load("ml-100k", on_message=lambda _: None)
    split, published = apply("d2l", log), apply("d2l-as-published", log)
    lengths = split.final.lengths[1:]
    assert (len(log), log.num_users, log.num_items) == (100_000, 943, 1_682)
    assert (int((lengths - 5).sum()), int(lengths.min())) == (94_342, 19)
    assert int((lengths - 5).sum() - (lengths - 6).sum()) == 943
    assert split.notes[0].startswith("for 44.0% of users the last timestamp is tied")
    assert any(note.startswith("113 of 943 targets") for note in resolve("d2l-as-published", published).notes)
    first_of_the_guide = split.final.sequence(log.user_vocabulary.index(1, "user"))[-6:]
    assert [int(raw) - 1 for raw in log.item_vocabulary.raw(first_of_the_guide)] == [241, 170, 110, 255, 4, 101]
