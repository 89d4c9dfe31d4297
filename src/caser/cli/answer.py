"""`caser recommend`, `caser similar`, `caser explain` and `caser index`: answers from a run folder, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from caser.answering import explain as explaining
from caser.answering import recommender
from caser.answering.answers import Recommendations, WrittenAnswers
from caser.answering.best_items import MEMORY_MB
from caser.answering.every_user import AnswerOptions
from caser.answering.into_table import recommend_into_table
from caser.answering.on_ray import recommend_all_on_ray
from caser.answering.questions import UnknownUsers, spelling_hints
from caser.arrays.types import RawId
from caser.artefact import folder as artefacts
from caser.artefact.run_folder import counting
from caser.cli import show
from caser.cli.flags import DEFAULT_K, LocalOrRay, Switch, TableFileOrFolder, Whole
from caser.cli.items import filters_of, load_with_items, rules_of, with_title
from caser.cli.runs import tell_left_out, writing_run
from caser.data.id_text import in_words, json_id
from caser.errors import ConfigError
from caser.search import cells
from caser.system.database import Database
from caser.system.frames import table_ending

FEW_ITEMS = 100_000
"""Below this number of items, an index saves little time."""


def recommend(
    run: Path,
    /,
    *,
    user: tuple[str, ...] = (),
    item: Annotated[tuple[str, ...], Parameter(alias="--history")] = (),
    all: Switch = False,
    out: TableFileOrFolder | None = None,
    connection: str | None = None,
    out_table: str | None = None,
    replace: Switch = False,
    engine: LocalOrRay = "local",
    k: Whole = DEFAULT_K,
    exclude: tuple[str, ...] = (),
    only: tuple[str, ...] = (),
    items: Path | None = None,
    filter: tuple[str, ...] = (),
    rules: str | None = None,
    exclude_seen: bool | None = None,
    unknown_users: UnknownUsers = "auto",
    chance: Switch = False,
    memory_mb: Whole = MEMORY_MB,
    csv_safe: Switch = False,
    json: Switch = False,
) -> None:
    """Recommend next items for users, for a history of your own, or for every user of the log.

    Parameters
    ----------
    run
        A run folder.
    user
        Id of a user; repeat for several. One user together with --item is that user with this history.
    item
        An item of the history, oldest first; repeat for several.
    all
        Answer for every user of the log; needs --out, or --connection with --out-table.
    out
        Write the answers to this .parquet, .csv, .tsv or .jsonl file (text also with .gz); with --engine ray also to a
        folder of Parquet files.
    connection
        With --all, a database that takes the answers: postgresql://user@host/name, sqlite:///FILE or duckdb:///FILE.
        A password belongs into ~/.pgpass or PGPASSWORD.
    out_table
        The table of that database, which must be new; all is written in one transaction.
    replace
        Replace the rows of --out-table if it exists, and keep its rights, indexes and views.
    engine
        With --all, what answers: this process (local), or the tasks of the Ray cluster that RAY_ADDRESS names (ray),
        where it names none, of one that is started here for this command.
    k
        How many items to recommend.
    exclude
        An item that must not be recommended; repeat for several.
    only
        Recommend only these items; repeat for several.
    items
        A table of items, in any format that a log may have: item ids, optionally titles, and columns for --filter.
    filter
        Recommend only items with this value, such as genre=Drama or price=10..50; repeat for several.
    rules
        Business rules as JSON, or a file with it, such as '{"at_most": {"genre": 2}}': see docs/rules.md.
    exclude_seen
        Leave out the items of the history; by default as in the protocol of the run.
    unknown_users
        How to answer for users the model was not trained on.
    chance
        Also tell the chance that an item is the next one, as validation taught it.
    memory_mb
        With --all, about how many megabytes to use beyond the model's own.
    csv_safe
        In a .csv or .tsv file, put a ' before text that begins like a formula, for a person who opens the file in a
        spreadsheet. Such an id is then no longer written as in the log.
    json
        Print one JSON document instead of tables.

    """
    _check_asked(user, item, all=all)
    if out is not None and engine != "ray":
        table_ending(out)
    rec = load_with_items(run, items)
    options: AnswerOptions = {
        "k": k,
        "exclude": exclude,
        "only": only or None,
        "filters": filters_of(filter, rec.attributes),
        "rules": None if rules is None else rules_of(rules),
        "exclude_seen": exclude_seen,
        "unknown_users": unknown_users,
        "chance": chance,
    }
    if all:
        if connection is not None and out_table is not None:
            written = recommend_into_table(rec, connection, out_table, replace=replace, memory_mb=memory_mb, **options)
            place = {"out": Database.of(connection).name, "table": out_table}
        elif out is not None:
            recommend_all = rec.recommend_all
            if engine == "ray":
                recommend_all = partial(recommend_all_on_ray, rec, run, items=items)
            written = recommend_all(out, memory_mb=memory_mb, csv_safe=csv_safe, **options)
            place = {"out": str(out)}
        else:
            raise ConfigError(
                "--all writes the answers: add --out FILE, or --connection with --out-table for a database."
            )
        _show_file(place, rec, written, json=json)
        if not json:
            tell_left_out(run, rec.artefact.manifest)
        return
    answers = rec.recommend(users=user or None, histories=[item] if item else None, **options)
    if out:
        answers.write(out, csv_safe=csv_safe)
    if json:
        facts = {"run": str(run), "model": rec.artefact.config.name, "left_out": rec.artefact.manifest["left_out"]}
        show.document({**facts, "answers": answers.to_dicts()})
    else:
        _show_answers(answers, [with_title(rec, one) for one in item])
        tell_left_out(run, rec.artefact.manifest)


def index(run: Path, /, *, recall: float = 0.95, json: Switch = False) -> None:
    """Add an approximate index to a run: with more than 100,000 items, answers then take a fraction of the time.

    Answers may then lack an item that exact answers hold. Evaluation stays exact. Training again removes the index.

    Parameters
    ----------
    run
        A run folder.
    recall
        Share of the exact top 10 that answers must hold.
    json
        Print one JSON document instead of a line.

    """
    with writing_run(run):
        rec = recommender.load(run)
        built = rec.new_index(recall)
        with counting(run):
            manifest = artefacts.read_facts(run)  # the run may have been judged meanwhile
            artefacts.save(replace(rec.artefact, index=built, manifest=manifest), run)
    if json:
        recall_found = round(built.recall, 4)
        show.document({"run": str(run), "cells": built.num_cells, "probes": built.probes, "recall@10": recall_found})
        return
    show.note(
        f"answers look at {built.probes} of {built.num_cells:,} cells, and hold {built.recall:.1%} of the exact top "
        f"{cells.CUT_OFF}"
    )
    if len(rec.artefact.items) < FEW_ITEMS:
        show.note(f"  below {FEW_ITEMS:,} items, exact answers are quick too, and lack nothing")


def similar(run: Path, /, *, item: str, k: Whole = DEFAULT_K, items: Path | None = None, json: Switch = False) -> None:
    """Show the items that are most similar to one item.

    Parameters
    ----------
    run
        A run folder.
    item
        Id of the item.
    k
        How many items to show.
    items
        A table of items, whose titles are shown.
    json
        Print one JSON document instead of a table.

    """
    rec = load_with_items(run, items)
    answer = rec.similar([item], k=k).to_dicts()[0]
    if json:
        show.document({"run": str(run), **answer})
    else:
        show.answers(f"most similar to {with_title(rec, item)}", answer["items"])


def explain(
    run: Path,
    /,
    *,
    item: str,
    user: str | None = None,
    history: tuple[str, ...] = (),
    items: Path | None = None,
    json: Switch = False,
) -> None:
    """Explain the score of one item: the parts of the sum, and the effect of each item of the history.

    Parameters
    ----------
    run
        A run folder.
    item
        Id of the item whose score is explained.
    user
        Id of the user; without one, the score is explained for an unknown user.
    history
        An item of the history, oldest first; repeat for several. By default it is the user's own history.
    items
        A table of items, whose titles are shown.
    json
        Print one JSON document instead of tables.

    """
    rec = load_with_items(run, items)
    explained = explaining.explain(rec, item=item, user=user, history=history or None).to_dict()
    for sentence in _hints(rec, user, history):
        show.note(f"  {sentence}")
    if json:
        show.document(explained)
        return
    parts = {**explained["parts"], "score": explained["score"]}
    name_of_item = explained["title"] or f"item {in_words(item)}"
    asked = _asked_for(explained["user_id"], [with_title(rec, one) for one in history])
    title = f"{name_of_item} for {asked} · {explained['source']}"
    show.table(title, ["part", "score"], [(name, f"{value:.4f}") for name, value in parts.items()])
    if explained["history"]:
        _show_effects(explained)


def _hints(rec: recommender.Recommender, user: str | None, history: Sequence[str]) -> tuple[str, ...]:
    """Return sentences about ids that were probably meant by unknown ones."""
    users = () if user is None else spelling_hints(rec.artefact.users, [user], "user")
    return (*users, *spelling_hints(rec.artefact.items, history, "item"))


def _show_effects(explained: Mapping[str, Any]) -> None:
    """Print how the effects of the items of the history, and the rest, add up to their part of the score."""
    part, digits = explained["effects_of"], 4
    total = round(explained["parts"][part], digits)
    effects = [{**one, "effect": round(one["effect"], digits)} for one in explained["history"]]
    # The rest of the rounded numbers, so that a reader who adds them up finds the total.
    rest = total - sum(one["effect"] for one in effects)
    sums = [{"item_id": "beyond single items", "effect": rest}, {"item_id": f"= {part}", "effect": total}]
    show.items(f"what {part} is made of", ["item_id", "title", "effect"], [*effects, *sums])
    show.remark(f"the effect of an item: how much lower {part} would be without it")
    show.remark("beyond single items: what the items do only together, and what the model says without a history")


def _check_asked(users: Sequence[str], history: Sequence[str], *, all: bool) -> None:
    """Raise ConfigError unless it is clear whom to recommend for."""
    if not (all or users or history):
        raise ConfigError("name users or a history: --user ID, or --item ID, or --all with --out FILE.")
    if len(users) > 1 and history:
        raise ConfigError(
            f"a history belongs to at most one user; got {len(users)} users and a history of {len(history)}."
        )


def _show_file(place: Mapping[str, str], rec: recommender.Recommender, written: WrittenAnswers, *, json: bool) -> None:
    """Say what was written for every user, and what a reader of the file or the table should know."""
    if json:
        facts = {**place, "users": written.num_users, "k": written.k, "users_with_fewer": written.num_short}
        ignored, left_out = list(map(json_id, written.ignored)), rec.artefact.manifest["left_out"]
        show.document({**facts, "left_out": left_out, "ignored": ignored, "notes": written.notes})
        return
    where = f"the table {place['table']} of {place['out']}" if "table" in place else place["out"]
    show.note(f"wrote up to {written.k} items for each of {written.num_users:,} users to {where}")
    for sentence in written.notes:
        show.note(f"  {sentence}")


def _show_answers(answers: Recommendations, history: Sequence[str]) -> None:
    """Print one table for each answer, and its notes."""
    for answer in answers.to_dicts():
        show.answers(f"{_asked_for(answer['user_id'], history)} · {answer['source']}", answer["items"])
        for sentence in answer["notes"]:
            show.note(f"  {sentence}")


def _asked_for(user: RawId | None, history: Sequence[str]) -> str:
    """Name the user or the history that an answer is for."""
    if user is not None:
        return f"user {in_words(user)}"
    return f"history {' '.join(map(in_words, history))}" if history else "an unknown user"
