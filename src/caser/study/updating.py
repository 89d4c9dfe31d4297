"""Update: a run learns new events from where it is, instead of being trained from fresh parameters.

The old log is in the run itself, so an update needs only the run and the new events. The two are joined, and each event
counts once. A network trains on the new events and on some old ones again (`fitting/warm_fit.py`). A model that counts
is fitted again on old and new: that takes seconds, and is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import numpy as np

from caser.answering.recommender import Recommender
from caser.artefact import folder
from caser.artefact.folder import Artefact
from caser.artefact.own_log import OWN_LOG, own_log
from caser.data.filters import LogFilters, apply_filters
from caser.data.id_text import in_words
from caser.data.joined_log import JoinedLog, is_in_log, joined
from caser.data.left_out import is_in_part
from caser.data.log import InteractionLog
from caser.data.split import global_time, parameters_in_name, sessions, split_name
from caser.errors import ConfigError, DataError, did_you_mean
from caser.evaluation import protocols
from caser.fitting.calibrate import carried
from caser.fitting.fit import Tell
from caser.fitting.warm_fit import NewPart, fit_further
from caser.models.settings import ModelSettings
from caser.study.refitting import of_each_part, refit
from caser.system.kinds import must_be

UpdateOn = Literal["final", "all"]
"""What an update trains on: `final` leaves out what judges the new run, `all` trains on everything."""

MANY_STRANGERS = 20
"""From so many users with new events, none of whom the run knows, the events are taken to be of other users."""


def update(
    recommender: Recommender,
    log: InteractionLog | None = None,
    *,
    train_on: UpdateOn = "final",
    full: bool = False,
    checkpoint: str | Path | None = None,
    tell: Tell | None = None,
    parent: str | None = None,
) -> Recommender:
    """Train a recommender further on new events, from where it is. The recommender itself stays as it is.

    recommender  a fitted model of a log with times
    log          new events, or a log that holds old and new ones, read as the log of the run was; the run's filters
                 apply to old and new together. None: only what the run holds and was not trained on is new
    train_on     `final` leaves out what judges the new run, as in `fit`: of the new events only, because the weights
                 know the others. `all` trains on all new events
    full         train the recipe of the run from fresh parameters on old and new, as `refit` does
    checkpoint   a file that the training of a network continues from if it exists, and that it writes after every epoch
    tell         called with Progress while a network trains
    parent       the version of the saved run, for the manifest; None computes it

    An event counts once: one of the same user, item and second as one that the run holds is not new. A late event,
    older than the last one of the run, takes its place in time.

    Returns a recommender whose manifest says in `updated` what it was made from. Of a network, only the vectors and
    biases of users and items that trained move (and the vector of unknown users); all else is equal, bit for bit.
    Raises DataError if there is no new event, if none is later than the run's last, if all of them judge, or if they
    name other items or users than the run; ArtefactError for a run without times; ConfigError for arguments of the
    wrong kind, a run that reads attributes of items, a blend of two networks, and a network whose tables are not known.

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> from caser.fitting.fit import fit
    >>> from caser.models.counting.markov import Markov
    >>> judged = fit(Markov(), leave_one_out(chain_world(num_users=20, num_items=6, length=9, seed=0).log))
    >>> updated = update(judged, train_on="all")
    >>> updated.artefact.manifest["updated"]["interactions"], updated.artefact.manifest["left_out"]
    (20, None)
    """
    must_be("recommender", recommender, Recommender, "a recommender, which caser.fit and caser.load return")
    must_be("log", log, InteractionLog | None, "an interaction log or None", "Read it with caser.read_log.", DataError)
    if train_on not in get_args(UpdateOn):
        hint = did_you_mean(str(train_on), get_args(UpdateOn))
        raise ConfigError(f"train_on must be a part that an update trains on; got {train_on!r}: {hint}")
    artefact = recommender.artefact
    if artefact.attributes is not None:
        raise ConfigError(
            "a run to update must read no attributes of items, because it keeps their sum with the vectors of items, "
            "not the parts; train the recipe of this one again instead: caser refit RUN --log LOG --items TABLE."
        )
    old = own_log(artefact)
    both = _with_new_events(artefact, old, log)
    if full:
        return refit(recommender, both.log, train_on=train_on, checkpoint=checkpoint, tell=tell)
    # What the new run is trained on: all that its parent was, and the part of the log that trains.
    is_judged = train_on == "final"
    split = protocols.apply(_protocol(artefact, old, both, is_judged), both.log, judged=is_judged)
    was_trained = is_in_log(split.log, old, artefact.is_trained)
    is_trained = was_trained | (is_in_part(split.log, split.final) if is_judged else True)
    part = NewPart(split, train_on, is_trained, is_trained & ~was_trained)
    _refuse_nothing_to_train(part, both)

    def fitted(model: ModelSettings, name: str | None) -> Recommender:
        scorer = artefact.scorer if name is None else getattr(artefact.scorer, name)
        return fit_further(artefact, model, scorer, part, checkpoint=checkpoint, tell=tell)

    updated = of_each_part(artefact.config, fitted)
    _record(updated, artefact, part, both, parent)
    return updated


def _with_new_events(artefact: Artefact, old: InteractionLog, log: InteractionLog | None) -> JoinedLog:
    """The log of the run and the new events, filtered as the log of the run was."""
    if log is None:
        return JoinedLog(_as_own(old, old), 0, 0, 0)
    both = joined(old, log)
    if not both.num_new:
        if artefact.is_trained is None:
            raise DataError(
                f"an update needs new events; the run holds all {len(log):,} of this log, and was trained on them. "
                "Give the events since then."
            )
    elif both.num_late == both.num_new:
        last = np.datetime64(int(old.times.max()), "us")
        raise DataError(
            f"an update needs events after the last one of the run, {last}; got {both.num_new:,} that the run does not "
            "hold, none of them later. Give the events since then, or train the recipe again on all (--full)."
        )
    else:
        _refuse_others(artefact, old, both)
    filters = LogFilters(**artefact.manifest["log"].get("filter_settings", {}))
    return JoinedLog(apply_filters(_as_own(both.log, old), filters), both.num_new, both.num_repeated, both.num_late)


def _as_own(log: InteractionLog, old: InteractionLog) -> InteractionLog:
    """The log with the provenance of one that a run holds: how its parts were read and filtered."""
    kept = {name: old.provenance[name] for name in ("reading", "filter_settings") if name in old.provenance}
    return log.with_facts(titles=log.titles, provenance={"source": OWN_LOG, **kept})


def _refuse_others(artefact: Artefact, old: InteractionLog, both: JoinedLog) -> None:
    """Raise DataError if the new events are about other items, or about another kind of users."""
    log = both.log
    is_new = ~is_in_log(log, old)
    items, users = np.unique(log.items[is_new]), np.unique(log.users[is_new])
    if items.min() > old.num_items:
        raise DataError(
            f"new events must name items as the run does; got {len(items):,} items, such as "
            f"{in_words(log.item_vocabulary.raw(items[:1])[0])}, and the run knows none of them. It knows, for "
            f"example, {in_words(old.item_vocabulary.raw([1])[0])}."
        )
    num_known, of_users = int((users <= old.num_users).sum()), f"{len(users):,} users with new events"
    if protocols.protocol_named(artefact.manifest["protocol"]).owner == "session":
        if 2 * num_known > len(users):
            raise DataError(
                "the run's users are sessions, which end and do not come back; got new events of users who return: "
                f"{num_known:,} of {of_users} are known. Give each session an id of its own, or train a run on users."
            )
    elif not num_known and len(users) >= MANY_STRANGERS:
        raise DataError(
            f"new events must be of users as the run has them; got {of_users}, such as "
            f"{in_words(log.user_vocabulary.raw(users[:1])[0])}, none of whom the run knows. Are they sessions? Name "
            "the column with the user, or train the recipe again on all (--full) if the users are truly new."
        )


def _protocol(artefact: Artefact, old: InteractionLog, both: JoinedLog, is_judged: bool) -> str:
    """The protocol that splits old and new. Where the end of the log judges, it is the end of the new events."""
    name = _base_protocol(artefact.manifest)
    function = {"sessions": sessions, "global-time": global_time}.get(name.partition(" ")[0])
    if function is None or not is_judged:
        return name
    total, before = (both.log.num_users, old.num_users) if function is sessions else (len(both.log), len(old))
    given = parameters_in_name(function, name) or {
        each.name: each.default for each in signature(function).parameters.values() if each.default is not each.empty
    }
    share = max(total - before, 1) / total
    of_new = {key: float(f"{max(value * share, 1.01 / total):.6g}") for key, value in given.items()}
    return split_name(function, **of_new)


def _base_protocol(manifest: Mapping[str, Any]) -> str:
    """The protocol of the last full training of a run."""
    return str((manifest.get("updated") or {}).get("protocol", manifest["protocol"]))


def _refuse_nothing_to_train(part: NewPart, both: JoinedLog) -> None:
    """Raise DataError if no new event trains."""
    if part.is_new.any():
        return
    left = int((~part.is_trained).sum())
    if left:
        raise DataError(
            f"an update needs new events to train on; {part.split.name} keeps all {left:,} of them for judging. Train "
            "on all of them (train_on='all', on the command line --all), or give more."
        )
    raise DataError(
        f"an update needs new events to train on; of {both.num_new:,} that came, the filters of the run leave none. "
        "Give more, or a run that was trained without these filters."
    )


def _record(updated: Recommender, artefact: Artefact, part: NewPart, both: JoinedLog, parent: str | None) -> None:
    """Write into the manifest of an updated run what it was made from; its recipe stays that of the full training."""
    facts, manifest = artefact.manifest, updated.artefact.manifest
    before = facts.get("updated") or {}
    version = _version(artefact) if parent is None else parent
    trained = {name: manifest[name] for name in ("training", "epochs")}
    manifest.update(
        {name: facts[name] for name in ("training", "epochs", "history")},
        calibration=carried(facts.get("calibration"), "update"),
        why=[*facts["why"], f"updated with {int(part.is_new.sum()):,} new interactions"],
        updated={
            "parent": version,
            "full": before.get("full", version),
            "updates": before.get("updates", 0) + 1,
            "protocol": _base_protocol(facts),
            "interactions": int(part.is_new.sum()),
            "repeated": both.num_repeated,
            "late": both.num_late,
            "replayed": manifest.pop("replayed", 0),
            **trained,
        },
    )


def _version(artefact: Artefact) -> str:
    """The version that the artefact has when it is saved."""
    with TemporaryDirectory() as own:
        folder.save(artefact, Path(own) / "run")
        return folder.model_version(Path(own) / "run")
