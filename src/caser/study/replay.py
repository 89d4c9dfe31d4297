"""Replay: how often users took an item that the service had shown them, and whether a service answers as its run does.

An event is a hit if its item was in the last answer that its user got before it. Events of users who got no answer
before are counted separately.
"""

from __future__ import annotations

import http.client
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson

from caser.answering.recommender import Recommender
from caser.data.id_text import json_id, written
from caser.errors import ConfigError, DataError

_PER_REQUEST = 100
"""Questions in one request."""
_SAME_SCORE = 1e-4
"""Scores that differ by no more than this are equal."""
_MOST_ITEMS = 1000
"""Last items of a history that a question holds."""
_TIMEOUT_SECONDS = 60


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

    answers   how many answers were served
    unjudged  how many events belong to users who had no answer before
    judged    all events that follow an answer to their user
    by        the judged events by the version of the model, and by the source of the answer
    """

    answers: int = 0
    unjudged: int = 0
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
            "events": self.judged.events,
            "hits": self.judged.hits,
            "hit_rate": self.judged.rate,
            "by": groups,
        }


def hit_rate(log: Path, k: int) -> Served:
    """Count how often users took an item that they had been shown.

    log  a file that the service wrote under `--answer-log`
    k    only the first k items of each answer count

    Raises DataError for a file that cannot be read, or that is no log of answers.
    """
    served = Served()
    last_answers: dict[str, tuple[list[str], str, str]] = {}
    for line in _lines(log):
        try:
            if line["kind"] == "answer":
                served.answers += 1
                if line["user"] is not None:
                    last_answers[line["user"]] = line["items"][:k], line["model"], line["source"]
            elif line["user"] in last_answers:
                items, model, source = last_answers[line["user"]]
                is_hit = line["item"] in items
                for hits in (served.judged, served.by[f"model {model[:12]}"], served.by[source]):
                    hits.count(is_hit=is_hit)
            else:
                served.unjudged += 1
        except (KeyError, TypeError):
            raise DataError(f"{log} must hold answers and events, as --answer-log writes them; got {line}.") from None
    return served


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    try:
        with log.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield orjson.loads(line)
                except orjson.JSONDecodeError:
                    if line.endswith(b"\n"):  # the last line may be half written
                        raise DataError(f"{log}:{number} must be JSON; it is not. Is this a log of answers?") from None
    except OSError as error:
        raise DataError(f"{log} must be readable; got: {error.strerror}.") from None


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
    recommender: Recommender, url: str, *, users: int, k: int, seed: int, token: str | None
) -> Agreement:
    """Ask a service and its run folder for the same recommendations, and compare the answers.

    recommender  loaded from the run folder
    url          the address of the service, such as http://127.0.0.1:8000
    users        how many users to ask for, drawn at random among those with a history; each question has that history
    k            how many items each answer has
    seed         of the draw of users
    token        for a service that asks for one; None otherwise

    Raises ConfigError for a text that is no URL, DataError if the service does not answer.
    """
    artefact = recommender.artefact
    with_history = np.flatnonzero(artefact.histories.lengths)
    chosen = np.random.default_rng(seed).permutation(with_history)[:users]
    raw = artefact.users.raw(chosen)
    histories = [artefact.items.raw(artefact.histories.sequence(int(index))[-_MOST_ITEMS:]) for index in chosen]
    same, ties, different = 0, 0, {}
    for start in range(0, len(raw), _PER_REQUEST):
        some, theirs = raw[start : start + _PER_REQUEST], histories[start : start + _PER_REQUEST]
        offline = recommender.recommend(users=some, histories=theirs, k=k)
        questions = [
            {"user_id": json_id(user), "history": list(map(json_id, read)), "k": k}
            for user, read in zip(some, theirs, strict=True)
        ]
        online = _post(url, "/v1/recommend/bulk", {"questions": questions}, token)["answers"]
        for user, ours, answer in zip(some, offline, online, strict=True):
            items = [item["item_id"] for item in answer["items"]]
            scores = [item["score"] for item in answer["items"]]
            our_items = list(map(json_id, ours.items))
            if items == our_items:
                same += 1
            elif len(items) == len(our_items) and np.allclose(scores, ours.scores, rtol=0, atol=_SAME_SCORE):
                ties += 1
            else:
                different[user] = (our_items, items)
    return Agreement(same, ties, different)


def _post(url: str, path: str, body: Any, token: str | None) -> dict[str, Any]:
    parts = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if parts.scheme not in kinds or not parts.hostname:
        raise ConfigError(f"the address of a service must be like http://127.0.0.1:8000; got {url!r}.")
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}
    connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("POST", parts.path.rstrip("/") + path, orjson.dumps(body), headers)
        response = connection.getresponse()
        content = response.read()
        answer: dict[str, Any] = orjson.loads(content)
    except (OSError, http.client.HTTPException, orjson.JSONDecodeError) as error:
        raise DataError(f"the service at {url} must answer in JSON; got: {error}. Is it running?") from None
    finally:
        connection.close()
    if response.status != 200:
        raise DataError(f"the service at {url} must answer; it said {response.status}: {answer.get('error')}")
    return answer


def joined(items: Sequence[Any]) -> str:
    """Return items as one text for a table, separated by spaces.

    >>> joined([1, "b"])
    '1 b'
    """
    return " ".join(map(str, items))
