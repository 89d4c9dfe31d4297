"""`caser replay`: the hit rate of what was really served, and a service beside its run folder. Needs no torch."""

from __future__ import annotations

import os
from pathlib import Path

from caser.cli import show
from caser.cli.flags import Switch, Whole
from caser.errors import ConfigError, DataError, MissingDependencyError

TOKEN_VARIABLE = "CASER_TOKEN"  # noqa: S105
_SHOWN = 10


def replay(
    run: Path,
    /,
    *,
    log: Path | None = None,
    against: str | None = None,
    k: Whole = 10,
    users: Whole = 1000,
    seed: Whole = 0,
    json: Switch = False,
) -> None:
    """Look back at what was served (--log), or ask a service and its run folder the same (--against), or both.

    The token for --against is read from the variable CASER_TOKEN, where no list of processes shows it.

    Parameters
    ----------
    run
        A run folder.
    log
        What `caser serve --answer-log` has written: how often the next thing a user took was in their last answer.
    against
        The address of a service of this run, such as http://127.0.0.1:8000: answers are compared item by item.
    k
        How many items of an answer count.
    users
        How many users to compare.
    seed
        Which ones.
    json
        Print one JSON document instead of tables.

    """
    if log is None and against is None:
        raise ConfigError("replay needs --log FILE, --against URL, or both; got neither.")
    if users < 1 or not 1 <= k <= 1000:
        raise ConfigError(f"--users must be at least 1, and -k from 1 to 1000; got {users} and {k}.")
    try:
        from caser.study import replay as looking_back
    except ImportError as error:
        raise MissingDependencyError(
            f"replay needs the extra 'serve'; {error.name} is not installed. Type: pip install 'caser[serve]'"
        ) from None
    from caser.answering.recommender import load

    recommender = load(run)
    served = None if log is None else looking_back.hit_rate(log, k)
    token = os.environ.get(TOKEN_VARIABLE)
    agreement = (
        None
        if against is None
        else looking_back.compare_with_service(recommender, against, users=users, k=k, seed=seed, token=token)
    )
    if json:
        show.document(
            {
                "run": str(run),
                "k": k,
                "served": None if served is None else served.to_dict(),
                "against": None if agreement is None else agreement.to_dict(),
            }
        )
    else:
        if served is not None:
            rows = {"all": served.judged, **dict(sorted(served.by.items()))}
            show.table(
                f"what {served.answers:,} answers came to, first {k} items",
                ["answers by", "events after", "hits", "hit rate"],
                [(name, str(hits.events), str(hits.hits), _rate(hits.rate)) for name, hits in rows.items()],
            )
            show.remark(f"{served.unjudged:,} events had no answer before them")
        if agreement is not None:
            show.remark(
                f"{agreement.same:,} users have the same answer online and offline, {agreement.ties:,} but for ties, "
                f"{len(agreement.different):,} another"
            )
            rows_of = list(agreement.different.items())[:_SHOWN]
            if rows_of:
                joined = looking_back.joined
                body = [(str(user), joined(pair[0]), joined(pair[1])) for user, pair in rows_of]
                show.table("answers that differ", ["user", "offline", "online"], body)
    if agreement is not None and agreement.different:
        raise DataError(
            f"the service must answer as the run does; for {len(agreement.different):,} users it does not. Has the "
            "run changed since it was loaded? POST /v1/model/reload."
        )


def _rate(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.4f}"
