"""Where the report of a study goes, and how it is written and printed."""

from __future__ import annotations

import json as json_format
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from caser.artefact import folder as artefact
from caser.artefact.folder import Artefact
from caser.cli import show
from caser.cli.configuration import typed_command, write_options
from caser.cli.study_options import StudyOptions
from caser.errors import MissingDependencyError
from caser.study.backtest import Backtest
from caser.study.report.study import checked
from caser.study.report.write import write_report
from caser.study.result_table import table_of_study, write_table
from caser.study.study import Study
from caser.system.frames import write_frames
from caser.system.storage import write_file


def default_folder(kind: str, log: str) -> Path:
    """Return the folder of a study if none is named.

    kind  of study, such as "compare"      log  a file, or the name of a public data set

    >>> default_folder("compare", "data/my events.csv").as_posix()
    'runs/compare-my-events'
    """
    return Path("runs") / f"{kind}-{re.sub(r'[^A-Za-z0-9]+', '-', Path(log).stem).strip('-')}"


def finish_study(study: Study, options: StudyOptions, log: str, *, json: bool) -> None:
    """Write the report and the values per user, and print the result.

    options  name the folder for the report, by default `default_folder`, and say whether the study is quick
    log      a file, or the name of a public data set
    json     whether to print one JSON document instead of a table
    """
    document, written = _written(study, options, options.out or default_folder(study.kind, log))
    if options.table:
        write_table(options.table, table_of_study(document))
    if json:
        show.document(document)
        return
    show.study(document)
    tell_where(written)


def finish_backtest(result: Backtest, options: StudyOptions, log: str, *, json: bool) -> None:
    """Write the report of each window and the numbers over windows, and print the result.

    result   the comparisons of all windows
    options, log, json  as for `finish_study`
    """
    folder = options.out or default_folder("backtest", log)
    for number, study in enumerate(result.windows, start=1):
        _written(study, options, folder / f"window-{number}")
    document = result.to_dict()
    numbers = {**document, "windows": [checked(one) for one in document["windows"]]}
    file = folder / "backtest.json"
    write_file(file, (json_format.dumps(numbers, indent=2) + "\n").encode())
    if json:
        show.document(document)
        return
    show.backtest(document)
    for sentence in options.caution:
        show.remark(sentence)
    tell_where(file)


def _written(study: Study, options: StudyOptions, folder: Path) -> tuple[dict[str, Any], Path]:
    """Write the report of a study and the values per user. Returns every number, and the file to open."""
    study = replace(study, command=typed_command(), advice=(*study.advice, *options.caution))
    document = study.to_dict()
    values = study.report.to_frame(study.split.log.user_vocabulary)
    write_frames(folder / "per_user.parquet", [values], values.schema)
    write_options(folder)
    return document, write_numbers(document, folder, _caser_run(study))


def write_numbers(document: Mapping[str, Any], folder: Path, network: Artefact | None = None) -> Path:
    """Write the page of a study and its numbers, and return the page.

    document  what the study says, in JSON values
    folder    where the files go
    network   a run of Caser, whose filters the page shows

    Without the extra `report`, only the numbers are written, and their file is returned.
    """
    try:
        return write_report(document, folder, network)
    except MissingDependencyError as error:
        show.note(f"{error} Then the same command again writes the page; nothing is trained twice.")
        file = folder / "study.json"
        write_file(file, (json_format.dumps(checked(document), indent=2) + "\n").encode())
        return file


def tell_where(written: Path) -> None:
    """Say which file a person opens next."""
    show.note(f"open {written}" if written.suffix == ".html" else f"every number is in {written}")


def _caser_run(study: Study) -> Artefact | None:
    """Load a run of Caser to show its filters: the reference of the study if that is one, else the first."""
    labels = [study.reference, *study.outcome.runs]
    folders = [study.outcome.runs[label][0].folder for label in labels if study.recipe(label).model.name == "caser"]
    return artefact.load(folders[0]) if folders else None
