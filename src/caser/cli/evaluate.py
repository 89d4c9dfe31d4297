"""`caser evaluate`: judge a run beside the counting models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number
from cyclopts.validators import Path as PathKind

from caser.answering.recommender import load
from caser.artefact import folder as artefact
from caser.cli import show
from caser.cli.flags import ResultFile, Switch, TableFile, Whole
from caser.cli.logs import log_of_run
from caser.evaluation import protocols
from caser.evaluation.metrics import parse_metric
from caser.evaluation.trec import DEPTH, write_trec
from caser.fitting.evaluate import compared, judging_part
from caser.fitting.evaluate import evaluate as judge_run
from caser.study.result_table import table_of_report, write_table
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
    csv_safe
        In a .csv or .tsv file, put a ' before text that begins like a formula, for a person who opens the file in a
        spreadsheet. Such an id is then no longer written as in the log.
    json
        Print one JSON document instead of a table.

    """
    for name in metrics:
        parse_metric(name)  # refuses a wrong name before the test part is opened
    recommender = load(run)
    manifest = recommender.artefact.manifest
    split = protocols.apply(manifest["protocol"], log_of_run(recommender, log))
    part = judging_part(recommender, split)
    further: dict[str, Any] = {"metrics": metrics} if metrics else {}
    report = judge_run(recommender, split, **further)
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
    if json:
        show.document(result)
    else:
        show.report(result, subject=recommender.artefact.config.name)
