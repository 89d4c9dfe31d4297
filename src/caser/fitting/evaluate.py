"""From a Recommender and a split to a Report: the model beside the counting baselines, on the part it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from caser.answering.chances import calibration_of
from caser.answering.recommender import Recommender
from caser.arrays.types import Int32, Scores
from caser.data.left_out import is_in_part
from caser.data.split import Split
from caser.errors import ArtefactError, ConfigError
from caser.evaluation import judge, protocols
from caser.evaluation.calibration import scored_lists
from caser.evaluation.fingerprint import fingerprint
from caser.evaluation.foreign import Foreign, ForeignScorer, foreign_scorer
from caser.evaluation.judge import check_split
from caser.evaluation.protocol import Part
from caser.evaluation.ranking import LIST_LENGTH
from caser.evaluation.reliability import Reliability, measure
from caser.evaluation.report import Report
from caser.models.base import Arrays, Scorer
from caser.system.kinds import must_be

JUDGED_ON: dict[str, Part] = {"final": "test", "fit": "validation"}
"""The part that judges a model, by the part it was trained on."""


def evaluate(
    recommender: Recommender | Foreign,
    split: Split,
    *,
    baselines: bool = True,
    metrics: Sequence[str] = (),
) -> Report:
    """Judge a recommender under the split's protocol, beside popularity, Markov and count kNN.

    recommender  a fitted model; the result, and that the test part was opened once more, go into its manifest, which
                 `save` keeps. Or a scorer of your own, trained on `split.final`: an object with `scores(users_B,
                 histories_BH)`, indices in and one score for every item out (column 0 is padding), or such a function;
                 nobody counts its openings
    split        the split that it was trained with
    baselines    whether to fit and judge the counting baselines too
    metrics      further metrics to report beside the protocol's, by name, such as "ndcg@5" or one of your own

    Returns the report, with the model under its name. Its verdict compares the model with the best of the others.
    Raises ArtefactError for a model that was trained on everything, or with another split; ConfigError for an unknown
    metric and for arguments of the wrong kind.

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> from caser.fitting.fit import fit
    >>> from caser.models.counting.markov import Markov
    >>> split = leave_one_out(chain_world(num_users=40, num_items=6, length=9, seed=0).log)
    >>> report = evaluate(fit(Markov(), split), split)
    >>> sorted(report.values)
    ['count-knn', 'markov', 'popularity']
    """
    further = judge.further_metrics(metrics)  # before the test part is opened
    if not isinstance(recommender, Recommender):
        return _judged(foreign_scorer(recommender), split, further, baselines=baselines)
    part = judging_part(recommender, split)
    _refuse_seen_targets(recommender, split)
    facts, name = recommender.artefact.manifest, recommender.artefact.config.name
    scorers = compared(recommender, split, part, baselines=baselines)
    others = [other for other in scorers if other != name]
    report = judge.judge(scorers, split, part=part, baselines=others, metrics=further)
    report = _with_note(report, recommender, split)
    facts["test_openings"] += part == "test"  # after judging: what failed showed nobody a number
    facts["metrics"] = {metric: report.estimate(name, metric).to_dict() for metric in report.values[name]}
    return report


def reliability(recommender: Recommender, split: Split) -> Reliability:
    """Measure how well the chances of a run hold, on the part that judges it.

    recommender  a fitted model; that the test part was opened once more goes into its manifest, which `save` keeps
    split        the split that it was trained with

    The first ten items of the answer to each test query are judged: did they come next as often as their chances say?
    Returns the expected calibration error with an interval over users, log loss and Brier score against the same chance
    for every item, and the bins of a reliability figure. Raises ConfigError for a run that learned no chances;
    ArtefactError for one that was trained on everything, with another split, or on `fit`: the validation part, which
    would judge it, is what its chances were learned on.

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> from caser.fitting.fit import fit
    >>> from caser.models.counting.markov import Markov
    >>> split = leave_one_out(chain_world(num_users=200, num_items=6, length=9, seed=0).log)
    >>> reliability(fit(Markov(), split), split).num_queries
    200
    """
    part = judging_part(recommender, split)
    _refuse_seen_targets(recommender, split)
    calibration, facts = calibration_of(recommender.artefact), recommender.artefact.manifest
    if part != "test":
        raise ArtefactError(
            "chances must be judged on what they were not learned on; this run was trained on fit, so validation would "
            "judge it, where they were learned. Train it on final."
        )
    if len(split.test) == 0:
        raise ConfigError("chances are judged on the test part of a split; it has no query here. Use a longer log.")
    name, protocol = recommender.artefact.config.name, protocols.protocol_named(split.name)
    scorer = compared(recommender, split, part, baselines=False)[name]
    remove_seen = facts["seen"] == "remove"
    lists = scored_lists(scorer, split.test, split.final.item_counts > 0, remove_seen=remove_seen)
    pairs = [
        (calibration.chances(some.scores_BN)[:, :LIST_LENGTH], some.is_target_BN[:, :LIST_LENGTH]) for some in lists
    ]
    chances_QK, is_target_QK = (np.concatenate(blocks) for blocks in zip(*pairs, strict=True))
    judged = {"model": name, "protocol": split.name, "part": part, "fingerprint": facts["fingerprint"]}
    judged |= {"learned_on": calibration.targets, "carried": calibration.carried}
    measured = measure(chances_QK, is_target_QK, split.test.owners, protocol.owner, judged)
    facts["test_openings"] += 1
    return measured


def _refuse_seen_targets(recommender: Recommender, split: Split) -> None:
    """Raise ArtefactError for an updated run whose weights know interactions of the test part, through its parent."""
    artefact = recommender.artefact
    if artefact.manifest.get("updated") is None:
        return
    is_trained = np.ones(len(split.log), dtype=bool) if artefact.is_trained is None else artefact.is_trained
    num_seen = int((is_trained & ~is_in_part(split.log, split.final)).sum())
    if num_seen:
        raise ArtefactError(
            "a model must not have seen the part that judges it; this one was updated from a run that was trained on "
            f"{num_seen:,} of these interactions. `caser promote` (caser.promotion) compares it with the old run on "
            "what neither has seen."
        )


def _judged(scorer: ForeignScorer, split: Split, metrics: Sequence[str], *, baselines: bool) -> Report:
    """Judge a scorer from outside on the test part."""
    check_split(split)
    counting = judge.counting_baselines(split) if baselines else {}
    name = f"{scorer.name} (yours)" if scorer.name in counting else scorer.name
    return judge.judge({**counting, name: scorer}, split, baselines=list(counting), metrics=metrics)


def _with_note(report: Report, recommender: Recommender, split: Split) -> Report:
    """The report, which says how many items its protocol does not rank although the model knows them."""
    kept = recommender.artefact.attributes
    num = 0 if kept is None else int(kept.is_described.sum())
    if not num or protocols.protocol_named(split.name).catalogue != "trained":
        return report
    note = f"{num:,} items that only their attributes describe are not ranked here; the protocol cold-items judges them"
    return replace(report, notes=(*report.notes, note))


def compared(recommender: Recommender, split: Split, part: Part, *, baselines: bool = True) -> dict[str, Scorer]:
    """Return the scorers of a recommender's report by name: the counting baselines, then the model itself.

    recommender  a fitted model
    split        the split that it was trained with
    part         the part that judges; the baselines are fitted on what trains for it
    baselines    whether to fit the counting baselines
    """
    counting = judge.counting_baselines(split, part) if baselines else {}
    scorer: Scorer = recommender.artefact.scorer
    if len(recommender.artefact.items) > split.log.num_items:
        scorer = _OfLog(scorer, split.log.num_items)
    return {**counting, recommender.artefact.config.name: scorer}


class _OfLog:
    """A scorer without the items that the log does not hold; they are no candidates of any protocol."""

    def __init__(self, scorer: Scorer, num_items: int) -> None:
        self.scorer, self.num_items, self.history_length = scorer, num_items, scorer.history_length

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        return self.scorer.scores(users_B, histories_BH)[:, : self.num_items + 1]

    def arrays(self) -> Arrays:
        return self.scorer.arrays()


def judging_part(recommender: Recommender, split: Split) -> Part:
    """Return the part of a split that may judge a recommender, because the model was not trained on it.

    recommender  a fitted model
    split        the split that it was trained with

    Raises ArtefactError if the model was trained on everything, or with another split; ConfigError for arguments of the
    wrong kind.
    """
    must_be("recommender", recommender, Recommender, "a recommender, which caser.fit and caser.load return")
    check_split(split)
    facts, name = recommender.artefact.manifest, recommender.artefact.config.name
    trained_on = facts["train_on"]
    if trained_on not in JUDGED_ON:
        raise ArtefactError(
            f"a model must not have seen the part that judges it; this {name} was trained on everything, the test part "
            "included. Judge the run that it was refitted from, or train it again with train_on='final' (on the "
            "command line: without --all)."
        )
    if (split.name, split.log.digest) != (facts["protocol"], facts["log"]["digest"]):
        raise ArtefactError(
            f"this {name} must be judged under {facts['protocol']} on the log it was trained on, with digest "
            f"{facts['log']['digest'][:12]}; got {split.name} and {split.log.digest[:12]}. Split the log "
            "of the training (on the command line: name its file with --log)."
        )
    own = fingerprint(split, protocols.resolve(split.name, split))
    if own != facts["fingerprint"]:
        raise ArtefactError(
            f"this {name} must be judged by the split it was trained with, fingerprint {facts['fingerprint']}; got "
            f"{own}. A split with its own fractions can only be judged in Python, where it was made."
        )
    return JUDGED_ON[trained_on]
