"""Promotion: may a new run take the place of the one that is served? Both answer the questions that judge the new run.

A question is a user's history up to the interactions that the new run was not trained on; those are its targets. Both
runs answer as a service does: with their own items and their own rules for what was seen, from raw ids. A target that a
run does not know is missed. A question is left out if the old run may have been trained on its targets, which would
flatter the old run: on anything of that user from the moment of the first target on. Items of equal scores count in a
random order, which is the same for both runs (`fair_ranks.py`). Popular items are counted among the items that both
runs know: a run that knows more items would otherwise seem to recommend other ones.

The verdict comes from the paired difference of one metric with its 95 % interval; then limits are checked that a better
metric does not excuse.

Shape suffix: Q questions.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field

from caser.answering.recommender import Recommender
from caser.config import Settings
from caser.data.id_text import written
from caser.data.split import Split
from caser.errors import ConfigError, DataError
from caser.evaluation.metrics import Values, parse_metric
from caser.evaluation.rank_table import RankTable
from caser.evaluation.statistics import ENOUGH_OWNERS, Difference, Estimate, mean_over_owners, paired_difference
from caser.fitting.evaluate import judging_part
from caser.study.fair_ranks import fair_ranks
from caser.study.raw_questions import RawQuestions, answers_of, milliseconds_of, questions_of, unseen
from caser.system.kinds import must_be
from caser.system.notebook import table_html

Verdict = Literal["better", "not worse", "cannot tell", "worse"]
"""What the paired difference says: see `Promotion.verdict`."""


def verdict_on(difference: Difference, *, is_within_margin: bool) -> Verdict:
    """Return the verdict on a new model.

    difference        of its metric from that of the old one
    is_within_margin  whether the interval shows that it loses no more than it may
    """
    if difference.is_shown and difference.value > 0:
        return "better"
    if is_within_margin:
        return "not worse"
    return "worse" if difference.is_shown else "cannot tell"


HEADER = ("over the same questions", "new run", "old run")
"""The names of the columns of `Promotion.rows`."""


class PromotionLimits(Settings):
    """What a new run must keep to, beside the verdict on its metric.

    >>> PromotionLimits(margin=0.02).margin
    0.02
    """

    margin: float = Field(default=0.0, ge=0, lt=1)
    """Pass a run that loses at most this share of the old run's metric; 0 asks for a gain that is shown."""
    least_shown: float = Field(default=0.7, ge=0)
    """Different items in all answers, at least, as a share of those of the old run."""
    most_popular: float = Field(default=0.1, ge=0)
    """Rise of the share of popular items in the answers, at most."""
    most_unknown: float = Field(default=0.02, ge=0)
    """Rise of the share of targets that the run does not know, at most."""
    most_short: float = Field(default=0.02, ge=0)
    """Rise of the share of answers with fewer items than asked for, at most."""
    most_time: float = Field(default=3.0, gt=0)
    """Time of an answer, at most, as a multiple of the old run's."""


@dataclass(frozen=True)
class Candidate:
    """What one run showed.

    metric         the mean of the metric, with its interval
    num_shown      different items in all answers
    popular_share  the share of popular items, which have half of all interactions, in the places of answers that have
                   an item which both runs know
    unknown_share  targets that the run was not trained on, so that it cannot recommend them
    short_share    answers with fewer items than asked for
    milliseconds   the median time of one answer from Python
    """

    metric: Estimate
    num_shown: int
    popular_share: float
    unknown_share: float
    short_share: float
    milliseconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**vars(self), "metric": self.metric.to_dict()}


@dataclass(frozen=True)
class Promotion:
    """The comparison of a new run with an old one.

    metric         the name of the metric
    new, old       what the two runs showed
    difference     new minus old, over the same questions
    num_questions  how many questions were asked
    num_left_out   how many were not, because the old run may have been trained on their targets
    margin         the share of the old run's metric that the new run may lose
    broken         a sentence for each limit that the new run does not keep
    """

    metric: str
    new: Candidate
    old: Candidate
    difference: Difference
    num_questions: int
    num_left_out: int
    margin: float
    broken: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """`better` or `worse` where the difference is shown; else `not worse`, within the margin, or `cannot tell`."""
        return verdict_on(self.difference, is_within_margin=self._is_within_margin)

    @property
    def passes(self) -> bool:
        """Whether the new run may take the old one's place."""
        return self.verdict in ("better", "not worse") and not self.broken

    @property
    def sentences(self) -> list[str]:
        """The verdict in words: what the metric says, what was left out, and which limits are not kept."""
        said = [self.difference.sentence("the new run", "the old one", self.metric, self.difference.num_owners or 0)]
        if self.verdict == "not worse":
            said.append(f"the new run loses at most {self.margin:.1%} of the old one's {self.metric}, as allowed")
        if self.num_left_out:
            said.append(
                f"{self.num_left_out:,} of {self.num_left_out + self.num_questions:,} questions were left out, because "
                "the old run, or what the new one was updated from, may have been trained on their answers"
            )
        return [*said, *self.broken]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return {
            "passes": self.passes,
            "verdict": self.verdict,
            "sentences": self.sentences,
            "metric": self.metric,
            "new": self.new.to_dict(),
            "old": self.old.to_dict(),
            "difference": self.difference.to_dict(),
            "questions": self.num_questions,
            "left_out": self.num_left_out,
            "broken": list(self.broken),
        }

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """What both runs showed, as text: a name, then the value of the new run and that of the old one."""
        both = (self.new, self.old)
        shown = {
            self.metric: [f"{one.metric.value:.4f}" for one in both],
            "different items in all answers": [f"{one.num_shown:,}" for one in both],
            "places with popular items": [f"{one.popular_share:.1%}" for one in both],
            "targets that the run does not know": [f"{one.unknown_share:.1%}" for one in both],
            "answers that are too short": [f"{one.short_share:.1%}" for one in both],
            "milliseconds of an answer": [f"{one.milliseconds:.2f}" for one in both],
        }
        return [(name, new, old) for name, (new, old) in shown.items()]

    def _repr_html_(self) -> str:
        """Show the comparison in a notebook."""
        return table_html(f"verdict: {self.verdict}", HEADER, self.rows, self.sentences)

    @property
    def _is_within_margin(self) -> bool:
        # Few users who get the same answers have an interval of no width, which shows nothing.
        enough = (self.difference.num_owners or 0) >= ENOUGH_OWNERS and self.old.metric.value > 0
        return self.margin > 0 and enough and self.difference.low >= -self.margin * self.old.metric.value


def promotion(
    new: Recommender,
    old: Recommender,
    split: Split,
    *,
    metric: str = "ndcg",
    k: int = 10,
    limits: PromotionLimits | None = None,
) -> Promotion:
    """Compare a new run with the one that is served, on what judges the new one.

    new     the new run, which must have a part that judges it
    old     the run that is served: of the same split, or trained on an earlier log, also on all of it
    split   the split that the new run was trained with
    metric  the name of a metric without its cut-off, such as "ndcg" or "hit"
    k       the number of items in an answer, and the cut-off of the metric
    limits  what the new run must keep to; None takes the defaults

    Returns the comparison, whose `passes` says whether the new run may take the old one's place. Raises ArtefactError
    as `caser.evaluate` does for the new run; DataError if the old run may have been trained on all targets; ConfigError
    for an unknown metric and arguments of the wrong kind.

    >>> from caser.data.split import leave_one_out
    >>> from caser.data.synthetic import chain_world
    >>> from caser.fitting.fit import fit
    >>> from caser.models.counting.markov import Markov
    >>> from caser.models.counting.popularity import Popularity
    >>> split = leave_one_out(chain_world(num_users=60, num_items=30, length=9, seed=0).log)
    >>> result = promotion(fit(Markov(), split), fit(Popularity(), split), split)
    >>> result.verdict
    'better'
    """
    must_be("old", old, Recommender, "a recommender, which caser.fit and caser.load return")
    name, allowed = f"{metric}@{k}", PromotionLimits() if limits is None else limits
    must_be("limits", allowed, PromotionLimits, "caser.PromotionLimits(...)")
    if "@" in metric:
        raise ConfigError(f"metric must be a name without its cut-off, which is k; got {metric!r}. Write ndcg or hit.")
    parse_metric(name)
    part = judging_part(new, split)
    asked = questions_of(split, part)
    kept_Q = unseen(asked, old)
    if new.artefact.manifest.get("updated"):  # its parent may have been trained on what judges others
        kept_Q &= unseen(asked, new)
    if not kept_Q.any():
        raise DataError(
            "the old run must not know what the new one is judged by; got a run that may have been trained on all "
            f"{len(kept_Q):,} targets. Give the run that was served before these interactions happened, or one that "
            "was trained with the same protocol on the same log."
        )
    questions = asked.only(kept_Q)
    if not old.artefact.items.indices([item for some in questions.targets for item in some]).any():
        raise DataError(
            "the two runs must name items alike; got an old run that knows none of the targets. Train both on logs "
            "whose ids are written in the same way."
        )
    new_time, old_time = milliseconds_of((new, old), questions, k)
    known = _known(new) & _known(old)
    new_Q, new_shown = _shown(new, questions, name, k, new_time, known)
    old_Q, old_shown = _shown(old, questions, name, k, old_time, known)
    return Promotion(
        metric=name,
        new=new_shown,
        old=old_shown,
        difference=paired_difference(new_Q, old_Q, questions.owners_Q),
        num_questions=len(questions),
        num_left_out=int((~kept_Q).sum()),
        margin=allowed.margin,
        broken=tuple(_broken(new_shown, old_shown, allowed)),
    )


def _shown(
    run: Recommender, questions: RawQuestions, metric: str, k: int, milliseconds: float, known: Set[str]
) -> tuple[Values, Candidate]:
    """The metric of every question, (Q,) float64, and what the run showed. `known`: the items that both runs know."""
    answers = answers_of(run, questions, k)
    ranks = RankTable.from_lists(fair_ranks(run, questions, answers), len(run.artefact.items))
    values_Q = ranks.values(parse_metric(metric))
    places = [item for answer in answers for item in answer]
    known_places = [item for item in places if item in known]
    targets = [item for some in questions.targets for item in some]
    times_trained = run.artefact.trained.item_counts[run.artefact.items.indices(targets)]
    return values_Q, Candidate(
        metric=mean_over_owners(values_Q, questions.owners_Q),
        num_shown=len(set(places)),
        popular_share=sum(item in questions.popular for item in known_places) / max(len(known_places), 1),
        unknown_share=float((times_trained == 0).mean()),
        short_share=sum(len(answer) < k for answer in answers) / len(answers),
        milliseconds=milliseconds,
    )


def _known(run: Recommender) -> Set[str]:
    """The items that a run was trained on, written as text."""
    return set(map(written, run.artefact.items.raw(np.flatnonzero(run.artefact.knows_item))))


def _broken(new: Candidate, old: Candidate, limits: PromotionLimits) -> Iterator[str]:
    """Yield a sentence for each limit that the new run does not keep."""
    if new.num_shown < limits.least_shown * old.num_shown:
        yield (
            f"the new run must show at least {limits.least_shown:.0%} as many different items as the old one; it shows "
            f"{new.num_shown:,} instead of {old.num_shown:,}"
        )
    rises = {
        "places with popular items": (new.popular_share, old.popular_share, limits.most_popular),
        "unknown targets": (new.unknown_share, old.unknown_share, limits.most_unknown),
        "answers that are too short": (new.short_share, old.short_share, limits.most_short),
    }
    for what, (now, before, most) in rises.items():
        if now > before + most:
            yield f"the share of {what} may rise by {most:.1%} at most; it rises from {before:.1%} to {now:.1%}"
    if new.milliseconds > limits.most_time * old.milliseconds:
        yield (
            f"an answer may take at most {limits.most_time:g} times as long as the old run's; it takes "
            f"{new.milliseconds:.2f} ms instead of {old.milliseconds:.2f}"
        )
