"""`caser evaluate`: judge a run beside the counting models."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number
from cyclopts.validators import Path as PathKind

import caser
from caser.answering.chances import calibration_of
from caser.answering.recommender import Recommender, load
from caser.artefact import folder as artefact
from caser.cli import show
from caser.cli.configuration import typed_command
from caser.cli.flags import ResultFile, Switch, TableFile, Whole
from caser.cli.logs import log_of_run
from caser.cli.study_report import tell_where, write_numbers
from caser.data.split import Split
from caser.evaluation import protocols
from caser.evaluation.metrics import parse_metric
from caser.evaluation.reliability import Reliability
from caser.evaluation.trec import DEPTH, write_trec
from caser.fitting.evaluate import compared, judging_part
from caser.fitting.evaluate import evaluate as judge_run
from caser.fitting.evaluate import reliability as measure
from caser.study.result_table import table_of_report, write_table
from caser.study.study import facts_of_log
from caser.system.frames import write_frames


def evaluate(
    run: Path,
    /,
    *,
    log: str | None = None,
    table: ResultFile | None = None,
    per_user: TableFile | None = None,
    trec: Annotated[Path, Parameter(validator=PathKind(file_okay=False))] | None = None,
    trec_depth: Annotated[Whole, Parameter(validator=Number(gte=1))] = DEPTH,
    metrics: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = (),
    reliability: Annotated[Path | None, Parameter(validator=PathKind(file_okay=False))] = None,
    csv_safe: Switch = False,
    json: Switch = False,
) -> None:
    """Judge a run beside the counting models, under the protocol it was trained for.

    This opens the test part. The manifest of the run counts how often, and keeps the numbers.

    Parameters
    ----------
    run
        A run folder.
    log
        Where the log is now, if it has moved. It must be the same log.
    table
        Also write the table to this file: .tex (LaTeX) or .md, or .csv, .parquet, ... with every number in full.
    per_user
        Also write every model's value for every query to this file, such as values.parquet or values.csv.
    trec
        Also write the targets and every model's ranked lists into this folder, as TREC qrels and run files.
    trec_depth
        Largest number of items in each of those lists.
    metrics
        Names of further metrics beside those of the protocol, such as hit@5 or map.
    reliability
        Also judge the chances of `recommend --chance`: how well they hold, as a page with a figure in this folder.
    csv_safe
        In a .csv or .tsv file, put a ' before text that begins like a formula, for a person who opens the file in a
        spreadsheet. Such an id is then no longer written as in the log.
    json
        Print one JSON document instead of a table.

    """
    for name in metrics:
        parse_metric(name)  # refuses a wrong name before the test part is opened
    recommender = load(run)
    if reliability:
        calibration_of(recommender.artefact)  # so does a run that learned no chances
    manifest = recommender.artefact.manifest
    split = protocols.apply(manifest["protocol"], log_of_run(recommender, log))
    part = judging_part(recommender, split)
    further: dict[str, Any] = {"metrics": metrics} if metrics else {}
    report = judge_run(recommender, split, **further)
    chances = measure(recommender, split) if reliability else None
    # The numbers and their count are saved in one step, before anybody sees a number: if that fails, nobody does.
    opened = artefact.update_manifest(run, opened=int(part == "test"), metrics=manifest["metrics"])
    if per_user:
        frame = report.to_frame(split.log.user_vocabulary)
        write_frames(per_user, [frame], frame.schema, csv_safe=csv_safe)
    if trec:
        write_trec(trec, split, compared(recommender, split, part), part, depth=trec_depth)
    if table:
        write_table(table, table_of_report(report.to_dict()))
    result = {**report.to_dict(), "test_openings": opened}
    if reliability and chances:
        written = write_numbers(_study_of(chances, recommender, split, opened), reliability)
        result["chances"] = chances.to_dict()
    if json:
        show.document(result)
    else:
        show.report(result, subject=recommender.artefact.config.name)
        for sentence in chances.verdicts if chances else ():
            show.remark(sentence)
        if chances:
            tell_where(written)


def _study_of(chances: Reliability, recommender: Recommender, split: Split, opened: int) -> dict[str, Any]:
    """The reliability of chances as the facts of a report."""
    notes = [f"The chances were learned on {chances.facts['learned_on']:,} validation targets, before the test part."]
    if how := chances.facts["carried"]:
        notes.append(f"The run has the chances of the run that it was made from ({how}).")
    name, log = recommender.artefact.config.name, facts_of_log(split.log)
    made = {"command": typed_command(), "date": datetime.now(UTC).date().isoformat(), "version": caser.__version__}
    return {
        "kind": "reliability",
        "title": f"Chances of {name} on {log['name']}",
        **made,
        "log": log,
        "test_openings": opened,
        "notes": notes,
        **chances.to_dict(),
    }
