"""Schemas of requests: which fields a request has, their types and limits, and examples for the API documentation.

The schemas are strict. An unknown field or a wrong type is an error; a number is not accepted as text, nor text as a
number. Only an id may be either. Every list and every text has a maximum length.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import unquote

from fastapi import Path, Query
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    Tag,
)

from caser.answering.rules import MOST_BOOST
from caser.data.id_text import MAX_ID_LENGTH

MAX_EVENT_ID_LENGTH = 200
"""Characters that the id of an event may have."""
MAX_EVENT_TYPE_LENGTH = 100
"""Characters that a kind of event may have."""
MAX_VALUE_LENGTH = 200
"""Characters that the value of an attribute may have in a rule; also the limit of a search text."""
MAX_COLUMN_LENGTH = 100
"""Characters that the name of a column may have."""
MAX_LIST_LENGTH = 1000
"""Ids in a list, requests in a bulk request, or events in one request."""
MAX_SECONDS_AHEAD = 86_400
"""How far the time of an event may be ahead of the service's clock."""
TIME_RULE = (
    "must be a time in seconds since 1970, as a number: not in milliseconds, not as text, not before 1970, and at most "
    "a day ahead of the clock of the service"
)
"""What the time of an event must be, as the end of a sentence."""
MAX_K = 1000
"""Items that one answer may have."""


def _whole_float_to_int(value: Any) -> Any:
    """JSON does not tell 5.0 from 5, so a float without a fraction becomes an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _kind_of_condition(value: Any) -> str:
    """Which of the three forms of a condition a JSON value has, so that an error is about that form only."""
    if isinstance(value, list):
        return "list[value]"
    return "dict[range]" if isinstance(value, dict | BaseModel) else "function-value"


Id: TypeAlias = Annotated[StrictStr, Field(min_length=1, max_length=MAX_ID_LENGTH)] | StrictInt
"""A raw id as the log has it. The number 5 and the text "5" are the same id, and 5.0 and "05" are others."""

Ids: TypeAlias = Annotated[list[Id], Field(max_length=MAX_LIST_LENGTH)]
Value: TypeAlias = Annotated[StrictStr, Field(max_length=MAX_VALUE_LENGTH)] | StrictInt | StrictFloat | StrictBool
Values: TypeAlias = Annotated[list[Value], Field(min_length=1, max_length=100)]
RangeEnd: TypeAlias = Annotated[StrictStr, Field(max_length=MAX_VALUE_LENGTH)] | StrictInt | StrictFloat
Column: TypeAlias = Annotated[StrictStr, Field(min_length=1, max_length=MAX_COLUMN_LENGTH)]
Count: TypeAlias = Annotated[StrictInt, Field(ge=1, le=MAX_K), BeforeValidator(_whole_float_to_int)]


def _unquote(part: str) -> str:
    """Decode a part of a path, which arrives percent-encoded. Raises ValueError when it is not UTF-8.

    >>> _unquote("a%2Fb")
    'a/b'
    """
    return unquote(part, errors="strict")


UserIdInPath: TypeAlias = Annotated[str, BeforeValidator(_unquote), Path(min_length=1, max_length=MAX_ID_LENGTH)]
ItemIdInPath: TypeAlias = UserIdInPath
ArmInQuery: TypeAlias = Annotated[
    Literal["incumbent", "candidate"], Query(description="Which run: the one that is served, or the candidate.")
]
IdInQuery: TypeAlias = Annotated[str, Query(min_length=1, max_length=MAX_ID_LENGTH, description="The raw id.")]
NumSimilar: TypeAlias = Annotated[int, Query(ge=1, le=MAX_K, description="How many items to return.")]
NumFound: TypeAlias = Annotated[int, Query(ge=1, le=100, description="How many items to return.")]
SearchText: TypeAlias = Annotated[
    str, Query(max_length=MAX_VALUE_LENGTH, description="Words that the title must contain.")
]


class Schema(BaseModel):
    """Base class of all schemas: strict types, no unknown fields, no NaN or infinity."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Range(Schema):
    """A range of numbers or dates. Both ends belong to it."""

    min: RangeEnd | None = None
    """The smallest number or date that matches."""
    max: RangeEnd | None = None
    """The largest number or date that matches."""


Condition: TypeAlias = Annotated[
    Annotated[Values, Tag("list[value]")]
    | Annotated[Range, Tag("dict[range]")]
    | Annotated[Value, Tag("function-value")],
    Discriminator(_kind_of_condition),
]
Conditions: TypeAlias = Annotated[dict[Column, Condition], Field(max_length=10)]
"""Columns of the table of items, each with a value, a list of values, or a range that matches."""


class Boost(Schema):
    """Adds an amount to the scores of the items that match a condition."""

    where: Conditions
    """Which items: those that have, in every column named, the value, one of the values, or a value in the range."""
    amount: Annotated[float, Field(ge=-MOST_BOOST, le=MOST_BOOST)]
    """The amount to add. Scores have no unit: look at the scores of a few answers first."""


class AnswerRules(Schema):
    """Business rules for one answer. When a rule removes an item, the next item in rank takes its place."""

    without: Conditions = Field(default_factory=dict)
    """Remove items that have the value, one of the values, or a value in the range, in one of these columns."""
    at_most: Annotated[dict[Column, Count], Field(max_length=5)] = Field(default_factory=dict)
    """For each column named: the maximum number of items that may share a value of it."""
    boosts: Annotated[list[Boost], Field(max_length=10)] = Field(default_factory=list)
    """Changes of scores. They are applied before any item is removed."""
    diversity: Annotated[float, Field(ge=0, le=1)] | None = None
    """How much an item should differ from those before it: from 0, the ranking alone, to 1, difference alone. Items are
    chosen among what `at_most` allows of the best 10 k (at most 1,000) that the other rules leave."""


class RecommendRequest(Schema):
    """A question: for a user, for a history, or for both. Without either, the most popular items are recommended."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user_id": 42, "k": 5},
                {"history": [1193, 661], "k": 3, "filters": {"genre": ["Drama"]}, "explain": True},
            ]
        }
    )

    user_id: Id | None = None
    """The user. A user whom the model does not know is answered too."""
    history: Ids | None = None
    """The user's items, oldest first. They replace the history that the service has of the user."""
    k: Count = 10
    """How many items to recommend."""
    exclude: Ids = Field(default_factory=list)
    """Items that must not be recommended."""
    only: Ids | None = None
    """If given, only these items may be recommended."""
    exclude_seen: StrictBool | None = None
    """Whether to leave out the items of the history. The default follows the protocol of the run."""
    filters: Conditions = Field(default_factory=dict)
    """Recommend only items that have, in every column named, the value, one of the values, or a value in the range."""
    rules: AnswerRules | None = None
    """Business rules for the answer."""
    chance: StrictBool = False
    """Whether to tell the chance of each recommended item that it is the next one."""
    explain: StrictBool = False
    """Whether to explain the score of each recommended item."""


class BulkRecommendRequest(Schema):
    """Many questions in one request."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"questions": [{"user_id": 1}, {"user_id": 2}]}]})

    questions: Annotated[list[RecommendRequest], Field(min_length=1, max_length=MAX_LIST_LENGTH)]


class NewEvent(Schema):
    """One interaction of a user with an item."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"event_id": "a1", "user_id": 42, "item_id": 1193}]})

    user_id: Id
    item_id: Id
    event_id: Annotated[StrictStr, Field(min_length=1, max_length=MAX_EVENT_ID_LENGTH)] | None = None
    """An id of your own. Events of one user with the same id count once. Without one, the service makes an id."""
    time: Annotated[float, Field(ge=0, lt=1e11)] | None = None
    """The time of the interaction, in seconds since 1970, at most a day ahead of the service's clock. Default: now.
    A time that is ahead of the clock counts as the time of arrival."""
    event_type: Annotated[StrictStr, Field(min_length=1, max_length=MAX_EVENT_TYPE_LENGTH)] | None = None
    """The kind of the event as the log has it, such as purchase. What each kind does follows the rules of the run."""


class NewEvents(Schema):
    """Several events. The service stores all of them or none."""

    events: Annotated[list[NewEvent], Field(min_length=1, max_length=MAX_LIST_LENGTH)]


def _kind_of_body(body: Any) -> str:
    """Tell one event from several, so that an error names a field of the kind that was meant."""
    is_several = "events" in body if isinstance(body, dict) else isinstance(body, NewEvents)
    return "NewEvents" if is_several else "NewEvent"


EventsBody: TypeAlias = Annotated[
    Annotated[NewEvent, Tag("NewEvent")] | Annotated[NewEvents, Tag("NewEvents")], Discriminator(_kind_of_body)
]
"""The body of POST /v1/events: one event, or several under `events`."""
