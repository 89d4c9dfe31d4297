"""What pydantic finds wrong is said in the words of this library, whatever kind of error it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core.core_schema import ErrorType

from caser.system.problems import first_problem, rule_of

CONTEXT = {"gt": 0, "ge": 0.5, "lt": 9, "le": 1e6, "multiple_of": 2, "min_length": 1, "max_length": 1000}
CONTEXT_IN_WORDS = {"expected": "'a' or 'b'", "class": "Tape", "pattern": "[a-z]", "error": "must be good"}
OF_PYDANTIC = ("nput", "valid", "should", "parse", "dictionary", "integer", "boolean", "string", "greater", "less", "{")


@pytest.mark.parametrize("kind", get_args(ErrorType))
def test_no_words_of_pydantic_reach_a_reader(kind: str) -> None:
    for context in ({}, {**CONTEXT, **CONTEXT_IN_WORDS}):
        rule = rule_of({"type": kind, "ctx": context, "msg": "Input should be a valid something"})
        assert rule.startswith(("must ", "is ", "cannot ")), rule
        assert not [word for word in OF_PYDANTIC if word in rule], rule


class Example(BaseModel):
    """A model with one field of each kind that settings, files and requests have."""

    model_config = ConfigDict(extra="forbid")

    whole: int = Field(default=1, ge=1, le=1_000_000)
    share: float = Field(default=0.5, gt=0, lt=1, allow_inf_nan=False)
    switch: bool = False
    word: Annotated[str, Field(min_length=1, max_length=3)] = "a"
    choice: Literal["a", "b"] = "a"
    path: Path = Path()
    several: Annotated[list[int], Field(min_length=1, max_length=2)] = [1]
    either: int | Literal["auto"] = "auto"
    by_name: dict[str, float] = {}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"whole": 0}, "Example whole must be at least 1; got 0."),
        ({"whole": 10**7}, "Example whole must be at most 1,000,000; got 10000000."),
        ({"whole": "x"}, "Example whole must be a whole number; got 'x'."),
        ({"whole": 1.5}, "Example whole must be a whole number; got 1.5."),
        ({"whole": "9" * 5000}, f"Example whole must be a whole number; got '{'9' * 99}...."),
        ({"share": 0}, "Example share must be above 0; got 0."),
        ({"share": 1}, "Example share must be below 1; got 1."),
        ({"share": float("nan")}, "Example share must be a finite number; got nan."),
        ({"share": None}, "Example share must be a number; got None."),
        ({"switch": "maybe"}, "Example switch must be true or false; got 'maybe'."),
        ({"word": ""}, "Example word must have at least 1 character; got ''."),
        ({"word": "abcd"}, "Example word must have at most 3 characters; got 'abcd'."),
        ({"word": 5}, "Example word must be text; got 5."),
        ({"choice": "c"}, "Example choice must be 'a' or 'b'; got 'c'."),
        ({"path": 5}, "Example path must be a path; got 5."),
        ({"several": []}, "Example several must have at least 1 entry; got []."),
        ({"several": [1, 2, 3]}, "Example several must have at most 2 entries; got [1, 2, 3]."),
        ({"several": 1}, "Example several must be a list; got 1."),
        ({"several": [1, "x"]}, "Example several.1 must be a whole number; got 'x'."),
        ({"either": "x"}, "Example either must be a whole number or 'auto'; got 'x'."),
        ({"by_name": [1]}, "Example by_name must be values by name; got [1]."),
        ({"by_name": {"x": "y"}}, "Example by_name.x must be a number; got 'y'."),
    ],
)
def test_a_problem_is_one_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Example(**values)
    assert str(first_problem(refused.value, "Example", Example.model_fields)) == sentence
