"""Replay: how often users took an item that the service had shown them, and whether a service answers as its run does.

An event is a hit if its item was in the last answer that its user got before it. Events of users who got no answer
before are counted separately.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

from caser.answering.recommender import Recommender
from caser.data.id_text import json_id, written
from caser.errors import DataError
from caser.study.service_client import answers_in, ask, refuse_other_model

ARMS = ("incumbent", "candidate")
"""The arms of an experiment, as the log of answers names them."""

_PER_REQUEST = 100
"""Questions in one request."""
_SAME_SCORE = 1e-4
"""Scores that differ by no more than this are equal."""
_MOST_ITEMS = 1000
"""Last items of a history that a question holds."""
_ITEMS_PER_REQUEST = 10_000
"""Items in the answers to one request, so that an answer is small."""
_MOST_LINE_BYTES = 16 * 2**20
"""The longest line of a log of answers: a thousand items of the longest ids take a quarter of it."""


@dataclass
class Hits:
    """Counts of events, and of the hits among them."""

    events: int = 0
    hits: int = 0

    @property
    def rate(self) -> float | None:
        """The share of events that are hits; None without events."""
        return self.hits / self.events if self.events else None

    def count(self, *, is_hit: bool) -> None:
        """Count one event, and a hit if `is_hit`."""
        self.events += 1
        self.hits += is_hit


@dataclass
class Served:
    """The hit rate in a log of answers.

    answers     how many answers were served
    unjudged    how many events belong to users who had no answer before
    unreadable  how many lines are no records, such as half a line
    dropped     how many lines the service says that it could not write
    models      how many answers were served by each version of the model
    judged      all events that follow an answer to their user
    by          the judged events by the version of the model, by the source of the answer, and by arm
    """

    answers: int = 0
    unreadable: int = 0
    dropped: int = 0
    unjudged: int = 0
    models: Counter[str] = field(default_factory=Counter)
    judged: Hits = field(default_factory=Hits)
    by: defaultdict[str, Hits] = field(default_factory=lambda: defaultdict(Hits))

    def to_dict(self) -> dict[str, Any]:
        """Return the counts and rates as JSON values."""
        groups = {
            name: {"events": hits.events, "hits": hits.hits, "rate": hits.rate}
            for name, hits in sorted(self.by.items())
        }
        return {
            "answers": self.answers,
            "events_without_answer": self.unjudged,
            "unreadable_lines": self.unreadable,
            "dropped_lines": self.dropped,
            "answers_by_model": dict(self.models),
            "events": self.judged.events,
            "hits": self.judged.hits,
            "hit_rate": self.judged.rate,
            "by": groups,
        }


def hit_rate(log: Path, k: int) -> Served:
    """Count how often users took an item that they had been shown.

    log  a file that the service wrote under `--answer-log`
    k    only the first k items of each answer count

    Lines that are no records are skipped and counted: a full disk and a killed service leave half a line. Raises
    DataError for a file that cannot be read, or that holds lines and no record at all.
    """
    served = Served()
    last_answers: dict[str, tuple[list[str], list[str]]] = {}
    for record in records(log):
        if record is None:
            served.unreadable += 1
        elif isinstance(record, int):
            served.dropped += record
        elif record["kind"] == "answer":
            served.answers += 1
            served.models[record["model"]] += 1
            if record.get("user") is not None:
                groups = [f"model {record['model'][:12]}", record["source"]]
                groups += [f"arm {record['arm']}"] if "arm" in record else []
                last_answers[record["user"]] = record["items"][:k], groups
        elif record["user"] in last_answers:
            items, groups = last_answers[record["user"]]
            is_hit = record["item"] in items
            for hits in (served.judged, *(served.by[group] for group in groups)):
                hits.count(is_hit=is_hit)
        else:
            served.unjudged += 1
    return served


def records(log: Path) -> Iterator[dict[str, Any] | int | None]:
    """Yield the answers and events of a log, in order.

    log  a file that the service wrote under `--answer-log`

    Yields a number for lines that the service dropped, and None for any other line. Raises DataError at the end if the
    log holds nothing else than lines of the last kind.
    """
    is_log, first_wrong = False, 0
    try:
        with log.open("rb") as file:
            for number, line in enumerate(_lines(file), start=1):
                record = _record(line)
                is_log = is_log or record is not None
                first_wrong = first_wrong or (number if record is None else 0)
                yield record
    except OSError as error:
        raise DataError(f"{log} must be readable; got: {error.strerror}.") from None
    if first_wrong and not is_log:
        raise DataError(
            f"{log} must hold answers and events in JSON, as --answer-log writes them; it has none, and line "
            f"{first_wrong} is something else. Is this a log of answers?"
        )


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file. Only the beginning of a longer line than _MOST_LINE_BYTES is kept."""
    while line := file.readline(_MOST_LINE_BYTES):
        rest = line
        while len(rest) == _MOST_LINE_BYTES and not rest.endswith(b"\n"):
            rest = file.readline(_MOST_LINE_BYTES)
        yield line


def _record(line: bytes) -> dict[str, Any] | int | None:
    """An answer or an event; the number of lines that the service dropped here; None for anything else."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict):
        return None
    dropped, kind, user = found.get("dropped_lines"), found.get("kind"), found.get("user")
    if type(dropped) is int and dropped > 0:
        return dropped
    if kind == "event":
        return found if isinstance(user, str) and isinstance(found.get("item"), str) else None
    items = found.get("items")
    texts = [found.get("model"), found.get("source"), *(items if isinstance(items, list) else [None])]
    is_right = kind == "answer" and isinstance(user, str | None) and all(isinstance(text, str) for text in texts)
    return found if is_right and _is_of_an_arm(found) else None


def _is_of_an_arm(answer: dict[str, Any]) -> bool:
    """Whether what an answer says of an experiment is whole; an answer outside of experiments says nothing of one."""
    if "arm" not in answer:
        return True
    share = answer.get("share")
    is_possible = isinstance(share, float) and 0 < share < 1
    return is_possible and answer["arm"] in ARMS and isinstance(answer.get("experiment"), str)


@dataclass(frozen=True)
class Agreement:
    """How the answers of a service agree with those of its run folder.

    same       how many users get the same items in the same order
    ties       how many users get items that differ only where scores are equal to the fourth digit
    different  all other users, by raw id: the items of the run folder and those of the service, as JSON has them
    """

    same: int
    ties: int
    different: dict[Any, tuple[list[Any], list[Any]]]

    def to_dict(self) -> dict[str, Any]:
        """Return the counts, and the answers that differ, as JSON values."""
        pairs = {written(user): {"offline": pair[0], "online": pair[1]} for user, pair in self.different.items()}
        return {"same": self.same, "ties": self.ties, "different": pairs}


def compare_with_service(
    recommender: Recommender, url: str, *, version: str, users: int, k: int, seed: int, token: str | None
) -> Agreement:
    """Ask a service and its run folder for the same recommendations, and compare the answers.

    recommender  loaded from the run folder
    url          the address of the service, such as http://127.0.0.1:8000
    version      of the model in the run folder, as `folder.model_version` returns it
    users        how many users to ask for, drawn at random among those with a history; each question has that history
    k            how many items each answer has
    seed         of the draw of users
    token        for a service that asks for one; None otherwise

    Raises ConfigError for a text that is no URL and a token that no header can hold, DataError if the service does not
    answer, answers something else than recommendations, or serves another model.
    """
    artefact = recommender.artefact
    with_history = np.flatnonzero(artefact.histories.lengths)
    chosen = np.random.default_rng(seed).permutation(with_history)[:users]
    raw = artefact.users.raw(chosen)
    histories = [artefact.items.raw(artefact.histories.sequence(int(index))[-_MOST_ITEMS:]) for index in chosen]
    same, ties, different = 0, 0, {}
    at_once = max(1, min(_PER_REQUEST, _ITEMS_PER_REQUEST // k))
    for start in range(0, len(raw), at_once):
        some, theirs = raw[start : start + at_once], histories[start : start + at_once]
        offline = recommender.recommend(users=some, histories=theirs, k=k)
        questions = [
            {"user_id": json_id(user), "history": list(map(json_id, read)), "k": k}
            for user, read in zip(some, theirs, strict=True)
        ]
        online = ask(url, "/v1/recommend/bulk", {"questions": questions}, token)
        answers = answers_in(online, len(some), url)
        refuse_other_model(online, version, url)
        for user, ours, (items, scores) in zip(some, offline, answers, strict=True):
            our_items = list(map(json_id, ours.items))
            if items == our_items:
                same += 1
            elif len(items) == len(our_items) and np.allclose(scores, ours.scores, rtol=0, atol=_SAME_SCORE):
                ties += 1
            else:
                different[user] = (our_items, items)
    return Agreement(same, ties, different)


def joined(items: Sequence[Any]) -> str:
    """Return items as one text for a table, separated by spaces.

    >>> joined([1, "b"])
    '1 b'
    """
    return " ".join(map(str, items))
