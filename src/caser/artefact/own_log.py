"""The log of a run as the run itself holds it: all interactions with their times, in raw ids."""

from __future__ import annotations

import numpy as np

from caser.arrays.offsets import rows_by_time
from caser.artefact.folder import Artefact
from caser.data.log import InteractionLog
from caser.errors import ArtefactError

OWN_LOG = "the run itself"
"""The source of a log that no file holds in this form: old and new interactions of an updated run."""


def own_log(artefact: Artefact) -> InteractionLog:
    """Return the log that a run was trained on, the part for judging included, from the run itself.

    artefact  the run

    Its digest is that of the log of the training. Raises ArtefactError for a run without times: one of a log that has
    none, or one that an older version saved; and for one that predicts only some kinds of events.
    """
    tape, facts = artefact.histories, artefact.manifest["log"]
    if tape.times is None:
        raise ArtefactError(
            "a run must hold the times of its interactions, because new events are told from old ones by time; this "
            "one has none. Train it on a log with times (--time), with this version of caser."
        )
    times = np.asarray(tape.times)
    log = InteractionLog(
        users=tape.users,
        items=np.asarray(tape.items),
        times=times,
        rows=rows_by_time(times),
        user_vocabulary=artefact.users,
        item_vocabulary=artefact.items,
        titles=artefact.titles,
        rejected=artefact.rejected,
        provenance={name: value for name, value in facts.items() if name not in _COUNTED},
    )
    if log.digest != facts["digest"]:
        raise ArtefactError(
            "a run must hold all that it knows of its log; this one does not hold which events it predicts "
            "(target_events). Train its recipe on a log of old and new events: caser refit RUN --log LOG."
        )
    return log


_COUNTED = ("digest", "interactions", "users", "items")
"""What a manifest counts of a log, beside its provenance."""
