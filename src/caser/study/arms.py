"""The two arms of an experiment, compared by what users took: from the log of answers of `caser serve --candidate`.

An event counts for the last answer that its user got before it, as in `replay.py`. Users are the unit, and each of them
is in one arm, so the difference is that of two independent means, with an interval over users (`unpaired_difference`).
A user who had answers of both arms is left out. Only the answers since the share or the salt last changed count.

Before anything is concluded, the arms must hold the share that was asked for (the check of the sample ratio: Fabijan et
al. 2019, Diagnosing Sample Ratio Mismatch in Online Controlled Experiments). Where they do not, users are missing from
one arm for a reason that has to do with the arm, and no difference means anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from caser.errors import ConfigError, DataError
from caser.evaluation.statistics import ENOUGH_OWNERS, Difference, Estimate, mean_over_owners, unpaired_difference
from caser.study.promotion import Verdict, verdict_on
from caser.study.replay import ARMS, records

METRICS = ("ndcg", "hit")
"""What may decide: the discounted gain of the item that was taken, or whether it was shown at all."""

LEAST_P_VALUE = 0.001
"""Below this, the arms do not hold the share that was asked for. It is small, because every look at a log checks it."""

HEADER = ("arm", "answers", "users", "users who took something", "events", "hit rate", "ndcg")
"""The names of the columns of `ArmComparison.rows`."""


@dataclass(frozen=True)
class ArmResult:
    """What one arm showed.

    answers     how many answers its users got
    users       how many users got an answer
    judged      how many of them took something afterwards
    events      what they took
    hit, ndcg   of the items taken, among the first k of the last answer: the mean over events, with an interval over
                users
    """

    answers: int
    users: int
    judged: int
    events: int
    hit: Estimate
    ndcg: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**vars(self), "hit": self.hit.to_dict(), "ndcg": self.ndcg.to_dict()}


@dataclass(frozen=True)
class ArmComparison:
    """The comparison of a candidate with the incumbent.

    metric       the name of the metric that decides
    arms         what each arm showed
    difference   candidate minus incumbent; None where nobody of an arm took anything
    share        of the users who were to get the candidate
    ratio_p      the probability of a share at least as unlikely as the one found, if users were split as asked
    margin       the share of the incumbent's metric that the candidate may lose
    num_changed  how many users had answers of both arms, and are left out
    num_earlier  how many answers were given before the share or the salt last changed, or outside of the experiment
    """

    metric: str
    arms: dict[str, ArmResult]
    difference: Difference | None
    share: float
    ratio_p: float
    margin: float
    num_changed: int
    num_earlier: int

    @property
    def holds_share(self) -> bool:
        """Whether the arms hold the share of users that was asked for."""
        return self.ratio_p >= LEAST_P_VALUE

    @property
    def verdict(self) -> Verdict:
        """`better` or `worse` where the difference is shown; else `not worse`, within the margin, or `cannot tell`.

        It is `cannot tell` too where the arms do not hold their share, and where few users of an arm took anything.
        """
        difference = self.difference
        if difference is None or not self.holds_share or self._fewest < ENOUGH_OWNERS:
            return "cannot tell"
        incumbent: Estimate = getattr(self.arms["incumbent"], self.metric.partition("@")[0])
        has_margin = self.margin > 0 and incumbent.value > 0
        is_within_margin = has_margin and difference.low >= -self.margin * incumbent.value
        return verdict_on(difference, is_within_margin=is_within_margin)

    @property
    def passes(self) -> bool:
        """Whether the candidate may take the place of the incumbent."""
        return self.verdict in ("better", "not worse")

    @property
    def sentences(self) -> list[str]:
        """The verdict in words: what the metric says, whether the arms hold their share, and what was left out."""
        said = []
        if self.difference is None:
            said.append("nobody of one of the arms took anything after an answer: there is nothing to compare")
        else:
            num_owners = self.difference.num_owners or 0
            said.append(self.difference.sentence("the candidate", "the incumbent", self.metric, num_owners))
        if self._fewest < ENOUGH_OWNERS:
            said.append(
                f"an arm has {self._fewest:,} users who took something; below {ENOUGH_OWNERS} nothing is concluded"
            )
        if self.verdict == "not worse":
            said.append(f"the candidate loses at most {self.margin:.1%} of the incumbent's {self.metric}, as allowed")
        said.append(self._about_share())
        if self.num_changed:
            said.append(f"{self.num_changed:,} users had answers of both arms, and are left out")
        if self.num_earlier:
            said.append(
                f"{self.num_earlier:,} answers from before the share or the salt last changed, or outside of the "
                "experiment, do not count"
            )
        return said

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """What the arms showed, as text, in the columns of `HEADER`."""
        return [
            (arm, *(f"{count:,}" for count in (one.answers, one.users, one.judged, one.events)),
             *(f"{of.value:.4f} ({of.low:.4f} to {of.high:.4f})" if one.events else "" for of in (one.hit, one.ndcg)))
            for arm, one in self.arms.items()
        ]  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return {
            "passes": self.passes,
            "verdict": self.verdict,
            "sentences": self.sentences,
            "metric": self.metric,
            "arms": {arm: one.to_dict() for arm, one in self.arms.items()},
            "difference": None if self.difference is None else self.difference.to_dict(),
            "share": self.share,
            "share_p_value": self.ratio_p,
            "holds_share": self.holds_share,
            "users_of_both_arms": self.num_changed,
            "answers_left_out": self.num_earlier,
        }

    @property
    def _fewest(self) -> int:
        return min(one.judged for one in self.arms.values())

    def _about_share(self) -> str:
        users = {arm: one.users for arm, one in self.arms.items()}
        found = f"{users['candidate']:,} of {sum(users.values()):,} users were in the candidate's arm"
        if self.holds_share:
            return f"{found}, as a share of {self.share:.2%} allows (p {self.ratio_p:.3f})"
        return (
            f"{found}, which a share of {self.share:.2%} does not give by chance (p < {LEAST_P_VALUE}): users "
            "are missing from an arm, so nothing can be concluded. Was the candidate not loaded for a while, or were "
            "lines not written?"
        )


@dataclass
class _Taken:
    """What one user was shown and took.

    arms   of the answers       last    the items of the last answer
    answers  how many           places  of each item taken in the last answer before it, from 1; 0 for none
    """

    arms: set[str] = field(default_factory=set)
    last: list[str] = field(default_factory=list)
    answers: int = 0
    places: list[int] = field(default_factory=list)


def compare_arms(log: Path, k: int = 10, *, metric: str = "ndcg", margin: float = 0.0) -> ArmComparison:
    """Compare the arms of an experiment by what users took.

    log     a file that the service wrote under `--answer-log`
    k       only the first k items of each answer count
    metric  what decides: "ndcg" or "hit"
    margin  pass a candidate that loses at most this share of the incumbent's metric; 0 asks for a gain that is shown

    Raises DataError for a file that cannot be read, and one without an answer of an experiment; ConfigError for an
    unknown metric and a margin that is not from 0 to below 1.
    """
    if metric not in METRICS or not 0 <= margin < 1:
        raise ConfigError(f"metric must be ndcg or hit, and margin from 0 to below 1; got {metric!r} and {margin!r}.")
    users, share, num_earlier = _read(log, k)
    num_changed = sum(len(user.arms) > 1 for user in users.values())
    of_arm = {arm: [user for user in users.values() if user.arms == {arm}] for arm in ARMS}
    values = {arm: _values(some) for arm, some in of_arm.items()}
    chosen = 0 if metric == "hit" else 1
    (*first, first_owners), (*second, second_owners) = values["candidate"], values["incumbent"]
    difference = None
    if len(first_owners) and len(second_owners):
        difference = unpaired_difference(first[chosen], first_owners, second[chosen], second_owners)
    num_users = {arm: len(some) for arm, some in of_arm.items()}
    return ArmComparison(
        metric=f"{metric}@{k}",
        arms={arm: _result(of_arm[arm], *values[arm]) for arm in ARMS},
        difference=difference,
        share=share,
        ratio_p=binomial_p(num_users["candidate"], sum(num_users.values()), share),
        margin=margin,
        num_changed=num_changed,
        num_earlier=num_earlier,
    )


def binomial_p(found: int, number: int, share: float) -> float:
    """Return the two-sided p-value of a binomial count: twice the probability of the nearer tail, at most 1.

    found   how many have a property       number  of how many       share  who have it on average

    >>> round(binomial_p(5, 100, 0.05), 2), binomial_p(20, 100, 0.05) < 1e-6
    (1.0, True)
    """
    at_most = special.bdtr(found, number, share)
    at_least = 1.0 if found == 0 else special.bdtrc(found - 1, number, share)
    return float(min(1.0, 2 * min(at_most, at_least)))


def _read(log: Path, k: int) -> tuple[dict[str, _Taken], float, int]:
    """The users of the last experiment in a log, its share, and how many answers do not belong to it."""
    users: dict[str, _Taken] = {}
    current, num_answers, num_counted = None, 0, 0
    for record in records(log):
        if not isinstance(record, dict):
            continue
        user = record.get("user")
        if record["kind"] == "answer":
            num_answers += 1
            if "arm" not in record:
                continue
            if current != (record["experiment"], record["share"]):
                current, users, num_counted = (record["experiment"], record["share"]), {}, 0
            num_counted += 1
            if user is not None:
                taken = users.setdefault(user, _Taken())
                taken.arms.add(record["arm"])
                taken.answers += 1
                taken.last = record["items"][:k]
        elif user in users:
            shown = users[user].last
            users[user].places.append(shown.index(record["item"]) + 1 if record["item"] in shown else 0)
    if current is None:
        raise DataError(f"{log} must hold answers of caser serve --candidate; got none that names an arm.")
    return users, current[1], num_answers - num_counted


def _values(users: list[_Taken]) -> tuple[Any, Any, Any]:
    """Of each event: whether it is a hit, its discounted gain, and the number of its user."""
    places = np.array([place for user in users for place in user.places], dtype=np.int64)
    owners = np.repeat(np.arange(len(users), dtype=np.int32), [len(user.places) for user in users])
    gains = np.array([1 / log2(1 + place) if place else 0.0 for place in places.tolist()])
    return (places > 0).astype(np.float64), gains, owners


def _result(users: list[_Taken], hits: Any, gains: Any, owners: Any) -> ArmResult:
    return ArmResult(
        answers=sum(user.answers for user in users),
        users=len(users),
        judged=len(np.unique(owners)),
        events=len(owners),
        hit=mean_over_owners(hits, owners),
        ndcg=mean_over_owners(gains, owners),
    )
