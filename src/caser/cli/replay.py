"""`caser replay`: the hit rate of served answers, and a comparison of a service with its run folder, without torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from caser.answering.recommender import load
from caser.artefact.folder import model_version
from caser.cli import show
from caser.cli.flags import DEFAULT_K, Switch, Whole
from caser.errors import ConfigError, DataError, HeldBackError

if TYPE_CHECKING:
    from caser.study.replay import Agreement, Served

TOKEN_VARIABLE = "CASER_TOKEN"  # noqa: S105
MAX_K = 1000
MAX_SHOWN = 10
"""The largest number of users in the table of differences."""


def replay(
    run: Path,
    /,
    *,
    log: Path | None = None,
    against: str | None = None,
    k: Whole = DEFAULT_K,
    arms: Switch = False,
    metric: Literal["ndcg", "hit"] = "ndcg",
    margin: float = 0.0,
    users: Whole = 1000,
    seed: Whole = 0,
    json: Switch = False,
) -> None:
    """Judge what a service answered (--log), compare a service with its run folder (--against), or both.

    The token for --against is read from the variable CASER_TOKEN, so that no list of processes shows it.

    Parameters
    ----------
    run
        A run folder.
    log
        The file of `caser serve --answer-log`: how often was the next item of a user in the user's last answer?
    against
        The address of a service of this run, such as http://127.0.0.1:8000. Answers are compared item by item.
    k
        How many items of an answer count.
    arms
        Compare the candidate of `caser serve --candidate` with the incumbent, by what users took, and end with exit
        code 0 only if the candidate may take the incumbent's place.
    metric
        What decides between the arms: the gain of the item that was taken, discounted by its place, or whether it was
        in the answer.
    margin
        Pass a candidate that loses at most this share of the incumbent's metric; 0 asks for a gain that is shown.
    users
        How many users to compare.
    seed
        Seed of the draw of users.
    json
        Print one JSON document instead of tables.

    """
    if log is None and against is None:
        raise ConfigError("replay needs --log FILE, --against URL, or both; got neither.")
    if users < 1 or not 1 <= k <= MAX_K:
        raise ConfigError(f"--users must be at least 1, and --k from 1 to {MAX_K}; got {users} and {k}.")
    from caser.study.arms import HEADER, compare_arms
    from caser.study.replay import compare_with_service, hit_rate

    recommender = load(run)
    version = model_version(run)
    served = None if log is None else hit_rate(log, k)
    token = os.environ.get(TOKEN_VARIABLE)
    agreement = None
    if against is not None:
        agreement = compare_with_service(
            recommender, against, version=version, users=users, k=k, seed=seed, token=token
        )
    compared = compare_arms(log, k, metric=metric, margin=margin) if arms and log is not None else None
    if json:
        parts = {"served": served, "against": agreement, **({"arms": compared} if arms else {})}
        values = {name: part and part.to_dict() for name, part in parts.items()}
        show.document({"run": str(run), "model_version": version, "k": k, **values})
    else:
        _show(served, agreement, k, version)
        if compared is not None:
            show.table(f"verdict on the candidate: {compared.verdict}", list(HEADER), compared.rows)
            for sentence in compared.sentences:
                show.remark(sentence)
    if agreement is not None and agreement.different:
        raise DataError(
            f"the service must answer as the run does; for {len(agreement.different):,} users it does not, although "
            f"both have the model_version {version[:12]}. Is caser of the same version on both sides?"
        )
    if compared is not None and not compared.passes:
        raise HeldBackError(
            f"the candidate must be good enough to replace the incumbent; the verdict is {compared.verdict!r}. The "
            "incumbent stays."
        )


def _show(served: Served | None, agreement: Agreement | None, k: int, version: str) -> None:
    """Print what there is of both parts."""
    if served is not None:
        _show_served(served, k)
        _tell_other_models(served, version)
    if agreement is not None:
        _show_agreement(agreement)


def _show_served(served: Served, k: int) -> None:
    """Print the hit rate of all answers, then by model and by source."""
    groups = {"all": served.judged, **dict(sorted(served.by.items()))}
    show.table(
        f"hits of {served.answers:,} answers, first {k} items",
        ["answers by", "events after", "hits", "hit rate"],
        [
            (name, str(hits.events), str(hits.hits), "" if hits.rate is None else f"{hits.rate:.4f}")
            for name, hits in groups.items()
        ],
    )
    show.remark(f"{served.unjudged:,} events had no answer before them")
    if served.unreadable or served.dropped:
        show.remark(
            f"{served.unreadable:,} lines are no records, such as half a line, and were skipped; the service itself "
            f"dropped {served.dropped:,} lines"
        )


def _tell_other_models(served: Served, version: str) -> None:
    """Say which answers of a log do not come from the model of the run."""
    others = sorted(other[:12] for other in served.models if other != version)
    if others:
        number = served.answers - served.models[version]
        show.remark(
            f"{number:,} of {served.answers:,} answers are not of this run, whose model_version is {version[:12]}, but "
            f"of {', '.join(others)}: replay the folders of those runs too"
        )


def _show_agreement(agreement: Agreement) -> None:
    """Print for how many users the answers agree, and some answers that differ."""
    show.remark(
        f"{agreement.same:,} users have the same answer online and offline, {agreement.ties:,} differ only in the "
        f"order of ties, {len(agreement.different):,} have another answer"
    )
    if agreement.different:
        rows = [
            (str(user), " ".join(map(str, offline)), " ".join(map(str, online)))
            for user, (offline, online) in list(agreement.different.items())[:MAX_SHOWN]
        ]
        show.table("answers that differ", ["user", "offline", "online"], rows)
