"""`caser recommend`, `caser similar`, `caser explain` and `caser index`: a run folder asked. No torch is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from caser.answering import explain as explanation
from caser.answering import recommender
from caser.artefact import folder as artefacts
from caser.cli import show
from caser.cli.flags import Switch, TableFile, Whole
from caser.errors import ConfigError
from caser.search import cells as nearest

_FEW_ITEMS = 100_000
"""Items up to which an index gains little."""


def recommend(
    run: Path,
    /,
    *,
    user: tuple[str, ...] = (),
    item: Annotated[tuple[str, ...], Parameter(alias="--history")] = (),
    all: Switch = False,
    out: TableFile | None = None,
    k: Whole = 10,
    exclude: tuple[str, ...] = (),
    only: tuple[str, ...] = (),
    exclude_seen: bool | None = None,
    unknown_users: Literal["auto", "mean", "fold-in", "learned"] = "auto",
    memory_mb: Whole = recommender.MEMORY_MB,
    json: Switch = False,
) -> None:
    """Recommend next items for users, for a made-up history, or for everybody.

    Parameters
    ----------
    run
        A run folder.
    user
        A user's id; repeat for several. One user together with --item: that user with this history.
    item
        An item of the history, oldest first; repeat for several.
    all
        Answer for every user of the log; needs --out.
    out
        Write the answers to this .parquet or .csv file.
    k
        How many items.
    exclude
        An item that must not be recommended; repeat for several.
    only
        Recommend nothing but these items; repeat for several.
    exclude_seen
        Leave out what is in the history; as in the run's protocol by default.
    unknown_users
        How to answer for users the model was not trained on.
    memory_mb
        With --all, about how many megabytes to use beyond the model's own.
    json
        Print one JSON document instead of tables.

    """
    rec = recommender.load(run)
    if all:
        if out is None or user or item:
            raise ConfigError("--all must come with --out FILE, and without --user and --item.")
        ignored = rec.recommend_all(
            out,
            k=k,
            exclude=exclude,
            only=only or None,
            exclude_seen=exclude_seen,
            unknown_users=unknown_users,
            memory_mb=memory_mb,
        )
        users = len(rec.artefact.users)
        if json:
            show.document({"out": str(out), "users": users, "k": k, "ignored": list(ignored)})
            return
        show.say(f"wrote up to {k} items for each of {users:,} users to {out}")
        if ignored:
            show.say(f"  ignored unknown items: {', '.join(map(str, ignored))}")
        return
    if not user and not item:
        raise ConfigError(
            "name whom to recommend for: --user ID, or --item ID for a history, or --all with --out FILE."
        )
    if len(user) > 1 and item:
        raise ConfigError(f"a history belongs to at most one user; got {len(user)} users and a history of {len(item)}.")
    answers = rec.recommend(
        users=user or None,
        histories=[item] if item else None,
        k=k,
        exclude=exclude,
        only=only or None,
        exclude_seen=exclude_seen,
        unknown_users=unknown_users,
    )
    if out:
        answers.write(out)
    if json:
        show.document({"run": str(run), "model": rec.artefact.config.name, "answers": answers.to_dicts()})
        return
    for answer in answers.to_dicts():
        show.answers(f"{_whom(answer, item)} · {answer['source']}", answer["items"])
        for note in answer["notes"]:
            show.say(f"  {note}")


def index(run: Path, /, *, recall: float = 0.95, json: Switch = False) -> None:
    """Give a run an approximate index, for answers in a fraction of the time on more than 100,000 items.

    Answers may then lack an item that exact ones hold. Evaluation stays exact. Training again removes the index.

    Parameters
    ----------
    run
        A run folder.
    recall
        Share of the exact top 10 that answers must hold.
    json
        Print one JSON document instead of a line.

    """
    artefacts.check_writable(run)
    rec = recommender.load(run)
    made = rec.new_index(recall)
    artefacts.save(replace(rec.artefact, index=made), run)
    facts = {"run": str(run), "cells": made.num_cells, "probes": made.probes, "recall@10": round(made.recall, 4)}
    if json:
        show.document(facts)
        return
    show.say(
        f"answers look at {made.probes} of {made.num_cells:,} cells, and hold {made.recall:.1%} of the exact top "
        f"{nearest.CUT_OFF}"
    )
    if len(rec.artefact.items) < _FEW_ITEMS:
        show.say(f"  below {_FEW_ITEMS:,} items exact answers are quick too, and lack nothing")


def similar(run: Path, /, *, item: str, k: Whole = 10, json: Switch = False) -> None:
    """Show the items most like one item.

    Parameters
    ----------
    run
        A run folder.
    item
        The item's id.
    k
        How many items.
    json
        Print one JSON document instead of a table.

    """
    rec = recommender.load(run)
    answer = rec.similar([item], k=k).to_dicts()[0]
    if json:
        show.document({"run": str(run), **answer})
    else:
        show.answers(f"most like {item}", answer["items"])


def explain(
    run: Path,
    /,
    *,
    item: str,
    user: str | None = None,
    history: tuple[str, ...] = (),
    json: Switch = False,
) -> None:
    """Say where the score of one item comes from: the parts of the sum, and what each item of the history does.

    Parameters
    ----------
    run
        A run folder.
    item
        The item whose score is explained.
    user
        The user's id; nobody in particular by default.
    history
        An item of the history, oldest first; the user's own by default.
    json
        Print one JSON document instead of tables.

    """
    found = explanation.explain(recommender.load(run), item=item, user=user, history=history or None).to_dict()
    if json:
        show.document(found)
        return
    parts = {**found["parts"], "score": found["score"]}
    title = f"{found['title'] or f'item {item}'} for {_whom(found, history)} · {found['source']}"
    show.table(title, ["part", "score"], [(name, f"{value:.4f}") for name, value in parts.items()])
    if found["history"]:
        show.items("what each item of the history adds to it", ["item_id", "title", "effect"], found["history"])


def _whom(answer: Mapping[str, Any], history: Sequence[str]) -> str:
    """Who was asked for, in words."""
    if answer["user_id"] is not None:
        return f"user {answer['user_id']}"
    return f"history {' '.join(history)}" if history else "nobody in particular"
