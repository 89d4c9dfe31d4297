"""The audit of a log: does order matter in it, and what else must be known before a number on it is believed?

Puts the findings together and keeps the finished parts. Everything that is judged is trained on `fit` and judged on
`validation`: the test part stays closed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import caser
from caser.data.describe import describe
from caser.data.log import InteractionLog
from caser.data.split import Split
from caser.errors import ConfigError
from caser.evaluation import protocols
from caser.evaluation.fingerprint import fingerprint
from caser.models import model_settings
from caser.models.settings import NetworkSettings
from caser.study.audit.activity import bots, cold, concentration
from caser.study.audit.clock import clock
from caser.study.audit.findings import Fact, Finding
from caser.study.audit.kept import Kept
from caser.study.audit.leakage import leakage
from caser.study.audit.order import MOST_QUERIES, SHUFFLES, order_effects
from caser.study.audit.repeats import repeats
from caser.study.audit.rules import rules_finding
from caser.study.audit.ties import reordered, ties
from caser.study.audit.verdict import blocks_finding, order_finding, verdict

Say = Callable[[str], object]
FEW_TIES = 0.05
"""Up to this share of tied rows, what order is worth is not asked again without them."""
PARTS = "parts"
"""The folder of finished parts, in the audit's own."""


@dataclass(frozen=True)
class Audit:
    """What is true of a log, under one protocol: a verdict, findings, and advice."""

    log: dict[str, Fact]
    protocol: str
    fingerprint: str
    verdict: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    date: str
    command: str | None = None

    @property
    def advice(self) -> list[str]:
        """What to do, from all findings, warnings first."""
        ordered = sorted(self.findings, key=lambda finding: finding.severity != "warning")
        return [sentence for finding in ordered for sentence in finding.advice]

    def to_dict(self) -> dict[str, Any]:
        """JSON values: what a report is drawn from."""
        return {
            "kind": "audit",
            "title": f"Audit of {self.log['name']}",
            "command": self.command,
            "date": self.date,
            "version": caser.__version__,
            "log": self.log,
            "protocol": self.protocol,
            "fingerprint": self.fingerprint,
            "verdict": self.verdict,
            "advice": self.advice,
            "notes": list(self.notes),
            "findings": [finding.to_dict() for finding in self.findings],
        }


def audit(
    log: InteractionLog,
    protocol: str = "leave-one-out",
    *,
    model: str = "caser",
    neural: bool = True,
    block: int = 5,
    seed: int = 0,
    folder: str | Path | None = None,
    tell: Say | None = None,
    command: str | None = None,
) -> Audit:
    """Audit a log.

    protocol  how the log is split and judged
    model     the neural model to train beside the counting models; with `neural=False` none is
    block     how many neighbouring items are shuffled to ask what their order is worth
    folder    where finished parts are kept, so that a killed audit continues, and a repeated one is quick
    tell      called with a sentence before and during long work

    Raises ConfigError for a model that is not neural or a block below 2, DataError for a log the protocol cannot split.

    >>> from caser.data.synthetic import chain_world
    >>> found = audit(chain_world(num_users=100, num_items=8, length=12).log, neural=False)
    >>> found.verdict.split(":")[0], len(found.findings)
    ('Order matters, and so does recency', 10)
    """
    say = tell or (lambda _: None)
    network = _network(model, protocol) if neural else None
    if block < 2:
        raise ConfigError(f"block must be at least 2 items, or nothing is shuffled; got {block}.")
    split = protocols.apply(protocol, log)
    if len(split.validation) == 0:
        raise ConfigError("an audit needs a validation part with at least one query; got none. Use a longer log.")
    facts = describe(log)
    kept = Kept(Path(folder) / PARTS if folder else None)
    effects = order_effects(split, network, block, seed, kept, say)
    without = None
    if (facts["share_of_rows_tied"] or 0) > FEW_TIES:
        say("the same with events at equal times in random order")
        without = order_effects(protocols.apply(protocol, reordered(log, seed, 0)), None, block, seed, kept, say)
    findings = (
        order_finding(effects, without),
        blocks_finding(effects),
        ties(log, protocol, facts, seed, say),
        rules_finding(log, facts, seed),
        leakage(log, protocol),
        repeats(split, facts),
        clock(log, facts),
        bots(log),
        cold(log, split),
        concentration(log, facts),
    )
    rules = protocols.resolve(protocol, split, "validation")
    return Audit(
        log={
            "name": _name(log),
            "interactions": len(log),
            "users": log.num_users,
            "items": log.num_items,
            "digest": log.digest,
        },
        protocol=protocol,
        fingerprint=fingerprint(split, rules, "validation"),
        verdict=verdict(effects, without),
        findings=findings,
        notes=(*_notes(split, seed), *rules.notes),
        date=datetime.now(UTC).date().isoformat(),
        command=command,
    )


def _network(name: str, protocol: str) -> NetworkSettings:
    """The settings of a neural model, without user vectors where those who are judged have none."""
    settings = model_settings(name)
    if not isinstance(settings, NetworkSettings):
        raise ConfigError(
            f"the model of an audit must be neural, the counting models are there anyway; got {name}. Use --no-neural."
        )
    if protocols.protocol_named(protocol).anonymous:
        without = settings.without_user_vectors()
        if without is None:
            raise ConfigError(
                f"{protocol} judges users that training never saw; {name} needs user vectors. Name another."
            )
        return without
    return settings


def _notes(split: Split, seed: int) -> list[str]:
    return [
        f"Models are trained on the fit part and judged on {min(len(split.validation), MOST_QUERIES):,} of "
        f"{len(split.validation):,} validation queries: the test part stays closed.",
        f"Values are means over {SHUFFLES} shuffles, seed {seed}; a network is trained once for each way to shuffle.",
    ]


def _name(log: InteractionLog) -> str:
    named = log.provenance.get("dataset") or Path(str(log.provenance.get("source", "log"))).name
    return str(named)
