"""What every event store promises, tried on each kind of store."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from caser.errors import BusyError, StoreError
from caser.service.events.store import REMEMBERED_DAYS, Event, RecentHistory
from tests.service.event_stores import Kind, Opened, Postgres, SqliteFile, SqliteMemory, events_of, opened

DAY = 86_400
ODD_IDS = [
    "a" * 1000, "\U0001f375" * 1000, "nul\0nul", "\0", "caf\u00e9", "cafe\u0301", " ", "'; --", "%s", "\\x00", "\u202e",
]  # fmt: skip
KINDS = [None, "buy", "caf\u00e9\0'", None, "k" * 100]
FILE, MEMORY, POSTGRES = "file", "memory", "postgres"
ALL, SHARED = [FILE, MEMORY, POSTGRES], [FILE, POSTGRES]
"""All kinds of stores, and those that several processes may use."""


@pytest.fixture
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    """A store of one kind."""
    made: dict[str, Callable[[], Kind]] = {
        FILE: lambda: SqliteFile(tmp_path),
        MEMORY: lambda: SqliteMemory(tmp_path),
        POSTGRES: lambda: Postgres(request.getfixturevalue("cluster")),
    }
    return made[request.param]()


@pytest.fixture
def open_store(kind: Kind) -> Iterator[Callable[..., Opened]]:
    """Opens the store, each time as another process would; all are closed in the end."""
    stores: list[Opened] = []

    def open_one(window: int = 100, max_bytes: int = 1 << 20, **settings: Any) -> Opened:
        store = kind.store(**settings)
        expire_days = settings.get("expire_days")
        stores.append(opened(store, window=window, max_bytes=max_bytes, expire_days=expire_days))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


every = pytest.mark.parametrize("kind", ALL, indirect=True)
shared = pytest.mark.parametrize("kind", SHARED, indirect=True)
Open = Callable[..., Opened]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stands in for the clock: `clock.now` may be set."""

    class Clock:
        now = time.time()

    monkeypatch.setattr("time.time", lambda: Clock.now)
    return Clock


async def until(is_there: Callable[[], Any], seconds: float) -> float:
    """Ask until the answer is yes; return how many seconds that took, at most `seconds` and a little."""
    begun = time.monotonic()
    while not await is_there():
        assert time.monotonic() - begun <= seconds + 1, "another process sees an event too late"
        await asyncio.sleep(0.005)
    return time.monotonic() - begun


# --- kinds of events


@every
async def test_a_kind_is_stored_with_its_event(open_store: Open, kind: Kind) -> None:
    store = open_store(window=3)
    odd = [Event(f"{number}", "ann", f"i{number}", float(number), event_type=each) for number, each in enumerate(KINDS)]
    assert await store.recent("ann") == RecentHistory()
    for event in odd[:2]:  # into the histories in memory, one by one
        await store.append(event)
        assert (await store.recent("ann")).kinds[-1:] == (() if event.event_type is None else (event.event_type,))
    await store.append(*odd[2:])
    expected = RecentHistory(("i2", "i3", "i4"), (2.0, 3.0, 4.0), kinds=tuple(KINDS[2:]))
    assert await store.recent("ann") == expected
    if kind.is_durable:
        assert await open_store(window=3).recent("ann") == expected
        frame = kind.export()
        assert frame.columns == ["user_id", "item_id", "timestamp", "event_type"]
        assert frame["event_type"].to_list() == KINDS


@every
async def test_an_event_of_another_kind_under_the_same_id_is_another_event(open_store: Open, kind: Kind) -> None:
    store = open_store()
    cart = Event("a", "ann", "tea", 1.0, event_type="cart")
    assert await store.append(cart, Event("a", "ann", "tea", 1.0)) == ["new", "conflict"]
    assert await store.append(Event("a", "ann", "tea", 1.0, event_type="buy"), cart) == ["conflict", "known"]
    assert (await store.recent("ann")).kinds == ("cart",)


@every
async def test_without_kinds_nothing_is_exported_about_them(open_store: Open, kind: Kind) -> None:
    store = open_store()
    if kind.is_durable:
        assert kind.export().columns == ["user_id", "item_id", "timestamp"]
    await store.append(Event("a", "ann", "tea", 1.0))
    assert (await store.recent("ann")).kinds == ()
    if kind.is_durable:
        assert kind.export().columns == ["user_id", "item_id", "timestamp"]


# --- what is acknowledged is there


@every
async def test_an_acknowledged_event_is_in_the_history_at_once(open_store: Open, kind: Kind) -> None:
    store = open_store()
    assert await store.items("ann") == ()
    assert await store.append(Event("a", "ann", "tea", 1.0)) == ["new"]
    assert await store.recent("ann") == RecentHistory(("tea",), (1.0,))
    assert store.events.is_durable == kind.is_durable
    assert (store.events.problem(), store.events.is_lost, store.events.num_bytes_waiting) == (None, False, 0)


@shared
async def test_an_acknowledged_event_is_there_after_the_store_was_opened_again(open_store: Open) -> None:
    for number in range(3):
        store = open_store()
        await store.append(Event(f"{number}", "ann", f"i{number}", float(number)))
        store.close()
    assert await open_store().items("ann") == ("i0", "i1", "i2")


@every
async def test_many_writers_at_once_lose_nothing(open_store: Open) -> None:
    store = open_store(window=1000)

    async def write(user: int) -> None:
        for number in range(10):
            event = Event(f"{number}", f"user {user}", f"i{number}", float(number))
            assert await store.append(event) == ["new"]
            assert (await store.items(f"user {user}"))[-1] == f"i{number}"

    await asyncio.gather(*map(write, range(20)))
    assert {len(one.items) for one in await store.histories.recent_many([f"user {n}" for n in range(20)])} == {10}


@shared
async def test_many_processes_at_once_lose_nothing(open_store: Open, kind: Kind) -> None:
    stores = [open_store(window=1000) for _ in range(3)]

    async def write(which: int) -> None:
        for number in range(20):
            event = Event(f"{which} {number}", "ann", f"{which} {number}", float(number))
            same = Event(f"{number}", "bob", f"i{number}", float(number))
            assert (await stores[which].append(event, same))[0] == "new"
            assert f"{which} {number}" in await stores[which].items("ann")

    await asyncio.gather(*map(write, range(3)))
    for store in stores:
        await until(partial(_has, store, "ann", 60), kind.seconds_until_seen)
        assert await store.items("bob") == tuple(f"i{number}" for number in range(20))
    assert [await store.recent("ann") for store in stores] == [await open_store(window=1000).recent("ann")] * 3


async def _has(store: Opened, user: str, number: int) -> bool:
    return len(await store.items(user)) == number


# --- one id, one event


@every
async def test_an_event_counts_once_however_often_it_is_sent(open_store: Open) -> None:
    store = open_store()
    tea, milk = events_of("ann", ["tea", "milk"])
    assert await store.append(tea, milk, tea) == ["new", "new", "known"]
    assert await store.append(milk) == ["known"]
    assert await asyncio.gather(*(store.append(milk) for _ in range(5))) == [["known"]] * 5
    assert await store.items("ann") == ("tea", "milk")


@every
async def test_another_event_under_a_known_id_is_a_conflict_and_the_first_stays(open_store: Open) -> None:
    store = open_store()
    assert await store.append(Event("a", "ann", "tea", 1.0), Event("a", "ann", "milk", 1.0)) == ["new", "conflict"]
    assert await store.append(Event("a", "ann", "tea", 2.0)) == ["conflict"]
    assert await store.append(Event("a", "ann", "tea", 9.0, is_now=True)) == ["known"]
    assert await store.recent("ann") == RecentHistory(("tea",), (1.0,))


@every
@pytest.mark.parametrize("is_together", [True, False])
async def test_an_id_belongs_to_a_user(open_store: Open, is_together: bool) -> None:
    store = open_store()
    events = [Event("a", user, f"of {user}", 1.0) for user in ("ann", "bob", "an")]
    if is_together:
        assert await store.append(*events) == ["new"] * 3
    else:
        assert [await store.append(event) for event in events] == [["new"]] * 3
    for user in ("ann", "bob", "an"):
        assert await store.items(user) == (f"of {user}",)


@every
async def test_all_events_of_a_call_are_stored_or_none(open_store: Open) -> None:
    store = open_store()
    with pytest.raises(StoreError):
        await store.append(Event("a", "ann", "tea", 1.0), Event("b", "ann", "\ud800", 2.0))
    assert await store.items("ann") == ()
    assert await store.append(Event("a", "ann", "tea", 1.0)) == ["new"]
    assert await store.append() == []


@every
async def test_odd_ids_are_kept_as_they_are(open_store: Open) -> None:
    store = open_store()
    events = [Event(odd, odd, odd, float(number)) for number, odd in enumerate(ODD_IDS)]
    assert await store.append(*events) == ["new"] * len(ODD_IDS)
    assert await store.append(*events) == ["known"] * len(ODD_IDS)
    for again in (store.histories, opened(store.events).histories):
        assert [one.items for one in await again.recent_many(ODD_IDS)] == [(odd,) for odd in ODD_IDS]
    for odd in ODD_IDS:
        assert await store.events.erase(odd) == 1
        assert await store.recent(odd) == RecentHistory(is_erased=True)
    assert await store.append(*events) == ["erased"] * len(ODD_IDS)


# --- order


@every
async def test_a_history_is_ordered_by_time_and_then_by_arrival(open_store: Open) -> None:
    store = open_store(window=3)
    await store.items("ann")
    times = {"a": 5.0, "b": 9.0, "c": 5.0, "d": 1.0, "e": 7.0}
    await store.append(*(Event(item, "ann", item, when) for item, when in times.items()))
    assert await store.recent("ann") == RecentHistory(("c", "e", "b"), (5.0, 7.0, 9.0))
    assert await opened(store.events, window=3).items("ann") == ("c", "e", "b")
    assert await opened(store.events).items("ann") == ("d", "a", "c", "e", "b")


@every
@pytest.mark.parametrize("back", [0, 60, 400 * DAY])
async def test_after_the_clock_went_back_the_newest_event_is_still_the_newest(
    open_store: Open, clock: Any, back: float
) -> None:
    store = open_store()
    await store.append(Event("a", "ann", "tea", clock.now, is_now=True))
    clock.now -= back
    await store.append(
        Event("b", "ann", "milk", clock.now, is_now=True), Event("c", "ann", "soap", clock.now, is_now=True)
    )
    await store.append(Event("d", "ann", "cake", clock.now + 5))
    assert await store.items("ann") == ("tea", "milk", "soap", "cake")
    assert await opened(store.events).items("ann") == ("tea", "milk", "soap", "cake")


@every
async def test_a_time_ahead_of_the_clock_becomes_the_time_of_arrival(open_store: Open, clock: Any) -> None:
    store = open_store()
    ahead = Event("a", "ann", "tea", clock.now + 1e9)
    assert await store.append(ahead, ahead) == ["new", "known"]
    assert await store.append(Event("a", "ann", "tea", clock.now + 2e9)) == ["conflict"]
    assert (await store.recent("ann")).times == (clock.now,)
    clock.now += 1
    await store.append(Event("b", "ann", "milk", clock.now - 2.0), Event("c", "ann", "soap", clock.now, is_now=True))
    assert await store.items("ann") == ("milk", "tea", "soap")
    assert await store.append(ahead) == ["known"]


# --- erasure


@every
async def test_an_erased_user_has_no_events_and_may_return(open_store: Open) -> None:
    store = open_store()
    await store.append(*events_of("ann", ["tea", "milk"]), *events_of("bob", ["soap"]))
    assert await store.items("ann") == ("tea", "milk")
    assert await store.events.erase("ann") == 2
    assert await store.recent("ann") == RecentHistory(is_erased=True)
    assert await store.recent("bob") == RecentHistory(("soap",), (1.0,))
    assert await store.append(Event("new", "ann", "cake", 9.0)) == ["new"]
    assert await store.recent("ann") == RecentHistory(("cake",), (9.0,), is_erased=True)
    assert await store.events.erase("ann") == 1
    assert await store.events.erase("nobody") == 0
    assert (await store.recent("nobody")).is_erased


@every
async def test_an_erased_event_stays_erased_for_a_while(open_store: Open, clock: Any) -> None:
    store = open_store()
    event = Event("a", "ann", "tea", 5.0)
    await store.append(event)
    await store.events.erase("ann")
    clock.now += (REMEMBERED_DAYS - 1) * DAY
    assert await store.append(event, Event("a", "ann", "milk", 6.0)) == ["erased", "erased"]
    assert await store.append(Event("a", "bob", "tea", 5.0)) == ["new"]
    clock.now += 2 * DAY
    assert await store.append(event) == ["new"]


@every
async def test_events_and_erasures_that_arrive_together_are_carried_out_in_order(open_store: Open) -> None:
    store = open_store()
    tea, milk = events_of("ann", ["tea", "milk"])
    first, removed, again, second = await asyncio.gather(
        store.append(tea), store.events.erase("ann"), store.append(tea), store.append(milk)
    )
    assert (first, removed, again, second) == (["new"], 1, ["erased"], ["new"])
    assert await store.items("ann") == ("milk",)


# --- other processes


@shared
async def test_another_process_sees_commits_and_erasures_within_the_time_that_is_promised(
    open_store: Open, kind: Kind
) -> None:
    ours, theirs = open_store(), open_store()
    assert await theirs.items("ann") == ()
    await ours.append(*events_of("ann", ["tea"]), *events_of("bob", ["milk"]))
    await until(lambda: theirs.items("ann"), kind.seconds_until_seen)
    assert await theirs.items("bob") == ("milk",)

    async def is_erased() -> bool:
        return (await theirs.recent("ann")).is_erased

    assert await ours.events.erase("ann") == 1
    await until(is_erased, kind.seconds_until_seen)
    assert await theirs.items("ann") == ()
    assert not (await theirs.recent("bob")).is_erased


@shared
async def test_what_a_process_writes_in_one_store_is_read_by_another_process(open_store: Open, kind: Kind) -> None:
    theirs = open_store()
    assert await theirs.items("ann") == ()
    program = (
        "import asyncio, sys\n"
        "from caser.service.events.store import Event\n"
        "from caser.service.events.opening import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "print(asyncio.run(store.append([Event('a', 'ann', 'tea', 1.0)])), flush=True)\n"
        "sys.stdin.read()\n"  # it is still there while the event is read
    )
    command = [sys.executable, "-c", program, kind.words()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == b"['new']\n"
        await until(lambda: theirs.items("ann"), kind.seconds_until_seen)
        other.stdin.close()


@shared
async def test_histories_are_right_after_more_events_of_others_than_are_told_one_by_one(
    open_store: Open, kind: Kind
) -> None:
    ours, theirs = open_store(window=3), open_store(window=3)
    assert await theirs.items("ann") == ()
    for start in (0, 1, 2500):
        await ours.append(*(Event(f"{start} {n}", "ann", f"{start} {n}", start + n / 1e4) for n in range(2400)))
        await until(partial(_ends_with, theirs, f"{start} 2399"), kind.seconds_until_seen)
        assert await theirs.recent("ann") == await ours.recent("ann")


async def _ends_with(store: Opened, item: str) -> bool:
    return (await store.items("ann"))[-1:] == (item,)


# --- expiry


@every
async def test_an_expired_event_no_longer_counts(open_store: Open, clock: Any) -> None:
    store = open_store(expire_days=1)
    await store.append(Event("a", "ann", "tea", clock.now - 2 * DAY), Event("b", "ann", "milk", clock.now))
    assert await store.items("ann") == ("milk",)
    clock.now += 2 * DAY
    assert await store.items("ann") == ()
    await store.append(Event("c", "bob", "tea", clock.now))
    assert await store.items("bob") == ("tea",)
    everything = opened(store.events)  # these histories do not ignore what has expired: it is deleted
    assert await everything.items("ann") == ()


# --- memory


@every
@pytest.mark.parametrize("max_bytes", [1, 100_000])
async def test_histories_in_memory_are_bounded_by_bytes_and_stay_right(open_store: Open, max_bytes: int) -> None:
    store = open_store(max_bytes=max_bytes)
    for number in range(20):
        await store.append(*events_of(f"user {number}", [f"{number}-{one}-" + "x" * 400 for one in range(20)]))
        assert len(await store.items(f"user {number}")) == 20
        assert store.histories.num_bytes <= max_bytes
    users = [f"user {number}" for number in range(20)]
    for number, history in enumerate(await store.histories.recent_many([*users, *users])):
        assert history.items == tuple(f"{number % 20}-{one}-" + "x" * 400 for one in range(20))


@every
async def test_a_history_is_one_object_until_something_changes(open_store: Open) -> None:
    """So what is computed from it can be kept with it."""
    store = open_store()
    await store.append(*events_of("ann", ["tea"]), *events_of("bob", ["milk"]))
    ann, bob, ann_again = await store.histories.recent_many(["ann", "bob", "ann"])
    assert ann is ann_again
    await store.append(*events_of("bob", ["soap"], 5.0))
    assert await store.recent("ann") is ann
    assert await store.recent("bob") is not bob


@every
async def test_histories_are_those_of_all_events_in_any_order_of_reads_and_writes(open_store: Open) -> None:
    store, chance = open_store(window=3, max_bytes=2_000), random.Random(0)
    events: list[Event] = []
    for round_ in range(30):
        some = [
            Event(f"{round_} {n}", chance.choice("abc"), f"i{chance.randrange(9)}", float(chance.randrange(4)))
            for n in range(chance.randrange(3))
        ]
        users = chance.sample("abcd", 2)
        await asyncio.gather(*(store.append(event) for event in some), store.histories.recent_many(users))
        events += some
        for user, history in zip(users, await store.histories.recent_many(users), strict=True):
            own = sorted((event for event in events if event.user_id == user), key=lambda event: event.time)[-3:]
            assert history.items == tuple(event.item_id for event in own)


# --- a store that cannot be used


@shared
async def test_events_that_wait_for_a_busy_store_are_bounded_by_bytes(open_store: Open, kind: Kind) -> None:
    store = open_store(max_waiting=2_000)
    await store.append(Event("first", "ann", "tea", 1.0))
    with kind.locked():
        waiting = asyncio.ensure_future(store.append(*events_of("ann", [f"i{one}" for one in range(50)])))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="at most 2,000 bytes"):
            await store.append(Event("other", "ann", "tea", 1.0))
        assert store.events.num_bytes_waiting > 2_000
        assert await store.items("ann") == ("tea",)  # who only reads does not wait
    assert await waiting == ["new"] * 50
    assert store.events.num_bytes_waiting == 0
    assert await store.append(Event("other", "ann", "tea", 1.0)) == ["new"]


@shared
async def test_a_store_that_vanished_acknowledges_nothing_and_says_so(open_store: Open, kind: Kind) -> None:
    store = open_store()
    await store.append(Event("a", "ann", "tea", 1.0))
    kind.lose()
    for _ in range(2):
        with pytest.raises(StoreError):
            await store.append(Event("b", "ann", "milk", 2.0))
        with pytest.raises(StoreError):
            await store.events.erase("ann")
        assert store.events.is_lost
        assert not store.events.is_durable
        assert "deleted or replaced" in (store.events.problem() or "")


# --- export


@shared
async def test_an_export_has_all_events_in_order_of_time(open_store: Open, kind: Kind) -> None:
    store = open_store()
    await store.append(*(Event(f"e{one}", odd, f"i{one}", float(one % 3)) for one, odd in enumerate(ODD_IDS)))
    await store.append(Event("x", "ann", "tea", 1.5))
    await store.events.erase("nul\0nul")
    frame = kind.export()  # the service goes on
    expected = sorted((one % 3, one) for one, odd in enumerate(ODD_IDS) if odd != "nul\0nul")
    assert frame.filter(frame["user_id"] != "ann")["item_id"].to_list() == [f"i{one}" for _, one in expected]
    assert frame["timestamp"].is_sorted()
    assert frame.filter(frame["item_id"] == "i1")["user_id"].to_list() == [ODD_IDS[1]]
