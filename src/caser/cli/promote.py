"""`caser promote`: may a new run take the place of the one that is served? For a person, and for a nightly job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from caser.answering.recommender import load
from caser.artefact import folder as artefact
from caser.cli import show
from caser.cli.flags import DEFAULT_K, Switch, Whole, flat
from caser.cli.logs import log_of_run
from caser.cli.runs import to_train_on_all
from caser.errors import ConfigError, HeldBackError
from caser.evaluation import protocols
from caser.fitting.evaluate import JUDGED_ON
from caser.study.promotion import HEADER, Promotion, PromotionLimits, promotion


def promote(
    run: Path,
    /,
    *,
    over: Path,
    log: str | None = None,
    metric: str = "ndcg",
    k: Annotated[Whole, Parameter(validator=Number(gte=1, lte=1000))] = DEFAULT_K,
    json: Switch = False,
    limits: Annotated[PromotionLimits, flat("What the new run must keep to")] = PromotionLimits(),  # noqa: B008
) -> None:
    """Compare a new run with the one that is served, and end with exit code 0 only if it may take its place.

    Both runs answer the questions that judge the new run, as a service would. This opens its test part, which its
    manifest counts. Nothing is replaced: see the nightly job in docs/operations.md.

    Parameters
    ----------
    run
        The folder of the new run; one with a part that judges it, so not trained with --all or `caser refit`.
    over
        The folder of the run that is served: of the same split, or trained on an earlier log.
    log
        Where the log of the new run is now, if it has moved. It must be the same log.
    metric
        What decides: the name of a metric without its cut-off, such as ndcg or hit.
    k
        How many items an answer has.
    json
        Print one JSON document instead of a table.

    """
    if run.resolve() == over.resolve():
        raise ConfigError(f"--over must be another folder than the new run; got {over} for both.")
    new, old = load(run), load(over)
    manifest = new.artefact.manifest
    split = protocols.apply(manifest["protocol"], log_of_run(new, log))
    result = promotion(new, old, split, metric=metric, k=k, limits=limits)
    # Counted before anybody sees a number: if that fails, nobody does.
    opened = artefact.update_manifest(run, opened=int(JUDGED_ON[manifest["train_on"]] == "test"))
    if json:
        document = {"run": str(run), "over": str(over), **result.to_dict(), "test_openings": opened}
        show.document(document)
    else:
        _show(result)
    if not result.passes:
        reasons = "; ".join([f"the verdict is {result.verdict!r}", *result.broken])
        raise HeldBackError(f"the new run must be good enough to replace {over}; {reasons}. The old run stays.")
    show.note(f"the new run may replace the old one: {to_train_on_all(run, manifest, str(over))}")


def _show(result: Promotion) -> None:
    """Print what both runs showed, and the verdict."""
    show.table(f"verdict: {result.verdict}", HEADER, result.rows)
    for sentence in result.sentences:
        show.remark(sentence)
