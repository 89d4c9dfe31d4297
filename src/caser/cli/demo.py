"""`caser demo`: every step on MovieLens-100K, from the log to recommendations, in about two minutes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caser.answering.recommender import Recommender
from caser.arrays.types import RawId
from caser.artefact import folder as artefact
from caser.cli import show
from caser.cli.flags import DEFAULT_K, Switch
from caser.cli.runs import checkpoint_of, save_run
from caser.data import datasets, synthetic
from caser.data.log import InteractionLog
from caser.errors import DownloadError
from caser.evaluation import protocols
from caser.evaluation.protocols import DEFAULT_PROTOCOL
from caser.fitting.evaluate import evaluate
from caser.fitting.fit import fit
from caser.models.caser.caser import Caser
from caser.system.hints import command_line

EXAMPLE_HISTORY = ("Toy Story (1995)", "Star Wars (1977)", "Empire Strikes Back, The (1980)")
"""Titles of the films after which the demo recommends."""


@dataclass(frozen=True, eq=False)
class DemoLog:
    """The log of the demo, the protocol that judges on it, and what the log is in words."""

    log: InteractionLog
    protocol: str
    description: str


def demo(
    *, out: Path = Path("runs/demo"), epochs: int = Caser.training.epochs, seed: int = 0, json: Switch = False
) -> None:
    """Train Caser on MovieLens-100K, judge it beside simple models, and recommend.

    Parameters
    ----------
    out
        The run folder to write.
    epochs
        Largest number of epochs to train.
    seed
        Seed of all random streams.
    json
        Print one JSON document instead of tables.

    """
    began = time.perf_counter()
    artefact.check_writable(out)
    source = _demo_log()
    log = source.log
    sizes = f"{log.num_users:,} users, {log.num_items:,} items, {len(log):,} interactions"
    show.note(f"1. the log: {source.description}; {sizes}")
    split = protocols.apply(source.protocol, log)
    show.note(f"2. the split: {protocols.PROTOCOLS[source.protocol].summary}")
    show.note("3. training Caser: first on `fit`, to choose the number of epochs on validation; then on `final`")
    training = Caser.training.replace(epochs=epochs, seed=seed)
    with show.fit_progress() as tell:
        recommender = fit(Caser(), split, training, checkpoint=checkpoint_of(out), tell=tell)
    show.note("4. judging it beside simple models")
    judged = evaluate(recommender, split).to_dict()
    save_run(recommender, out)
    history = _example_history(log)
    answers = {
        "user": recommender.recommend(users=log.user_vocabulary.raw([1]), k=DEFAULT_K).to_dicts()[0],
        "history": recommender.recommend(histories=[history], k=DEFAULT_K).to_dicts()[0],
    }
    seconds = time.perf_counter() - began
    if json:
        show.document({**judged, "run": str(out), **answers, "seconds": round(seconds, 1)})
        return
    _show_demo(judged, answers, _titles(recommender, history))
    show.note(f"done in {seconds:.0f} s. The run is in {out}; go on with:")
    _show_next(out, answers["user"]["user_id"], history[0], is_fetched="dataset" in log.provenance)


def _demo_log() -> DemoLog:
    """Return MovieLens-100K, or a simulated log if it cannot be fetched."""
    try:
        log = datasets.load("ml-100k", on_message=show.note)
    except DownloadError as error:
        show.note(f"MovieLens-100K could not be fetched: {error}")
        world = synthetic.union_world(num_users=1000, num_items=40, length=40)
        best = world.best_hit_rate(10)
        description = f"simulated, because nothing could be fetched; the best possible hit@10 is {best:.3f}"
        return DemoLog(world.log, DEFAULT_PROTOCOL, description)
    return DemoLog(log, "d2l", "MovieLens-100K")


def _example_history(log: InteractionLog) -> list[RawId]:
    """Return the ids of three well-known films, or the first three items of a log without titles."""
    ids = log.item_vocabulary.ids.to_list()
    if log.titles is None:
        return ids[:3]
    by_title = dict(zip(log.titles.to_list(), ids, strict=True))
    return [by_title[title] for title in EXAMPLE_HISTORY if title in by_title] or ids[:3]


def _titles(recommender: Recommender, history: Sequence[RawId]) -> str:
    """Return the titles of some items in one text; an item without a title is shown by its id."""
    titles = recommender.artefact.titles
    if titles is None:
        return ", ".join(map(str, history))
    indices = recommender.artefact.items.indices(history).tolist()
    return ", ".join(str(titles[index - 1] or raw) for index, raw in zip(indices, history, strict=True))


def _show_demo(judged: dict[str, Any], answers: dict[str, dict[str, Any]], history: str) -> None:
    """Print the judgement and both recommendations."""
    user, made_up = answers["user"], answers["history"]
    show.blank_line()
    show.report(judged, subject=Caser.name)
    show.blank_line()
    show.answers(f"ten recommendations for user {user['user_id']}", user["items"])
    show.blank_line()
    show.answers(f"ten recommendations after {history} ({made_up['source']})", made_up["items"])
    show.blank_line()


def _show_next(out: Path, user: RawId, item: RawId, *, is_fetched: bool) -> None:
    """Print commands to type next. A run can be judged again only if its log can be read again."""
    commands = [["recommend", str(out), "--user", str(user)], ["similar", str(out), "--item", str(item)]]
    commands += [["evaluate", str(out)], ["refit", str(out), "--out", f"{out}-all"]] if is_fetched else []
    for words in commands:
        show.note(f"    {command_line(*words)}")
