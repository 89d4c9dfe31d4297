"""The two arms of an experiment: the run that is served, and a candidate for a share of the users.

A user belongs to an arm by a hash of the salt and of the user's id as it is written: in every process, on every machine
and after every start the same, whatever the run. If the share grows, whoever has the candidate keeps it. Two
experiments with different salts are independent. A question without a user belongs to the incumbent: nobody could say
which answers its sender had before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from caser.arrays.types import RawId
from caser.data.id_text import written
from caser.errors import ConfigError
from caser.service.settings import ServiceSettings

Arm: TypeAlias = Literal["incumbent", "candidate"]
"""The run that is served, or the one that is tried on some users."""

ARMS: tuple[Arm, ...] = get_args(Arm)

_SHARE = re.compile(r"(\d{1,2}(?:\.\d{1,6})?)%|(0?\.\d{1,8})", re.ASCII)


@dataclass(frozen=True)
class Experiment:
    """Who gets the candidate.

    share  of the users, between 0 and 1       salt  makes experiments independent of each other

    >>> half = Experiment(0.5, "spring")
    >>> [half.arm_of(user) for user in (7, "7", "ann", None)]
    ['candidate', 'candidate', 'candidate', 'incumbent']
    """

    share: float
    salt: str

    @classmethod
    def of(cls, settings: ServiceSettings) -> Experiment | None:
        """Return the experiment of a service; None without a candidate. Raises ConfigError for an impossible share.

        settings  how the service is served
        """
        return None if settings.candidate is None else cls(share_in(settings.share), settings.salt)

    @property
    def name(self) -> str:
        """A short digest of the salt, which tells experiments apart in the log of answers and gives no salt away."""
        return sha256(self.salt.encode()).hexdigest()[:8]

    def arm_of(self, user: RawId | None) -> Arm:
        """Return the arm of a user.

        user  the raw id; None for a question without a user
        """
        if user is None:
            return "incumbent"
        key = sha256(self.salt.encode()).digest()
        place = int.from_bytes(blake2b(written(user).encode(), digest_size=8, key=key).digest(), "big")
        return "candidate" if place < self.share * 2**64 else "incumbent"


def share_in(text: str) -> float:
    """Return the share that a text names. Raises ConfigError unless it is between 0 and 1.

    text  such as "5%" or "0.05"

    >>> share_in("5%"), share_in("0.2")
    (0.05, 0.2)
    """
    found = _SHARE.fullmatch(text.strip())
    share = 0.0 if found is None else float(found[1]) / 100 if found[1] else float(found[2])
    if not 0 < share < 1:
        raise ConfigError(f"--share must be a share of the users between 0 and 1, such as 5% or 0.05; got {text!r}.")
    return share


def folders(run: Path, settings: ServiceSettings) -> dict[Arm, Path]:
    """Return the run folder of each arm that a service has.

    run  the run that is served       settings  how it is served
    """
    return {"incumbent": run} if settings.candidate is None else {"incumbent": run, "candidate": settings.candidate}


def check_candidate(run: Path, settings: ServiceSettings) -> None:
    """Raise ConfigError if an experiment is not possible: an impossible share, or no folder of another run.

    run  the run that is served       settings  how it is served
    """
    candidate = settings.candidate
    if Experiment.of(settings) is None or candidate is None:
        return
    if settings.onnx is not None:
        raise ConfigError(
            "--onnx must stand without --candidate: a file answers for one run only. Leave one of them out."
        )
    if not candidate.is_dir():
        raise ConfigError(f"--candidate must be the folder of a saved run; got {candidate}. Check the path.")
    if candidate.resolve() == run.resolve():
        raise ConfigError(f"--candidate must be another run than the one that is served; got {candidate} for both.")
