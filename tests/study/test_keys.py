"""Keys: which changes give another key, and which do not."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from caser.data.queries import Queries
from caser.data.split import Split
from caser.data.tape import Tape
from caser.data.user_sessions import user_sessions
from caser.models import MODELS
from caser.models.counting.popularity import Popularity
from caser.study.engine import carry_out
from caser.study.keys import digest_of, is_never_kept, key_of
from caser.study.recipes import Recipe
from tests.data.logs import with_pauses
from tests.study.small import MARKOV, TINY, small_plan, small_split

RUNS = "caser.study.runs"


def key(recipe: Recipe, data: str = "data", **task: Any) -> str:
    return key_of(recipe, data, RUNS, **task)


@pytest.mark.parametrize("change", [{"L": 4}, {"dropout": 0.25}, {"learning_rate": 0.1}, {"seed": 1}, {"loss": "bce"}])
def test_another_setting_has_another_key(change: dict[str, object]) -> None:
    assert key(TINY.replace(**change)) != key(TINY)


def test_a_key_is_the_name_of_a_file_of_20_digits_and_the_same_twice() -> None:
    assert re.fullmatch("[0-9a-f]{20}", key(TINY))
    assert key(TINY) == key(TINY)
    assert key(TINY, part="test", seed=1) == key(TINY, seed=1, part="test")


def test_other_data_and_another_task_have_another_key() -> None:
    assert len({key(TINY), key(TINY, "other"), key(TINY, part="test")}) == 3


def test_work_of_another_module_has_another_key() -> None:
    assert key_of(MARKOV, "data", "caser.study.audit.order") != key(MARKOV)


def test_the_place_in_a_report_and_the_device_leave_the_key_alone() -> None:
    arranged = replace(TINY.replace(device="auto"), group="a", setting=3, view="all", space={"L": (1, 2)})
    assert key(arranged) == key(TINY)


def test_other_logs_and_protocols_have_other_digests() -> None:
    splits = [small_split(), small_split(seed=1), small_split("global-time"), small_split("d2l")]
    assert len({digest_of(split) for split in splits}) == 4
    assert digest_of(small_split()) == digest_of(splits[0])


PARTS: dict[str, type[Tape] | type[Queries]] = {"fit": Tape, "final": Tape, "validation": Queries, "test": Queries}


def test_every_array_of_every_part_of_a_split_enters_its_digest() -> None:
    split = sessions_split()
    digests = {digest_of(split)}
    for name, kind in PARTS.items():
        part = getattr(split, name)
        arrays = {field: value for field in names_of(kind) if (value := getattr(part, field)) is not None}
        for field, array in arrays.items():
            if field != "num_items":  # the log's digest says how many items there are
                changed = replace(part, **{field: array + (array == array.max())})
                digests.add(digest_of(replace(split, **{name: changed})))
    assert len(digests) == 1 + 2 * 3 + 2 * 8
    assert digest_of(replace(split, name="mine")) not in digests


def names_of(kind: type[Tape] | type[Queries]) -> list[str]:
    """The fields of a part."""
    return list(kind.__dataclass_fields__)


def sessions_split() -> Split:
    """A split whose tapes have owners, and whose queries have seen items before their history."""
    return user_sessions(with_pauses(small_split().log, every=3), reads="session")


def test_arrays_of_equal_bytes_in_another_place_have_another_digest() -> None:
    split = small_split()
    moved = replace(split, fit=split.final, final=split.fit)
    wider = replace(split, fit=replace(split.fit, items=split.fit.items.astype("int64")))
    assert len({digest_of(each) for each in (split, moved, wider)}) == 3


# A model whose code cannot be read


@pytest.fixture
def typed_at_a_prompt(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A model in a module without a file, as in a notebook."""
    module = ModuleType("notebook")
    monkeypatch.setitem(sys.modules, "notebook", module)
    exec("class Mine(Popularity):\n    name = 'mine'", {"Popularity": Popularity, "__name__": "notebook"}, vars(module))
    monkeypatch.setattr(MODELS, "_rows", {**MODELS._rows, "mine": module.Mine})
    return Recipe.of(module.Mine())


def test_a_model_without_a_file_has_a_new_key_each_time(typed_at_a_prompt: Recipe) -> None:
    assert is_never_kept(typed_at_a_prompt)
    assert key(typed_at_a_prompt) != key(typed_at_a_prompt)
    assert not is_never_kept(MARKOV)


def test_a_study_of_a_model_without_a_file_is_carried_out_and_says_that_it_is_never_kept(
    typed_at_a_prompt: Recipe, tmp_path: Path
) -> None:
    outcome = carry_out({"mine": typed_at_a_prompt}, {"": small_split()}, small_plan(tmp_path), lambda _: None)
    assert len(outcome.runs["mine"]) == 1
    assert "mine is trained anew each time" in outcome.notes[0]
