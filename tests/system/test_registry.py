"""Registries: rows of the library, of installed packages and of the running program, imported when asked for."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from caser.errors import ConfigError
from caser.system import registry as registry_module
from caser.system.registry import Registry, instance_of

GROUP = "caser.test_rows"


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Pretend that packages with two rows are installed; return the groups that are searched for, as they come."""
    searched: list[str] = []

    def entry_points(*, group: str) -> list[EntryPoint]:
        searched.append(group)
        return [EntryPoint("root", "math:sqrt", group), EntryPoint("own", "math:floor", group)]

    monkeypatch.setattr(registry_module, "entry_points", entry_points)
    return searched


@pytest.mark.usefixtures("searches")
def test_the_names_of_the_library_come_first_and_those_of_packages_after() -> None:
    rows: Registry[Any] = Registry("a row", GROUP, {"own": len, "other": max})
    assert list(rows) == ["own", "other", "root"]
    assert len(rows) == 3
    assert rows["root"](9.0) == 3.0


@pytest.mark.usefixtures("searches")
def test_a_package_cannot_replace_a_row_of_the_library() -> None:
    rows: Registry[Any] = Registry("a row", GROUP, {"own": len})
    assert list(rows) == ["own", "root"]
    assert rows["own"] is len


def test_packages_are_searched_once_and_only_if_a_name_is_not_the_librarys(searches: list[str]) -> None:
    rows: Registry[Any] = Registry("a row", GROUP, {"own": len})
    assert rows["own"] is len
    assert "own" in rows
    assert searches == []
    assert "root" in rows
    assert "nothing" not in rows
    assert searches == [GROUP]


def test_a_row_of_text_is_imported_when_it_is_first_asked_for() -> None:
    code = """
import sys
from caser.system.registry import Registry, instance_of
rows = Registry("a row", "caser.test_rows", {"colours": "colorsys:rgb_to_hsv"})
assert list(rows) == ["colours"] and "colours" in rows and "colorsys" not in sys.modules
assert rows["colours"] is rows["colours"] is sys.modules["colorsys"].rgb_to_hsv
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_attribute_of_an_attribute_is_found() -> None:
    rows: Registry[Any] = Registry("a row", GROUP, {"join": "os:path.join"})
    assert rows["join"]("a", "b").startswith("a")


def test_an_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    rows: Registry[Any] = Registry("a row", GROUP, {"popularity": len, "markov": max})
    with pytest.raises(ConfigError) as refused:
        rows["markof"]
    assert str(refused.value) == "a row must be a known name; got 'markof': did you mean markov?"


def test_get_returns_the_default_for_an_unknown_name() -> None:
    rows: Registry[Any] = Registry("a row", GROUP, {"own": len})
    assert rows.get("markof") is None
    assert rows.get("own") is len


def test_a_registered_row_is_found_and_may_be_registered_again() -> None:
    rows: Registry[Any] = Registry("a row", GROUP, {"own": len})
    rows.register("new", max)
    rows.register("new", max)
    assert dict(rows) == {"own": len, "new": max}


@pytest.mark.usefixtures("searches")
@pytest.mark.parametrize("name", ["own", "lazy", "root"])
def test_a_name_that_is_taken_cannot_be_registered_for_another_row(name: str) -> None:
    rows: Registry[Any] = Registry("a row", GROUP, {"own": len, "lazy": "math:ceil"})
    before = dict(rows)
    with pytest.raises(ConfigError, match=f"a row must have a new name; got '{name}', which is taken"):
        rows.register(name, max)
    assert dict(rows) == before


def test_a_class_that_is_defined_again_replaces_its_older_version() -> None:
    def cell() -> type:
        class Mine:
            pass

        return Mine

    rows: Registry[type] = Registry("a class", GROUP, {})
    rows.register("mine", cell())
    newer = cell()
    rows.register("mine", newer)
    assert rows["mine"] is newer


def test_values_without_a_place_of_definition_are_never_taken_for_the_same() -> None:
    rows: Registry[int] = Registry("a number", GROUP, {"two": 2})
    with pytest.raises(ConfigError, match="which is taken"):
        rows.register("two", 22222)


# Rows that are broken


def with_packages(monkeypatch: pytest.MonkeyPatch, **places: str) -> Registry[int]:
    """A registry of numbers with one row of its own, and rows of packages at these places."""
    points = [EntryPoint(name, place, GROUP) for name, place in places.items()]
    monkeypatch.setattr(registry_module, "entry_points", lambda group: points)
    return Registry("a number", GROUP, {"own": 1}, instance_of(int))


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("math:nothing", "it cannot be imported: AttributeError: module 'math' has no attribute 'nothing'. "),
        ("no_such_module:row", "it cannot be imported: ModuleNotFoundError: No module named 'no_such_module'. "),
        ("this is no place", "it cannot be imported: AttributeError"),
        ("math:sqrt", "got <built-in function sqrt>. "),
    ],
)
def test_a_broken_row_of_a_package_is_one_sentence_and_leaves_the_others_usable(
    place: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = with_packages(monkeypatch, broken=place, good="re:I.value")
    with pytest.raises(ConfigError) as refused:
        rows["broken"]
    where = f"broken of the entry-point group {GROUP} must be a builtins.int, at {place}; "
    assert str(refused.value).startswith(where + reason)
    assert list(rows) == ["own", "broken", "good"]
    assert rows["own"] == 1
    assert rows.usable() == {"own": 1, "good": 2}
    with pytest.raises(ConfigError, match="which is taken"):
        rows.register("broken", 5)


@pytest.mark.parametrize(
    ("name", "row", "sentence"),
    [
        (3, 3, "the name of a number must be text; got 3."),
        ("", 3, "the name of a number must be text; got ''."),
        ("three", "3", "a number must be a builtins.int; got '3' for 'three'."),
    ],
)
def test_a_row_or_a_name_of_the_wrong_kind_cannot_be_registered(name: Any, row: Any, sentence: str) -> None:
    rows: Registry[int] = Registry("a number", GROUP, {}, instance_of(int))
    with pytest.raises(ConfigError) as refused:
        rows.register(name, row)
    assert str(refused.value) == sentence
