"""Schemas of response bodies: they describe, in the API documentation, what each route returns.

The busiest routes send their JSON values without a check (see `json_route.py`); tests check them against these schemas.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from caser.service.request_schemas import Id, Schema


class HistoryEffect(Schema):
    """An item of the history, and how much it raises the score: the score with it minus the score without it."""

    item_id: Id
    title: str | None
    effect: float


class ScoreExplanation(Schema):
    """Where a score comes from."""

    parts: dict[str, float]
    """Parts of the score, by name. They add up to the score before boosts."""
    history: list[HistoryEffect]
    """The items of the history that the model read, oldest first."""
    effects_of: str
    """The name of the part to which the effects of these items belong."""
    rest: float
    """What the effects do not explain of that part: the effects and the rest add up to it."""


class RecommendedItem(Schema):
    """A recommended item."""

    rank: int
    item_id: Id
    score: float
    title: str | None = None
    chance: float | None = None
    """The chance that this is the next item, 0 to 1, if the request asked for it; null where it cannot be told."""
    boosted: float | None = None
    """The amount that boosts added to the score."""
    why: ScoreExplanation | None = None
    """Where the score comes from, if the request asked for it."""


class RemovedItem(Schema):
    """An item that a rule removed from the answer."""

    item_id: Id
    title: str | None
    rule: str
    """The first rule that the item breaks."""


class VersionedResponse(Schema):
    """Fields that every response has."""

    api_version: Literal["1"]
    model_version: str
    """The SHA-256 digest of the model that was trained. An evaluation of the run does not change it."""


class UnionPattern(Schema):
    """A horizontal filter of Caser: its largest value, and the neighbouring items at which it reached that value."""

    height: int
    filter: int
    """The number of the filter, from 0 within its height."""
    answer: float
    """The largest value of the filter."""
    items: list[Id | None]
    """The items, oldest first. Padding is null."""
    titles: list[str | None]


class PointPattern(Schema):
    """A vertical filter of Caser: the weight of each item of the window in its sum, oldest first."""

    filter: int
    weights: list[float]


class FilterPatterns(Schema):
    """What the filters of Caser responded to in the last items of the history."""

    window: list[Id | None]
    """The last L items, oldest first. Padding is null."""
    titles: list[str | None]
    union: list[UnionPattern]
    """The three strongest horizontal filters of each height."""
    point: list[PointPattern]
    """All vertical filters."""


class RecommendResponse(VersionedResponse):
    """Recommended items, best first."""

    user_id: Id | None
    arm: Literal["incumbent", "candidate"] | None = None
    """Which run answered; only in an experiment."""
    source: str
    """How the answer was made: known user, fold-in, mean user, learned anonymous user, history, or popularity."""
    items: list[RecommendedItem]
    ignored: list[Id]
    """Ids in the request that the model does not know."""
    removed: list[RemovedItem]
    """Items that rules removed although they rank above the last item of the answer; at most 100."""
    notes: list[str]
    """Remarks for people, for instance that fewer than k items are left."""
    patterns: FilterPatterns | None = None
    """Which filters responded to which items; only if `explain` was set and the model is Caser."""


class BulkRecommendResponse(VersionedResponse):
    """One answer for each question, in the same order."""

    answers: list[RecommendResponse]


class EventsResponse(VersionedResponse):
    """Confirms that the events are stored."""

    accepted: int
    """How many events are new."""
    known: int
    """How many events were stored before."""
    erased: int
    """How many events were erased with their user in the last 30 days. They are not stored again."""
    conflicts: list[str]
    """Ids under which the user has an event with another item, time or kind. The stored events stay as they are."""
    durable: bool
    """Whether the events are on disk."""
    unknown_items: list[Id]
    """Items that the model does not know. Their events are stored all the same, for a later model."""
    unknown_event_types: list[str]
    """Kinds of events that the log of the run does not have. Their events are stored, and count as history. Empty where
    the run was trained on events of all kinds alike."""


class Interaction(Schema):
    """One interaction of a user. Its time is in seconds since 1970; null if the training log has no times."""

    item_id: Id
    title: str | None
    time: float | None


class HistoryResponse(VersionedResponse):
    """The history of a user, oldest first."""

    user_id: Id
    interactions: list[Interaction]


class EraseResponse(VersionedResponse):
    """Confirms that a user was erased."""

    events_removed: int
    complete: bool
    """Whether the last byte of the events is gone from the disk. If not (status 202), another program was reading the
    store; the service goes on trying, and the metric caser_erasures_incomplete is 0 when nothing is left."""


class SimilarItemsResponse(VersionedResponse):
    """Items similar to one item, the most similar first."""

    similar_to: Id
    source: str
    """How similarity was computed: similar vectors, or successors for a counting model."""
    items: list[RecommendedItem]


class ItemSearchResponse(VersionedResponse):
    """Items whose titles contain all words of the search, the most popular first."""

    items: list[dict[Literal["item_id", "title"], Any]]


class CandidateFacts(Schema):
    """The model of a candidate."""

    model_version: str
    model: str
    settings: dict[str, Any]
    trained: float
    """When the model was trained, in seconds since 1970."""
    loaded: float
    """When the model was loaded, in seconds since 1970."""


class ExperimentFacts(Schema):
    """An experiment: a share of the users is answered by a candidate."""

    share: float
    """The share of the users who get the candidate."""
    candidate: CandidateFacts | None
    """The candidate; null if it is not served."""
    problem: str | None
    """Why it is not served."""


class ModelResponse(VersionedResponse):
    """The model that is served."""

    model: str
    settings: dict[str, Any]
    users: int
    items: int
    columns: list[str]
    """Columns of the table of items. Filters and rules may name them."""
    values: dict[str, list[str]]
    """The most common values of each column, at most 50; none for numbers and dates with more than 50 values."""
    has_titles: bool
    """Whether any item has a title."""
    ranges: dict[str, dict[Literal["min", "max"], str | float]]
    """The smallest and the largest value of each column of numbers or dates."""
    item_notes: list[str]
    """What was guessed about the table of items, and which of its rows and of the model's items do not match."""
    exclude_seen: bool
    """Whether an answer leaves out the items of the history by default."""
    metrics: dict[str, Any] | None
    protocol: str
    durable: bool
    """Whether events are kept on disk."""
    trained: float
    """When the model was trained, in seconds since 1970."""
    loaded: float
    """When the model was loaded, in seconds since 1970."""
    experiment: ExperimentFacts | None = None
    """Whether a share of the users is answered by another run, and by which."""


class HealthResponse(Schema):
    """The state of the service."""

    status: str
    store: str
    """Whether events can be stored: `ok`, or why not."""


class ErrorResponse(Schema):
    """What is wrong with the request, in one sentence."""

    error: str

    SENTENCES: ClassVar[dict[int, str]] = {
        400: "The request cannot be read.",
        401: "The token is missing or wrong.",
        403: "The request comes from a page of another origin.",
        404: "The path or the id does not exist.",
        405: "The path does not allow this method.",
        408: "The body did not arrive in time.",
        409: "The run folder holds no intact run (the loaded model stays), or an event is ahead of the clock.",
        413: "The body is too long.",
        415: "The body must be JSON in UTF-8, as it is or compressed with gzip.",
        421: "The request is addressed to another host.",
        422: "The body or a parameter does not match its schema.",
        429: "Too many requests; the header Retry-After says when to try again.",
        500: "The service failed; the sentence holds the id under which the log has the details.",
        503: "The service is too busy, is stopping or has lost its store; Retry-After says when to try again.",
        507: "The events could not be written.",
    }
    """The meaning of each status, as the API documentation gives it."""
