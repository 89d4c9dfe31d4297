"""Events as a request has them, made into events for the store."""

from __future__ import annotations

import secrets

from fastapi import HTTPException

from caser.data.id_text import written
from caser.service.events.store import Event
from caser.service.request_schemas import MAX_SECONDS_AHEAD, TIME_RULE, EventsBody, NewEvent, NewEvents


def for_the_store(body: EventsBody, now: float) -> tuple[list[NewEvent], list[Event]]:
    """Return the events of a request as it has them, and as the store gets them.

    body  one event, or several       now  when it arrived, in seconds since 1970

    An event without an id gets one of its own. Raises HTTPException 409, which names the event, if a time is too far
    ahead of the clock: no schema can say so, because the clock moves.

    >>> for_the_store(NewEvent(user_id=7, item_id="tea", event_id="a"), 5.0)[1]
    [Event(event_id='a', user_id='7', item_id='tea', time=5.0, is_now=True, event_type=None)]
    """
    new_events = body.events if isinstance(body, NewEvents) else [body]
    latest = now + MAX_SECONDS_AHEAD
    for number, event in enumerate(new_events):
        if event.time is not None and event.time > latest:
            where = f"events[{number}].time" if isinstance(body, NewEvents) else "time"
            raise HTTPException(409, f"{where} {TIME_RULE}.")
    return new_events, [
        Event(
            event.event_id or secrets.token_hex(16),
            written(event.user_id),
            written(event.item_id),
            now if event.time is None else event.time,
            is_now=event.time is None,
            event_type=event.event_type,
        )
        for event in new_events
    ]
