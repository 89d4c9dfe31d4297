"""Requests and answers as strict models: what they may hold, how long they may be, and examples for people.

Unknown keys and wrong types are refused, never guessed; text is not a number and a number is not text, but an id may be
either. All lists are bounded.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias
from urllib.parse import unquote

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr


def _whole(value: Any) -> Any:
    """In JSON 5.0 is a whole number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Id: TypeAlias = (
    Annotated[StrictStr, Field(min_length=1, max_length=200)]
    | Annotated[StrictInt, Field(ge=-(2**63), lt=2**63), BeforeValidator(_whole)]
)
"""An id as the log has it; 5 and "5" are one."""

Ids: TypeAlias = Annotated[list[Id], Field(max_length=1000)]
Value: TypeAlias = Annotated[StrictStr, Field(max_length=200)] | StrictInt | StrictFloat | StrictBool
Values: TypeAlias = Annotated[list[Value], Field(min_length=1, max_length=100)]
Column: TypeAlias = Annotated[StrictStr, Field(min_length=1, max_length=100)]
Conditions: TypeAlias = Annotated[dict[Column, Values], Field(max_length=10)]
"""Of each column named, one of these values."""

Count: TypeAlias = Annotated[StrictInt, Field(ge=1, le=1000), BeforeValidator(_whole)]


def _unquoted(part: str) -> str:
    """A part of a path, which is matched as it was sent. Raises ValueError where it is not UTF-8.

    >>> _unquoted("a%2Fb")
    'a/b'
    """
    return unquote(part, errors="strict")


UserId: TypeAlias = Annotated[str, BeforeValidator(_unquoted), Path(min_length=1, max_length=200)]
ItemId: TypeAlias = UserId
Ranked: TypeAlias = Annotated[int, Query(ge=1, le=1000, description="How many.")]
Shown: TypeAlias = Annotated[int, Query(ge=1, le=100, description="How many.")]
Words: TypeAlias = Annotated[str, Query(max_length=200, description="Words of the title.")]


class Model(BaseModel):
    """Base of all: strict, closed, finite."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Boost(Model):
    """Add to the scores of some items."""

    where: Conditions
    """The items: of each column named, one of these values."""
    amount: Annotated[float, Field(ge=-1e6, le=1e6)]
    """What is added to a score; a score has no unit, so look at a few answers first."""


class Rules(Model):
    """What an answer must be like beyond the score; whatever they remove, k is still filled where it can be."""

    without: Conditions = Field(default_factory=dict)
    """None of these values in these columns."""
    at_most: Annotated[dict[Column, Count], Field(max_length=5)] = Field(default_factory=dict)
    """At most so many items with the same value in this column."""
    boosts: Annotated[list[Boost], Field(max_length=10)] = Field(default_factory=list)
    """Changes of scores, before anything is removed."""


class Recommend(Model):
    """A question: for a user, for a history, for both, or for nobody in particular."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user_id": 42, "k": 5},
                {"history": [1193, 661], "k": 3, "filters": {"genre": ["Drama"]}, "explain": True},
            ]
        }
    )

    user_id: Id | None = None
    """The user; one whom nobody knows is answered too."""
    history: Ids | None = None
    """What they took, oldest first, in place of what the service knows of them."""
    k: Count = 10
    """How many items."""
    exclude: Ids = Field(default_factory=list)
    """Items that must not be recommended."""
    only: Ids | None = None
    """The only items that may be."""
    exclude_seen: StrictBool | None = None
    """Leave out what is in the history; as in the run's protocol by default."""
    filters: Conditions = Field(default_factory=dict)
    """Only items that have one of these values in each of these columns."""
    rules: Rules | None = None
    """Business rules."""
    explain: StrictBool = False
    """Say of each item where its score comes from."""


class Bulk(Model):
    """Many questions at once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"questions": [{"user_id": 1}, {"user_id": 2}]}]})

    questions: Annotated[list[Recommend], Field(min_length=1, max_length=1000)]


class EventIn(Model):
    """Somebody took something."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"event_id": "a1", "user_id": 42, "item_id": 1193}]})

    user_id: Id
    item_id: Id
    event_id: Annotated[StrictStr, Field(min_length=1, max_length=200)] | None = None
    """Makes the event count once, however often it is sent; made up if there is none."""
    time: Annotated[float, Field(ge=0, lt=1e11)] | None = None
    """Seconds since 1970; now by default."""


class EventsIn(Model):
    """Several events; all are kept, or none."""

    events: Annotated[list[EventIn], Field(min_length=1, max_length=1000)]


class Effect(Model):
    """What the score loses without one item of the history."""

    item_id: Id
    title: str | None
    effect: float


class Why(Model):
    """Where a score comes from: parts that add up to it, and the items of the history it rests on."""

    parts: dict[str, float]
    history: list[Effect]


class Item(Model):
    """A recommended item."""

    rank: int
    item_id: Id
    score: float
    title: str | None = None
    boosted: float | None = None
    """What boosts have added to the score."""
    why: Why | None = None


class Removed(Model):
    """An item that would have been in the answer, and the rule that removed it."""

    item_id: Id
    title: str | None
    rule: str


class Versioned(Model):
    """What every answer says of itself."""

    api_version: Literal["1"]
    model_version: str
    """The digest of the run's manifest."""


class UnionPattern(Model):
    """A horizontal filter of Caser: its answer, and the neighbouring items on which it was won, null for padding."""

    height: int
    filter: int
    answer: float
    items: list[Id | None]
    titles: list[str | None]


class PointPattern(Model):
    """A vertical filter of Caser: what each item of the window counts for in its sum, oldest first."""

    filter: int
    weights: list[float]


class Patterns(Model):
    """What Caser's filters made of the last items: the strongest three of each height, and all vertical ones."""

    window: list[Id | None]
    titles: list[str | None]
    union: list[UnionPattern]
    point: list[PointPattern]


class Answer(Versioned):
    """Recommended items, best first."""

    user_id: Id | None
    source: str
    """How it was made: known user, fold-in, mean user, learned anonymous user, history, or popularity."""
    items: list[Item]
    ignored: list[Id]
    """Ids of the question that the model does not know."""
    removed: list[Removed]
    """What rules have removed, up to the last item of the answer; at most 100."""
    notes: list[str]
    patterns: Patterns | None = None
    """Which filters fired on which items, where that was asked for (`explain`) and the model is Caser."""


class BulkAnswer(Versioned):
    """An answer to each question, in order."""

    answers: list[Answer]


class Acknowledged(Versioned):
    """Events that are kept."""

    accepted: int
    """Events that are new."""
    known: int
    """Events that were kept before."""
    durable: bool
    """Whether they are on disk."""
    unknown_items: list[Id]
    """Items that the model does not know; kept all the same, for a model that will."""


class Interaction(Model):
    """One interaction; those of the run have no time."""

    item_id: Id
    title: str | None
    time: float | None


class History(Versioned):
    """What the service knows of a user, oldest first."""

    user_id: Id
    interactions: list[Interaction]


class Erased(Versioned):
    """A user was forgotten."""

    events_removed: int


class Similar(Versioned):
    """Items like one item."""

    similar_to: Id
    source: str
    items: list[Item]


class Found(Versioned):
    """Items whose title holds all words, the most popular first."""

    items: list[dict[Literal["item_id", "title"], Any]]


class ModelFacts(Versioned):
    """What is being served."""

    model: str
    settings: dict[str, Any]
    users: int
    items: int
    columns: list[str]
    """Columns of the items table that filters and rules may name."""
    values: dict[str, list[str]]
    """The most common values of each column, at most 50."""
    exclude_seen: bool
    """Whether an answer leaves out what is in the history, unless it is asked otherwise."""
    metrics: dict[str, Any] | None
    protocol: str
    durable: bool
    loaded: float
    """When it was loaded, in seconds since 1970."""


class Health(Model):
    """Whether the service works."""

    status: str


class Problem(Model):
    """What was wrong with a request, in one sentence."""

    error: str

    SENTENCES: ClassVar[dict[int, str]] = {
        400: "The request cannot be read.",
        401: "A token is missing or wrong.",
        403: "The request comes from another page.",
        404: "There is nothing by that name.",
        405: "There is no such method here.",
        408: "The body came too slowly.",
        409: "The run folder is not an intact run; the model that was loaded goes on serving.",
        413: "The body is too long.",
        415: "The body must be JSON.",
        421: "The request is addressed to another host.",
        422: "The body is not as described.",
        429: "Too many requests; Retry-After says when.",
        500: "Something failed; the sentence holds the id under which the log tells more.",
        503: "Too busy; Retry-After says when.",
        507: "Events cannot be written.",
    }
