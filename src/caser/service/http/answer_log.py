"""The log of answers and events, which `caser replay --log` reads. See `--answer-log`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from caser.data.id_text import written
from caser.service.answers.arms import Experiment
from caser.service.events.store import Event
from caser.service.logs import JsonLog, Pseudonym


class AnswerLog:
    """Writes one line for each answer and each new event.

    path       the file                   pseudonym  turns a user id into the text that the log shows
    experiment  who gets the candidate; None without one

    Raises StoreError when the file cannot be opened.
    """

    def __init__(self, path: Path, pseudonym: Pseudonym, experiment: Experiment | None) -> None:
        self._log = JsonLog(path)
        self._pseudonym = pseudonym
        self._experiment = {} if experiment is None else {"experiment": experiment.name, "share": experiment.share}

    def answer(self, answer: dict[str, Any], request: str) -> None:
        """Write an answer.

        answer  as JSON values       request  the id of its request
        """
        user = answer["user_id"]
        arm = {"arm": answer["arm"], **self._experiment} if self._experiment else {}
        self._log.write(
            kind="answer",
            request=request,
            user=None if user is None else self._pseudonym(written(user)),
            model=answer["model_version"],
            source=answer["source"],
            items=[written(item["item_id"]) for item in answer["items"]],
            **arm,
        )

    def event(self, event: Event) -> None:
        """Write an event that is new."""
        self._log.write(kind="event", user=self._pseudonym(event.user_id), item=event.item_id, at=event.time)

    def close(self) -> None:
        """Write the lines that wait, and close the file."""
        self._log.close()
