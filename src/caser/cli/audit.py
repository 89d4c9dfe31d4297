"""`caser audit`: does order matter in a log, and what else must be known before a number on it is believed?"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from caser.cli import show
from caser.cli.flags import Switch, Whole, flat
from caser.cli.logs import Filters, Reading, open_log
from caser.cli.study import default_folder, write
from caser.evaluation import protocols
from caser.models import MODELS
from caser.study.audit.audit import audit as audit_of

MARKS = {"good": "✓", "note": "·", "warning": "!"}


def audit(
    log: str,
    /,
    *,
    protocol: str = "leave-one-out",
    model: str = "caser",
    neural: bool = True,
    block: Whole = 5,
    seed: Whole = 0,
    out: Path | None = None,
    json: Switch = False,
    reading: Annotated[Reading, flat("Reading the log")] = Reading(),  # noqa: B008 (frozen)
    filters: Annotated[Filters, flat("Filtering the log")] = Filters(),  # noqa: B008
) -> None:
    """Ask whether order matters in a log, and what else must be known before a number on it is believed.

    Models are trained with true and with shuffled histories, and judged on validation: the test part stays closed.
    The same command again continues an audit that was interrupted.

    Parameters
    ----------
    log
        A file, or the name of a public data set.
    protocol
        How the log is split and judged.
    model
        The neural model to train beside the counting models.
    neural
        Train a neural model too; without, the audit takes seconds.
    block
        How many neighbouring items to shuffle, to ask what their order is worth.
    seed
        Seed of all random streams.
    out
        The folder for the report and for finished parts; named after the log by default.
    json
        Print one JSON document instead of sentences.

    """
    interactions = open_log(log, reading, filters)
    folder = out or default_folder("audit", log)
    found = audit_of(
        interactions,
        protocol,
        model=model,
        neural=neural,
        block=block,
        seed=seed,
        folder=folder,
        tell=lambda sentence: show.say(f"  {sentence}"),
        command=shlex.join(["caser", *sys.argv[1:]]),
    ).to_dict()
    written = write(found, folder)
    if json:
        show.document(found)
        return
    _print(found)
    show.say(f"open {written}" if written.suffix == ".html" else f"every number is in {written}")


audit.__annotations__["protocol"] = Literal[tuple(protocols.PROTOCOLS)]
audit.__annotations__["model"] = Literal[tuple(sorted(MODELS))]


def _print(found: Mapping[str, Any]) -> None:
    """Print the verdict, one line per finding, and the advice."""
    show.out.print()
    show.remark(found["verdict"])
    log = found["log"]
    sizes = f"{log['interactions']:,} interactions · {log['users']:,} users · {log['items']:,} items"
    title = f"{found['title']} · {found['protocol']} · {sizes} · fingerprint {found['fingerprint']}"
    show.out.print()
    show.out.print(title, style="bold", soft_wrap=True)
    for finding in found["findings"]:
        show.remark(f"{MARKS[finding['severity']]} {finding['question']} {finding['sentence']}")
    for heading in ("advice", "notes"):
        show.out.print(f"\n{heading}", style="bold")
        for sentence in found[heading]:
            show.remark(f"- {sentence}")
