"""`caser audit`: does the order of interactions matter in a log, and can numbers on it be trusted?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from caser.cli import show
from caser.cli.configuration import typed_command, write_options
from caser.cli.flags import DEFAULT_MODEL, FilterFlags, ReadingFlags, Switch, Whole, one_of
from caser.cli.logs import open_log
from caser.cli.study_report import default_folder, tell_where, write_numbers
from caser.data.filters import LogFilters
from caser.data.readers import Reading
from caser.evaluation.protocols import DEFAULT_PROTOCOL, PROTOCOLS
from caser.models import MODELS
from caser.study.audit.audit import audit as audit_log

MARKS = {"good": "✓", "note": "·", "warning": "!"}
"""The mark before a finding, by its severity."""


def audit(
    log: str,
    /,
    *,
    protocol: Annotated[str, one_of(PROTOCOLS)] = DEFAULT_PROTOCOL,
    model: Annotated[str, one_of(MODELS)] = DEFAULT_MODEL,
    neural: bool = True,
    block: Whole = 5,
    seed: Whole = 0,
    out: Path | None = None,
    json: Switch = False,
    reading: ReadingFlags = Reading(),  # noqa: B008 (frozen)
    filters: FilterFlags = LogFilters(),  # noqa: B008
) -> None:
    """Find out whether order matters in a log, and what else to know before you believe a number on it.

    Models are trained with true and with shuffled histories, and judged on validation; the test part stays closed. Run
    the same command again to continue an audit that was interrupted.

    Parameters
    ----------
    log
        A file, or the name of a public data set.
    protocol
        How the log is split and judged.
    model
        The neural model to train beside the counting models.
    neural
        Train a neural model too. Without one, the audit takes seconds, but it cannot see all that the order is worth.
    block
        Number of neighbouring items that are shuffled together, to measure what their order is worth.
    seed
        Seed of all random streams.
    out
        The folder for the report and for finished parts; by default it is named after the log.
    json
        Print one JSON document instead of sentences.

    """
    folder = out or default_folder("audit", log)
    document = audit_log(
        open_log(log, reading, filters),
        protocol,
        model=model if neural else None,
        neural=neural,
        block=block,
        seed=seed,
        folder=folder,
        tell=lambda sentence: show.note(f"  {sentence}"),
        command=typed_command(),
    ).to_dict()
    write_options(folder)
    written = write_numbers(document, folder)
    if json:
        show.document(document)
        return
    _show_audit(document)
    tell_where(written)


def _show_audit(document: Mapping[str, Any]) -> None:
    """Print the verdict, one line per finding, the advice and the notes."""
    show.blank_line()
    show.remark(document["verdict"])
    log = document["log"]
    sizes = f"{log['interactions']:,} interactions · {log['users']:,} users · {log['items']:,} items"
    show.blank_line()
    show.heading(f"{document['title']} · {document['protocol']} · {sizes} · fingerprint {document['fingerprint']}")
    for finding in document["findings"]:
        show.remark(f"{MARKS[finding['severity']]} {finding['question']} {finding['sentence']}")
    for part in ("advice", "notes"):
        show.blank_line()
        show.heading(part)
        for sentence in document[part]:
            show.remark(f"- {sentence}")
