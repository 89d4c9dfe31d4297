"""From a Recommender and a split to a Report: the model beside the counting models, on the part it never saw."""

from __future__ import annotations

from caser.answering.recommender import Recommender
from caser.data.split import Split
from caser.errors import ArtefactError
from caser.evaluation import judge, protocols
from caser.evaluation.fingerprint import fingerprint
from caser.evaluation.protocols import Part
from caser.evaluation.report import Report
from caser.models.base import Scorer

JUDGED_ON: dict[str, Part] = {"final": "test", "fit": "validation"}
"""The part that judges a model, by the part it was trained on."""


def evaluate(recommender: Recommender, split: Split, *, baselines: bool = True) -> Report:
    """Judge a recommender under the split's protocol, beside popularity, Markov and count kNN.

    What was found, and that the test part was opened once more, goes into the recommender's manifest; `save` keeps it.
    Raises ArtefactError for what `judging_part` refuses.

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> from caser.fitting.fit import fit
    >>> from caser.models.counting.markov import Markov
    >>> split = leave_one_out(chain_world(num_users=40, num_items=6, length=9, seed=0).log)
    >>> report = evaluate(fit(Markov(), split), split)
    >>> sorted(report.values)
    ['count-knn', 'markov', 'popularity']
    """
    part = judging_part(recommender, split)
    facts, name = recommender.artefact.manifest, recommender.artefact.config.name
    facts["test_openings"] += part == "test"
    report = judge.judge(compared(recommender, split, part, baselines=baselines), split, part=part)
    facts["metrics"] = {metric: report.estimate(name, metric).to_dict() for metric in report.values[name]}
    return report


def compared(recommender: Recommender, split: Split, part: Part, *, baselines: bool = True) -> dict[str, Scorer]:
    """The models that stand in a recommender's report: itself, after the counting models."""
    counting = judge.counting_baselines(split, part) if baselines else {}
    return {**counting, recommender.artefact.config.name: recommender.artefact.scorer}


def judging_part(recommender: Recommender, split: Split) -> Part:
    """The part of a split that may judge a recommender, because it was not trained on it.

    Raises ArtefactError if there is none, or if the split is not the one the recommender was trained with.
    """
    facts, name = recommender.artefact.manifest, recommender.artefact.config.name
    trained_on = facts["train_on"]
    if trained_on not in JUDGED_ON:
        raise ArtefactError(
            f"a model must not have seen what judges it; this {name} was trained on everything, the test part "
            "included. Train it again without --all."
        )
    if (split.name, split.log.digest) != (facts["protocol"], facts["log"]["digest"]):
        raise ArtefactError(
            f"this {name} must be judged under {facts['protocol']} on the log it was trained on, with digest "
            f"{facts['log']['digest'][:12]}; got {split.name} and {split.log.digest[:12]}. Give the right file "
            "with --log."
        )
    found = fingerprint(split, protocols.resolve(split.name, split))
    if found != facts["fingerprint"]:
        raise ArtefactError(
            f"this {name} must be judged by the split it was trained with, fingerprint {facts['fingerprint']}; got "
            f"{found}. A split with fractions of its own can only be judged where it was made, in Python."
        )
    return JUDGED_ON[trained_on]
