"""`caser demo`: the whole road on MovieLens-100K, from log to recommendations, in about two minutes."""

from __future__ import annotations

import time
from pathlib import Path

from caser.answering.recommender import Recommender
from caser.arrays.types import RawId
from caser.artefact import folder as artefact
from caser.cli import show
from caser.cli.flags import Switch
from caser.cli.runs import checkpoint_of, save_run
from caser.config import Training
from caser.data import datasets, synthetic
from caser.data.log import InteractionLog
from caser.errors import DownloadError
from caser.evaluation import protocols
from caser.fitting.evaluate import evaluate
from caser.fitting.fit import fit
from caser.models.caser.caser import Caser

MADE_UP_HISTORY = ("Toy Story (1995)", "Star Wars (1977)", "Empire Strikes Back, The (1980)")


def demo(*, out: Path = Path("runs/demo"), epochs: int = 30, seed: int = 0, json: Switch = False) -> None:
    """Train Caser on MovieLens-100K, judge it beside counting, and recommend.

    Parameters
    ----------
    out
        The run folder to leave behind.
    epochs
        Most epochs to train.
    seed
        Seed of all random streams.
    json
        Print one JSON document instead of tables.

    """
    began = time.perf_counter()
    artefact.check_writable(out)
    log, protocol, about = _log()
    show.say(f"1. the log: {about}; {log.num_users:,} users, {log.num_items:,} items, {len(log):,} interactions")
    split = protocols.apply(protocol, log)
    show.say(f"2. the split: {protocols.PROTOCOLS[protocol].summary}")
    show.say("3. training Caser: first on `fit`, to choose the number of epochs on validation; then on `final`")
    with show.fitting() as tell:
        training = Training(epochs=epochs, seed=seed)
        recommender = fit(Caser(), split, training, checkpoint=checkpoint_of(out), tell=tell)
    show.say("4. judging it beside models that only count")
    result = evaluate(recommender, split).to_dict()
    save_run(recommender, out)
    user = log.user_vocabulary.raw([1])[0]
    history = _made_up_history(log)
    for_user = recommender.recommend(users=[user]).to_dicts()[0]
    for_history = recommender.recommend(histories=[history]).to_dicts()[0]
    seconds = time.perf_counter() - began
    if json:
        show.document(
            {**result, "run": str(out), "user": for_user, "history": for_history, "seconds": round(seconds, 1)}
        )
        return
    show.out.print()
    show.report(result, subject="caser")
    show.out.print()
    show.answers(f"ten recommendations for user {user}", for_user["items"])
    show.out.print()
    show.answers(
        f"ten recommendations after {_named(recommender, history)} ({for_history['source']})", for_history["items"]
    )
    show.out.print()
    show.say(f"done in {seconds:.0f} s. The run is in {out}; go on with:")
    show.say(f"    caser recommend {out} --user {user}")
    show.say(f"    caser similar {out} --item {history[0]}")
    if "dataset" in log.provenance:
        show.say(f"    caser evaluate {out}")


def _log() -> tuple[InteractionLog, str, str]:
    try:
        log = datasets.load("ml-100k", on_message=show.say)
    except DownloadError as error:
        show.say(f"MovieLens-100K could not be had: {error}")
        world = synthetic.union_world(num_users=1000, num_items=40, length=40)
        best = world.best_hit_rate(10)
        return (
            world.log,
            "leave-one-out",
            f"generated, because nothing could be fetched; the best possible hit@10 is {best:.3f}",
        )
    return log, "d2l", "MovieLens-100K"


def _made_up_history(log: InteractionLog) -> list[RawId]:
    """Three well-known films, or the first three items of a log without titles."""
    ids = log.item_vocabulary.ids.to_list()
    if log.titles is None:
        return ids[:3]
    by_title = dict(zip(log.titles.to_list(), ids, strict=True))
    return [by_title[title] for title in MADE_UP_HISTORY if title in by_title] or ids[:3]


def _named(recommender: Recommender, history: list[RawId]) -> str:
    titles = recommender.artefact.titles
    if titles is None:
        return ", ".join(map(str, history))
    return ", ".join(
        str(titles[index - 1] or raw)
        for index, raw in zip(recommender.artefact.items.indices(history).tolist(), history, strict=True)
    )
